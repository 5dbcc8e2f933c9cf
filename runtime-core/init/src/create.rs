//! The life of a container's first process, from its birth to execve, in the order in which things happen.
//!
//! Where one step has to come before another, the comment says why. Nothing here decides: the plan does.

use core::convert::Infallible;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use teu_wire::{FdsView, InitPlanView, RootfsView, Step, SwitchView, ToCaller, ToInit};

use crate::fail::{At, Index, Result};
use crate::hook::{self, Stage};
use crate::process::{self, stdio};
use crate::procfs::Procfs;
use crate::rootfs::{self, Root};
use crate::sys::call;
use crate::workload::{self, Ready};
use crate::{descriptor, link, namespace, start};

/// Does everything that the plan says and becomes the workload.
pub fn run(fds: &FdsView<'static>, plan: &InitPlanView<'static>) -> ! {
    let link = call::inherited(fds.link);
    let ready = match create(link, fds, plan) {
        Ok(ready) => ready,
        Err(fail) => start::end(link, &fail),
    };
    // Who made the container has gone; without a gate there is nobody to tell, and nothing to wait for.
    let Ok(starter) = wait(link, fds) else { call::exit(1) };
    let starter = starter.as_ref().map_or(link, AsFd::as_fd);
    match become_workload(starter, plan, &ready) {
        Ok(never) => match never {},
        Err(fail) => start::end(starter, &fail),
    }
}

/// All that `create` promises.
fn create(
    link: BorrowedFd<'_>,
    fds: &FdsView<'static>,
    plan: &InitPlanView<'static>,
) -> Result<Ready> {
    let process = &plan.process;

    // Before anything else can be executed.
    descriptor::close_on_exec(fds, process)?;
    call::default_signals().at(Step::Plan, c"rt_sigprocmask", b"")?;

    // A session of its own: no signal of the caller's terminal reaches it, and it can get one of its own.
    rustix::process::setsid().at(Step::Session, c"setsid", b"")?;

    // Where processes of another container can see this one, they may not trace it or look through
    // /proc/PID/fd while it still holds descriptors of the host (CVE-2016-9962).
    if plan.namespaces.shared_pid {
        call::close_to_others().at(Step::Session, c"prctl(PR_SET_DUMPABLE)", b"")?;
    }

    // The host's procfs, as long as its path still leads there: the container's own cannot be trusted, since
    // the container may have put something else in its place (CVE-2019-16884, CVE-2025-52881).
    let procfs = Procfs::open()?;
    // Before a user namespace is entered: from then on /proc/self belongs to the host's root.
    procfs.set_oom_score_adj(process)?;
    process::limit::raise(process, plan.namespaces.join.into_iter().fold(0, |all, one| all | one));
    let offsets = namespace::open_time_offsets(&procfs, &plan.namespaces)?;

    // The user namespace comes first in the list: it gives the right to enter or make the others.
    namespace::join(fds, &plan.namespaces)?;
    namespace::second_clone(link, &plan.namespaces)?;
    namespace::become_root(plan.namespaces.become_root)?;
    namespace::unshare(&plan.namespaces)?;
    namespace::loopback(&plan.namespaces)?;
    process::session_keyring(process, process.selinux.is_some().then_some(&procfs))?;

    // While nobody is inside: the kernel takes no offsets later. The workload enters with its execve.
    namespace::time(offsets, &plan.namespaces)?;
    namespace::names(&plan.namespaces)?;

    let mut placed = false;
    let root = match &plan.rootfs {
        Some(rootfs) => Some(build_root(fds, plan, rootfs, &mut placed)?),
        None => None,
    };
    // For a container that mounts no cgroup file system.
    place(fds, plan, &mut placed)?;

    if plan.caller_hooks {
        // Namespaces and mounts are there, and the host's paths still are, too: the hooks' last chance to
        // add to both, as config.md promises them.
        link::say(link, ToCaller::RootReady)?;
        if link::hear(link)? != Ok(ToInit::Continue as u8) {
            call::exit(0);
        }
    }
    hook::run(Stage::CreateContainer, &plan.hooks)?;

    // After the hooks: they make the network interfaces that net.* parameters name.
    for (index, sysctl) in plan.sysctls.iter().enumerate() {
        procfs.write_sysctl(&sysctl).index(index as u32)?;
    }

    streams(root.as_ref(), fds, plan)?;
    if let Some(root) = &root {
        // While the root can still be written to, and as the user can enter it, whatever the caller's umask. Whatever
        // stands in the way shows when it is entered.
        rustix::process::umask(rustix::fs::Mode::empty());
        let _made = rootfs::path::make(
            Step::Cwd,
            root.as_fd(),
            process.cwd,
            rootfs::path::Kind::Directory,
            false,
        );
    }
    if let (Some(rootfs), Some(root)) = (&plan.rootfs, &root) {
        finish_root(rootfs, root)?;
    }

    let labels = procfs.attributes(process)?;
    // The last of the host's files: what follows are paths in the container, some of them its own choice,
    // and none may lead back through a descriptor (CVE-2024-21626).
    drop(procfs);
    drop(root);
    close_foreign(fds);

    let ready = workload::prepare(process, labels)?;
    link::say(link, ToCaller::Ready)?;
    Ok(ready)
}

