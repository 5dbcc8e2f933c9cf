//! A terminal with somebody in front of it; a part of several tests.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{InputModes, LocalModes, OutputModes, Winsize, tcgetattr, tcsetwinsize};

/// How long anything may take that should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal with somebody in front of it, and teu on it.
pub(crate) struct Screen {
    pub(crate) keyboard: File,
    pub(crate) line: OwnedFd,
    pub(crate) child: Child,
    seen: String,
}

impl Screen {
    /// Starts a command in a session of its own, with the terminal of so many rows and columns as its controlling one
    /// and as all its streams.
    pub(crate) fn open(command: &Command, (rows, columns): (u16, u16)) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let line = ioctl_tiocgptpeer(&master, flags).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let stream = || Stdio::from(line.try_clone().unwrap());
        // setsid(1) executes the command in its own process: it was no leader of a process group.
        let mut session = Command::new("/usr/bin/setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let child = session.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        Self { keyboard: master.into(), line, child, seen: String::new() }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until the text has come; what comes after it is for the next call.
    pub(crate) fn see(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let more = self.read(end.saturating_duration_since(Instant::now()));
            let seen = &self.seen;
            assert!(more, "{text:?} is missing in {seen:?}");
        }
    }

    /// Reads once; false when nothing came in this time.
    fn read(&mut self, patience: Duration) -> bool {
        let mut ready = [PollFd::new(&self.keyboard, PollFlags::IN)];
        let patience = rustix::event::Timespec::try_from(patience).unwrap();
        if poll(&mut ready, Some(&patience)).unwrap() == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        let count = self.keyboard.read(&mut bytes).unwrap();
        self.seen.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        true
    }

    /// Whether keys are lines with an echo, as a shell needs its terminal.
    pub(crate) fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.line).unwrap();
        modes.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
            && modes.input_modes.contains(InputModes::ICRNL)
            && modes.output_modes.contains(OutputModes::OPOST | OutputModes::ONLCR)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end, and returns it with all that came until then.
    pub(crate) fn end(mut self) -> (Option<i32>, String, bool) {
        let pidfd = rustix::process::pidfd_open(
            Pid::from_child(&self.child),
            rustix::process::PidfdFlags::empty(),
        )
        .unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let mut ready =
                [PollFd::new(&self.keyboard, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
            let left = end.saturating_duration_since(Instant::now()).try_into().unwrap();
            assert_ne!(poll(&mut ready, Some(&left)).unwrap(), 0, "still there: {:?}", self.seen);
            let [screen, process] = ready.map(|fd| !fd.revents().is_empty());
            if screen {
                self.read(Duration::ZERO);
            } else if process {
                break;
            }
        }
        let code = self.child.wait().unwrap().code();
        (code, std::mem::take(&mut self.seen), self.is_cooked())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A test that failed half-way leaves no process.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
