//! What no safe interface gives.
#![allow(unsafe_code)]

use nix::sys::signal::{SigHandler, Signal, signal};

use crate::exit::Failure;

/// Children are waited for, whatever this process has inherited: where SIGCHLD is ignored the kernel takes their
/// exit status away (sigaction(2), SA_NOCLDWAIT).
pub(crate) fn keep_children() -> Result<(), Failure> {
    // SAFETY: the default action runs no code of this process.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }
        .map(drop)
        .map_err(|error| Failure::os("sigaction(SIGCHLD)", error))
}
