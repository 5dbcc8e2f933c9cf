//! The life of a further process of a container (`exec`), in the order in which things happen.
//!
//! What it enters is alive and may be hostile. Until the second clone this process is in the pid namespace of
//! its caller, where nothing in the container can name it; from then on it holds as little of the host as it
//! can, and is closed to tracers.

use core::convert::Infallible;
use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use teu_wire::{ExecPlanView, FdsView, Step, ToCaller, ToInit};

use crate::fail::{At, Result};
use crate::process::{self, stdio};
use crate::procfs::Procfs;
use crate::sys::call;
use crate::{descriptor, link, namespace, rootfs, start, workload};

/// Enters the container and becomes the workload. The end of the link tells the caller that it has.
pub fn run(fds: &FdsView<'static>, plan: &ExecPlanView<'static>) -> ! {
    let link = call::inherited(fds.link);
    match exec(link, fds, plan) {
        Ok(never) => match never {},
        Err(fail) => start::end(link, &fail),
    }
}

fn exec(
    link: BorrowedFd<'_>,
    fds: &FdsView<'static>,
    plan: &ExecPlanView<'static>,
) -> Result<Infallible> {
    let process = &plan.process;

    // As for the first process: nothing survives an execve but what is meant to.
    descriptor::close_on_exec(fds, process)?;
    call::default_signals().at(Step::Plan, c"rt_sigprocmask", b"")?;
    // Before anything is entered: whoever is there may neither trace this process nor look through
    // /proc/PID/fd (CVE-2016-9962). execve takes it back.
    call::close_to_others().at(Step::Session, c"prctl(PR_SET_DUMPABLE)", b"")?;

    // The host's procfs, while its path leads there (CVE-2019-16884).
    let procfs = Procfs::open()?;
    // Before a user namespace is entered: from then on /proc/self belongs to the host's root.
    procfs.set_oom_score_adj(process)?;
    // Kept on the way in only where it is needed there.
    let labelled = process.apparmor.is_some() || process.selinux.is_some();
    let procfs = labelled.then_some(procfs);

    process::limit::raise(process, plan.namespaces);
    enter(link, fds, plan)?;
    rustix::process::setsid().at(Step::Session, c"setsid", b"")?;
    namespace::become_root(plan.become_root)?;
    process::session_keyring(process, procfs.as_ref().filter(|_| process.selinux.is_some()))?;
    // Not before the clone: what the container's limit of processes counts is this one, and not its maker too.
    for tasks in fds.tasks {
        // "0" is this thread itself (see `create`).
        rustix::io::write(call::inherited(tasks), b"0").at(Step::Cgroup, c"write(tasks)", b"0")?;
    }

    // The cgroup's cpuset is what the CPUs are taken from: before it was joined they would have been others.
    process::limit::set_affinity(plan.affinity)?;

    let root = change_root(fds, plan)?;
    streams(root, fds, plan)?;
    // Of the process that will execute: /proc/self is only now that one.
    let labels = match procfs {
        Some(procfs) => procfs.attributes(process)?,
        None => None,
    };
    close_foreign(fds);

    let ready = workload::prepare(process, labels)?;
    // A caller that was killed meanwhile has told nobody of this process, and nobody would ever end it.
    link::say(link, ToCaller::Ready)?;
    if link::hear(link)? != Ok(ToInit::Start as u8) {
        call::exit(0);
    }
    workload::execute(link, process, &ready)
}

/// Enters all namespaces in one step: the kernel takes the user namespace first and either all or none of them
/// (setns(2)), so a container that ends meanwhile leaves no half-entered process.
fn enter(link: BorrowedFd<'_>, fds: &FdsView<'_>, plan: &ExecPlanView<'_>) -> Result<()> {
    const CLONE_NEWPID: u32 = 0x2000_0000;
    if plan.namespaces != 0
        && let Some(init) = fds.namespaces.get(0)
    {
        namespace::enter((call::inherited(init), plan.init), plan.namespaces)?;
    }
    if plan.namespaces & CLONE_NEWPID == 0 {
        return Ok(());
    }
    // Only children are born into it (pid_namespaces(7)). Whoever was cloned by the caller, with its memory
    // shared until execveat, never was in sight of the container.
    match call::clone_sibling(0).at(Step::Joiner, c"clone3", b"")? {
        Some(pidfd) => {
            link::give(link, ToCaller::Joined, pidfd.as_fd())?;
            call::exit(0)
        }
        None => Ok(()),
    }
}

/// The container's root directory. setns(2) has changed into it with the mount namespace; where the container
/// has none of its own, its root is a directory of the caller's.
fn change_root(fds: &FdsView<'_>, plan: &ExecPlanView<'_>) -> Result<OwnedFd> {
    if plan.change_root {
        let root = call::inherited(fds.root);
        rustix::process::fchdir(root).at(Step::Switch, c"fchdir", b"root")?;
        rustix::process::chroot(c".").at(Step::Switch, c"chroot", b"root")?;
    }
    const SLASH: &CStr = c"/";
    rustix::process::chdir(SLASH).at(Step::Switch, c"chdir", b"/")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(SLASH, flags, Mode::empty()).at(Step::Switch, c"open", b"/")
}

/// Gives the workload its standard streams: a terminal of the container's devpts, or what the caller has.
fn streams(root: OwnedFd, fds: &FdsView<'_>, plan: &ExecPlanView<'_>) -> Result<()> {
    let Some(terminal) = &plan.process.terminal else {
        return stdio::attach(fds, &plan.process);
    };
    let (master, slave) = rootfs::console::open(root.as_fd())?;
    stdio::attach_terminal(master.as_fd(), slave.as_fd(), fds, &plan.process, terminal)
}

/// Closes the descriptors of the host that have served.
fn close_foreign(fds: &FdsView<'_>) {
    for list in [fds.tasks, fds.namespaces] {
        list.into_iter().for_each(|number| drop(call::take(number)));
    }
    for number in [fds.console, fds.root].into_iter().filter(|number| *number >= 0) {
        drop(call::take(number));
    }
}
