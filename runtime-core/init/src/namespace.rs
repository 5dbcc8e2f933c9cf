//! Namespaces, from the inside: entering and making what clone3 has not made.

use core::ffi::CStr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use teu_wire::{FdsView, NamespacesView, Step, ToCaller};

use crate::fail::{At, Fail, Index, Result, Words, decimal};
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

/// Enters the namespaces of a process in one step.
///
/// # Errors
/// setns(2) failed, ESRCH where the process has ended.
pub fn enter((process, pid): (BorrowedFd<'_>, i32), flags: u32) -> Result<()> {
    match call::setns(process, flags) {
        // Before Linux 5.8 a pidfd is no namespace.
        Err(Errno::INVAL) => enter_one_by_one((process, pid), flags),
        other => other.at(Step::Join, c"setns", b""),
    }
}

/// The same by the files of /proc/PID/ns. All are open before the first is entered, and the process is still there
/// by then, so the number was its own all the time.
#[cold]
#[inline(never)]
fn enter_one_by_one((process, pid): (BorrowedFd<'_>, i32), flags: u32) -> Result<()> {
    /// CLONE_NEW* in the order of the library's `Kind::ALL`.
    const FILES: [(u32, &CStr); 8] = [
        (0x1000_0000, c"ns/user"),
        (0x2000_0000, c"ns/pid"),
        (0x80, c"ns/time"),
        (0x4000_0000, c"ns/net"),
        (0x0800_0000, c"ns/ipc"),
        (0x0400_0000, c"ns/uts"),
        (0x0200_0000, c"ns/cgroup"),
        (0x0002_0000, c"ns/mnt"),
    ];
    let at = |errno: Errno| Fail::call(Step::Join, c"setns", errno, b"");
    let (mut name, mut digits) = (Words::new(), [0; 20]);
    name.push(decimal(pid.into(), &mut digits)).push(b"\0");
    let name = CStr::from_bytes_until_nul(name.as_bytes()).unwrap_or(c"");
    let directory = Procfs::open()?.file(name, OFlags::PATH | OFlags::DIRECTORY).map_err(at)?;
    let mut opened = [const { None }; FILES.len()];
    for ((flag, file), namespace) in FILES.iter().zip(&mut opened) {
        if flags & flag != 0 {
            let how = OFlags::RDONLY | OFlags::CLOEXEC;
            *namespace =
                Some(rustix::fs::openat(&directory, *file, how, Mode::empty()).map_err(at)?);
        }
    }
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::from_borrowed_fd(process, PollFlags::IN)], Some(&now));
    if ended.map_err(at)? > 0 {
        return Err(at(Errno::SRCH));
    }
    for ((flag, _), namespace) in FILES.iter().zip(&opened) {
        if let Some(namespace) = namespace {
            call::setns(namespace.as_fd(), *flag).map_err(at)?;
        }
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
