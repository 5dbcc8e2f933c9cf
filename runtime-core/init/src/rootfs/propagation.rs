//! Mount propagation (mount_namespaces(7)).

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::MountPropagationFlags;
use teu_wire::{RootfsView, Step};

use super::change;
use crate::fail::{At, Fail, Result};

const MS_PRIVATE: u64 = 1 << 18;

/// No path has more components (PATH_MAX).
const DEEPEST: u32 = 2048;

fn change_all(step: Step, flags: u64) -> Result<()> {
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
        change_all(Step::Propagation, rootfs.propagation)?;
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
    for _ in 0..DEEPEST {
        let found = rustix::fs::statx(&here, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())
            .at(step, c"statx", b"")?;
        // Before Linux 5.8 only trying tells which one it is.
        let known = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        if !known || found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            match change::propagation(here.as_fd(), MS_PRIVATE) {
                Err(Errno::INVAL) if !known => {}
                other => return other.at(step, c"mount_setattr(MS_PRIVATE)", b""),
            }
        }
        here = open(here.as_fd(), c"..")?;
    }
    Err(Fail::found(step, c"no mount point above the root file system", b""))
}

/// Sets what linux.rootfsPropagation asks for, on the root in its place.
///
/// # Errors
/// mount(2) failed.
pub fn finish(rootfs: &RootfsView<'_>) -> Result<()> {
    rootfs.root_propagation.map_or(Ok(()), |flags| change_all(Step::Switch, flags))
}
