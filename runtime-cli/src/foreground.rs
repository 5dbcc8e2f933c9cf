//! `run` and `exec` in the foreground: pass signals on to the process, show its terminal where it has one, and
//! wait for its end.
//!
//! The signals are blocked before the process is made and read from a signalfd, so that one that
//! arrives in between waits instead of ending the command, and so that no handler runs anywhere. The
//! process gets an empty mask of its own.

use std::os::fd::{AsFd as _, OwnedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use runtime_core::{Exit, Workload};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::exit::Failure;
use crate::notify::Readiness;
use crate::relay::Relay;
use crate::terminal::Window;

/// Signals that mean this process and not the container: a child of its own (a hook), the Go and the
/// socket signals that runc keeps too, and the two by which the kernel stops who uses a terminal from the
/// background.
const OWN: [Signal; 5] =
    [Signal::SIGCHLD, Signal::SIGURG, Signal::SIGPIPE, Signal::SIGTTIN, Signal::SIGTTOU];

/// Signals whose sender wants this command to end.
const ENDING: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

const KILL: i32 = Signal::SIGKILL as i32;
/// The window of the terminal has another size.
const WINCH: i32 = Signal::SIGWINCH as i32;
/// The command goes on after it was stopped.
const CONT: i32 = Signal::SIGCONT as i32;

/// What can happen while the command waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The process has ended.
    End,
    /// A signal for it, or for the terminal.
    Signal,
    /// The container's terminal can be read or written to.
    Terminal,
    /// Somebody has typed.
    Input,
    /// There is room for what the terminal shows.
    Output,
    /// The next step of telling the service manager.
    Readiness,
}

/// What is done for a process while it runs.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    terminal: Option<Relay>,
    readiness: Option<Readiness<'a>>,
}

/// Signals kept for the container.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks every signal that will be passed on. Called before the container is made.
    pub(crate) fn block() -> Result<Self, Failure> {
        let mut set = SigSet::all();
        for signal in OWN {
            set.remove(signal);
        }
        set.thread_block().map_err(|error| Failure::os("pthread_sigmask", error))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(&set, flags).map(Self).map_err(|error| Failure::os("signalfd", error))
    }

    /// Readable as soon as a signal is there that asks for the end: while there is no process yet to pass it on to,
    /// the making of it is called off.
    pub(crate) fn cancel(&self) -> Result<OwnedFd, Failure> {
        let mut set = SigSet::empty();
        ENDING.iter().for_each(|signal| set.add(*signal));
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(|error| Failure::os("signalfd", error))?;
        fd.as_fd().try_clone_to_owned().map_err(|error| Failure::os("dup(signalfd)", error))
    }

    /// The error of a process that there is not, with the signal that called it off where one did.
    pub(crate) fn blame(&self, error: runtime_core::Error) -> Failure {
        if error.kind() != runtime_core::ErrorKind::Cancelled {
            return error.into();
        }
        let ending = |signal: &i32| ENDING.iter().any(|ending| *ending as i32 == *signal);
        let came = std::iter::from_fn(|| self.next().ok().flatten()).find(ending);
        came.map_or_else(|| error.into(), Failure::Signal)
    }

    /// Passes signals on, and shows the terminal in `window`, until the process ends; its exit code, or 128 and
    /// the signal that ended it.
    ///
    /// # Errors
    /// A call failed: then the process, which nobody attends any more, is killed.
    pub(crate) fn attend(
        &self,
        workload: &mut Workload,
        window: Window,
        readiness: Option<Readiness<'_>>,
    ) -> Result<u8, Failure> {
        let master = workload.terminal.take();
        let terminal = master.map(|master| Relay::new(window, master)).transpose();
        let ended =
            terminal.and_then(|terminal| self.wait(workload, Service { terminal, readiness }));
        if ended.is_err() {
            workload.signal(KILL)?;
        }
        ended
    }

    fn wait(&self, workload: &Workload, mut service: Service<'_>) -> Result<u8, Failure> {
        loop {
            let ready = self.ready(workload, &service)?;
            if ready.contains(&Source::Signal) {
                self.pass_on(workload, service.terminal.as_ref())?;
            }
            if let Some(readiness) = &mut service.readiness
                && ready.contains(&Source::Readiness)
            {
                readiness.serve();
            }
            if ready.contains(&Source::End) {
                service.readiness.into_iter().for_each(Readiness::finish);
                if let Some(terminal) = service.terminal {
                    terminal.finish(|output| self.interrupted(output));
                }
                return code(workload);
            }
            if let Some(terminal) = &mut service.terminal {
                terminal.serve(&ready);
            }
        }
    }

    /// Waits for something to happen.
    fn ready(&self, workload: &Workload, service: &Service<'_>) -> Result<Vec<Source>, Failure> {
        let mut watched = vec![
            (Source::End, PollFd::new(&workload.pidfd, PollFlags::IN)),
            (Source::Signal, PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)),
        ];
        if let Some(terminal) = &service.terminal {
            terminal.watch(&mut watched);
        }
        if let Some(next) = service.readiness.as_ref().and_then(Readiness::watch) {
            watched.push((Source::Readiness, next));
        }
        let (sources, mut watched): (Vec<_>, Vec<_>) = watched.into_iter().unzip();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let timeout = service.terminal.as_ref().is_some_and(Relay::is_busy).then_some(&now);
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::os("poll", error)),
        }
        let ready = sources.into_iter().zip(watched).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|(source, _)| source).collect())
    }

    fn pass_on(&self, workload: &Workload, terminal: Option<&Relay>) -> Result<(), Failure> {
        while let Some(signal) = self.next()? {
            match (terminal, signal) {
                (terminal, WINCH) => {
                    // Without a terminal it has no window either.
                    terminal.inspect(|terminal| terminal.resize());
                    continue;
                }
                (Some(terminal), CONT) => terminal.resume(),
                _ => {}
            }
            workload.signal(signal)?;
        }
        Ok(())
    }

    fn next(&self) -> Result<Option<i32>, Failure> {
        let signal = self.0.read_signal().map_err(|error| Failure::os("read(signalfd)", error))?;
        Ok(signal.map(|signal| signal.ssi_signo as i32))
    }

    /// Waits for room in the output; true when a signal comes first that would end another command.
    fn interrupted(&self, output: &OwnedFd) -> bool {
        loop {
            let mut ready = [
                PollFd::new(output, PollFlags::OUT),
                PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return true,
            }
            if !ready[0].revents().is_empty() {
                return false;
            }
            while let Ok(Some(signal)) = self.next() {
                if ![WINCH, CONT].contains(&signal) {
                    return true;
                }
            }
        }
    }
}

fn code(workload: &Workload) -> Result<u8, Failure> {
    Ok(match workload.wait()? {
        Exit::Code(code) => (code & 0xff) as u8,
        Exit::Signal(signal) => 128 + (signal & 0x7f) as u8,
    })
}
