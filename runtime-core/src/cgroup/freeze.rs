//! Freezing and thawing everything in a container's cgroup (kernel: cgroup-v1/freezer-subsystem, cgroup-v2 "Core
//! Interface Files", cgroup.freeze).

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{CgroupRecord, NOWHERE, Version, file};
use crate::error::{Error, ErrorKind, OsResult, Result};

/// A process in the middle of an uninterruptible system call freezes at its end; one that waits for a disk that
/// does not answer never does.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at a v1 freezer, which tells nobody when it is done.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

impl CgroupRecord {
    /// Stops every process of the cgroup and of those below it, new ones too.
    ///
    /// # Errors
    /// The host has no freezer for it, or a process does not freeze within ten seconds: all go on then.
    pub fn freeze(&self) -> Result<()> {
        let root = self.open()?;
        let result = match self.freezer(&root)? {
            (base, Version::V1) => freeze_v1(&root, &base),
            (base, Version::V2) => freeze_v2(&root, &base),
        };
        result.map_err(|mut error| {
            if let Err(failure) = self.thaw() {
                error.attach(failure);
            }
            error
        })
    }

    /// Lets them go on. Of a cgroup that is gone nothing is frozen: systemd removes a scope when its last process
    /// has ended, which on cgroup v2 a frozen one does too.
    ///
    /// # Errors
    /// The host has no freezer for it, or the kernel refused.
    pub fn thaw(&self) -> Result<()> {
        match self.thaw_there() {
            Err(_) if self.unit.is_some() && self.is_missing() => Ok(()),
            other => other,
        }
    }

    fn thaw_there(&self) -> Result<()> {
        let root = self.open()?;
        let (base, version) = self.freezer(&root)?;
        let (name, value) = match version {
            Version::V1 => (format!("{base}/freezer.state"), "THAWED"),
            Version::V2 => (format!("{base}/cgroup.freeze"), "0"),
        };
        file::write(&root, &name, value).call(|| format!("write({name}, {value:?})"))
    }

    /// Where the freezer is, for another program to use it; none where there is none.
    pub(crate) fn freezer_directory(&self) -> Option<std::path::PathBuf> {
        let root = self.open().ok()?;
        let (base, _) = self.freezer(&root).ok()?;
        Some(self.root.join(base))
    }

    /// The directory with the freezer: a v1 hierarchy of its own where the host has one, else cgroup2.
    fn freezer(&self, root: &OwnedFd) -> Result<(String, Version)> {
        let has = |base: &str, name: &str| {
            rustix::fs::accessat(
                root,
                format!("{base}/{name}"),
                rustix::fs::Access::EXISTS,
                rustix::fs::AtFlags::empty(),
            )
            .is_ok()
        };
        self.bases()
            .find(|(base, version)| match version {
                Version::V1 => has(base, "freezer.state"),
                Version::V2 => has(base, "cgroup.freeze"),
            })
            .ok_or_else(|| {
                if self.is_nowhere() {
                    return Error::new(ErrorKind::Unsupported, NOWHERE);
                }
                Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "cgroup {}: no freezer: mount the v1 freezer controller, or use cgroup v2",
                        self.path
                    ),
                )
            })
    }
}

fn freeze_v1(root: &OwnedFd, base: &str) -> Result<()> {
    let name = format!("{base}/freezer.state");
    let end = Instant::now() + PATIENCE;
    loop {
        // Written again on each round: a process that was forked between two looks is caught only so.
        file::write(root, &name, "FROZEN").call(|| format!("write({name}, \"FROZEN\")"))?;
        let state = file::read(root, &name).call(|| format!("read({name})"))?;
        if state.trim() == "FROZEN" {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(too_long(base));
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

fn freeze_v2(root: &OwnedFd, base: &str) -> Result<()> {
    let events = format!("{base}/cgroup.events");
    // Opened before the write, so that no change is missed between a look and the wait.
    let watched = file::open(root, &events, OFlags::RDONLY).call(|| format!("open({events})"))?;
    let name = format!("{base}/cgroup.freeze");
    file::write(root, &name, "1").call(|| format!("write({name}, \"1\")"))?;
    let end = Instant::now() + PATIENCE;
    loop {
        let text = file::read(root, &events).call(|| format!("read({events})"))?;
        if file::keyed(&text, "frozen") == Some(1) {
            return Ok(());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_long(base));
        }
        let left =
            Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&watched, PollFlags::PRI)], Some(&left)) {
            // The next wait needs the file read by this descriptor, not by another.
            Ok(_) => drop(rustix::io::pread(&watched, &mut [0_u8; 256], 0)),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::os(format!("poll({events})"), errno)),
        }
    }
}

fn too_long(base: &str) -> Error {
    Error::new(
        ErrorKind::Os,
        format!("cgroup {base}: a process has not frozen after {PATIENCE:?}; nothing is paused"),
    )
}
