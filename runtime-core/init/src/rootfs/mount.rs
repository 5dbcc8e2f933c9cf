//! One mount of the plan.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use teu_wire::{FdsView, FilesystemView, MountSourceView, MountView, Step};

use super::path::{self, Kind};
use super::{Root, attach, change, copy_up, filesystem};
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
            let tree = filesystem::make(STEP, &wanted, mode)?;
            set_label(tree.as_fd(), mount)?;
            (tree, Kind::Directory)
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
    let set = set_attributes(tree.as_fd(), mount)?;
    let on = path::make(STEP, root.as_fd(), mount.destination, kind, mount.no_symlinks)?;
    if mount.copy_up {
        copy_up::copy(on.as_fd(), tree.as_fd(), mount.destination)?;
    }
    attach(STEP, tree.as_fd(), on.as_fd(), mount.destination.to_bytes())?;
    if set == Set::InPlace {
        set_in_place(tree.as_fd(), mount)?;
    }
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

/// The SELinux context of its root directory.
fn set_label(tree: BorrowedFd<'_>, mount: &MountView<'_>) -> Result<()> {
    let Some(label) = mount.label else { return Ok(()) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(tree, c".", flags, Mode::empty()).at(
        STEP,
        c"openat",
        mount.destination.to_bytes(),
    )?;
    rustix::fs::fsetxattr(&root, c"security.selinux", label.to_bytes(), XattrFlags::empty()).at(
        STEP,
        c"fsetxattr(security.selinux)",
        label.to_bytes(),
    )
}

/// Whether a mount has its attributes.
#[derive(PartialEq)]
enum Set {
    Now,
    /// Before Linux 5.12 it gets them when it is attached; nothing of the container runs until then.
    InPlace,
}

fn set_attributes(tree: BorrowedFd<'_>, mount: &MountView<'_>) -> Result<Set> {
    let detail = mount.destination.to_bytes();
    for (recursive, set, clear) in
        [(true, mount.set_recursive, mount.clear_recursive), (false, mount.set, mount.clear)]
    {
        if set | clear != 0 {
            let attr = MountAttr { set, clear, ..MountAttr::default() };
            match call::mount_setattr(tree, recursive, attr) {
                Err(Errno::NOSYS) => return Ok(Set::InPlace),
                other => other.at(STEP, c"mount_setattr", detail)?,
            }
        }
    }
    Ok(Set::Now)
}

fn set_in_place(on: BorrowedFd<'_>, mount: &MountView<'_>) -> Result<()> {
    let MountView { set_recursive, clear_recursive, set, clear, .. } = *mount;
    let mut done = Ok(());
    if set_recursive | clear_recursive != 0 {
        done = change::attributes_below(on, set_recursive, clear_recursive);
    }
    if set | clear != 0 {
        done = done.and_then(|()| change::attributes(on, set, clear));
    }
    done.at(STEP, c"mount(MS_REMOUNT)", mount.destination.to_bytes())
}

fn set_propagation(tree: &OwnedFd, mount: &MountView<'_>) -> Result<()> {
    for flags in mount.propagation {
        change::propagation(tree.as_fd(), flags).at(
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
    if set_attributes(on.as_fd(), mount)? == Set::InPlace {
        set_in_place(on.as_fd(), mount)?;
    }
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
