//! `restore`: makes a container whose processes criu(8) has written to files.
//!
//! As in `create`, what can be wrong with the configuration is found first, and every object has its step back.
//! criu makes the namespaces, mounts and processes; what is the host's (cgroups with their limits, sources of
//! bind mounts, streams) is given to it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::mount::MountPropagationFlags;
use rustix::process::{Pid, PidfdFlags};

use super::checkpoint::{KEYS, config_file};
use super::create::{claim, commit, first_record, forget, keeper, unused_cgroup};
use super::handed::{self, Terminal};
use super::{CreateOptions, child, state_json};
use crate::bundle::Bundle;
use crate::cgroup::rdt::{self, RdtPlan};
use crate::criu::images::Images;
use crate::criu::message::{CgroupRoot, InheritFd, JoinNamespace, Kind, Options, Pair, Request};
use crate::criu::{self, CgroupsMode, CriuOptions, Notice, Session};
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::host::Host;
use crate::id::ContainerId;
use crate::namespace::{Kind as Namespace, Source, handle};
use crate::plan::{self, CreatePlan};
use crate::store::record::Record;
use crate::store::{Entry, Store};
use crate::undo::Undo;
use crate::{cgroup, hook, mountpoint, probe, spawn, tree};

/// What `restore` is told besides the id.
#[derive(Debug, Default)]
pub struct RestoreOptions {
    /// What both directions have in common.
    pub criu: CriuOptions,
    /// The bundle and the streams, as for [`crate::Runtime::create`].
    pub create: CreateOptions,
    /// TCP connections come back closed.
    pub tcp_close: bool,
    /// The label of the processes, `TYPE:NAME`, instead of the one that they had.
    pub lsm_profile: Option<String>,
    /// The label of mounts.
    pub lsm_mount_context: Option<String>,
}

/// A container that runs again.
#[derive(Debug)]
pub(crate) struct Restored {
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub record: Record,
    pub warnings: Vec<String>,
    pub terminal: Option<OwnedFd>,
}

/// Makes the container and lets it run.
///
/// # Errors
/// The id is taken, the configuration or the host does not allow it, or criu failed; nothing is left.
pub(crate) fn restore(
    store: &Store,
    id: &ContainerId,
    options: &RestoreOptions,
) -> Result<Restored> {
    let create = &options.create;
    store.check_free(id)?;
    let _span = tracing::debug_span!("restore", id = id.as_str()).entered();
    let bundle = Bundle::open(&create.bundle)?;
    let host = probe::host_for(create)?;
    let (plan, warnings) = plan::lower::lower(id, &bundle, &host, create)?;
    check(&plan)?;
    let cgroup_record = unused_cgroup(&plan, &host)?;
    plan.rdt.as_ref().map_or(Ok(()), RdtPlan::check)?;
    let program = criu::find(options.criu.program.as_deref(), &host)?;
    let images = Images::open(&options.criu, "restore.log", false)?;
    tree::check_root(&bundle.root()?)?;
    let wanted = plan.init.process.terminal.is_some();
    let terminal = Terminal::open(wanted, create.console.as_ref(), create.detach)?;

    let mut record = first_record(&plan, &bundle, cgroup_record, create)?;
    let entry = store.reserve(id, &record)?;
    let mut undo = Undo::of_record(forget(&entry, &record));
    let parts = Parts {
        plan: &plan,
        bundle: &bundle,
        options,
        program: &program,
        images: &images,
        terminal: terminal.as_ref(),
    };
    let made = build(&entry, &parts, &host, &mut record, &mut undo).and_then(|init| {
        let master = terminal.as_ref().map_or(Ok(None), Terminal::master)?;
        Ok((init, master))
    });
    match made {
        Ok(((pid, pidfd), terminal)) => {
            undo.disarm();
            Ok(Restored { pid, pidfd, record, warnings, terminal })
        }
        Err(error) => Err(undo.because(error)),
    }
}

/// What criu cannot make.
fn check(plan: &CreatePlan) -> Result<()> {
    let rootfs = plan.init.rootfs.as_ref();
    if matches!(rootfs.map(|rootfs| &rootfs.root), Some(teu_wire::RootMount::Filesystem(_))) {
        return Err(Error::unsupported(
            "mounts[0]",
            "a root that is mounted by the runtime cannot be restored: mount it on root.path",
        ));
    }
    if let Some(device) = plan.namespaces.devices.first() {
        let text = "network devices cannot be moved into a restored container";
        return Err(Error::unsupported(device.field.as_str(), text));
    }
    if let Source::Path { field, .. } = plan.namespaces.wanted.get(Namespace::Cgroup) {
        return Err(Error::unsupported(
            field.as_str(),
            "criu cannot restore into a cgroup namespace that is there already",
        ));
    }
    Ok(())
}

