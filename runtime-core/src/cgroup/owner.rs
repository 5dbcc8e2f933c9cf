//! Delegation: a container whose cgroup namespace is its own and writable gets its cgroup, not its limits
//! (config-linux.md, "Cgroup ownership"; cgroups(7), "Cgroups delegation").

use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::Mount;
use rustix::fs::{AtFlags, Uid};
use rustix::io::Errno;

use crate::error::{OsResult, Result};

/// The kernel's list of the files that go with a cgroup's directory (Linux 4.15).
const LIST: &str = "/sys/kernel/cgroup/delegate";

/// The files of the specification where the kernel has no list.
const FALLBACK: &str = "cgroup.procs cgroup.subtree_control cgroup.threads";

/// True where the container can write to its cgroup file system. Pure.
pub(crate) fn is_writable(mounts: &[Mount]) -> bool {
    let place = Path::new("/sys/fs/cgroup");
    let at_place = |mount: &&Mount| mount.destination().components().eq(place.components());
    // The last mount there is the one that is seen.
    mounts.iter().rev().find(at_place).is_some_and(|mount| {
        let kind = mount.typ().as_deref().unwrap_or_default();
        let is_cgroup = mount.source().as_deref() == Some(Path::new("cgroup"))
            && matches!(kind, "cgroup" | "cgroup2");
        let last = mount.options().iter().flatten().rfind(|o| *o == "ro" || *o == "rw");
        is_cgroup && last.is_none_or(|option| option == "rw")
    })
}

/// Gives a cgroup2 directory and its delegated files to a user. The limits stay root's.
///
/// # Errors
/// chown(2) was refused; a listed file that the cgroup does not have is passed over.
pub(super) fn give(dir: &OwnedFd, base: &str, owner: u32) -> Result<()> {
    let owner = Uid::from_raw(owner);
    let list = std::fs::read_to_string(LIST).unwrap_or_else(|_| FALLBACK.to_owned());
    for name in list.split_whitespace().filter(|name| !name.contains('/')) {
        match rustix::fs::chownat(dir, name, Some(owner), None, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) | Err(Errno::NOENT) => {}
            other => other.call(|| format!("chown({base}/{name}, {})", owner.as_raw()))?,
        }
    }
    rustix::fs::fchown(dir, Some(owner), None).call(|| format!("chown({base}, {})", owner.as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writable(json: &str) -> bool {
        is_writable(&serde_json::from_str::<Vec<Mount>>(json).unwrap())
    }

    #[test]
    fn only_a_writable_cgroup_mount_counts() {
        let mount = |kind: &str, options: &str| {
            format!(
                r#"{{"destination":"/sys/fs/cgroup/","type":"{kind}","source":"cgroup","options":[{options}]}}"#
            )
        };
        assert!(writable(&format!("[{}]", mount("cgroup", r#""nosuid","rw""#))));
        assert!(writable(&format!("[{}]", mount("cgroup2", ""))));
        assert!(!writable(&format!("[{}]", mount("cgroup", r#""ro""#))));
        assert!(!writable(&format!("[{}]", mount("bind", ""))));
        assert!(!writable("[]"));
        let hidden = mount("tmpfs", "");
        assert!(!writable(&format!("[{},{hidden}]", mount("cgroup", ""))));
    }
}
