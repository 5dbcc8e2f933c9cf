//! What later commands need to find a container's cgroup, and what they ask of it.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::claim::{Claim, Marks};
use super::prepare;
use super::systemd::{Manager, UnitRecord};
use super::{Version, file};
use crate::error::{Error, ErrorKind, OsResult, Result};

/// Where a container's cgroups are. Part of the record on disk, written before the first of them is made,
/// so every method takes a missing directory for an empty one. What ends processes or removes something looks first
/// whose it is ([`Claim`]).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CgroupRecord {
    pub(super) root: PathBuf,
    pub(super) path: String,
    /// In the order of joining.
    pub(super) directories: Vec<(String, Version)>,
    /// The unit of systemd that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<UnitRecord>,
    /// Which directories they are. A record without one is older: whatever is there is taken for the container's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claim: Option<Claim>,
}

impl CgroupRecord {
    pub(super) fn new(root: PathBuf, path: String, directories: Vec<(String, Version)>) -> Self {
        Self { root, path, directories, unit: None, claim: None }
    }

    pub(super) fn of_unit(mut self, unit: Option<UnitRecord>) -> Self {
        self.unit = unit;
        self
    }

    /// As it is written before anything is made.
    pub(crate) fn intended(mut self) -> Self {
        self.claim = Some(Claim::Intended);
        self
    }

    /// Notes which directories have been made, before anything runs in them.
    ///
    /// # Errors
    /// Somebody has removed one.
    pub(crate) fn claim(&mut self) -> Result<Marks> {
        let (made, marks) = Claim::of(self.open()?, self.bases().map(|(base, _)| base))?;
        self.claim = Some(made);
        Ok(marks)
    }

    /// The same without the directories that somebody else has made at these paths, or that are not there.
    pub(super) fn own(&self, root: &OwnedFd) -> Self {
        let mut own = self.clone();
        if let Some(claim) = &self.claim {
            own.directories
                .retain(|(directory, _)| claim.covers(root, &file::base(directory, &self.path)));
        }
        own
    }

    /// Whose unit the cgroup is; none with the cgroupfs driver.
    pub fn manager(&self) -> Option<&Manager> {
        self.unit.as_ref().map(|unit| &unit.manager)
    }

    /// Forgets hierarchies in which nothing was made.
    pub(crate) fn without(&mut self, directories: &[String]) {
        self.directories.retain(|(directory, _)| !directories.contains(directory));
    }

    /// True for a container without a cgroup: its maker had no right to make one.
    pub fn is_nowhere(&self) -> bool {
        self.directories.is_empty()
    }