/// What a container is restored from.
struct Parts<'a> {
    plan: &'a CreatePlan,
    bundle: &'a Bundle,
    options: &'a RestoreOptions,
    program: &'a Path,
    images: &'a Images,
    terminal: Option<&'a Terminal>,
}

/// Makes every object of the container; returns when its processes run.
fn build(
    entry: &Entry,
    parts: &Parts<'_>,
    host: &Host,
    record: &mut Record,
    undo: &mut Undo<'_>,
) -> Result<(i32, OwnedFd)> {
    let Parts { plan, bundle, options, program, images, terminal } = *parts;
    let joined = external_namespaces(plan)?;
    let cancel = options.create.cancel.as_ref().map(AsFd::as_fd);
    let classes = plan.rdt.as_ref().map_or(Ok(Vec::new()), |rdt| rdt.prepare(undo, cancel))?;
    // With their limits, so that nothing runs without them; criu puts the processes there, or is there itself.
    // It keeps its scope until they are all there.
    let keeper = keeper(plan)?;
    let mut cgroups = cgroup::prepare(&plan.cgroup, host, keeper.as_ref().map(spawn::Keeper::pid))?;
    claim(entry, record, |cgroup| {
        undo.push(move || {
            // Without a pid namespace of its own the others outlive the first.
            cgroup.kill_all()?;
            cgroup.destroy()
        });
    })?;
    let root = bundle.root()?;
    mountpoint::make_all(&root, plan)?;

    let stdio = streams(&options.create)?;
    // criu wants a root that is a mount of its own. It becomes one in a namespace of criu's, out of the host's
    // sight, and goes with it.
    let directory = std::path::absolute(entry.path())
        .call(|| format!("finding the state root {}", entry.path().display()))?
        .join("root");
    std::fs::create_dir(&directory).call(|| format!("mkdir({})", directory.display()))?;
    let keep: Vec<i32> = joined.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
    let started = in_own_mounts(&root, &directory, || {
        let session = Session::start(program, stdio.each_ref().map(AsFd::as_fd), &keep)?;
        Ok((session, images.open_here()?))
    });
    // The first process, from the first notice of it on: should criu die, nobody else would end it.
    let mut init: Option<(i32, OwnedFd)> = None;
    let asked = started.and_then(|(session, images)| {
        // What it makes is in its class and group.
        rdt::add(&classes, session.pid()?)?;
        if options.criu.cgroups == CgroupsMode::Ignore {
            // What it makes is where it is itself.
            record.cgroup.add(session.pid()?)?;
        }
        let mut opts = request(parts, &images, host, &joined, record)?;
        opts.root = Some(directory.to_string_lossy().into_owned());
        let request =
            Request { kind: Kind::Restore as i32, opts: Some(opts), ..Request::default() };
        session.ask(&request, |notice| {
            if init.is_none() && notice.pid > 0 {
                let pidfd = open(notice.pid)?;
                undo.push(child::ending(&pidfd)?);
                init = Some((notice.pid, pidfd));
            }
            match (notice.script.as_str(), &init) {
                ("setup-namespaces", _) => run_hooks(parts, record, notice.pid),
                ("orphan-pts-master", _) => hand_over(terminal, &notice),
                // The processes are there and stopped: what cannot be recorded does not run.
                ("post-restore", Some((pid, pidfd))) => {
                    commit(entry, (*pid, pidfd), (bundle, &options.create), record, undo)
                }
                _ => Ok(()),
            }
        })
    });
    drop(std::fs::remove_dir(&directory));
    asked.map_err(|error| images.explain(error))?;
    drop(keeper);
    cgroups.joined()?;
    init.filter(|_| record.init.is_some())
        .ok_or_else(|| Error::new(ErrorKind::Os, "criu has restored no process"))
}

fn open(pid: i32) -> Result<OwnedFd> {
    let pid =
        Pid::from_raw(pid).ok_or(libc::ESRCH).call(|| "criu's notice of the first process")?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).call(|| "pidfd_open(init)")
}

/// Namespaces that the container joins, for criu to take by number.
fn external_namespaces(plan: &CreatePlan) -> Result<Vec<(&'static str, OwnedFd)>> {
    let by_number = KEYS
        .iter()
        .filter(|(kind, ..)| matches!(plan.namespaces.wanted.get(*kind), Source::Path { .. }));
    by_number
        .map(|(kind, _, key)| {
            let opened = handle::open(&plan.namespaces, &[*kind])?;
            let fd = opened.into_iter().next().map(|(_, fd)| fd);
            let fd = fd.ok_or(libc::ENOENT).call(|| "opening a namespace")?;
            // Out of the way of what become criu's standard streams.
            Ok((*key, fd.try_clone().call(|| "dup(namespace)")?))
        })
        .collect()
}

