//! Device nodes and the links of /dev.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Dev, FileType, Gid, Mode, Uid, makedev};
use rustix::io::Errno;
use teu_wire::{DeviceLinkView, DeviceView, FdsView, Step};

use super::path::{self, Kind};
use super::{Root, attach};
use crate::fail::{At, Fail, Index, Result};
use crate::sys::call;

const STEP: Step = Step::Device;

/// Makes one node, or binds the host's where the kernel would refuse a new one.
///
/// # Errors
/// Something else is there already, or the kernel refused.
pub fn make_device(root: &Root, device: &DeviceView<'_>, fds: &FdsView<'_>) -> Result<()> {
    let made = match device.tree {
        Some(place) => bind(root, device, fds.trees.get(place as usize).unwrap_or(-1)),
        None => make(root, device),
    };
    made.index(device.index.unwrap_or(u32::MAX))
}

fn bind(root: &Root, device: &DeviceView<'_>, number: i32) -> Result<()> {
    let on = path::make(STEP, root.as_fd(), device.path, Kind::File, false)?;
    attach(STEP, call::inherited(number), on.as_fd(), device.path.to_bytes())
}

fn make(root: &Root, device: &DeviceView<'_>) -> Result<()> {
    let detail = device.path.to_bytes();
    let (directory, name) = path::parent(STEP, root.as_fd(), device.path)?;
    let number = makedev(device.major, device.minor);
    let kind = FileType::from_raw_mode(device.mode);
    let mode = Mode::from_raw_mode(device.mode & 0o7777);
    match rustix::fs::mknodat(&directory, name, kind, mode, number) {
        Ok(()) => (),
        Err(Errno::EXIST) => return check(directory.as_fd(), name, kind, number, detail),
        Err(errno) => return Err(errno).at(STEP, c"mknodat", detail),
    }
    if (device.uid, device.gid) == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
    rustix::fs::chownat(&directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).at(
        STEP,
        c"fchownat",
        detail,
    )
}

/// What is there already may stay only if it is that device (config-linux.md, "Devices").
fn check(
    directory: BorrowedFd<'_>,
    name: &core::ffi::CStr,
    kind: FileType,
    number: Dev,
    detail: &[u8],
) -> Result<()> {
    let found = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .at(STEP, c"fstatat", detail)?;
    let same = FileType::from_raw_mode(found.st_mode) == kind
        && (kind == FileType::Fifo || found.st_rdev == number);
    if same {
        return Ok(());
    }
    Err(Fail::found(STEP, c"something else is there already, and not this device", detail))
}

/// Makes one link. A right one may be there already; /dev/ptmx is replaced, because a node of the host's
/// devpts would hand out the host's terminals; anything else stays as the image has it.
///
/// # Errors
/// The kernel refused.
pub fn make_link(root: &Root, link: &DeviceLinkView<'_>) -> Result<()> {
    let step = Step::DeviceLink;
    let detail = link.path.to_bytes();
    let (directory, name) = path::parent(step, root.as_fd(), link.path)?;
    match rustix::fs::symlinkat(link.target, &directory, name) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) if name == c"ptmx" => {
            rustix::fs::unlinkat(&directory, name, AtFlags::empty()).at(
                step,
                c"unlinkat",
                detail,
            )?;
            rustix::fs::symlinkat(link.target, &directory, name).at(step, c"symlinkat", detail)
        }
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).at(step, c"symlinkat", detail),
    }
}
