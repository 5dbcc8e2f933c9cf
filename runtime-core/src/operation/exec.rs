//! `exec`: a further process in a container that is there, from the caller's side, top to bottom.
//!
//! The container is not locked: a process may take as long as it likes to come up, and `kill` and `delete` must
//! not wait for it. What is entered is init itself, by a pidfd, so a container that ends meanwhile, or another
//! one of the same name, is noticed by the kernel.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use oci_spec::runtime::{Process, Spec};
use rustix::fs::{Mode, OFlags};
use teu_wire::{ExecPlan, Fds, Work};

use super::child::{self, Child};
use super::handed::{self, Terminal};
use super::{ExecOptions, affinity, serve};
use crate::cgroup::rdt::RdtRecord;
use crate::cgroup::{Below, Prepared};
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::id::ContainerId;
use crate::link::{self, Link};
use crate::namespace::{Kind, enter};
use crate::plan::lower::{self, Handed};
use crate::probe;
use crate::spawn::{self, Birth};
use crate::store::record::Record;
use crate::store::status::{self, Status};
use crate::store::{Entry, Store};
use crate::sys::clone::Stubbed;
use crate::undo::Undo;

/// A process that runs its program.
#[derive(Debug)]
pub(crate) struct Made {
    /// The process.
    pub child: Child,
    /// What was asked for that could only be warned of.
    pub warnings: Vec<String>,
    /// The master of the terminal, where it was asked back.
    pub terminal: Option<OwnedFd>,
}

/// Starts a process in a container.
///
/// # Errors
/// The container is not there, has stopped or is paused; something is wrong with the process; nothing is left
/// then, and there is no pid file.
pub(crate) fn exec(
    store: &Store,
    id: &ContainerId,
    process: &Process,
    options: &ExecOptions,
) -> Result<Made> {
    // Before this process opens anything that could pass for one of them.
    options.check_descriptors()?;
    let _span = tracing::debug_span!("exec", id = id.as_str()).entered();
    let below = Below::parse(&options.cgroups)?;
    let (entry, record) = store.peek(id)?;
    let (record, init) = target(&entry, record, options.ignore_paused)?;
    let mut undo = Undo::new();
    let mut made = || {
        let (spec, _) = crate::spec::parse(&entry.config()?)?;
        let (plan, warnings) = plan(store, id, (&spec, process), &record, init.pid, options)?;
        let wanted = plan.exec.process.terminal.is_some();
        let terminal = Terminal::open(wanted, options.console.as_ref(), options.detach)?;
        let cgroups = record.cgroup.join(&below)?;
        let classes = record.rdt.as_ref().map_or(Ok(Vec::new()), RdtRecord::join)?;
        let places = (cgroups, classes);
        let made = run(&record, id, &init, plan, places, (options, terminal), &mut undo);
        made.map(|(child, terminal)| Made { child, warnings, terminal })
    };
    match made() {
        Ok(made) => {
            undo.disarm();
            Ok(made)
        }
        // The end of the container, whatever it has let fail, is what its caller has to know.
        Err(error) if error.kind() != ErrorKind::WrongState && has_ended(&init) => {
            tracing::debug!(%error, "the container has ended");
            Err(undo.because(stopped()))
        }
        Err(error) => Err(undo.because(error)),
    }
}

/// Init of the container, as the process enters it.
struct Init {
    pid: i32,
    pidfd: OwnedFd,
}

fn has_ended(init: &Init) -> bool {
    status::has_ended(&init.pidfd).unwrap_or(true)
}

fn stopped() -> Error {
    Error::new(ErrorKind::WrongState, "cannot exec in a stopped container")
}

