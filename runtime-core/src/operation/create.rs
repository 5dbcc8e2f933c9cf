//! `create` and the first half of `run`, from the caller's side, top to bottom.
//!
//! Everything that can be wrong with the configuration is found before the first kernel object exists. From
//! the record on, every object has its step back in [`Undo`], and the record tells `delete` of it should this
//! process be killed.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::SystemTime;

use oci_spec::runtime::Spec;
use teu_wire::{Fds, ToInit, Work};

use super::CreateOptions;
use super::child::{self, Child};
use super::delete;
use super::handed::{self, Terminal};
use super::notify;
use super::serve;
use crate::bundle::Bundle;
use crate::cgroup::claim::Marks;
use crate::cgroup::rdt::RdtPlan;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::host::Host;
use crate::id::ContainerId;
use crate::link::{self, Link};
use crate::namespace::{Kind, around, handle, mapping};
use crate::plan::CreatePlan;
use crate::spawn::{self, Birth};
use crate::store::record::{Process, Record};
use crate::store::{Entry, Store, gate, status};
use crate::sys::clone::Stubbed;
use crate::sys::process::KeepDumpable;
use crate::undo::Undo;
use crate::{cgroup, plan, probe, process, tree};

/// Whether init waits at the gate or starts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// `create`: wait.
    Created,
    /// `run`: start; the link stays open for what init reports of it.
    Started,
}

/// A container whose init has done all that `create` promises.
#[derive(Debug)]
pub(crate) struct Made {
    /// Init.
    pub child: Child,
    /// What the configuration asks for that could only be warned of.
    pub warnings: Vec<String>,
    /// What later steps of `run` need.
    pub record: Record,
    /// The master of the terminal, where it was asked back.
    pub terminal: Option<OwnedFd>,
    /// For `run`: where the workload tells that it is ready.
    pub notify: Option<OwnedFd>,
}

/// Makes a container.
///
/// # Errors
/// Whatever is wrong with the configuration, the host or a hook; nothing is left behind then.
pub(crate) fn create(
    store: &Store,
    id: &ContainerId,
    options: &CreateOptions,
    goal: Goal,
) -> Result<Made> {
    // Before this process opens anything that could pass for one of them.
    options.check_descriptors()?;
    store.check_free(id)?;
    let _span = tracing::debug_span!("create", id = id.as_str()).entered();
    let mut bundle = Bundle::open(&options.bundle)?;
    if options.notify {
        notify::configure(&mut bundle.spec, store, id)?;
    }
    let host = probe::host_for(options)?;
    let (mut plan, mut warnings) = plan::lower::lower(id, &bundle, &host, options)?;
    tracing::debug_span!("seccomp").in_scope(|| plan.compile_seccomp(store.root()))?;
    let cgroup_record = unused_cgroup(&plan, &host)?;
    plan.rdt.as_ref().map_or(Ok(()), RdtPlan::check)?;

    let detached = goal == Goal::Created || options.detach;
    let wanted = plan.init.process.terminal.is_some();
    let terminal = Terminal::open(wanted, options.console.as_ref(), detached)?;

    let mut record = first_record(&plan, &bundle, cgroup_record, options)?;
    let entry = store.reserve(id, &record)?;
    let mut undo = Undo::of_record(forget(&entry, &record));
    let parts = Parts { plan: &plan, bundle: &bundle, options, goal, terminal: terminal.as_ref() };
    let made = notify::prepare(&entry, options.notify, goal == Goal::Started).and_then(|notify| {
        let (child, more) = build(&entry, &parts, &host, &mut record, &mut undo)?;
        warnings.extend(more);
        let master = terminal.as_ref().map_or(Ok(None), Terminal::master)?;
        Ok((child, master, notify))
    });
    let (child, terminal, notify) = match made {
        Ok(made) => made,
        Err(error) => return Err(undo.because(error)),
    };
    // Nothing may fail after this message: init goes to its gate, or on to the workload.
    let go = if goal == Goal::Started { ToInit::Start } else { ToInit::Commit };
    if let Err(error) = serve::tell(&child, &record, go) {
        return Err(undo.because(error));
    }
    undo.disarm();
    Ok(Made { child, warnings, record, terminal, notify })
}

/// Where the cgroups will be. What `delete` finds there later it kills and removes: so it has to be made by this
/// container.
///
/// # Errors
/// There is one already.
pub(crate) fn unused_cgroup(plan: &CreatePlan, host: &Host) -> Result<cgroup::CgroupRecord> {
    let record = plan.cgroup.record(host);
    if record.is_missing() { Ok(record) } else { Err(plan.cgroup.taken()) }
}

