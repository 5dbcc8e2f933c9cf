//! The last steps of every process of a container, of its first as of all further ones: from root in the
//! container to the user's program.

use core::convert::Infallible;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use teu_wire::ProcessView;

use crate::fail::{Index, Result};
use crate::process::{self, capability, cwd, identity, limit, program, seccomp};

/// What was found while it could still be reported to `create`.
#[derive(Debug)]
pub struct Ready {
    program: program::Found,
    /// The working directory could be entered by root only after all, or by the user only.
    cwd: cwd::Entered,
}

/// Everything that can show a mistake in the configuration. `labels` is /proc/self/attr of the host's procfs,
/// where a label is to be set.
///
/// # Errors
/// A call failed, or the working directory or the program is not there.
pub fn prepare(process: &ProcessView<'static>, labels: Option<OwnedFd>) -> Result<Ready> {
    // It takes effect with execve, that of a startContainer hook too. Now, and then closed: what follows are paths of the container, some of them
    // its own choice, and no descriptor of the host may be left for them to lead to (CVE-2024-21626).
    process::label::set(process, labels.as_ref().map(AsFd::as_fd))?;
    drop(labels);
    process::stdio::reopen_null()?;
    limit::schedule(process)?;
    let umask = rustix::fs::Mode::from_raw_mode(process.umask);
    rustix::process::umask(umask);
    // Before the files of the container are judged by the user's rights, its groups among them.
    identity::set_groups(process)?;
    let cwd = cwd::enter(process)?;
    // A program that is not there has to fail `create`: managers tell their users so by its exit code.
    let program = program::find(process)?;
    Ok(Ready { program, cwd })
}

/// Gives up every right that the workload is not to have, and becomes it. A seccomp listener goes to `starter`.
///
/// # Errors
/// A call failed: the process is of no use any more.
pub fn execute(
    starter: BorrowedFd<'_>,
    process: &ProcessView<'static>,
    ready: &Ready,
) -> Result<Infallible> {
    // After everything that opens files or makes processes on the way here: these are the workload's limits.
    for (index, rlimit) in process.rlimits.iter().enumerate() {
        limit::set(&rlimit).index(index as u32)?;
    }
    // Without no_new_privs a filter needs CAP_SYS_ADMIN, which is about to go (seccomp(2)).
    if !process.no_new_privileges {
        seccomp::install(starter, process)?;
    }
    // The bounding set needs CAP_SETPCAP, the rest the capabilities kept over the change of user.
    capability::drop_bounding(process)?;
    identity::become_user(process)?;
    capability::set(process)?;
    // By the user's own rights, where root's were not enough (a home on NFS), and then checked: a directory
    // outside of the root would be a way out (CVE-2024-21626).
    cwd::enter_as_user(process, ready.cwd)?;
    process::keep_preserved(process)?;
    if process.no_new_privileges {
        process::set_no_new_privileges()?;
        // Last: the filter may forbid everything that came before.
        seccomp::install(starter, process)?;
    }
    Err(ready.program.execute())
}