/// The streams of the first process, where those that it had were pipes: criu has them as its own.
fn streams(options: &CreateOptions) -> Result<[OwnedFd; 3]> {
    if let Some(given) = handed::stdio(&options.stdio)? {
        return Ok(given);
    }
    let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().call(|| "dup(stdio)");
    Ok([
        copy(std::io::stdin().as_fd())?,
        copy(std::io::stdout().as_fd())?,
        copy(std::io::stderr().as_fd())?,
    ])
}

fn request(
    parts: &Parts<'_>,
    images: &Images,
    host: &Host,
    joined: &[(&str, OwnedFd)],
    record: &Record,
) -> Result<Options> {
    let Parts { plan, options, .. } = *parts;
    let mut opts = images.options(&options.criu);
    opts.evasive_devices = Some(true);
    // A child of the caller, as every first process is, and not of criu.
    opts.rst_sibling = Some(true);
    opts.tcp_close = Some(options.tcp_close);
    opts.lsm_profile.clone_from(&options.lsm_profile);
    opts.lsm_mount_context.clone_from(&options.lsm_mount_context);
    opts.config_file = config_file(record);
    opts.cg_root = plan::lower::controllers(host)
        .into_iter()
        .map(|name| CgroupRoot { ctrl: Some(name), path: plan.cgroup.path.clone() })
        .collect();
    let bound = plan.bound().into_iter();
    let bound = bound.map(|(inside, outside)| (inside, outside.to_string_lossy().into_owned()));
    let null = ("/dev/null".to_owned(), "/dev/null".to_owned());
    opts.ext_mnt = bound.chain([null]).map(|(key, val)| Pair { key, val }).collect();
    opts.join_ns = Namespace::ALL
        .into_iter()
        .filter(|kind| KEYS.iter().all(|(by_number, ..)| by_number != kind))
        .filter_map(|kind| match plan.namespaces.wanted.get(kind) {
            Source::Path { path, .. } => Some(JoinNamespace {
                ns: kind.file().to_owned(),
                ns_file: path.to_string_lossy().into_owned(),
            }),
            _ => None,
        })
        .collect();
    let streams = descriptors(images)?.into_iter().zip(0..3);
    let pipes = streams.filter(|(name, _)| name.contains("pipe:"));
    let namespaces = joined.iter().map(|(key, fd)| ((*key).to_owned(), fd.as_raw_fd()));
    opts.inherit_fd = pipes.chain(namespaces).map(|(key, fd)| InheritFd { key, fd }).collect();
    Ok(opts)
}

/// What the standard streams were.
fn descriptors(images: &Images) -> Result<Vec<String>> {
    use rustix::fs::{Mode, OFlags};
    let what = || format!("read({}): is this the directory of a checkpoint?", criu::DESCRIPTORS);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(images.directory(), criu::DESCRIPTORS, flags, Mode::empty());
    let file = std::fs::File::from(file.call(what)?);
    serde_json::from_reader(file).map_err(std::io::Error::from).call(what)
}

/// Runs `work` in a mount namespace that hears of the host's mounts and not the other way round, with the root
/// file system as a mount on `on`.
fn in_own_mounts<T: Send>(
    root: &Path,
    on: &Path,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let inside = || {
        crate::sys::namespace::unshare_mounts().call(|| "unshare(CLONE_NEWNS)")?;
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", slave).call(|| "mount(/, MS_SLAVE)")?;
        rustix::mount::mount_bind_recursive(root, on)
            .call(|| format!("mount({}, MS_BIND)", root.display()))?;
        work()
    };
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("teu-criu".into()).spawn_scoped(scope, inside);
        thread.call(|| "starting the thread that starts criu")?.join().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Os, "the thread that starts criu panicked"))
        })
    })
}

/// The hooks that set up the network and the like, when the namespaces are there.
fn run_hooks(parts: &Parts<'_>, record: &Record, pid: i32) -> Result<()> {
    let Parts { plan, bundle, options, .. } = *parts;
    let cancel = options.create.cancel.as_ref().map(AsFd::as_fd);
    let Record { oci_version, annotations, .. } = record;
    let (head, tail) = state_json(oci_version, &plan.id, &bundle.path, annotations, "creating");
    let state = format!("{head}{pid}{tail}");
    hook::run("prestart", &plan.hooks.prestart, &state, &bundle.path, cancel)?;
    hook::run("createRuntime", &plan.hooks.create_runtime, &state, &bundle.path, cancel)
}

/// Gives the master of the terminal to whoever waits for it.
fn hand_over(terminal: Option<&Terminal>, notice: &Notice) -> Result<()> {
    match (terminal, &notice.fd) {
        (Some(terminal), Some(master)) => terminal.send(b"/dev/ptmx", master),
        (None, _) => Err(Error::new(
            ErrorKind::InvalidArgument,
            "the image has a terminal, and process.terminal of the bundle is false",
        )),
        (_, None) => Err(Error::new(ErrorKind::Os, "criu sent no terminal")),
    }
}
