//! The status of a container: asked of the kernel each time, never stored.

use std::fmt;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use serde::Serialize;

use super::record::{Process, Record};
use super::{Entry, gate};
use crate::error::{OsResult, Result};

/// The status of a container (runtime.md, "State"; `paused` is runc's addition).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` is at work, or died at work.
    Creating,
    /// Waits to be started.
    Created,
    /// The workload runs.
    Running,
    /// The workload is frozen.
    Paused,
    /// Init has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// The status, with a descriptor of init while it lives.
pub(crate) fn of(entry: &Entry, record: Option<&Record>) -> Result<(Status, Option<OwnedFd>)> {
    let Some((record, init)) = record.and_then(|record| Some((record, record.init?))) else {
        return Ok((Status::Creating, None));
    };
    let Some(pidfd) = open(init)? else {
        return Ok((Status::Stopped, None));
    };
    let status = if record.cgroup.frozen()? {
        Status::Paused
    } else if gate::is_closed(entry)? {
        Status::Created
    } else {
        Status::Running
    };
    Ok((status, Some(pidfd)))
}

/// A descriptor of the process if it is still that process and alive.
pub(crate) fn open(process: Process) -> Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(process.pid) else { return Ok(None) };
    let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        // The second from a process that is just being reaped, or from a thread that has the number now.
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
        other => other.call(|| format!("pidfd_open({})", process.pid))?,
    };
    // Read after the descriptor is open: as long as it is, the number cannot go to another process unseen.
    let same = stat(process.pid)?.is_some_and(|(_, start_time)| start_time == process.start_time);
    Ok((same && !has_ended(&pidfd)?).then_some(pidfd))
}

/// Whether all threads of a process have ended. Its state in procfs is that of the first thread alone, which may
/// end before the others.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> Result<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // A signal that is pending interrupts even a look.
    let look = || rustix::event::poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now));
    rustix::io::retry_on_intr(look).call(|| "poll(pidfd)").map(|ready| ready > 0)
}

/// State and start time of a process (proc_pid_stat(5)); none when there is none.
///
/// # Errors
/// It cannot be read, which says nothing of the process: there may be no more descriptors.
pub(crate) fn stat(pid: i32) -> Result<Option<(char, u64)>> {
    let path = format!("/proc/{pid}/stat");
    match std::fs::read(&path) {
        // The second from a process that is gone between open(2) and read(2).
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        line => Ok(fields(&line.call(|| format!("read({path})"))?)),
    }
}

fn fields(line: &[u8]) -> Option<(char, u64)> {
    let line = String::from_utf8_lossy(line);
    // The name stands in parentheses and may hold any character, parentheses too.
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let start_time = fields.nth(18)?.parse().ok()?;
    Some((state, start_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_process_by_its_start() {
        let pid = std::process::id().cast_signed();
        let (state, start_time) = stat(pid).unwrap().unwrap();
        assert_eq!(stat(i32::MAX).unwrap(), None);
        assert!("RS".contains(state), "{state}");
        assert!(open(Process { pid, start_time }).unwrap().is_some());
        assert!(open(Process { pid, start_time: start_time + 1 }).unwrap().is_none());
        assert!(open(Process { pid: 0, start_time }).unwrap().is_none());
    }
}
