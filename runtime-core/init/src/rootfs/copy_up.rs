//! tmpcopyup: what the destination held is copied into the new filesystem before it covers it.
//!
//! Names come from directory listings and are opened without following links, descriptor by descriptor, so
//! nothing outside of the directory is read, and nothing outside of the new filesystem is written.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RawDir, Stat, Uid, XattrFlags};
use rustix::io::Errno;
use teu_wire::Step;

use crate::fail::{At, Fail, Result};
use crate::sys::call;

const STEP: Step = Step::Mount;

/// Deeper trees are no configuration but an attack on the stack.
const DEEPEST: u32 = 64;

/// Copies the content of one directory into another.
///
/// # Errors
/// Something cannot be read or written, or the tree is too deep.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, destination: &CStr) -> Result<()> {
    let detail = destination.to_bytes();
    let readable = |fd| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(fd, c".", flags, Mode::empty())
    };
    let source = readable(from).at(STEP, c"tmpcopyup: openat", detail)?;
    let target = readable(to).at(STEP, c"tmpcopyup: openat", detail)?;
    directory(&source, &target, DEEPEST, detail)
}

fn directory(from: &OwnedFd, to: &OwnedFd, depth: u32, detail: &[u8]) -> Result<()> {
    if depth == 0 {
        return Err(Fail::found(STEP, c"tmpcopyup: too many directories in each other", detail));
    }
    let mut buffer = call::buffer::<2048>();
    let mut entries = RawDir::new(from, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.at(STEP, c"tmpcopyup: getdents64", detail)?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        one(from, to, name, depth, detail)?;
    }
    Ok(())
}

fn one(from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: u32, detail: &[u8]) -> Result<()> {
    let at = |call| move |errno: Errno| Fail::call(STEP, call, errno, detail);
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(at(c"tmpcopyup: fstatat"))?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    let nofollow = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, mode).map_err(at(c"tmpcopyup: mkdirat"))?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | nofollow;
            let source = rustix::fs::openat(from, name, flags, Mode::empty())
                .map_err(at(c"tmpcopyup: openat"))?;
            let target = rustix::fs::openat(to, name, flags, Mode::empty())
                .map_err(at(c"tmpcopyup: openat"))?;
            directory(&source, &target, depth - 1, detail)?;
            xattrs(&source, &target);
            own(to, name, &stat, detail)
        }
        FileType::RegularFile => {
            let source = rustix::fs::openat(from, name, OFlags::RDONLY | nofollow, Mode::empty())
                .map_err(at(c"tmpcopyup: openat"))?;
            let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | nofollow;
            let target =
                rustix::fs::openat(to, name, create, mode).map_err(at(c"tmpcopyup: openat"))?;
            content(&source, &target).map_err(at(c"tmpcopyup: sendfile"))?;
            own(to, name, &stat, detail)?;
            // After the owner: a change of owner takes capabilities and set-id bits away.
            rustix::fs::fchmod(&target, mode).map_err(at(c"tmpcopyup: fchmod"))?;
            xattrs(&source, &target);
            Ok(())
        }
        FileType::Symlink => {
            let mut buffer = call::buffer::<4096>();
            let (target, _) = rustix::fs::readlinkat_raw(from, name, &mut buffer)
                .map_err(at(c"tmpcopyup: readlinkat"))?;
            let mut text = [0_u8; 4097];
            text[..target.len()].copy_from_slice(target);
            let target = CStr::from_bytes_until_nul(&text).unwrap_or(c"");
            rustix::fs::symlinkat(target, to, name).map_err(at(c"tmpcopyup: symlinkat"))?;
            own(to, name, &stat, detail)
        }
        other => {
            rustix::fs::mknodat(to, name, other, mode, stat.st_rdev)
                .map_err(at(c"tmpcopyup: mknodat"))?;
            own(to, name, &stat, detail)
        }
    }
}

fn own(directory: &OwnedFd, name: &CStr, stat: &Stat, detail: &[u8]) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).at(
        STEP,
        c"tmpcopyup: fchownat",
        detail,
    )
}

fn content(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    while rustix::fs::sendfile(to, from, None, 1 << 30)? > 0 {}
    Ok(())
}

/// As far as the new filesystem takes them.
fn xattrs(from: &OwnedFd, to: &OwnedFd) {
    let mut names = [0_u8; 2048];
    let Ok(length) = rustix::fs::flistxattr(from.as_fd(), &mut names) else { return };
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let mut value = [0_u8; 4096];
        if let Ok(length) = rustix::fs::fgetxattr(from, name, &mut value) {
            let _taken = rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty());
        }
    }
}
