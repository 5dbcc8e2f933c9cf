//! A process as its maker holds it: by descriptor, with the link to it, until somebody has waited for its end.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

use crate::cgroup::CgroupRecord;
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::link::{self, Link};
use crate::store::status::has_ended;
use crate::sys::clone::Stubbed;

/// Init, as its caller holds it.
#[derive(Debug)]
pub(crate) struct Child {
    /// In the pid namespace of the caller.
    pub pid: i32,
    /// Its descriptor.
    pub pidfd: OwnedFd,
    /// The link.
    pub link: Link,
    /// The cgroups of a container that may be paused: what is killed there ends when it is resumed.
    pub pausable: Option<CgroupRecord>,
}

impl Child {
    pub(crate) fn new(pid: i32, pidfd: OwnedFd, link: Link) -> Self {
        Self { pid, pidfd, link, pausable: None }
    }

    /// A process that was just cloned. Its descriptor is asked for, not copied: where the kernel cannot give it, no
    /// later command could do anything with the container, and there is to be none.
    pub(crate) fn born(stubbed: &Stubbed, link: Link) -> Result<Self> {
        let pid = Pid::from_raw(stubbed.pid).ok_or(libc::ESRCH).call(|| "clone")?;
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self::new(stubbed.pid, pidfd, link)),
            Err(errno) => {
                let mut error = Error::os(format!("pidfd_open({})", stubbed.pid), errno);
                // By the descriptor that the clone gave: it may well be that there can be no further one.
                if let Err(failure) = end(&stubbed.pidfd) {
                    error.attach(failure);
                }
                Err(error)
            }
        }
    }

    /// The step back: kill it and wait until it is gone, unless it is frozen: nobody can wait for that.
    ///
    /// # Errors
    /// As [`ending`].
    pub(crate) fn end(&self) -> Result<impl FnOnce() -> Result<()> + use<>> {
        let (pidfd, cgroup) = (held(&self.pidfd)?, self.pausable.clone());
        Ok(move || {
            kill(&pidfd)?;
            match cgroup.as_ref().map_or(Ok(false), CgroupRecord::frozen)? {
                true => Ok(()),
                false => reap_within(&pidfd, 10).map(drop),
            }
        })
    }
}

/// The step back of a process: kill it and wait until it is gone.
///
/// # Errors
/// The kernel gives no further descriptor of it: it has ended then.
pub(crate) fn ending(pidfd: &OwnedFd) -> Result<impl FnOnce() -> Result<()> + use<>> {
    held(pidfd).map(|pidfd| move || end(&pidfd))
}

/// A descriptor for the step back, without which the process has no owner, and is ended at once.
fn held(pidfd: &OwnedFd) -> Result<OwnedFd> {
    pidfd.try_clone().call(|| "dup(pidfd)").map_err(|mut error| {
        if let Err(failure) = end(pidfd) {
            error.attach(failure);
        }
        error
    })
}

/// Kills a process and waits until it is gone.
pub(crate) fn end(pidfd: &OwnedFd) -> Result<()> {
    kill(pidfd)?;
    reap_within(pidfd, 10).map(drop)
}

/// Kills a process; one that has ended is fine.
pub(crate) fn kill(pidfd: &OwnedFd) -> Result<()> {
    match crate::sys::process::signal(pidfd.as_fd(), libc::SIGKILL) {
        Err(errno) if errno.0 != libc::ESRCH => {
            Err(errno).call(|| "pidfd_send_signal(init, SIGKILL)")
        }
        _ => Ok(()),
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// exit(2) with that status.
    Code(i32),
    /// Killed by that signal.
    Signal(i32),
}

/// Like [`reap`], but not for ever: a process that was killed can stay in the kernel, for a disk that does not
/// answer or for a zombie of its pid namespace that somebody else has to reap.
pub(crate) fn reap_within(pidfd: &OwnedFd, seconds: u64) -> Result<Option<Exit>> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !has_ended(pidfd)? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(
                ErrorKind::WrongState,
                format!(
                    "container init still running: it was killed {seconds} s ago, and the kernel has not ended it"
                ),
            ));
        }
        let left = rustix::event::Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        link::wait(pidfd.as_fd(), None, Some(&left))?;
    }
    reap(pidfd)
}

/// Waits for the end of a process and takes its status if it is a child; none when it is somebody else's.
pub(crate) fn reap(pidfd: &OwnedFd) -> Result<Option<Exit>> {
    let poll =
        || rustix::event::poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], None);
    rustix::io::retry_on_intr(poll).call(|| "poll(pidfd)")?;
    let wait = || {
        rustix::process::waitid(
            WaitId::PidFd(pidfd.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        )
    };
    match rustix::io::retry_on_intr(wait) {
        Ok(Some(status)) => Ok(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Some(Exit::Code(code)),
            (_, Some(signal)) => Some(Exit::Signal(signal)),
            _ => None,
        }),
        Ok(None) | Err(rustix::io::Errno::CHILD) => Ok(None),
        // Before Linux 5.4 a pidfd is nothing to wait for.
        Err(rustix::io::Errno::INVAL) => Err(libc::ENOSYS).call(|| "waitid(P_PIDFD)"),
        Err(errno) => Err(errno).call(|| "waitid(init)"),
    }
}

/// Whether a child that nobody has waited for was killed by SIGKILL; its status stays to be taken.
pub(crate) fn was_killed(pidfd: &OwnedFd) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options)
        .ok()
        .flatten()
        .is_some_and(|status| status.terminating_signal() == Some(libc::SIGKILL))
}

/// The pid that a pidfd stands for, in the pid namespace of /proc (its fdinfo).
pub(crate) fn pid_of(pidfd: &OwnedFd) -> Result<i32> {
    let path = format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(pidfd));
    let info = std::fs::read_to_string(&path).call(|| format!("read({path})"))?;
    info.lines()
        .find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
        .filter(|pid| *pid > 0)
        .ok_or_else(|| Error::new(ErrorKind::InitDied, "init ended in the joined namespaces"))
}
