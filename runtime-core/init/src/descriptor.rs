//! The descriptors that init was born with.

use rustix::io::{Errno, FdFlags};
use teu_wire::{FdsView, ProcessView, Step};

use crate::fail::{At, Result};
use crate::sys::call;

/// Marks all of them close-on-exec, from 3 on: from here on nothing survives an execve but what is meant to.
///
/// # Errors
/// fcntl(2) failed.
pub fn close_on_exec(fds: &FdsView<'_>, process: &ProcessView<'_>) -> Result<()> {
    if call::cloexec_from(3).is_ok() {
        return Ok(());
    }
    // Before Linux 5.11. The stub has closed all but those of the plan, so there is no list to be read.
    let single = [fds.link, fds.gate, fds.console, fds.root];
    let lists = [fds.stdio, fds.tasks, fds.namespaces, fds.trees];
    let planned = single.into_iter().chain(lists.into_iter().flatten());
    let preserved = 3..3 + process.preserve_fds.cast_signed();
    for number in planned.chain(preserved).filter(|number| *number > 2) {
        match rustix::io::fcntl_setfd(call::inherited(number), FdFlags::CLOEXEC) {
            // What is not open yet, or never was: whoever needs it will say so.
            Ok(()) | Err(Errno::BADF) => {}
            Err(errno) => return Err(errno).at(Step::Plan, c"fcntl(F_SETFD)", b""),
        }
    }
    Ok(())
}
