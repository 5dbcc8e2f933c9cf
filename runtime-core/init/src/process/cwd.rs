//! The working directory.

use core::ffi::CStr;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use teu_wire::{ProcessView, Step};

use crate::fail::{At, Fail, Result};
use crate::sys::call;

const STEP: Step = Step::Cwd;

/// Whether root's rights were enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// The process is there.
    Yes,
    /// To be tried again by the user: root may have fewer rights than an owner (NFS, FUSE).
    AsUser,
}

/// Enters it; makes it when it is missing, as callers of runc expect.
///
/// # Errors
/// It is not a directory, or it is outside of the root.
pub fn enter(process: &ProcessView<'_>) -> Result<Entered> {
    let cwd = process.cwd;
    match rustix::process::chdir(cwd) {
        Ok(()) => verify(cwd).map(|()| Entered::Yes),
        Err(Errno::ACCESS | Errno::PERM) => Ok(Entered::AsUser),
        Err(Errno::NOENT) => {
            make(cwd)?;
            rustix::process::chdir(cwd).at(STEP, c"chdir", cwd.to_bytes())?;
            verify(cwd).map(|()| Entered::Yes)
        }
        Err(errno) => Err(errno).at(STEP, c"chdir", cwd.to_bytes()),
    }
}

/// The second try, and the last check, with the user's own rights.
///
/// # Errors
/// As [`enter`].
pub fn enter_as_user(process: &ProcessView<'_>, entered: Entered) -> Result<()> {
    if entered == Entered::AsUser {
        rustix::process::chdir(process.cwd).at(STEP, c"chdir", process.cwd.to_bytes())?;
    }
    verify(process.cwd)
}

/// A directory that no path leads to from this root lies outside of it: a descriptor of the host has been
/// found to enter it by (CVE-2024-21626).
fn verify(cwd: &CStr) -> Result<()> {
    let mut path = [0_u8; 4096];
    match call::getcwd(&mut path) {
        Ok(_) if path[0] == b'/' => Ok(()),
        // Deeper than PATH_MAX, but below the root: the kernel says ERANGE only for a buffer of ours.
        Err(Errno::RANGE) => Ok(()),
        _ => Err(Fail::found(
            STEP,
            c"current working directory is outside of container mount namespace root",
            cwd.to_bytes(),
        )),
    }
}

/// Makes the directory, component by component below the new root.
fn make(cwd: &CStr) -> Result<()> {
    let detail = cwd.to_bytes();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = rustix::fs::open(c"/", flags, Mode::empty()).at(STEP, c"open", b"/")?;
    for component in detail.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
        let mut name = [0_u8; 256];
        if component.len() >= name.len() {
            return Err(Errno::NAMETOOLONG).at(STEP, c"mkdir", detail);
        }
        name[..component.len()].copy_from_slice(component);
        let name = CStr::from_bytes_until_nul(&name).unwrap_or(c"");
        match rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => (),
            Err(errno) => return Err(errno).at(STEP, c"mkdir", detail),
        }
        here = rustix::fs::openat(&here, name, flags, Mode::empty()).at(STEP, c"open", detail)?;
    }
    Ok(())
}
