//! Notices of the OOM killer in a container's cgroup.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::fs::{OFlags, inotify};
use rustix::io::Errno;

use super::{CgroupRecord, Version, file};
use crate::error::{Error, ErrorKind, OsResult, Result};

/// Becomes readable when the kernel may have ended a process of the container for want of memory.
#[derive(Debug)]
pub struct OomNotices {
    /// An eventfd (v1) or an inotify instance (v2), both non-blocking.
    notifier: OwnedFd,
    record: CgroupRecord,
    /// v2: how often it was so already.
    seen: u64,
    /// v1: memory.oom_control, which the kernel watches as long as somebody holds it.
    control: Option<OwnedFd>,
}

impl CgroupRecord {
    /// Asks the kernel for notices from now on.
    ///
    /// # Errors
    /// The host has no memory controller for the container, or the kernel refused.
    pub fn oom_notices(&self) -> Result<OomNotices> {
        let root = self.open()?;
        for (base, version) in self.bases() {
            let dir = file::open_dir(&root, &base).call(|| format!("open({base})"))?;
            let found = match version {
                Version::V1 => v1(&dir, &base)?.map(|(event, control)| (event, Some(control))),
                Version::V2 => v2(&dir, &base)?.map(|watch| (watch, None)),
            };
            if let Some((notifier, control)) = found {
                let seen = self.oom_kills().unwrap_or(0);
                return Ok(OomNotices { notifier, record: self.clone(), seen, control });
            }
        }
        let message = format!("cgroup {}: this host has no memory controller for it", self.path);
        Err(Error::new(ErrorKind::Unsupported, message))
    }
}

/// Registers an eventfd (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control").
fn v1(dir: &OwnedFd, base: &str) -> Result<Option<(OwnedFd, OwnedFd)>> {
    let control = match file::open(dir, "memory.oom_control", OFlags::RDONLY) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.call(|| format!("open({base}/memory.oom_control)"))?,
    };
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let event = rustix::event::eventfd(0, flags).call(|| "eventfd")?;
    let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    file::write(dir, "cgroup.event_control", &line)
        .call(|| format!("write({base}/cgroup.event_control)"))?;
    Ok(Some((event, control)))
}

/// Watches memory.events (Documentation/admin-guide/cgroup-v2.rst): the kernel marks it modified at each change.
fn v2(dir: &OwnedFd, base: &str) -> Result<Option<OwnedFd>> {
    if file::read(dir, "memory.events") == Err(Errno::NOENT) {
        return Ok(None);
    }
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let watch = inotify::init(flags).call(|| "inotify_init1")?;
    let path = format!("/proc/self/fd/{}/memory.events", dir.as_raw_fd());
    inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY)
        .call(|| format!("inotify_add_watch({base}/memory.events)"))?;
    Ok(Some(watch))
}

impl OomNotices {
    /// Takes what has been noticed; whether the container was out of memory since the last call.
    ///
    /// # Errors
    /// read(2) failed.
    pub fn take(&mut self) -> Result<bool> {
        let mut bytes = [0_u8; 4096];
        let told = match rustix::io::retry_on_intr(|| rustix::io::read(&self.notifier, &mut bytes))
        {
            Ok(_) => true,
            Err(Errno::AGAIN) => false,
            Err(errno) => return Err(errno).call(|| "read(oom notices)"),
        };
        if self.control.is_some() {
            // v1 tells before it has chosen a process, and once more when the cgroup is removed.
            return Ok(told && self.record.oom_kills().is_some());
        }
        // v2 tells of other changes of the file, too, and of this one perhaps later than of init's end.
        let kills = self.record.oom_kills().unwrap_or(self.seen);
        let new = kills > self.seen;
        self.seen = kills;
        Ok(new)
    }
}

impl AsFd for OomNotices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifier.as_fd()
    }
}
