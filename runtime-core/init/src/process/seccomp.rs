//! The filter, compiled by the caller, installed with one call.

use rustix::fd::{AsFd, BorrowedFd};
use teu_wire::{ProcessView, Step, ToCaller};

use crate::fail::{At, Result};
use crate::link;
use crate::sys::call;

/// Installs it; a listener goes to whoever started the container.
///
/// # Errors
/// The kernel refused the filter.
pub fn install(starter: BorrowedFd<'_>, process: &ProcessView<'_>) -> Result<()> {
    let Some(seccomp) = &process.seccomp else { return Ok(()) };
    let listener = call::seccomp(seccomp.flags, seccomp.program).at(
        Step::Seccomp,
        c"seccomp(SECCOMP_SET_MODE_FILTER)",
        b"",
    )?;
    match listener {
        Some(listener) => link::give(starter, ToCaller::SeccompListener, listener.as_fd()),
        None => Ok(()),
    }
}