/// The container's record and init, if a process may go in.
fn target(entry: &Entry, record: Option<Record>, ignore_paused: bool) -> Result<(Record, Init)> {
    let (status, pidfd) = status::of(entry, record.as_ref())?;
    let refused = |text: &str| Err(Error::new(ErrorKind::WrongState, text));
    match status {
        Status::Creating => refused("cannot exec in a container that is still being created"),
        Status::Paused if !ignore_paused => {
            refused("cannot exec in a paused container (use --ignore-paused to override)")
        }
        _ => match (record, pidfd) {
            (Some(record), Some(pidfd)) => {
                let pid = record.init.map_or(0, |init| init.pid);
                Ok((record, Init { pid, pidfd }))
            }
            _ => Err(stopped()),
        },
    }
}

/// What the process will do.
struct Planned {
    /// The CPUs that it is made on (process.execCPUAffinity.initial), 64 a word; empty where they do not matter.
    cpus: Vec<u64>,
    exec: ExecPlan,
}

/// All mistakes in what is asked for are found here, before there is a process.
fn plan(
    store: &Store,
    id: &ContainerId,
    (spec, process): (&Spec, &Process),
    record: &Record,
    init: i32,
    options: &ExecOptions,
) -> Result<(Planned, Vec<String>)> {
    let mut warnings = Vec::new();
    crate::spec::check_process(process)?;
    let host = probe::host()?;
    let namespaces = crate::namespace::lower::lower(spec)?;
    let handed = Handed {
        id: id.as_str(),
        no_new_keyring: record.no_new_keyring,
        listen_fds: options.listen_fds,
        preserve_fds: options.preserve_fds,
        console: options.console.as_ref(),
    };
    let process = confined(process, spec.process().as_ref());
    let (cpus, affinity) =
        crate::process::schedule::affinity(process.exec_cpu_affinity().as_ref())?;
    let mut process =
        lower::lower_process(&process, spec, &host, &handed, &namespaces, &mut warnings)?;
    // Always the container's own filter: no process of it may do more than the others.
    if let Some(profile) = spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref()) {
        let no_new_privileges = process.no_new_privileges;
        process.seccomp =
            crate::process::seccomp::compile_cached(profile, no_new_privileges, store.root())?;
    }
    let namespaces = enter::others(init)?;
    let exec = ExecPlan {
        init,
        namespaces,
        become_root: namespaces & Kind::User.flag() != 0,
        change_root: namespaces & Kind::Mount.flag() == 0,
        affinity,
        process,
    };
    Ok((Planned { cpus, exec }, warnings))
}

/// The process with what holds for all of the container's where it says nothing of its own, as runc has it:
/// capabilities, limits, the OOM score adjustment, the CPUs, and labels, of which runc leaves the AppArmor profile out:
/// whoever forgets it in the file of `--process` would have a process that is unconfined.
fn confined(process: &Process, first: Option<&Process>) -> Process {
    let mut process = process.clone();
    let Some(first) = first else { return process };
    let is_said = |label: &Option<String>| label.as_ref().is_some_and(|label| !label.is_empty());
    if !is_said(process.apparmor_profile()) {
        process.set_apparmor_profile(first.apparmor_profile().clone());
    }
    if !is_said(process.selinux_label()) {
        process.set_selinux_label(first.selinux_label().clone());
    }
    if process.capabilities().is_none() {
        process.set_capabilities(first.capabilities().clone());
    }
    if process.rlimits().as_ref().is_none_or(Vec::is_empty) {
        process.set_rlimits(first.rlimits().clone());
    }
    if process.oom_score_adj().is_none() {
        process.set_oom_score_adj(first.oom_score_adj());
    }
    if process.exec_cpu_affinity().is_none() {
        process.set_exec_cpu_affinity(first.exec_cpu_affinity().clone());
    }
    process
}

