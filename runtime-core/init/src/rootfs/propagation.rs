//! Mount propagation (mount_namespaces(7)).

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::mount::MountPropagationFlags;
use teu_wire::{RootfsView, Step};

use crate::fail::{At, Result};
use crate::sys::call::{self, MountAttr};

const MS_PRIVATE: u64 = 1 << 18;

fn change(step: Step, flags: u64) -> Result<()> {
    rustix::mount::mount_change(c"/", MountPropagationFlags::from_bits_retain(flags as u32)).at(
        step,
        c"mount(MS_PRIVATE, MS_SLAVE or MS_SHARED)",
        b"/",
    )
}

/// Sets the propagation of all mounts of the namespace, before the first is made.
///
/// # Errors
/// mount(2) failed.
pub fn prepare(rootfs: &RootfsView<'_>) -> Result<()> {
    if rootfs.propagation != 0 {
        change(Step::Propagation, rootfs.propagation)?;
    }
    if rootfs.private_parent {
        let place = super::open_place(rootfs.path)?;
        make_parent_private(place.as_fd())?;
    }
    Ok(())
}

/// Makes the mount that holds the root directory private: pivot_root(2) refuses a shared one, and the root
/// mount would appear on the host. Its mount point is found by walking up, without reading mountinfo.
fn make_parent_private(root: BorrowedFd<'_>) -> Result<()> {
    let step = Step::Propagation;
    let open = |from: BorrowedFd<'_>, name| -> Result<OwnedFd> {
        rustix::fs::openat(
            from,
            name,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .at(step, c"openat(..)", b"")
    };
    let mut here = open(root, c".")?;
    loop {
        let found = rustix::fs::statx(&here, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())
            .at(step, c"statx", b"")?;
        if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            let attr = MountAttr { propagation: MS_PRIVATE, ..MountAttr::default() };
            return call::mount_setattr(here.as_fd(), false, attr).at(
                step,
                c"mount_setattr(MS_PRIVATE)",
                b"",
            );
        }
        here = open(here.as_fd(), c"..")?;
    }
}

/// Sets what linux.rootfsPropagation asks for, on the root in its place.
///
/// # Errors
/// mount(2) failed.
pub fn finish(rootfs: &RootfsView<'_>) -> Result<()> {
    rootfs.root_propagation.map_or(Ok(()), |flags| change(Step::Switch, flags))
}