/// The last step back of a container, when nothing else of it is there: the poststop hooks, which take back what hooks
/// of create have made, so they run whatever failed (runtime.md, "Lifecycle" 3 to 5 go on with 12 and 13); then the
/// record.
pub(crate) fn forget<'a>(
    entry: &'a Entry,
    record: &Record,
) -> impl FnOnce() -> Result<()> + use<'a> {
    let record = record.clone();
    move || {
        let failed = delete::poststop(&record, entry.id());
        let removed = entry.remove();
        if failed.is_empty() {
            return removed;
        }
        let mut error = Error::new(ErrorKind::Hook, failed.join("; "));
        removed.unwrap_or_else(|failure| error.attach(failure));
        Err(error)
    }
}

/// What a container is made from.
struct Parts<'a> {
    plan: &'a CreatePlan,
    bundle: &'a Bundle,
    options: &'a CreateOptions,
    goal: Goal,
    terminal: Option<&'a Terminal>,
}

/// Makes every object of the container and brings init to where `create` ends.
fn build<'a>(
    entry: &'a Entry,
    parts: &Parts<'a>,
    host: &Host,
    record: &mut Record,
    undo: &mut Undo<'a>,
) -> Result<(Child, Vec<String>)> {
    let Parts { plan, bundle, options, goal, terminal } = *parts;
    // Every path of the caller's is opened before anything is entered, after which it could mean another file.
    let around = handle::open(&plan.namespaces, &plan.namespaces.around_clone)?;
    let joined = handle::open(&plan.namespaces, &plan.namespaces.in_init)?;
    handle::check_not_ours(&plan.namespaces, &[&around, &joined], &plan.init.sysctls)?;
    // What is started at once is told so over the link.
    let gate = (goal == Goal::Created).then(|| gate::make(entry)).transpose()?;

    // Classes are few: when there is none, nothing else has to be taken back.
    let classes = plan.rdt.as_ref().map_or(Ok(Vec::new()), |rdt| {
        let cancel = options.cancel.as_ref().map(AsFd::as_fd);
        rdt.prepare(undo, cancel)
    })?;
    let mut keeper = keeper(plan)?;
    let prepare = || cgroup::prepare(&plan.cgroup, host, keeper.as_ref().map(spawn::Keeper::pid));
    let mut cgroups = tracing::debug_span!("cgroup").in_scope(prepare)?;
    record.cgroup.without(cgroups.without());
    claim(entry, record, |cgroup| undo.push(move || cgroup.destroy()))?;

    let (link, theirs) = link::pair(options.cancel.as_ref())?;
    let stdio = handed::stdio(&options.stdio)?;
    let dumpable = plan.namespaces.maps.is_some().then(KeepDumpable::new);
    let stubbed = around::inside(&around, || {
        let mut init = plan.init.clone();
        tree::check_root(&bundle.root()?)?;
        let number = |fd: &OwnedFd| fd.as_raw_fd();
        let mut fds = Fds {
            link: number(&theirs),
            gate: gate.as_ref().map_or(-1, number),
            console: terminal.map_or(-1, |terminal| terminal.as_fd().as_raw_fd()),
            stdio: stdio.as_ref().map_or(vec![0, 1, 2], |fds| fds.iter().map(number).collect()),
            tasks: classes.iter().chain(cgroups.tasks()).map(number).collect(),
            namespaces: joined.iter().map(|(_, fd)| fd.as_raw_fd()).collect(),
            trees: Vec::new(),
            root: -1,
        };
        let preserve = options.listen_fds + options.preserve_fds;
        let opened = host.may_open_trees().then(|| tree::open_all(plan, &mut init)).transpose()?;
        fds.trees = match &opened {
            Some(trees) => trees.iter().map(number).collect(),
            None => tree::leave_all(plan, &mut init, &fds, preserve)?,
        };
        let birth = Birth {
            namespaces: plan.namespaces.at_clone,
            cgroup: cgroups.unified(),
            link: theirs.as_fd(),
            wait: plan.namespaces.maps.is_some(),
            become_root: plan.namespaces.maps.is_some(),
            fds,
            preserve,
            trusted_proc: around.iter().all(|(kind, _)| *kind != Kind::Mount),
        };
        let work = Work::Create(init);
        match spawn::spawn(&work, &birth) {
            Err(error) if error.errno() == Some(libc::EACCES) && record.cgroup.has_scope() => {
                let attach = |pid| record.cgroup.attach(&cgroup::Below::default(), pid);
                spawn::attached(&work, birth, &link, attach)
            }
            other => other.map_err(|error| cgroups.why_not_inside(error, &plan.cgroup.path)),
        }
    })?;
    // Only init may hold its end, or its death would not end the link.
    drop(theirs);
    // Init is in a cgroup of version 2 from its birth, and joins those of version 1 by itself.
    drop(keeper.take_if(|_| cgroups.tasks().is_empty()));

    let mut child = Child::born(&stubbed, link)?;
    undo.push(child.end()?);
    until_program((stubbed, dumpable), &child, plan, host, record)?;

    let serve = || serve::until_ready(&mut child, plan, bundle, record, undo);
    tracing::debug_span!("init").in_scope(serve)?;
    if let Some(maps) = &plan.namespaces.joined_maps {
        mapping::check_joined(child.pid, maps)?;
    }
    drop(keeper);
    // What would have kept init out, or the caller from its memory: no processes at all, little memory.
    write_last_limits(&mut cgroups, record)?;
    commit(entry, (child.pid, &child.pidfd), (bundle, options), record, undo)?;
    Ok((child, cgroups.warnings()))
}

