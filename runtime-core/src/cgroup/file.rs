//! Reading and writing cgroup files relative to one descriptor of the cgroup root, and walking a tree of
//! cgroups that the workload may have made as deep and as wide as it liked.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{OsResult, Result};

/// The directory that the hierarchies are mounted below.
pub(super) fn open_root(root: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(root, flags, Mode::empty()).call(|| format!("open({})", root.display()))
}

/// `path` (absolute inside the hierarchy) as seen from the cgroup root.
pub(super) fn base(directory: &str, path: &str) -> String {
    if directory.is_empty() {
        path.trim_start_matches('/').to_owned()
    } else {
        format!("{directory}{path}")
    }
}

pub(super) fn open(dir: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, path, flags | OFlags::CLOEXEC, Mode::empty())
}

pub(super) fn open_dir(dir: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    open(dir, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)
}

/// The whole of a file; the kernel makes most of them of less than a page.
pub(super) fn read(dir: impl AsFd, path: &str) -> Result<String, Errno> {
    let file = open(dir, path, OFlags::RDONLY)?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(&file, &mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// One write: a cgroup file takes its value in a single call.
pub(super) fn write_to(file: impl AsFd, value: &str) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes())).map(|_| ())
}

pub(super) fn write(dir: impl AsFd, path: &str, value: &str) -> Result<(), Errno> {
    write_to(open(dir, path, OFlags::WRONLY)?, value)
}

/// The number after `key` in a file of `key number` lines.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The ids in a `cgroup.procs`.
pub(super) fn pids(dir: impl AsFd) -> Result<Vec<i32>, Errno> {
    match read(dir, "cgroup.procs") {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        // A threaded cgroup lists its processes at the domain above, and one that was removed has none.
        Err(Errno::OPNOTSUPP | Errno::NODEV | Errno::NOENT) => Ok(Vec::new()),
        Err(errno) => Err(errno),
    }
}

fn subdirectories(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    // kernfs counts subdirectories in the links, so that a cgroup without any is not listed.
    if rustix::fs::fstat(dir)?.st_nlink <= 2 {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// What a walk does; a cgroup that vanishes meanwhile is passed over.
pub(super) trait Visit {
    /// At each cgroup before its children.
    fn enter(&mut self, dir: &OwnedFd) -> Result<(), Errno>;
    /// At each child after its own children.
    fn leave(&mut self, parent: &OwnedFd, name: &CString) -> Result<(), Errno>;
}

/// Walks the cgroups from `base` on, holding one descriptor at a time: depth must not cost descriptors.
pub(super) fn walk(root: impl AsFd, base: &str, visit: &mut impl Visit) -> Result<(), Errno> {
    let mut dir = match open_dir(root, base) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    visit.enter(&dir)?;
    // The names still to visit at every level, and the name of each level below the first.
    let mut pending = vec![gone_is_empty(subdirectories(&dir))?];
    let mut names: Vec<CString> = Vec::new();
    loop {
        match pending.last_mut().and_then(Vec::pop) {
            Some(name) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match rustix::fs::openat(&dir, &name, flags, Mode::empty()) {
                    Ok(child) => {
                        dir = child;
                        visit.enter(&dir)?;
                        pending.push(gone_is_empty(subdirectories(&dir))?);
                        names.push(name);
                    }
                    Err(Errno::NOENT | Errno::NODEV) => {}
                    Err(errno) => return Err(errno),
                }
            }
            None => {
                pending.pop();
                let Some(name) = names.pop() else { return Ok(()) };
                dir = match open_dir(&dir, "..") {
                    Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
                    other => other?,
                };
                visit.leave(&dir, &name)?;
            }
        }
    }
}

fn gone_is_empty(names: Result<Vec<CString>, Errno>) -> Result<Vec<CString>, Errno> {
    match names {
        Err(Errno::NOENT | Errno::NODEV) => Ok(Vec::new()),
        other => other,
    }
}

/// All processes of the cgroup `base` and of those below it.
pub(super) fn tree_pids(root: impl AsFd, base: &str) -> Result<Vec<i32>, Errno> {
    struct Collect(Vec<i32>);
    impl Visit for Collect {
        fn enter(&mut self, dir: &OwnedFd) -> Result<(), Errno> {
            self.0.extend(pids(dir)?);
            Ok(())
        }
        fn leave(&mut self, _: &OwnedFd, _: &CString) -> Result<(), Errno> {
            Ok(())
        }
    }
    let mut collect = Collect(Vec::new());
    walk(root, base, &mut collect)?;
    Ok(collect.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyed_lines() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(keyed(text, "oom_kill"), Some(3));
        assert_eq!(keyed(text, "oom"), None);
    }

    #[test]
    fn bases() {
        assert_eq!(base("memory", "/a/b"), "memory/a/b");
        assert_eq!(base("", "/a/b"), "a/b");
    }
}
