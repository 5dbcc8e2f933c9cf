//! Removes a container's cgroups, with all that the workload made below them.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::claim::Claim;
use super::file::{self, Visit};
use super::kill::open_all;
use super::record::tree_pids;
use super::systemd::UnitRecord;
use super::{CgroupRecord, Version, systemd};
use crate::error::{Error, ErrorKind, OsResult, Result};

/// How long killed processes may take to end; one that waits for a dead disk can take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the process that keeps a scope of systemd may take to notice that its creator is dead.
const KEEPER: Duration = Duration::from_secs(1);

/// How soon to look again where nothing can be waited for.
const GLIMPSE: Duration = Duration::from_millis(1);

impl CgroupRecord {
    /// Removes the cgroup from every hierarchy, children first; what is gone already is no error. It
    /// waits for processes that are ending, never moves one, and leaves the parents alone, and what somebody else has
    /// made at the same path. A unit of systemd is stopped first.
    ///
    /// # Errors
    /// Processes are still in it after ten seconds; the error names them. The other hierarchies are cleaned up all
    /// the same. Or systemd does not stop the unit: then all stay.
    pub fn destroy(&self) -> Result<()> {
        let root = self.open()?;
        // systemd hears of the end of a scope by a file of its cgroup (cgroup.events). When that has gone before it
        // looks, the unit stays for good, and its name with it.
        self.stop_unit(&root)?;
        let mut first: Option<Error> = None;
        let deadline = Instant::now() + PATIENCE;
        for (base, version) in self.removable(&root).bases().rev() {
            if let Err(error) = remove(&root, &base, version, deadline) {
                match &mut first {
                    Some(first) => first.attach(error),
                    None => first = Some(error),
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// systemd removes a scope by itself when its last process has ended, nearly always before anybody comes to
    /// delete it: then nobody has to be asked. A scope without a cgroup is none (see CollectMode in
    /// `systemd::lower`); a slice stays.
    fn stop_unit(&self, root: &OwnedFd) -> Result<()> {
        match (&self.unit, &self.claim) {
            (None, _) => Ok(()),
            (Some(unit), Some(Claim::Intended)) => self.stop_intended(unit, root),
            (Some(unit), _) if unit.is_scope() && self.is_missing() => Ok(()),
            (Some(unit), claim) => {
                let is_own = claim.is_none() || self.is_missing() || !self.own(root).is_nowhere();
                if is_own { systemd::manager::stop(unit) } else { Ok(()) }
            }
        }
    }

    /// Stops a unit whose creator was killed before it wrote down which directories it has: they are systemd's, which
    /// marks none. It has no process but the keeper, and that ends by itself; what lives longer is another's.
    fn stop_intended(&self, unit: &UnitRecord, root: &OwnedFd) -> Result<()> {
        if !self.empties_within(root, KEEPER)? {
            return Ok(());
        }
        // Without a cgroup as well: systemd may not have come to the start of the unit yet.
        let stopped = systemd::manager::stop(unit);
        if self.is_missing() { Ok(()) } else { stopped }
    }

    /// What is to be removed when the unit has been stopped. Of a unit that was only intended, what systemd has not
    /// removed yet has no mark, and no process.
    fn removable(&self, root: &OwnedFd) -> Self {
        if self.unit.is_none() || self.claim != Some(Claim::Intended) {
            return self.own(root);
        }
        let is_empty = |base: &str| file::tree_pids(root, base).is_ok_and(|pids| pids.is_empty());
        let mut rest = self.clone();
        rest.directories.retain(|(directory, _)| is_empty(&file::base(directory, &self.path)));
        rest
    }

    /// Whether the last process goes in time, whoever has made the cgroup.
    fn empties_within(&self, root: &OwnedFd, patience: Duration) -> Result<bool> {
        let deadline = Instant::now() + patience;
        for (base, version) in self.bases() {
            while !tree_pids(root, &base)?.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(false);
                }
                wait_for_change(root, &base, version, left)?;
            }
        }
        Ok(true)
    }
}

fn remove(root: &OwnedFd, base: &str, version: Version, deadline: Instant) -> Result<()> {
    loop {
        match remove_tree(root, base) {
            Ok(()) => return Ok(()),
            Err(Errno::BUSY | Errno::NOTEMPTY) => {}
            Err(errno) => return Err(Error::os(format!("rmdir({base})"), errno)),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(still_in_use(root, base));
        }
        wait_for_change(root, base, version, left)?;
    }
}

fn wait_for_change(root: &OwnedFd, base: &str, version: Version, left: Duration) -> Result<()> {
    match version {
        Version::V1 => wait_v1(root, base, left),
        Version::V2 => wait_v2(root, base, left),
    }
}

fn still_in_use(root: &OwnedFd, base: &str) -> Error {
    let pids = file::tree_pids(root, base).unwrap_or_default();
    let who = match pids.as_slice() {
        [] => "the kernel still holds it".to_owned(),
        pids => {
            let shown: Vec<String> = pids.iter().take(16).map(i32::to_string).collect();
            let more = if pids.len() > 16 { " and more" } else { "" };
            format!("processes {}{more} are still in it", shown.join(", "))
        }
    };
    let message = format!("the cgroup {base} cannot be removed after 10 s: {who}");
    Error::new(ErrorKind::Os, message)
}

/// One attempt: the cgroup itself first, since nearly always it has no children.
fn remove_tree(root: &OwnedFd, base: &str) -> Result<(), Errno> {
    struct Remove;
    impl Visit for Remove {
        fn enter(&mut self, _: &OwnedFd) -> Result<(), Errno> {
            Ok(())
        }
        fn leave(&mut self, parent: &OwnedFd, name: &CString) -> Result<(), Errno> {
            match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
                // A busy child keeps its parent busy, so the last attempt below tells.
                Ok(()) | Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => Ok(()),
                Err(errno) => Err(errno),
            }
        }
    }
    let rmdir = || match rustix::fs::unlinkat(root, base, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    };
    match rmdir() {
        Err(Errno::BUSY | Errno::NOTEMPTY) => {
            file::walk(root, base, &mut Remove)?;
            rmdir()
        }
        other => other,
    }
}

/// Waits until one of the processes ends.
fn wait_v1(root: &OwnedFd, base: &str, left: Duration) -> Result<()> {
    let held = open_all(&tree_pids(root, base)?)?;
    let mut wanted: Vec<PollFd<'_>> =
        held.values().map(|process| PollFd::new(process, PollFlags::IN)).collect();
    // The kernel no longer lists a process that has begun to end but still counts it for a moment, and
    // v1 has no event for its last step.
    wait(&mut wanted, if held.is_empty() { GLIMPSE.min(left) } else { left })
}

/// Waits until the kernel says that the cgroup has become empty.
fn wait_v2(root: &OwnedFd, base: &str, left: Duration) -> Result<()> {
    let name = format!("{base}/cgroup.events");
    let events = match file::open(root, &name, OFlags::RDONLY) {
        Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
        other => other.call(|| format!("open({name})"))?,
    };
    // The event is "changed since it was read from this descriptor", so read before waiting.
    let mut buffer = [0; 256];
    let count = match rustix::io::read(&events, &mut buffer) {
        Err(Errno::NODEV) => return Ok(()),
        other => other.call(|| format!("read({name})"))?,
    };
    let text = String::from_utf8_lossy(&buffer[..count]);
    if file::keyed(&text, "populated") == Some(1) {
        wait(&mut [PollFd::new(&events, PollFlags::PRI)], left)
    } else {
        // Empty and still refused: a child that somebody makes and removes meanwhile.
        wait(&mut [], GLIMPSE.min(left))
    }
}

fn wait(wanted: &mut [PollFd<'_>], time: Duration) -> Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    match poll(wanted, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(Error::os("poll", errno)),
    }
}
