//! User, group and supplementary groups.

use rustix::process::{Gid, Uid};
use teu_wire::{ProcessView, Step};

use crate::fail::{At, Result};
use crate::sys::call;

/// The kernel takes so many supplementary groups (NGROUPS_MAX, setgroups(2)); a container has a handful.
const MOST: usize = 1024;

/// Sets the supplementary groups: never those of the caller.
///
/// # Errors
/// setgroups(2) failed.
pub fn set_groups(process: &ProcessView<'_>) -> Result<()> {
    // Denied to this user namespace for good (user_namespaces(7)): the plan has none then.
    let Some(groups) = process.groups else { return Ok(()) };
    let mut ids = [0_u32; MOST];
    if groups.len() > MOST {
        return Err(rustix::io::Errno::INVAL).at(
            Step::Groups,
            c"setgroups",
            b"more than 1024 groups",
        );
    }
    for (id, group) in ids.iter_mut().zip(groups) {
        *id = group;
    }
    call::setgroups(&ids[..groups.len()]).at(Step::Groups, c"setgroups", b"")
}

/// Becomes the user. Capabilities are kept over it, to be set to what the plan says by the next step.
///
/// # Errors
/// The id is not one of this user namespace.
pub fn become_user(process: &ProcessView<'_>) -> Result<()> {
    let step = Step::User;
    let (uid, gid) = (Uid::from_raw(process.uid), Gid::from_raw(process.gid));
    if process.capabilities.is_some() {
        rustix::thread::set_keep_capabilities(true).at(step, c"prctl(PR_SET_KEEPCAPS)", b"")?;
    }
    // The group first: afterwards the right to change it is gone.
    rustix::thread::set_thread_res_gid(gid, gid, gid).at(
        step,
        c"setresgid",
        b"process.user.gid",
    )?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).at(step, c"setresuid", b"process.user.uid")
}