    /// The cgroup's path inside each hierarchy.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The cgroup's directories as absolute paths, for reports and statistics.
    pub fn directories(&self) -> impl Iterator<Item = (PathBuf, Version)> + '_ {
        self.directories.iter().map(|(directory, version)| {
            (self.root.join(file::base(directory, &self.path)), *version)
        })
    }

    /// The root of the hierarchies. A damaged record must not reach processes outside of a cgroup of
    /// its own, so the path is checked before anything is read, killed or removed.
    pub(super) fn open(&self) -> Result<OwnedFd> {
        let parts = self.path.strip_prefix('/').into_iter().flat_map(|path| path.split('/'));
        let bad = |part: &str| part.is_empty() || part == "." || part == "..";
        if !self.path.starts_with('/') || parts.into_iter().any(bad) {
            let message = format!("the recorded cgroup path {:?} is damaged", self.path);
            return Err(Error::new(ErrorKind::SafetyViolation, message));
        }
        file::open_root(&self.root)
    }

    /// The container's directory in each hierarchy, as seen from the root.
    pub(super) fn bases(&self) -> impl DoubleEndedIterator<Item = (String, Version)> + '_ {
        self.directories.iter().map(|(d, version)| (file::base(d, &self.path), *version))
    }

    /// The ids of all processes in the cgroup and in those below it, read from cgroup2 where init is in
    /// one, else from the first v1 hierarchy that has any.
    ///
    /// # Errors
    /// A cgroup file cannot be read.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let root = self.open()?;
        // cgroup2 is the last directory of a hybrid layout.
        for (base, _) in self.own(&root).bases().rev() {
            let pids = tree_pids(&root, &base)?;
            if !pids.is_empty() {
                return Ok(pids);
            }
        }
        Ok(Vec::new())
    }

    /// Puts a process there, in every hierarchy.
    ///
    /// # Errors
    /// The kernel refused.
    pub(crate) fn add(&self, pid: i32) -> Result<()> {
        let root = self.open()?;
        for (base, _) in self.bases() {
            let name = format!("{base}/cgroup.procs");
            file::write(&root, &name, &pid.to_string()).call(|| format!("write({name}, {pid})"))?;
        }
        Ok(())
    }

    /// The processes of all hierarchies, each once.
    pub(super) fn members(&self, root: &OwnedFd) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        for (base, _) in self.bases() {
            pids.extend(tree_pids(root, &base)?);
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// True where none of the directories exists: who makes them then may also remove them, and whatever is in
    /// them is its own.
    pub fn is_missing(&self) -> bool {
        self.directories().all(|(path, _)| !path.exists())
    }

    /// True where no process is in any of the cgroups, or they do not exist.
    ///
    /// # Errors
    /// A cgroup file cannot be read.
    pub fn is_empty_or_missing(&self) -> Result<bool> {
        let root = self.open()?;
        Ok(self.members(&root)?.is_empty())
    }

    /// True where the cgroup is frozen, or about to be.
    ///
    /// # Errors
    /// The cgroup root cannot be opened.
    pub fn frozen(&self) -> Result<bool> {
        let root = self.open()?;
        Ok(self.bases().any(|(base, _)| prepare::frozen(&root, &base)))
    }

    /// How many of the container's processes the kernel's OOM killer has ended.
    pub fn oom_kills(&self) -> Option<u64> {
        let text = self.read_either("memory.oom_control", "memory.events")?;
        file::keyed(&text, "oom_kill")
    }

    /// The limit of memory in bytes; none where there is no limit.
    pub fn memory_limit(&self) -> Option<u64> {
        let text = self.read_either("memory.limit_in_bytes", "memory.max")?;
        // v1 shows the highest number of pages instead of a word.
        text.trim().parse().ok().filter(|limit| *limit < i64::MAX as u64 / 65536 * 65536)
    }

    /// The memory in use in bytes.
    pub fn memory_usage(&self) -> Option<u64> {
        self.number("memory.usage_in_bytes", "memory.current")
    }

    /// The most memory that was ever in use, in bytes.
    pub fn memory_peak(&self) -> Option<u64> {
        self.number("memory.max_usage_in_bytes", "memory.peak")
    }

    fn number(&self, v1: &str, v2: &str) -> Option<u64> {
        self.read_either(v1, v2)?.trim().parse().ok()
    }

    /// The file of the hierarchy that has it, under its name in that interface.
    fn read_either(&self, v1: &str, v2: &str) -> Option<String> {
        let root = self.open().ok()?;
        self.bases().rev().find_map(|(base, version)| {
            let name = if version == Version::V1 { v1 } else { v2 };
            file::read(&root, &format!("{base}/{name}")).ok()
        })
    }
}

pub(super) fn tree_pids(root: &OwnedFd, base: &str) -> Result<Vec<i32>> {
    file::tree_pids(root, base).call(|| format!("read({base}/cgroup.procs)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_path_reaches_nothing() {
        for path in ["", "/", "a", "/a/../b", "/a//b", "/.", "/a/"] {
            let record = CgroupRecord::new(
                "/sys/fs/cgroup".into(),
                path.into(),
                vec![("unified".into(), Version::V2)],
            );
            assert_eq!(record.open().unwrap_err().kind(), ErrorKind::SafetyViolation, "{path}");
            assert!(record.kill_all().is_err() && record.destroy().is_err());
        }
    }

    #[test]
    fn survives_the_disk() {
        let record = CgroupRecord::new(
            "/sys/fs/cgroup".into(),
            "/a/b".into(),
            vec![("memory".into(), Version::V1), ("unified".into(), Version::V2)],
        );
        let made = Claim::Made([("memory/a/b".to_owned(), 1)].into());
        // What an older version has written claims nothing.
        for (claim, word) in
            [(None, "]]}"), (Some(Claim::Intended), "intended"), (Some(made), "made")]
        {
            let record = CgroupRecord { claim, ..record.clone() };
            let text = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<CgroupRecord>(&text).unwrap(), record);
            assert!(text.contains(word), "{text}");
        }
        let directories: Vec<_> = record.directories().map(|(d, _)| d).collect();
        assert_eq!(directories[1], PathBuf::from("/sys/fs/cgroup/unified/a/b"));
    }
}
