//! The workload's own attributes: who it is, what it may do, and what it runs.

pub mod capability;
pub mod cwd;
pub mod identity;
pub mod label;
pub mod limit;
pub mod program;
pub mod seccomp;
pub mod stdio;

use rustix::io::{Errno, FdFlags};
use teu_wire::{ProcessView, Step};

use crate::fail::{At, Result};
use crate::procfs::Procfs;
use crate::sys::call;

/// Makes the session keyring of the container, so that it does not hold the caller's keys (keyrings(7)). `procfs` is the
/// host's, where a label is to be set.
///
/// # Errors
/// The kernel refused, EDQUOT where the user's quota of keys is used up: without a keyring of its own the
/// workload would have the caller's, which only `--no-new-keyring` allows.
pub fn session_keyring(process: &ProcessView<'_>, procfs: Option<&Procfs>) -> Result<()> {
    let Some(name) = process.keyring else { return Ok(()) };
    if let Some(procfs) = procfs {
        label::set_of_keys(process, procfs)?;
    }
    /// KEY_POS_ALL | KEY_USR_ALL without SETATTR for the user: whoever has the container's uid may search and
    /// link, as runc and crun allow it.
    const PERMISSIONS: u32 = 0x3f13_0000 | 0x0008_0000;
    match call::join_session_keyring(name) {
        Ok(key) => {
            // Only a convenience for others of the same user.
            let _kept = call::set_key_permissions(key, PERMISSIONS);
            Ok(())
        }
        // A kernel without keyrings has none of the caller's to hide either.
        Err(Errno::NOSYS) => Ok(()),
        Err(errno) => {
            Err(errno).at(Step::Keyring, c"keyctl(KEYCTL_JOIN_SESSION_KEYRING)", name.to_bytes())
        }
    }
}

/// Lets the descriptors that the caller wants to hand down survive execve.
///
/// # Errors
/// One of them is not open.
pub fn keep_preserved(process: &ProcessView<'_>) -> Result<()> {
    for number in 3..3 + process.preserve_fds.cast_signed() {
        rustix::io::fcntl_setfd(call::inherited(number), FdFlags::empty()).at(
            Step::Exec,
            c"fcntl(F_SETFD)",
            b"preserved descriptor",
        )?;
    }
    Ok(())
}

/// no_new_privs: execve gives no more than there is (prctl(2)).
///
/// # Errors
/// Never on a kernel that this program starts on.
pub fn set_no_new_privileges() -> Result<()> {
    rustix::thread::set_no_new_privs(true).at(
        Step::NoNewPrivileges,
        c"prctl(PR_SET_NO_NEW_PRIVS)",
        b"",
    )
}
