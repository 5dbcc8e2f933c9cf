//! The processes of a container: those of its cgroup, or, where its maker may make none, of its pid namespace.

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags};

use crate::error::{Errno, Error, ErrorKind, OsResult, Result};
use crate::store::record::Record;

/// Their ids in the caller's pid namespace, in ascending order.
///
/// # Errors
/// The cgroup cannot be read; or the container has neither a cgroup nor a pid namespace of its own.
pub(crate) fn all(record: &Record) -> Result<Vec<i32>> {
    let mut pids = match &record.init {
        Some(init) if record.cgroup.is_nowhere() => of_namespace(record, init.pid)?,
        _ => record.cgroup.processes()?,
    };
    pids.sort_unstable();
    Ok(pids)
}

/// Sends a signal to each of them.
///
/// # Errors
/// As [`all`]; or the kernel refused.
pub(crate) fn signal(record: &Record, signal: i32) -> Result<()> {
    let Some(init) = record.init.filter(|_| record.cgroup.is_nowhere()) else {
        return record.cgroup.signal_all(signal);
    };
    let held = of_namespace(record, init.pid)?
        .into_iter()
        .filter_map(|pid| {
            Some((pid, rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?))
        })
        .collect::<Vec<(i32, OwnedFd)>>();
    // A number that was reused between the list and the pidfd is another process, elsewhere.
    let still = of_namespace(record, init.pid)?;
    for (_, pidfd) in held.iter().filter(|(pid, _)| still.contains(pid)) {
        match crate::sys::process::signal(pidfd.as_fd(), signal) {
            Ok(()) | Err(Errno(libc::ESRCH)) => {}
            Err(errno) => return Err(Error::os(format!("pidfd_send_signal({signal})"), errno)),
        }
    }
    Ok(())
}

/// Everything that is in the pid namespace of `init`. The kernel lets whoever made its user namespace look
/// (ptrace(2), PTRACE_MODE_READ_FSCREDS).
fn of_namespace(record: &Record, init: i32) -> Result<Vec<i32>> {
    if record.shared_pid {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the container has neither a cgroup nor a pid namespace of its own: nobody knows its processes",
        ));
    }
    let namespace =
        |pid: i32| rustix::fs::stat(format!("/proc/{pid}/ns/pid")).map(|stat| stat.st_ino);
    let Ok(wanted) = namespace(init) else { return Ok(Vec::new()) };
    let entries = std::fs::read_dir("/proc").call(|| "read(/proc)")?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|pid| namespace(*pid) == Ok(wanted)).collect())
}
