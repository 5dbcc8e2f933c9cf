//! Waiting for and signalling processes by pidfd, always with a deadline, and finding them in /proc.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// No wait lasts longer. Generous, because a slow machine is no failure of the runtime.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until one of the descriptors is readable; `false` when `until` came first.
pub(crate) fn wait_readable(fds: &[BorrowedFd<'_>], until: Instant) -> bool {
    let mut polled: Vec<_> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("a deadline fits a timespec");
        match poll(&mut polled, Some(&timeout)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// A process that cannot be confused with a later one of the same number.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) pid: u32,
    fd: OwnedFd,
}

impl Handle {
    /// `None` when there is no such process any more.
    pub(crate) fn open(pid: u32) -> Option<Self> {
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let fd = pidfd_open(raw, PidfdFlags::empty()).ok()?;
        Some(Self { pid, fd })
    }

    /// Waits for the end of the process; `false` when `until` came first.
    pub(crate) fn wait(&self, until: Instant) -> bool {
        wait_readable(&[self.fd.as_fd()], until)
    }

    /// Sends the signal. A process that is gone already needs none.
    pub(crate) fn signal(&self, signal: Signal) {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => panic!("cannot signal process {}: {error}", self.pid),
        }
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What /proc tells about one live process.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The arguments, separated and ended by spaces, so that ` -id x ` finds an argument exactly.
    pub(crate) command: String,
    pub(crate) environment: String,
    pub(crate) cgroups: String,
}

/// All live processes by pid. Zombies are left out: they hold nothing, and who reaps them is not the
/// runtime's choice.
pub(crate) fn live() -> BTreeMap<u32, Seen> {
    let text = |pid: u32, name: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            // The state follows the command name, which is in brackets and may itself hold brackets.
            let stat = text(*pid, "stat");
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            !matches!(state, None | Some('Z' | 'X'))
        })
        .map(|pid| {
            let seen = Seen {
                command: text(pid, "cmdline"),
                environment: text(pid, "environ"),
                cgroups: text(pid, "cgroup"),
            };
            (pid, seen)
        })
        .collect()
}
