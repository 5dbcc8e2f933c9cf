//! `create` and the first half of `run`, from the caller's side, top to bottom.
//!
//! Everything that can be wrong with the configuration is found before the first kernel object exists. From
//! the record on, every object has its step back in [`Undo`], and the record tells `delete` of it should this
//! process be killed.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

use teu_wire::{Fds, ToInit};

use super::serve::{self, Child};
use super::{CreateOptions, Stdio};
use crate::bundle::Bundle;
use crate::error::{Context, Error, ErrorKind, OsResult, Result};
use crate::id::ContainerId;
use crate::link::{self, Link};
use crate::namespace::{around, handle, mapping};
use crate::plan::CreatePlan;
use crate::spawn::{self, Birth};
use crate::store::record::{Process, Record};
use crate::store::{Entry, Store, gate, status};
use crate::sys::process::KeepDumpable;
use crate::undo::Undo;
use crate::{cgroup, plan, probe, tree};

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
    check_preserved(options.listen_fds + options.preserve_fds)?;
    store.check_free(id)?;
    let _span = tracing::debug_span!("create", id = id.as_str()).entered();
    let bundle = Bundle::open(&options.bundle)?;
    let host = probe::host()?;
    let (mut plan, warnings) = plan::lower::lower(id, &bundle, &host, options)?;
    check_terminal(&plan, options, goal)?;
    tracing::debug_span!("seccomp").in_scope(|| plan.compile_seccomp(store.root()))?;
    let cgroup_record = plan.cgroup.record(&host);
    // What `delete` finds there later it kills and removes: so it has to be made by this container.
    if !cgroup_record.is_missing() {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!(
                "cgroup {} exists already: it belongs to another container, or is left of one; give another \
                 linux.cgroupsPath, or remove it",
                plan.cgroup.path
            ),
        ));
    }

    let mut record = first_record(&plan, &bundle, cgroup_record)?;
    let entry = store.reserve(id, &record)?;
    let mut undo = Undo::new();
    undo.push(|| entry.remove());
    let made = build(&entry, &plan, &bundle, &host, (options, goal), &mut record, &mut undo);
    let child = match made {
        Ok(child) => child,
        Err(error) => return Err(undo.because(error)),
    };
    // Nothing may fail after this message: init goes to its gate, or on to the workload.
    let go = if goal == Goal::Started { ToInit::Start } else { ToInit::Commit };
    if let Err(error) = child.link.send(go) {
        return Err(undo.because(error));
    }
    undo.disarm();
    Ok(Made { child, warnings, record })
}

/// Makes every object of the container and brings init to where `create` ends.
fn build<'a>(
    entry: &'a Entry,
    plan: &'a CreatePlan,
    bundle: &'a Bundle,
    host: &crate::host::Host,
    (options, goal): (&'a CreateOptions, Goal),
    record: &mut Record,
    undo: &mut Undo<'a>,
) -> Result<Child> {
    // Every path of the caller's is opened before anything is entered, after which it could mean another file.
    let around = handle::open(&plan.namespaces, &plan.namespaces.around_clone)?;
    let joined = handle::open(&plan.namespaces, &plan.namespaces.in_init)?;
    handle::check_not_ours(&plan.namespaces, &[&around, &joined], &plan.init.sysctls)?;
    let console = options.console_socket.as_deref().map(super::connect_stream).transpose()?;
    // What is started at once is told so over the link.
    let gate = (goal == Goal::Created).then(|| gate::make(entry)).transpose()?;

    let cgroup_record = record.cgroup.clone();
    let prepare = || cgroup::prepare(&plan.cgroup, host);
    let cgroups = tracing::debug_span!("cgroup").in_scope(prepare)?;
    undo.push(move || cgroup_record.destroy());

    let (link, theirs) = link::pair()?;
    let stdio = stdio(&options.stdio)?;
    let dumpable = plan.namespaces.maps.is_some().then(KeepDumpable::new);
    let stubbed = around::inside(&around, || {
        let mut init = plan.init.clone();
        tree::check_root(&bundle.root()?)?;
        let trees = tree::open_all(&plan.trees, &mut init)?;
        let number = |fd: &OwnedFd| fd.as_raw_fd();
        let fds = Fds {
            link: number(&theirs),
            gate: gate.as_ref().map_or(-1, number),
            console: console.as_ref().map_or(-1, number),
            stdio: stdio.as_ref().map_or(vec![0, 1, 2], |fds| fds.iter().map(number).collect()),
            tasks: cgroups.tasks().iter().map(number).collect(),
            namespaces: joined.iter().map(|(_, fd)| fd.as_raw_fd()).collect(),
            trees: trees.iter().map(number).collect(),
        };
        spawn::spawn(
            &init,
            &Birth {
                namespaces: plan.namespaces.at_clone,
                cgroup: cgroups.unified(),
                link: theirs.as_fd(),
                wait_for_maps: plan.namespaces.maps.is_some(),
                fds,
                preserve: options.listen_fds + options.preserve_fds,
            },
        )
    })?;
    // Only init may hold its end, or its death would not end the link.
    drop(theirs);

    let mut child = Child::new(stubbed.pid, stubbed.pidfd.try_clone().call(|| "dup(pidfd)")?, link);
    undo.push(child.end());
    if let Some(maps) = &plan.namespaces.maps {
        mapping::write(stubbed.pid, maps, host.euid == 0).at(|| "linux.uidMappings")?;
        child.link.send(ToInit::Mapped)?;
    }
    let runs = stubbed.wait_for_program();
    drop(stubbed);
    drop(dumpable);
    runs?;

    let serve = || serve::until_ready(&mut child, plan, bundle, record, undo);
    tracing::debug_span!("init").in_scope(serve)?;
    // What would have kept init out: a limit of no processes at all.
    cgroups.joined()?;
    commit(entry, &child, options, record, undo)?;
    Ok(child)
}

