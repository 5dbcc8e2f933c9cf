//! The root file system: mounted, filled, covered and made the root directory, all by descriptors.

pub mod below;
pub mod change;
pub mod console;
pub mod copy_up;
pub mod dev;
pub mod filesystem;
pub mod mask;
pub mod mount;
pub mod path;
pub mod pivot;
pub mod propagation;
pub mod source;
pub mod walk;

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MoveMountFlags;
use teu_wire::{FdsView, RootMountView, RootfsView, Step};

use crate::fail::{At, Result};
use crate::sys::call;

/// The root mount. Every path of the container is resolved below this descriptor.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Mounts it on root.path, where hooks look for it.
    ///
    /// # Errors
    /// The filesystem or the kernel refused.
    pub fn mount(rootfs: &RootfsView<'static>, fds: &FdsView<'_>) -> Result<Self> {
        let place = open_place(rootfs.path)?;
        let on = place.as_fd();
        match rootfs.root {
            RootMountView::Tree(place) => {
                let number = fds.trees.get(place as usize).unwrap_or(-1);
                let tree = call::inherited(number);
                attach(Step::Root, tree, on, b"the root file system")?;
                Ok(Self(duplicate(tree)?))
            }
            RootMountView::Filesystem(filesystem) => {
                // It is the first of `mounts`.
                let mount = filesystem::make(Step::Mount, &filesystem, None)?;
                attach(Step::Root, mount.as_fd(), on, filesystem.kind.to_bytes())?;
                Ok(Self(mount))
            }
            RootMountView::Directory(()) => Ok(Self(duplicate(on)?)),
            RootMountView::Borrowed(never, _) => match never {},
        }
    }
}

/// Opens root.path, by the one string that is opened here: it is a path of the host, in this process's copy of
/// the host's mounts, since a descriptor of the caller's would be of the caller's mounts.
///
/// # Errors
/// It is not a directory.
pub fn open_place(path: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        // Root of a user namespace may have no way there; then no hook has one either, and any place will do.
        Err(Errno::ACCESS) => rustix::fs::open(c"/", flags, Mode::empty()),
        other => other,
    }
    .at(Step::Root, c"open", path.to_bytes())
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).at(Step::Root, c"fcntl(F_DUPFD_CLOEXEC)", b"")
}

/// Puts a detached mount in its place: both ends are descriptors.
pub(crate) fn attach(
    step: Step,
    tree: BorrowedFd<'_>,
    on: BorrowedFd<'_>,
    detail: &[u8],
) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", on, c"", flags).at(step, c"move_mount", detail)
}
