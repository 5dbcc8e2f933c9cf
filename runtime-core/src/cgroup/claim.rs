//! Which of the directories at a container's paths are its own.
//!
//! The record names paths before anything is made there, and another container, of another state root or another
//! runtime, may have the same. So what is made has a mark until the record says which directory it is. Who finds the
//! record later takes for the container's only what is that directory or, where the creator was killed before it wrote
//! that down, what has the mark. No process of the container is in a directory that has it.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{OsResult, Result};

/// The sticky bit, which mkdir(2) can set: it is about who may remove what is in the directory, and there is nothing in
/// it yet.
const MARK: Mode = Mode::SVTX;

/// What the record says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cgroup) enum Claim {
    /// The directories are about to be made.
    Intended,
    /// They were made: the inode of each. The kernel gives a number once on 64-bit machines (Linux 5.5), else again
    /// only after two thousand million others.
    Made(BTreeMap<String, u64>),
}

/// The mode of a directory that is made for a container alone, and of one that others may use.
pub(super) fn mode(own: bool) -> Mode {
    let mark = if own { MARK } else { Mode::empty() };
    Mode::from_raw_mode(0o755) | mark
}

/// The marks of what has just been made, to be taken away when the record has the claim.
#[must_use]
pub(crate) struct Marks {
    root: OwnedFd,
    marked: Vec<(String, Mode)>,
}

impl Marks {
    /// Takes them away.
    ///
    /// # Errors
    /// Somebody has removed a directory.
    pub(crate) fn remove(self) -> Result<()> {
        self.marked.into_iter().try_for_each(|(path, mode)| {
            rustix::fs::chmodat(&self.root, &path, mode - MARK, AtFlags::empty())
                .call(|| format!("chmod({path})"))
        })
    }
}

impl Claim {
    /// The claim on what has just been made at these paths below `root`, and its marks.
    ///
    /// # Errors
    /// Somebody has removed it.
    pub(super) fn of(root: OwnedFd, paths: impl Iterator<Item = String>) -> Result<(Self, Marks)> {
        let (mut inodes, mut marked) = (BTreeMap::new(), Vec::new());
        for path in paths {
            let found = stat(&root, &path).call(|| format!("stat({path})"))?;
            let mode = Mode::from_raw_mode(found.st_mode);
            if mode.contains(MARK) {
                marked.push((path.clone(), mode));
            }
            inodes.insert(path, found.st_ino);
        }
        Ok((Self::Made(inodes), Marks { root, marked }))
    }

    /// Whether the directory that is at a path below `root` now, if there is one, is the container's.
    pub(super) fn covers(&self, root: &OwnedFd, path: &str) -> bool {
        stat(root, path).is_ok_and(|found| match self {
            Self::Intended => Mode::from_raw_mode(found.st_mode).contains(MARK),
            Self::Made(inodes) => inodes.get(path) == Some(&found.st_ino),
        })
    }
}

fn stat(root: &OwnedFd, path: &str) -> Result<Stat, Errno> {
    let found = rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => Ok(found),
        _ => Err(Errno::NOTDIR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::file;

    #[test]
    fn only_what_was_made_is_covered() {
        let folder = tempfile::tempdir().unwrap();
        let root = file::open_root(folder.path()).unwrap();
        let make = |name: &str, own| rustix::fs::mkdirat(&root, name, mode(own)).unwrap();
        make("a", true);
        make("b", true);
        make("other", false);
        let paths = || ["a", "b"].map(str::to_owned).into_iter();
        let covered =
            |claim: &Claim| ["a", "b", "other", "missing"].map(|name| claim.covers(&root, name));
        assert_eq!(covered(&Claim::Intended), [true, true, false, false]);
        let of = |paths| Claim::of(root.try_clone().unwrap(), paths);
        let (claim, marks) = of(paths()).unwrap();
        marks.remove().unwrap();
        assert_eq!(covered(&claim), [true, true, false, false]);
        assert_eq!(covered(&Claim::Intended), [false; 4]);
        // Another one at the same path.
        make("c", true);
        rustix::fs::renameat(&root, "c", &root, "a").unwrap();
        assert_eq!(covered(&claim), [false, true, false, false]);
        assert_eq!(covered(&Claim::Intended), [true, false, false, false]);
        let (_, marks) = of(paths()).unwrap();
        std::fs::remove_dir(folder.path().join("a")).unwrap();
        assert!(marks.remove().is_err());
        assert!(of(paths()).is_err());
    }
}
