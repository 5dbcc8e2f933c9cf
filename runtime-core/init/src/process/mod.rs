//! The workload's own attributes: who it is, what it may do, and what it runs.

pub mod capability;
pub mod cwd;
pub mod identity;
pub mod limit;
pub mod program;
pub mod seccomp;
pub mod stdio;

use rustix::fd::BorrowedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use teu_wire::{ProcessView, Step};

use crate::fail::{At, Result};
use crate::sys::call;

/// Makes the session keyring of the container, so that it does not hold the caller's keys (keyrings(7)).
///
/// # Errors
/// The kernel refused, EDQUOT where the user's quota of keys is used up: without a keyring of its own the
/// workload would have the caller's, which only `--no-new-keyring` allows.
pub fn session_keyring(process: &ProcessView<'_>) -> Result<()> {
    let Some(name) = process.keyring else { return Ok(()) };
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

/// Sets the label that execve is to give, through the directory opened while procfs could be trusted.
///
/// # Errors
/// The label is unknown or refused: a container without its label is never started.
pub fn set_label(process: &ProcessView<'_>, attributes: Option<BorrowedFd<'_>>) -> Result<()> {
    let Some(attributes) = attributes else { return Ok(()) };
    let step = Step::Label;
    let open = |name| {
        rustix::fs::openat(attributes, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
    };
    if let Some(profile) = process.apparmor {
        // Since 5.8 AppArmor has a file of its own beside the one that it shares.
        let file = match open(c"apparmor/exec") {
            Err(Errno::NOENT) => open(c"exec"),
            other => other,
        }
        .at(step, c"open", b"`/proc/thread-self/attr/apparmor/exec`")?;
        let mut text = crate::fail::Words::new();
        text.push(b"exec ").push(profile.to_bytes());
        rustix::io::write(&file, text.as_bytes()).at(
            step,
            c"apparmor profile",
            profile.to_bytes(),
        )?;
    }
    if let Some(label) = process.selinux {
        let file = open(c"exec").at(step, c"open", b"`/proc/thread-self/attr/exec`")?;
        rustix::io::write(&file, label.to_bytes()).at(step, c"selinux label", label.to_bytes())?;
    }
    Ok(())
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