/// Makes the cgroups and classes the container's, now that they are there and nothing runs in them; `take_back` gets
/// the step back.
pub(crate) fn claim(
    entry: &Entry,
    record: &mut Record,
    take_back: impl FnOnce(cgroup::CgroupRecord),
) -> Result<()> {
    let marks = record.claim();
    take_back(record.cgroup.clone());
    let marks = marks?;
    entry.write(record)?;
    marks.into_iter().try_for_each(Marks::remove)
}

/// Does for the stub what it waits for, until it runs its program.
fn until_program(
    (stubbed, dumpable): (Stubbed, Option<KeepDumpable>),
    child: &Child,
    plan: &CreatePlan,
    host: &Host,
    record: &Record,
) -> Result<()> {
    if let Some(maps) = &plan.namespaces.maps {
        let written = mapping::write(stubbed.pid, maps, host.may_map(), &child.link)
            .at(|| "linux.uidMappings");
        if let Err(error) = written.and_then(|()| serve::tell(child, record, ToInit::Mapped)) {
            // It would wait for ever, and this process for it to leave the memory that both share.
            child::kill(&child.pidfd)?;
            return Err(error);
        }
    }
    let runs = stubbed.wait_for_program();
    drop(stubbed);
    drop(dumpable);
    runs?;
    // Not before it runs its program: the OOM score is one for all that share memory.
    if plan.namespaces.maps.is_some() && host.may_raise() {
        process::raise::raise(child.pid, &plan.init.process)?;
    }
    Ok(())
}

/// The process that keeps a scope of systemd until init is in it.
pub(crate) fn keeper(plan: &CreatePlan) -> Result<Option<spawn::Keeper>> {
    let wanted = plan.cgroup.unit.as_ref().is_some_and(cgroup::systemd::UnitPlan::is_scope);
    wanted.then(spawn::Keeper::start).transpose()
}

/// Writes the limits that waited for init.
fn write_last_limits(cgroups: &mut cgroup::Prepared, record: &Record) -> Result<()> {
    cgroups.joined()?;
    // A limit below what init uses has the kernel end it within that write, which succeeds.
    match cgroups.limits_memory_late().then(|| serve::oom_killed(&record.cgroup)).flatten() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Tells the world of the container: its record, the pid file, the pidfd.
pub(crate) fn commit(
    entry: &Entry,
    (pid, pidfd): (i32, &OwnedFd),
    (bundle, options): (&Bundle, &CreateOptions),
    record: &mut Record,
    undo: &mut Undo<'_>,
) -> Result<()> {
    let (_, start_time) = status::stat(pid)?
        .ok_or_else(|| Error::new(ErrorKind::InitDied, "init ended while it was recorded"))?;
    record.init = Some(Process { pid, start_time });
    entry.write_config(&bundle.config)?;
    entry.write(record)?;
    let process = (pid, pidfd);
    handed::announce(process, options.pidfd_socket.as_deref(), options.pid_file.as_ref(), undo)
}

pub(crate) fn first_record(
    plan: &CreatePlan,
    bundle: &Bundle,
    cgroup: cgroup::CgroupRecord,
    options: &CreateOptions,
) -> Result<Record> {
    Ok(Record {
        version: 1,
        oci_version: bundle.spec.version().clone(),
        bundle: bundle.path.clone(),
        rootfs: bundle.root()?,
        created: humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
        owner: rustix::process::geteuid().as_raw(),
        annotations: annotations(&bundle.spec),
        init: None,
        cgroup: cgroup.intended(),
        rdt: plan.rdt.as_ref().map(|rdt| rdt.groups.clone().intended()),
        shared_pid: plan.init.namespaces.shared_pid,
        pipes: if plan.init.process.terminal.is_some() {
            Vec::new()
        } else {
            handed::pipes(&options.stdio)
        },
        no_new_keyring: options.no_new_keyring,
        poststart: plan.hooks.poststart.clone(),
        poststop: plan.hooks.poststop.clone(),
        seccomp_listener: plan.seccomp_listener.clone(),
    })
}

pub(crate) fn annotations(spec: &Spec) -> BTreeMap<String, String> {
    spec.annotations().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The rest of `run`: the link, kept open across execve's close-on-exec, tells whether the workload runs.
pub(crate) fn started(link: &Link, record: &Record, id: &ContainerId, pid: i32) -> Result<()> {
    serve::until_started(link, record, id, pid)
}
