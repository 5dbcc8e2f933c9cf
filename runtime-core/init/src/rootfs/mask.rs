//! linux.maskedPaths and linux.readonlyPaths.
//!
//! No detached mount is closed without having been attached: each such close waits for an expedited RCU grace
//! period, 80 to 100 µs.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, major, minor};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};
use teu_wire::{RootfsView, Step};

use super::{Root, attach, change, path};
use crate::fail::{At, Fail, Index, Result};
use crate::sys::call::{self, MountAttr};

const READ_ONLY: u64 = 1;

/// Covers files with /dev/null and directories with one empty read-only directory; what is not there needs no
/// cover.
///
/// # Errors
/// A path cannot be covered.
pub fn mask(root: &Root, rootfs: &RootfsView<'_>) -> Result<()> {
    let mut null = None;
    let mut empty: Option<OwnedFd> = None;
    for (index, masked) in rootfs.masked.iter().enumerate() {
        let covered = (|| {
            let detail = masked.to_bytes();
            let found = path::find(root.as_fd(), masked).at(Step::Mask, c"openat2", detail)?;
            let Some(on) = found else { return Ok(()) };
            let mode = rustix::fs::fstat(&on).at(Step::Mask, c"fstat", detail)?.st_mode;
            if FileType::from_raw_mode(mode) == FileType::Directory {
                // The first is attached as it is, the others are copies of it.
                if let Some(first) = &empty {
                    let copy = clone(first.as_fd()).at(Step::Mask, c"open_tree", detail)?;
                    return attach(Step::Mask, copy.as_fd(), on.as_fd(), detail);
                }
                let first = make_empty(rootfs)?;
                attach(Step::Mask, first.as_fd(), on.as_fd(), detail)?;
                empty = Some(first);
                Ok(())
            } else {
                if null.is_none() {
                    null = Some(open_null()?);
                }
                let Some(null) = &null else { return Ok(()) };
                let tree = clone(null.as_fd()).at(Step::Mask, c"open_tree", b"/dev/null")?;
                attach(Step::Mask, tree.as_fd(), on.as_fd(), detail)
            }
        })();
        covered.index(index as u32)?;
    }
    Ok(())
}

fn clone(of: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(of, c"", flags)
}

/// The host's /dev/null, by its type and numbers and not by its name alone.
fn open_null() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let null = rustix::fs::openat(CWD, c"/dev/null", flags, Mode::empty()).at(
        Step::Mask,
        c"open",
        b"/dev/null",
    )?;
    let stat = rustix::fs::fstat(&null).at(Step::Mask, c"fstat", b"/dev/null")?;
    let device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if device && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3) {
        return Ok(null);
    }
    Err(Fail::found(Step::Mask, c"not the null device of the host", b"/dev/null"))
}

fn make_empty(rootfs: &RootfsView<'_>) -> Result<OwnedFd> {
    let at = |call| move |errno: Errno| Fail::call(Step::Mask, call, errno, b"tmpfs");
    let context =
        rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(at(c"fsopen"))?;
    rustix::mount::fsconfig_set_string(&context, c"source", c"tmpfs").map_err(at(c"fsconfig"))?;
    rustix::mount::fsconfig_set_string(&context, c"size", c"0").map_err(at(c"fsconfig"))?;
    rustix::mount::fsconfig_set_string(&context, c"mode", c"555").map_err(at(c"fsconfig"))?;
    for option in rootfs.mask_options {
        let value = option.value.unwrap_or_default();
        super::filesystem::set_string(&context, option.key, value).map_err(|errno| {
            let mut fail = Fail::call(Step::Mask, c"fsconfig(string)", errno, b"tmpfs, ");
            fail.detail.push(option.key.to_bytes()).push(b"=").push(value.to_bytes());
            fail
        })?;
    }
    rustix::mount::fsconfig_create(&context).map_err(at(c"fsconfig"))?;
    rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )
    .map_err(at(c"fsmount"))
}

/// Binds paths on themselves, read-only with all below.
///
/// # Errors
/// A path cannot be covered.
pub fn make_read_only(root: &Root, rootfs: &RootfsView<'_>) -> Result<()> {
    const STEP: Step = Step::ReadOnly;
    for (index, readonly) in rootfs.readonly.iter().enumerate() {
        let detail = readonly.to_bytes();
        let covered = (|| {
            let found = path::find(root.as_fd(), readonly).at(STEP, c"openat2", detail)?;
            let Some(on) = found else { return Ok(()) };
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH
                | OpenTreeFlags::AT_RECURSIVE;
            let tree = rustix::mount::open_tree(&on, c"", flags).at(STEP, c"open_tree", detail)?;
            let attr = MountAttr { set: READ_ONLY, ..MountAttr::default() };
            match call::mount_setattr(tree.as_fd(), true, attr) {
                // Before Linux 5.12.
                Err(Errno::NOSYS) => {
                    attach(STEP, tree.as_fd(), on.as_fd(), detail)?;
                    change::attributes_below(tree.as_fd(), READ_ONLY, 0).at(STEP, c"mount", detail)
                }
                set => {
                    set.at(STEP, c"mount_setattr", detail)?;
                    attach(STEP, tree.as_fd(), on.as_fd(), detail)
                }
            }
        })();
        covered.index(index as u32)?;
    }
    Ok(())
}