/// Mounts the root and all in it, by descriptors only.
fn build_root(
    fds: &FdsView<'static>,
    plan: &InitPlanView<'static>,
    rootfs: &RootfsView<'static>,
    placed: &mut bool,
) -> Result<Root> {
    // Before the first mount: none may appear on the host (mount_namespaces(7)).
    rootfs::propagation::prepare(rootfs)?;
    // Before the root covers the place that it is mounted on.
    rootfs::source::open_all(fds, plan)?;
    let root = Root::mount(rootfs, fds)?;
    // Modes of device nodes and mount points are as given.
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    for mount in rootfs.mounts {
        if mount.needs_cgroup {
            // A cgroup file system shows the cgroup namespace of whoever mounts it. As late as it can be:
            // what was mounted until here is not charged to the container's memory.
            place(fds, plan, placed).index(mount.index)?;
        }
        rootfs::mount::mount(&root, &mount, fds).index(mount.index)?;
    }
    for device in rootfs.devices {
        rootfs::dev::make_device(&root, &device, fds)?;
    }
    for link in rootfs.links {
        rootfs::dev::make_link(&root, &link)?;
    }
    for mount in rootfs.late {
        rootfs::mount::mount(&root, &mount, fds).index(mount.index)?;
    }
    rustix::process::umask(umask);
    Ok(root)
}

/// Joins the cgroups, then makes the cgroup namespace: its root is the cgroup of whoever makes it.
fn place(fds: &FdsView<'_>, plan: &InitPlanView<'_>, placed: &mut bool) -> Result<()> {
    if core::mem::replace(placed, true) {
        return Ok(());
    }
    for tasks in fds.tasks {
        // "0" in `tasks` is this thread itself: the kernel need not wait for others, which takes it 10 ms when
        // a pid is written to cgroup.procs (cgroup_procs_write_start). Right only for a single thread.
        rustix::io::write(call::inherited(tasks), b"0").at(Step::Cgroup, c"write(tasks)", b"0")?;
    }
    if plan.namespaces.cgroup {
        const CLONE_NEWCGROUP: u32 = 0x0200_0000;
        call::unshare(CLONE_NEWCGROUP).at(
            Step::CgroupNamespace,
            c"unshare(CLONE_NEWCGROUP)",
            b"",
        )?;
    }
    Ok(())
}

/// Gives the workload its standard streams: a terminal of the container's own devpts, or what the caller has.
fn streams(root: Option<&Root>, fds: &FdsView<'_>, plan: &InitPlanView<'_>) -> Result<()> {
    let (Some(terminal), Some(root)) = (&plan.process.terminal, root) else {
        return stdio::attach(fds, &plan.process);
    };
    let (master, slave) = rootfs::console::open(root.as_fd())?;
    // Before the masks: they may cover what is below /dev (CVE-2025-52565).
    rootfs::console::bind(root, slave.as_fd())?;
    stdio::attach_terminal(master.as_fd(), slave.as_fd(), fds, &plan.process, terminal)
}

/// Covers what is to be covered and makes the mount the root directory.
fn finish_root(rootfs: &RootfsView<'static>, root: &Root) -> Result<()> {
    // Before the switch: the host's /dev/null, verified, is the mask, never the container's own, which may be
    // anything (CVE-2025-31133).
    rootfs::mask::mask(root, rootfs)?;
    rootfs::mask::make_read_only(root, rootfs)?;
    // After everything was created in it.
    if rootfs.readonly_root {
        rootfs::pivot::make_read_only(root)?;
    }
    match rootfs.switch {
        SwitchView::Pivot(()) => rootfs::pivot::pivot(root)?,
        SwitchView::Move(()) => rootfs::pivot::move_root(root)?,
        SwitchView::Chroot(()) => rootfs::pivot::chroot(root)?,
        SwitchView::Borrowed(never, _) => match never {},
    }
    // Only now: pivot_root(2) refuses a shared root.
    rootfs::propagation::finish(rootfs)
}

/// Closes the descriptors of the host that have served.
fn close_foreign(fds: &FdsView<'_>) {
    for list in [fds.tasks, fds.namespaces, fds.trees] {
        list.into_iter().for_each(|number| drop(call::take(number)));
    }
    if fds.console >= 0 {
        drop(call::take(fds.console));
    }
}

/// Waits to be started; the connection to whoever did it, unless that is the caller on the link.
fn wait(link: BorrowedFd<'_>, fds: &FdsView<'_>) -> Result<Option<OwnedFd>> {
    match link::hear(link)? {
        // `run`: the link stays, and tells by its end that the workload runs. There is no gate.
        Ok(word) if word == ToInit::Start as u8 => Ok(None),
        Ok(word) if word == ToInit::Commit as u8 => {
            // The caller goes its way; from here on the record knows of this process.
            drop(call::take(fds.link));
            let gate = call::take(fds.gate);
            link::wait_at_gate(gate.as_fd()).map(Some)
        }
        // The caller died before the container was recorded: nobody will ever start it.
        _ => call::exit(0),
    }
}

/// All that `start` promises.
fn become_workload(
    starter: BorrowedFd<'_>,
    plan: &InitPlanView<'static>,
    ready: &Ready,
) -> Result<Infallible> {
    hook::run(Stage::StartContainer, &plan.hooks)?;
    workload::execute(starter, &plan.process, ready)
}