/// Tells the world of the container: its record, the pid file, the pidfd.
fn commit<'a>(
    entry: &Entry,
    child: &Child,
    options: &'a CreateOptions,
    record: &mut Record,
    undo: &mut Undo<'a>,
) -> Result<()> {
    let (_, start_time) = status::stat(child.pid)
        .ok_or_else(|| Error::new(ErrorKind::InitDied, "init ended while it was recorded"))?;
    record.init = Some(Process { pid: child.pid, start_time });
    entry.write(record)?;
    if let Some(path) = options.pidfd_socket.as_deref() {
        let socket = super::connect_stream(path)?;
        super::send_descriptor(&socket, b"pidfd", child.pidfd.as_fd())?;
    }
    if let Some(path) = options.pid_file.as_deref() {
        write_pid_file(path, child.pid)?;
        undo.push(move || {
            std::fs::remove_file(path).call(|| format!("unlink({})", path.display()))
        });
    }
    Ok(())
}

/// Appears whole or not at all: callers read it the moment it is there.
fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.teu"));
    std::fs::write(&temporary, pid.to_string())
        .call(|| format!("write({})", temporary.display()))?;
    std::fs::rename(&temporary, path).call(|| format!("rename({})", path.display()))
}

fn first_record(
    plan: &CreatePlan,
    bundle: &Bundle,
    cgroup: cgroup::CgroupRecord,
) -> Result<Record> {
    Ok(Record {
        version: 1,
        oci_version: bundle.spec.version().clone(),
        bundle: bundle.path.clone(),
        rootfs: bundle.root()?,
        created: humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
        owner: rustix::process::geteuid().as_raw(),
        annotations: annotations(bundle),
        init: None,
        cgroup,
        shared_pid: plan.init.namespaces.shared_pid,
        poststart: plan.hooks.poststart.clone(),
        poststop: plan.hooks.poststop.clone(),
        seccomp_listener: plan.seccomp_listener.clone(),
    })
}

pub(crate) fn annotations(bundle: &Bundle) -> BTreeMap<String, String> {
    bundle
        .spec
        .annotations()
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// contract of runc's `create`: who has a terminal has somebody to give it to.
fn check_terminal(plan: &CreatePlan, options: &CreateOptions, goal: Goal) -> Result<()> {
    let detached = goal == Goal::Created || options.detach;
    let error = |text: &str| Err(Error::new(ErrorKind::InvalidArgument, text));
    match (plan.init.process.terminal.is_some(), options.console_socket.is_some()) {
        (true, false) if detached => {
            error("cannot allocate tty if runc will detach without setting console socket")
        }
        (true, false) => error(
            "process.terminal: a terminal in the foreground is not implemented yet; use --detach with --console-socket",
        ),
        (false, true) => error("cannot use console socket if runc will not detach or allocate tty"),
        _ => Ok(()),
    }
}

/// A descriptor that is not there would be taken by one of the runtime's own.
pub(crate) fn check_preserved(count: u32) -> Result<()> {
    for number in (3..).take(count as usize) {
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "unable to preserve descriptor {number}: it is not open (--preserve-fds and LISTEN_FDS ask for {count})"
                ),
            ));
        }
    }
    Ok(())
}

fn stdio(stdio: &Stdio) -> Result<Option<[OwnedFd; 3]>> {
    let copy = |fd: &OwnedFd| fd.try_clone().call(|| "dup(stdio)");
    match stdio {
        Stdio::Inherit => Ok(None),
        Stdio::Descriptors([input, output, error]) => {
            Ok(Some([copy(input)?, copy(output)?, copy(error)?]))
        }
        Stdio::Null => {
            let null: OwnedFd = std::fs::File::options()
                .read(true)
                .write(true)
                .open("/dev/null")
                .call(|| "open(/dev/null)")?
                .into();
            Ok(Some([copy(&null)?, copy(&null)?, null]))
        }
    }
}

/// The rest of `run`: the link, kept open across execve's close-on-exec, tells whether the workload runs.
pub(crate) fn started(link: &Link, record: &Record, id: &ContainerId, pid: i32) -> Result<()> {
    serve::until_started(link, record, id, pid)
}
