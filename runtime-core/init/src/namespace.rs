//! Namespaces, from the inside: entering and making what clone3 has not made.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use teu_wire::{FdsView, NamespacesView, Step, ToCaller};

use crate::fail::{At, Index, Result};
use crate::link;
use crate::procfs::Procfs;
use crate::sys::call;

/// Enters the namespaces that the caller opened, in the order of the plan.
///
/// # Errors
/// setns(2) failed.
pub fn join(fds: &FdsView<'_>, plan: &NamespacesView<'_>) -> Result<()> {
    for (index, (flag, number)) in plan.join.iter().zip(fds.namespaces.iter()).enumerate() {
        call::setns(call::inherited(number), flag)
            .at(Step::Join, c"setns", b"")
            .index(index as u32)?;
    }
    Ok(())
}

/// A new pid namespace in a joined user namespace, and a joined pid namespace, take a second process: the joiner
/// makes it as its sibling, hands its descriptor to the caller, and ends.
///
/// # Errors
/// clone3(2) failed.
pub fn second_clone(link: BorrowedFd<'_>, plan: &NamespacesView<'_>) -> Result<()> {
    let Some(namespaces) = plan.second_clone else { return Ok(()) };
    // The ids first: they decide who owns the new namespaces and what may be done in them.
    become_root(plan.become_root)?;
    let sibling = call::clone_sibling(namespaces).at(Step::Joiner, c"clone3", b"")?;
    match sibling {
        Some(pidfd) => {
            link::give(link, ToCaller::Joined, pidfd.as_fd())?;
            call::exit(0)
        }
        None => {
            rustix::process::setsid().at(Step::Session, c"setsid", b"")?;
            Ok(())
        }
    }
}

/// Becomes root of the user namespace, where one was entered.
///
/// # Errors
/// The namespace has no id 0.
pub fn become_root(entered: bool) -> Result<()> {
    if !entered {
        return Ok(());
    }
    use rustix::process::{Gid, Uid};
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at(
        Step::BecomeRoot,
        c"setresgid",
        b"0",
    )?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at(
        Step::BecomeRoot,
        c"setresuid",
        b"0",
    )
}

/// Makes the namespaces that have to belong to a joined user namespace.
///
/// # Errors
/// unshare(2) failed.
pub fn unshare(plan: &NamespacesView<'_>) -> Result<()> {
    if plan.unshare == 0 {
        return Ok(());
    }
    call::unshare(plan.unshare).at(Step::Unshare, c"unshare", b"")
}

/// Brings up the loopback interface of a new network namespace.
///
/// # Errors
/// socket(2) or ioctl(2) failed.
pub fn loopback(plan: &NamespacesView<'_>) -> Result<()> {
    if !plan.loopback {
        return Ok(());
    }
    let step = Step::Loopback;
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .at(step, c"socket", b"")?;
    call::loopback_up(socket.as_fd()).at(step, c"ioctl(SIOCSIFFLAGS)", b"lo")
}

/// Opens the file of the clock offsets, where some are to be set, while this process may still do so.
///
/// # Errors
/// The kernel has no time namespaces.
pub fn open_time_offsets(procfs: &Procfs, plan: &NamespacesView<'_>) -> Result<Option<OwnedFd>> {
    match plan.time_offsets {
        Some(offsets) if !offsets.is_empty() => {
            procfs.open_to_write(Step::TimeOffsets, c"self/timens_offsets").map(Some)
        }
        _ => Ok(None),
    }
}

/// Makes the time namespace and sets its clocks.
///
/// # Errors
/// unshare(2) or the write failed.
pub fn time(file: Option<OwnedFd>, plan: &NamespacesView<'_>) -> Result<()> {
    let Some(offsets) = plan.time_offsets else { return Ok(()) };
    const CLONE_NEWTIME: u32 = 0x80;
    call::unshare(CLONE_NEWTIME).at(Step::TimeOffsets, c"unshare(CLONE_NEWTIME)", b"")?;
    let Some(file) = file else { return Ok(()) };
    rustix::io::write(&file, offsets.to_bytes())
        .at(Step::TimeOffsets, c"write(timens_offsets)", offsets.to_bytes())
        .map(drop)
}

/// Names the host that the container sees.
///
/// # Errors
/// sethostname(2) or setdomainname(2) failed.
pub fn names(plan: &NamespacesView<'_>) -> Result<()> {
    if let Some(name) = plan.hostname {
        rustix::system::sethostname(name.to_bytes()).at(
            Step::HostName,
            c"sethostname",
            name.to_bytes(),
        )?;
    }
    if let Some(name) = plan.domainname {
        rustix::system::setdomainname(name.to_bytes()).at(
            Step::HostName,
            c"setdomainname",
            name.to_bytes(),
        )?;
    }
    Ok(())
}
