//! One mount of the plan.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use teu_wire::{FdsView, FilesystemView, MountSourceView, MountView, Step};

use super::path::{self, Kind};
use super::{Root, attach, copy_up, filesystem};
use crate::fail::{At, Result};
use crate::sys::call::{self, MountAttr};

const STEP: Step = Step::Mount;

/// Makes it: detached first, with all its attributes, so that nobody ever sees it without them.
///
/// # Errors
/// The filesystem, the source or the destination refused.
pub fn mount(root: &Root, mount: &MountView<'static>, fds: &FdsView<'_>) -> Result<()> {
    let (tree, kind) = match mount.source {
        MountSourceView::Filesystem(wanted) => {
            let mode = mode_below(root, mount, &wanted)?;
            (filesystem::make(STEP, &wanted, mode)?, Kind::Directory)
        }
        MountSourceView::Tree(wanted) => {
            let number = fds.trees.get(wanted.place as usize).unwrap_or(-1);
            let tree = rustix::io::fcntl_dupfd_cloexec(call::inherited(number), 3).at(
                STEP,
                c"fcntl(F_DUPFD_CLOEXEC)",
                mount.destination.to_bytes(),
            )?;
            (tree, if wanted.directory { Kind::Directory } else { Kind::File })
        }
        MountSourceView::Remount(()) => return remount(root, mount),
        MountSourceView::Link(target) => return link(root, mount, target),
        MountSourceView::Borrowed(never, _) => match never {},
    };
    set_attributes(tree.as_fd(), mount)?;
    let on = path::make(STEP, root.as_fd(), mount.destination, kind, mount.no_symlinks)?;
    if mount.copy_up {
        copy_up::copy(on.as_fd(), tree.as_fd(), mount.destination)?;
    }
    attach(STEP, tree.as_fd(), on.as_fd(), mount.destination.to_bytes())?;
    // After it is attached: what is shared before would be shared with the tree that it was taken from.
    set_propagation(&tree, mount)
}

/// The mode of the directory that a tmpfs covers, unless its options have one: an image's /run stays 0755 and its /tmp
/// 1777 as its users know them, as in runc. Where there is none, the kernel's 1777 holds.
fn mode_below(
    root: &Root,
    mount: &MountView<'_>,
    wanted: &FilesystemView<'_>,
) -> Result<Option<u32>> {
    if wanted.kind != c"tmpfs" || wanted.options.iter().any(|option| option.key == c"mode") {
        return Ok(None);
    }
    let detail = mount.destination.to_bytes();
    let below = path::find(root.as_fd(), mount.destination).at(STEP, c"openat2", detail)?;
    let Some(below) = below else { return Ok(None) };
    let mode = rustix::fs::fstat(below).at(STEP, c"fstat", detail)?.st_mode;
    Ok(Some(mode & 0o7777))
}

fn set_attributes(tree: BorrowedFd<'_>, mount: &MountView<'_>) -> Result<()> {
    let detail = mount.destination.to_bytes();
    for (recursive, set, clear) in
        [(true, mount.set_recursive, mount.clear_recursive), (false, mount.set, mount.clear)]
    {
        if set | clear != 0 {
            let attr = MountAttr { set, clear, ..MountAttr::default() };
            call::mount_setattr(tree, recursive, attr).at(STEP, c"mount_setattr", detail)?;
        }
    }
    Ok(())
}

fn set_propagation(tree: &OwnedFd, mount: &MountView<'_>) -> Result<()> {
    const MS_REC: u64 = 1 << 14;
    for flags in mount.propagation {
        let attr = MountAttr { propagation: flags & !MS_REC, ..MountAttr::default() };
        call::mount_setattr(tree.as_fd(), flags & MS_REC != 0, attr).at(
            STEP,
            c"mount_setattr(propagation)",
            mount.destination.to_bytes(),
        )?;
    }
    Ok(())
}

/// `remount`: only attributes of what is mounted there already.
fn remount(root: &Root, mount: &MountView<'_>) -> Result<()> {
    let detail = mount.destination.to_bytes();
    let on = path::find(root.as_fd(), mount.destination).at(STEP, c"openat2", detail)?;
    let Some(on) = on else { return Err(Errno::NOENT).at(STEP, c"remount", detail) };
    set_attributes(on.as_fd(), mount)?;
    set_propagation(&on, mount)
}

/// A link beside the v1 hierarchies for a controller that shares one.
fn link(root: &Root, mount: &MountView<'_>, target: &core::ffi::CStr) -> Result<()> {
    let (directory, name) = path::parent(STEP, root.as_fd(), mount.destination)?;
    match rustix::fs::symlinkat(target, &directory, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).at(STEP, c"symlinkat", mount.destination.to_bytes()),
    }
}