/// Makes the process and serves it until it is the workload.
fn run<'a>(
    record: &Record,
    id: &ContainerId,
    init: &Init,
    plan: Planned,
    (cgroups, classes): (Prepared, Vec<OwnedFd>),
    (options, terminal): (&'a ExecOptions, Option<Terminal>),
    undo: &mut Undo<'a>,
) -> Result<(Child, Option<OwnedFd>)> {
    let (link, theirs) = link::pair(options.cancel.as_ref())?;
    let stdio = handed::stdio(&options.stdio)?;
    let Planned { cpus, exec: plan } = plan;
    let root = plan.change_root.then(|| open_root(init)).transpose()?;
    let number = |fd: &OwnedFd| fd.as_raw_fd();
    let fds = Fds {
        link: number(&theirs),
        gate: -1,
        console: terminal.as_ref().map_or(-1, |terminal| terminal.as_fd().as_raw_fd()),
        stdio: stdio.as_ref().map_or(vec![0, 1, 2], |fds| fds.iter().map(number).collect()),
        tasks: classes.iter().chain(cgroups.tasks()).map(number).collect(),
        namespaces: vec![init.pidfd.as_raw_fd()],
        trees: Vec::new(),
        root: root.as_ref().map_or(-1, number),
    };
    let second_clone = plan.namespaces & Kind::Pid.flag() != 0;
    let work = Work::Exec(plan);
    let stubbed = affinity::on(&cpus, || {
        born((record, init, options), &work, &cgroups, (&link, theirs.as_fd()), fds)
    })?;
    // Only the new process may hold its end, or its death would not end the link.
    drop(theirs);

    let mut child = Child::born(&stubbed, link)?;
    child.pausable = Some(record.cgroup.clone());
    undo.push(child.end()?);
    // Born in a frozen cgroup it does nothing until the container is resumed, and shares this process's memory as
    // long: who calls it off must not wait for that. Killed, it ends at once even there.
    if let Err(error) = child.link.wait() {
        child::kill(&child.pidfd)?;
        return Err(error);
    }
    let runs = stubbed.wait_for_program();
    drop(stubbed);
    runs?;
    serve::until_executed(&mut child, record, id, second_clone, undo)?;
    // The kernel ends every process of a pid namespace with its init: this one had no time to say so.
    if child::was_killed(&child.pidfd) && has_ended(init) {
        return Err(stopped());
    }
    let terminal = terminal.as_ref().map_or(Ok(None), Terminal::master)?;
    handed::announce(
        (child.pid, &child.pidfd),
        options.pidfd_socket.as_deref(),
        options.pid_file.as_ref(),
        undo,
    )?;
    Ok((child, terminal))
}

/// Clones the process, into the container's cgroup where that is one of cgroup2.
fn born(
    (record, init, options): (&Record, &Init, &ExecOptions),
    work: &Work,
    cgroups: &Prepared,
    (ours, theirs): (&Link, BorrowedFd<'_>),
    fds: Fds,
) -> Result<Stubbed> {
    let mut birth = Birth {
        namespaces: 0,
        cgroup: cgroups.unified(),
        link: theirs,
        wait: false,
        become_root: false,
        fds,
        preserve: options.listen_fds + options.preserve_fds,
        trusted_proc: true,
    };
    match spawn::spawn(work, &birth) {
        // A container that manages cgroups itself has left its own to the controllers. Who names a cgroup gets that
        // one or none.
        Err(error)
            if error.errno() == Some(libc::EBUSY)
                && birth.cgroup.is_some()
                && options.cgroups.is_empty() =>
        {
            let actual = record.cgroup.unified_of(init.pid)?;
            birth.cgroup = Some(actual.as_fd());
            spawn::spawn(work, &birth)
        }
        Err(error) if error.errno() == Some(libc::EACCES) && record.cgroup.has_scope() => {
            let below = Below::parse(&options.cgroups)?;
            spawn::attached(work, birth, ours, |pid| record.cgroup.attach(&below, pid))
        }
        other => other.map_err(|error| cgroups.why_not_inside(error, record.cgroup.path())),
    }
}

/// The root directory of a container that has no mount namespace of its own.
fn open_root(init: &Init) -> Result<OwnedFd> {
    let path = format!("/proc/{}/root", init.pid);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path})"))?;
    // The number was init's as long as init lives.
    if has_ended(init) { Err(stopped()) } else { Ok(root) }
}
