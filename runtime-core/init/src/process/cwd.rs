//! The working directory.

use core::ffi::CStr;

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

/// Enters it.
///
/// # Errors
/// It is not a directory, is not there, or is outside of the root.
pub fn enter(process: &ProcessView<'_>) -> Result<Entered> {
    let cwd = process.cwd;
    match rustix::process::chdir(cwd) {
        Ok(()) => verify(cwd).map(|()| Entered::Yes),
        Err(Errno::ACCESS | Errno::PERM) => Ok(Entered::AsUser),
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
