//! A process that does nothing but hold a new user namespace, for its maps to be written and its descriptor to be
//! opened.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};

use super::clone::{block_signals, raw, restore_signals};
use crate::error::{OsResult, Result};

/// The process. Whoever has it kills it and waits for it.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// Makes it. It ends with the calling thread at the latest.
///
/// # Errors
/// clone(2) failed, ENOSPC or EPERM where the host forbids user namespaces.
pub(crate) fn hold() -> Result<Holder> {
    const SIGNAL: u64 = libc::SIGCHLD as u64;
    let flags = (libc::CLONE_NEWUSER | libc::CLONE_PIDFD) as u64 | SIGNAL;
    let mut pidfd: i32 = -1;
    let parent = std::process::id();
    let mask = block_signals();
    // SAFETY: without CLONE_VM the child has a copy of this memory and of this thread's stack; it makes raw system
    // calls only, so it does not matter what other threads held when it was copied.
    let pid = unsafe { raw(libc::SYS_clone, flags as usize, 0, &raw mut pidfd as usize, 0, 0) };
    if pid == 0 {
        wait_to_be_killed(parent);
    }
    restore_signals(mask);
    if pid < 0 {
        let errno = i32::try_from(-pid).unwrap_or(libc::EINVAL);
        return Err(errno).call(|| "clone(CLONE_NEWUSER)");
    }
    // SAFETY: clone succeeded with CLONE_PIDFD: a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Holder { pid: i32::try_from(pid).unwrap_or(-1), pidfd })
}

fn wait_to_be_killed(parent: u32) -> ! {
    let kill = libc::SIGKILL as usize;
    // SAFETY: prctl(2) with numbers only.
    unsafe { raw(libc::SYS_prctl, libc::PR_SET_PDEATHSIG as usize, kill, 0, 0, 0) };
    // SAFETY: getppid(2) takes nothing.
    let orphaned = unsafe { raw(libc::SYS_getppid, 0, 0, 0, 0, 0) } != parent as isize;
    // poll(2) of no descriptors without a timeout waits for ever.
    let call = if orphaned { libc::SYS_exit_group } else { libc::SYS_ppoll };
    loop {
        // SAFETY: neither call is given an address.
        unsafe { raw(call, 0, 0, 0, 0, 0) };
    }
}
