//! `events`: samples, and what happens to a container while somebody watches.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::cgroup::OomNotices;
use crate::cgroup::stats::Stats;
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::id::ContainerId;
use crate::store::Store;
use crate::store::record::Record;
use crate::store::status;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The container was out of memory.
    Oom,
    /// Init has ended.
    Ended,
    /// Nothing, for as long as was to be waited.
    Nothing,
}

/// Notices of a running container, from its making on.
#[derive(Debug)]
pub struct Watch {
    init: OwnedFd,
    oom: Option<OomNotices>,
}

fn running(store: &Store, id: &ContainerId) -> Result<(Record, OwnedFd)> {
    let (entry, record) = store.peek(id)?;
    match (status::of(&entry, record.as_ref())?, record) {
        ((_, Some(pidfd)), Some(record)) => Ok((record, pidfd)),
        ((status, _), _) => {
            let text = format!("container not running: {status}");
            Err(Error::new(ErrorKind::WrongState, text))
        }
    }
}

/// Samples what a container uses.
///
/// # Errors
/// No such container, or it does not run.
pub(crate) fn stats(store: &Store, id: &ContainerId) -> Result<Stats> {
    let (record, _) = running(store, id)?;
    let mut stats = record.cgroup.stats()?;
    if let Some(rdt) = &record.rdt {
        stats.intel_rdt = rdt.stats()?;
    }
    Ok(stats)
}

/// Starts to watch a container.
///
/// # Errors
/// No such container, or it does not run.
pub(crate) fn watch(store: &Store, id: &ContainerId) -> Result<Watch> {
    let (record, init) = running(store, id)?;
    let oom = match record.cgroup.oom_notices() {
        Ok(notices) => Some(notices),
        // Without the controller nobody ends anything for the container's own limit.
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        Err(error) => return Err(error),
    };
    Ok(Watch { init, oom })
}

impl Watch {
    /// Waits for the next thing to happen, and at most for `most`.
    ///
    /// # Errors
    /// poll(2) failed.
    pub fn next(&mut self, most: Option<Duration>) -> Result<Notice> {
        let end = most.map(|most| std::time::Instant::now() + most);
        loop {
            let left = end.map(|end| end.saturating_duration_since(std::time::Instant::now()));
            let timeout = left.map(|left| Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            });
            let mut ready = vec![PollFd::from_borrowed_fd(self.init.as_fd(), PollFlags::IN)];
            ready.extend(
                self.oom.as_ref().map(|oom| PollFd::from_borrowed_fd(oom.as_fd(), PollFlags::IN)),
            );
            match poll(&mut ready, timeout.as_ref()) {
                Ok(0) => return Ok(Notice::Nothing),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).call(|| "poll(container)"),
            }
            let ended = ready.first().is_some_and(|init| !init.revents().is_empty());
            // The end may be for want of memory: that is said first.
            if let Some(oom) = &mut self.oom
                && oom.take()?
            {
                return Ok(Notice::Oom);
            }
            if ended {
                return Ok(Notice::Ended);
            }
        }
    }
}
