//! Changing mounts: mount_setattr(2), and what mount(2) does of it before Linux 5.12.
//!
//! mount(2) takes a path: for a directory that is `.`, which is entered for the moment; for a file, its descriptor in
//! procfs, which is the host's until the root is switched. It changes the flags only of a mount in its place, all of
//! them at once, and not those of the mounts below, which have to be looked for.

use core::ffi::CStr;

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::mount::{MountFlags, MountPropagationFlags};

use super::below;
use crate::fail::{Words, decimal};
use crate::sys::call::{self, MountAttr};

const MS_REC: u64 = 1 << 14;

/// MOUNT_ATTR__ATIME: not a bit but a number of two, where 0 is relatime.
const ATIME: u64 = 0x70;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;

/// MOUNT_ATTR_* beside MS_* and ST_* (statvfs(3)), where they are bits.
const BITS: [(u64, u64, u64); 6] = [
    (0x1, 1, 1),              // rdonly
    (0x2, 2, 2),              // nosuid
    (0x4, 4, 4),              // nodev
    (0x8, 8, 8),              // noexec
    (0x80, 2048, 2048),       // nodiratime
    (0x20_0000, 256, 0x2000), // nosymfollow
];

/// Sets the propagation of a mount, with MS_REC of all below it.
///
/// # Errors
/// As mount_setattr(2).
pub fn propagation(mount: BorrowedFd<'_>, flags: u64) -> Result<()> {
    let attr = MountAttr { propagation: flags & !MS_REC, ..MountAttr::default() };
    match call::mount_setattr(mount, flags & MS_REC != 0, attr) {
        Err(Errno::NOSYS) => {
            let flags = MountPropagationFlags::from_bits_retain(flags as u32);
            by_path(mount, |path| rustix::mount::mount_change(path, flags))
        }
        other => other,
    }
}

/// Sets and clears MOUNT_ATTR_* of a mount that is in its place.
///
/// # Errors
/// As mount_setattr(2).
pub fn attributes(mount: BorrowedFd<'_>, set: u64, clear: u64) -> Result<()> {
    match call::mount_setattr(mount, false, MountAttr { set, clear, ..MountAttr::default() }) {
        Err(Errno::NOSYS) => {
            let current = rustix::fs::fstatvfs(mount)?.f_flag.bits();
            let flags = remount_flags(current, set, clear);
            let flags = MountFlags::from_bits_retain(flags as u32) | MountFlags::BIND;
            by_path(mount, |path| rustix::mount::mount_remount(path, flags, c""))
        }
        other => other,
    }
}

/// The same of the mount and all below it, where [`call::mount_setattr`] does not find them.
///
/// # Errors
/// As mount_setattr(2); what was changed by then stays so.
pub fn attributes_below(mount: BorrowedFd<'_>, set: u64, clear: u64) -> Result<()> {
    attributes(mount, set, clear)?;
    below::each(mount, |mount| attributes(mount, set, clear))
}

/// All flags of a mount with the given ST_*, once changed, as MS_*.
fn remount_flags(current: u64, set: u64, clear: u64) -> u64 {
    let bits = BITS
        .iter()
        .filter(|(attr, _, st)| set & attr != 0 || (clear & attr == 0 && current & st != 0))
        .fold(0, |flags, (_, ms, _)| flags | ms);
    const ST_NOATIME: u64 = 1024;
    const ST_RELATIME: u64 = 4096;
    let atime = match (clear & ATIME, current) {
        (0, current) if current & ST_NOATIME != 0 => NOATIME,
        (0, current) if current & ST_RELATIME == 0 => STRICTATIME,
        (0, _) => 0,
        _ => set & ATIME,
    };
    bits | match atime {
        NOATIME => 1 << 10,
        STRICTATIME => 1 << 24,
        _ => 1 << 21,
    }
}

fn by_path(mount: BorrowedFd<'_>, change: impl FnOnce(&CStr) -> Result<()>) -> Result<()> {
    let mode = rustix::fs::fstat(mount)?.st_mode;
    if FileType::from_raw_mode(mode) == FileType::Directory {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Root of a user namespace may have no way to where the caller was; nothing depends on it.
        let back = rustix::fs::open(c".", flags, Mode::empty())
            .or_else(|_| rustix::fs::open(c"/", flags, Mode::empty()))?;
        rustix::process::fchdir(mount)?;
        let changed = change(c".");
        rustix::process::fchdir(back)?;
        return changed;
    }
    let (mut path, mut digits) = (Words::new(), [0; 20]);
    path.push(b"/proc/self/fd/").push(decimal(i64::from(mount.as_raw_fd()), &mut digits));
    path.push(b"\0");
    change(CStr::from_bytes_until_nul(path.as_bytes()).unwrap_or(c""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_are_not_changed_stay() {
        const RELATIME: u64 = 1 << 21;
        assert_eq!(remount_flags(4096, 1, 0), 1 | RELATIME);
        assert_eq!(remount_flags(4096 | 2 | 4, 1, 4), 1 | 2 | RELATIME);
        assert_eq!(remount_flags(1 | 1024 | 2048, 0, 1), 1024 | 2048);
        assert_eq!(remount_flags(0, 2, 0), 2 | 1 << 24, "strictatime");
        assert_eq!(remount_flags(1024, STRICTATIME, ATIME), 1 << 24);
        assert_eq!(remount_flags(1024, 0, ATIME), RELATIME);
        assert_eq!(remount_flags(4096, 0x20_0000, 0), 256 | RELATIME, "nosymfollow");
    }
}
