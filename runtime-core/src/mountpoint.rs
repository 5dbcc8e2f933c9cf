//! Mount points in a root file system that a container is restored on: the one that it was made on has them
//! from init, another may not.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use teu_wire::MountSource;

use crate::error::{OsResult, Result};
use crate::plan::CreatePlan;

/// Makes every mount point of the plan that lies in the root file system itself.
///
/// # Errors
/// One is missing and cannot be made.
pub(crate) fn make_all(root: &Path, plan: &CreatePlan) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, root, flags, Mode::empty())
        .call(|| format!("open({})", root.display()))?;
    let mounts = plan.init.rootfs.iter().flat_map(|rootfs| &rootfs.mounts);
    let mut covered: Vec<String> = Vec::new();
    for mount in mounts {
        let path = mount.destination.to_string();
        // In what another mount brings along it is criu's to make.
        let inside = covered.iter().any(|above| path.starts_with(&format!("{above}/")));
        let is_directory = match &mount.source {
            MountSource::Tree(tree) => {
                plan.trees.get(tree.place as usize).is_none_or(|tree| tree.path.is_dir())
            }
            MountSource::Filesystem(_) => true,
            _ => continue,
        };
        if !inside {
            make(directory.as_fd(), &path, is_directory).call(|| {
                format!("openat2(/{path}), making the mount point; is a link in its way?")
            })?;
        }
        covered.push(path);
    }
    Ok(())
}

/// Makes what is missing of a path. Each step is resolved within the root, whatever links stand in it.
fn make(root: BorrowedFd<'_>, path: &str, is_directory: bool) -> Result<(), Errno> {
    let find = |path: &str, flags: OFlags| {
        let path = if path.is_empty() { "." } else { path };
        let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
    };
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    for end in ends {
        match find(&path[..end], OFlags::empty()) {
            Err(Errno::NOENT) => {}
            other => {
                other?;
                continue;
            }
        }
        let (parent, name) = path[..end].rsplit_once('/').unwrap_or(("", &path[..end]));
        let parent = find(parent, OFlags::DIRECTORY)?;
        if end < path.len() || is_directory {
            rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
        } else {
            let mode = Mode::from_raw_mode(0o644);
            rustix::fs::mknodat(&parent, name, FileType::RegularFile, mode, 0)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_made_inside() {
        let directory = tempfile::tempdir().unwrap();
        let root = std::fs::File::open(directory.path()).unwrap();
        std::fs::create_dir(directory.path().join("real")).unwrap();
        std::os::unix::fs::symlink("/real", directory.path().join("link")).unwrap();
        make(root.as_fd(), "link/a/b", true).unwrap();
        make(root.as_fd(), "real/a/file", false).unwrap();
        assert!(directory.path().join("real/a/b").is_dir());
        assert!(directory.path().join("real/a/file").is_file());
        // A second time there is nothing to do.
        make(root.as_fd(), "link/a/file", false).unwrap();
        std::os::unix::fs::symlink("../../..", directory.path().join("out")).unwrap();
        make(root.as_fd(), "out/x", true).unwrap();
        assert!(directory.path().join("x").is_dir());
    }
}
