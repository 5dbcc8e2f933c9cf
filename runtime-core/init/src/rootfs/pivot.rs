//! Making the root mount the root directory.

use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags};
use rustix::mount::UnmountFlags;
use teu_wire::Step;

use super::{Root, change};
use crate::fail::{At, Result};

const READ_ONLY: u64 = 1;

/// Makes the root mount read-only, and only it: volumes below keep what they were given.
///
/// # Errors
/// mount_setattr(2) failed.
pub fn make_read_only(root: &Root) -> Result<()> {
    change::attributes(root.as_fd(), READ_ONLY, 0).at(Step::ReadOnlyRoot, c"mount_setattr", b"/")
}

/// pivot_root(2) onto itself: the old root ends up on top of the new one, without a directory for it, and is
/// taken away there with everything of the host.
///
/// # Errors
/// A call failed; EINVAL on the initial ramfs, where `--no-pivot` is for.
pub fn pivot(root: &Root) -> Result<()> {
    const MS_SLAVE: u64 = 1 << 19;
    const MS_REC: u64 = 1 << 14;
    let step = Step::Switch;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = rustix::fs::open(c"/", flags, Mode::empty()).at(step, c"open(old root)", b"/")?;
    rustix::process::fchdir(root.as_fd()).at(step, c"fchdir", b"/")?;
    rustix::process::pivot_root(c".", c".").at(step, c"pivot_root", b"")?;
    // Before the unmount: where the old root's mounts are still shared with the host's (rootfsPropagation
    // "shared"), the host would lose its own along with them (mount_namespaces(7)).
    change::propagation(old.as_fd(), MS_SLAVE | MS_REC).at(
        step,
        c"mount_setattr(MS_SLAVE)",
        b"/",
    )?;
    drop(old);
    rustix::mount::unmount(c".", UnmountFlags::DETACH).at(step, c"umount2(old root)", b"")?;
    rustix::process::chdir(c"/").at(step, c"chdir", b"/")
}

/// Moves the root mount over the root of the namespace, and changes into it: for the initial ramfs, which
/// cannot be pivoted away from. What it covers stays mounted, unreachable by path.
///
/// # Errors
/// A call failed.
pub fn move_root(root: &Root) -> Result<()> {
    let step = Step::Switch;
    rustix::process::fchdir(root.as_fd()).at(step, c"fchdir", b"/")?;
    rustix::mount::mount_move(c".", c"/").at(step, c"mount(MS_MOVE)", b"/")?;
    rustix::process::chroot(c".").at(step, c"chroot", b"")?;
    rustix::process::chdir(c"/").at(step, c"chdir", b"/")
}

/// Changes into the root directory only: the mount namespace is not the container's own.
///
/// # Errors
/// A call failed.
pub fn chroot(root: &Root) -> Result<()> {
    let step = Step::Switch;
    rustix::process::fchdir(root.as_fd()).at(step, c"fchdir", b"/")?;
    rustix::process::chroot(c".").at(step, c"chroot", b"")?;
    rustix::process::chdir(c"/").at(step, c"chdir", b"/")
}
