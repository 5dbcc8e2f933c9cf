//! The container's terminal, from its own devpts.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, OFlags, ResolveFlags, major, minor};
use rustix::mount::OpenTreeFlags;
use rustix::pty::OpenptFlags;
use teu_wire::Step;

use super::path::{self, Kind};
use super::{Root, attach};
use crate::fail::{At, Fail, Result};

const STEP: Step = Step::Console;
const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
const PTMX: &CStr = c"dev/pts/ptmx";

/// A new terminal: its master and its slave. The slave comes from the master and not from a path, which the
/// container might have changed meanwhile (CVE-2025-52565).
///
/// # Errors
/// There is no devpts on /dev/pts.
pub fn open(root: BorrowedFd<'_>) -> Result<(OwnedFd, OwnedFd)> {
    let at = |call| move |errno: rustix::io::Errno| Fail::call(STEP, call, errno, PTMX.to_bytes());
    // Looked at before it is opened for real: opening a device of the container's choice would have effects.
    let handle = path::find(root, PTMX).map_err(at(c"openat2"))?;
    verify(handle.as_ref())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = path::open(root, PTMX, flags, ResolveFlags::empty()).map_err(at(c"openat2"))?;
    verify(Some(&master))?;
    rustix::pty::unlockpt(&master).map_err(at(c"ioctl(TIOCSPTLCK)"))?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave =
        rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(at(c"ioctl(TIOCGPTPEER)"))?;
    Ok((master, slave))
}

fn verify(ptmx: Option<&OwnedFd>) -> Result<()> {
    let is_multiplexer = |ptmx: &OwnedFd| {
        let stat = rustix::fs::fstat(ptmx).ok()?;
        let device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        let magic = rustix::fs::fstatfs(ptmx).ok()?.f_type as i64;
        Some(
            device
                && (major(stat.st_rdev), minor(stat.st_rdev)) == (5, 2)
                && magic == DEVPTS_SUPER_MAGIC,
        )
    };
    if ptmx.and_then(is_multiplexer) == Some(true) {
        return Ok(());
    }
    Err(Fail::found(
        STEP,
        c"a terminal needs a devpts on /dev/pts in mounts; not the multiplexer of one",
        PTMX.to_bytes(),
    ))
}

/// Binds the terminal on /dev/console, by descriptor, and never through a link (CVE-2025-52565).
///
/// # Errors
/// /dev/console is a directory, or the kernel refused.
pub fn bind(root: &Root, slave: BorrowedFd<'_>) -> Result<()> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(slave, c"", flags).at(STEP, c"open_tree", b"terminal")?;
    let on = path::make(STEP, root.as_fd(), c"dev/console", Kind::File, true)?;
    attach(STEP, tree.as_fd(), on.as_fd(), b"/dev/console")
}
