//! `kill`: signals through descriptors, never through bare numbers.

use std::os::fd::{AsFd, OwnedFd};

use super::{KillTarget, child, member};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ContainerId;
use crate::store::Store;
use crate::store::record::Record;
use crate::store::status::{self, Status};

/// Sends a signal.
///
/// # Errors
/// No such container; it has stopped (unless all are meant and none is left); or the kernel refused.
pub(crate) fn kill(store: &Store, id: &ContainerId, signal: i32, target: KillTarget) -> Result<()> {
    let (entry, record) = store.peek(id)?;
    let (status, pidfd) = status::of(&entry, record.as_ref())?;
    match (record, pidfd, target) {
        (Some(record), _, KillTarget::All) => member::signal(&record, signal),
        (Some(record), Some(pidfd), KillTarget::Init) => {
            // Without a pid namespace of its own the kernel does not end the others with init.
            if signal == libc::SIGKILL && record.shared_pid {
                send(&pidfd, signal)?;
                return record.cgroup.kill_all();
            }
            send(&pidfd, signal)?;
            match status {
                // A task that is frozen by v1 ends only when it is thawed.
                Status::Paused if signal == libc::SIGKILL => record.cgroup.thaw(),
                _ => Ok(()),
            }
        }
        _ if status == Status::Creating => Err(Error::new(
            ErrorKind::WrongState,
            "container not running: it is still being created",
        )),
        _ => Err(Error::new(ErrorKind::WrongState, "container not running")),
    }
}

fn send(pidfd: &OwnedFd, signal: i32) -> Result<()> {
    crate::sys::process::signal(pidfd.as_fd(), signal).map_err(|errno| match errno.0 {
        libc::ESRCH => Error::new(ErrorKind::WrongState, "container not running"),
        _ => Error::os(format!("pidfd_send_signal({signal})"), errno),
    })
}

/// Ends everything that runs in a container and waits for it.
pub(crate) fn end(record: &Record) -> Result<()> {
    if let Some(pidfd) = record.init.map(status::open).transpose()?.flatten() {
        match send(&pidfd, libc::SIGKILL) {
            Err(error) if error.kind() != ErrorKind::WrongState => return Err(error),
            _ => (),
        }
        // A frozen process takes its signal when it is thawed.
        record.cgroup.kill_all()?;
        return child::reap_within(&pidfd, 10).map(drop);
    }
    record.cgroup.kill_all()
}
