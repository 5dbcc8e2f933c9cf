//! `checkpoint`: has criu(8) write the processes of a container to files.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{CreateOptions, DeleteOptions, delete, notify};
use crate::bundle::Bundle;
use crate::criu::images::Images;
use crate::criu::message::{Features, Kind, PageServer, Pair, Request};
use crate::criu::{self, CriuOptions, Session};
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::id::ContainerId;
use crate::namespace::{Kind as Namespace, Source};
use crate::plan::{self, CreatePlan};
use crate::probe;
use crate::store::record::Record;
use crate::store::status::{self, Status};
use crate::store::{Entry, Store};

/// What `checkpoint` is told besides the id.
#[derive(Clone, Debug, Default)]
// Each is a flag of criu's, and none of them decides what another means.
#[allow(clippy::struct_excessive_bools)]
pub struct CheckpointOptions {
    /// What both directions have in common.
    pub criu: CriuOptions,
    /// Images of an earlier `pre_dump`, relative to the images' directory: what has not changed since is not
    /// written again.
    pub parent: Option<PathBuf>,
    /// The container goes on afterwards; else its processes have ended.
    pub leave_running: bool,
    /// Memory only; the container goes on.
    pub pre_dump: bool,
    /// TCP connections that are not established yet are left out.
    pub tcp_skip_in_flight: bool,
    /// Files that were deleted and are still open get a name for a while.
    pub link_remap: bool,
    /// Where memory is sent instead of into files: address and port.
    pub page_server: Option<(String, u16)>,
    /// The number of a descriptor of the caller that criu writes a NUL byte to when it is ready to serve pages.
    pub status_fd: Option<i32>,
}

/// Writes the container to `options.criu.images`, and deletes it unless it is to go on; returns warnings.
///
/// # Errors
/// No such container, it does not run, or criu cannot do it: then the container goes on.
pub(crate) fn checkpoint(
    store: &Store,
    id: &ContainerId,
    options: &CheckpointOptions,
) -> Result<Vec<String>> {
    // Not locked: a dump can take as long as somebody elsewhere takes to fetch pages, and who gives it up deletes the
    // container.
    let (entry, record) = store.peek(id)?;
    let (status, _) = status::of(&entry, record.as_ref())?;
    let (Some(record), Status::Running | Status::Paused) = (record, status) else {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!("Container cannot be checkpointed in {status} state"),
        ));
    };
    let program = criu::find(options.criu.program.as_deref(), &probe::host()?)?;
    check(options)?;
    let null = null()?;
    check_features(&program, &null, options)?;
    let log = if options.pre_dump { "pre-dump.log" } else { "dump.log" };
    let images = Images::open(&options.criu, log, true)?;
    let plan = plan_again(store, id, &entry, &record)?;
    let request = request(&record, &plan, &images, options)?;
    let keep: Vec<i32> = options.status_fd.into_iter().collect();
    let stdio = [null.as_fd(), null.as_fd(), null.as_fd()];
    let asked = Session::start(&program, stdio, &keep)
        .and_then(|session| session.ask(&request, |_| Ok(())).map_err(|e| images.explain(e)));
    if let Err(mut error) = asked {
        // criu lets go of what it has stopped, but not of a freezer that it could not thaw.
        if status == Status::Running
            && let Err(failure) = record.cgroup.frozen().and_then(|frozen| match frozen {
                true => record.cgroup.thaw(),
                false => Ok(()),
            })
        {
            error.attach(failure);
        }
        return Err(error);
    }
    if options.leave_running || options.pre_dump {
        return Ok(Vec::new());
    }
    // This one only: another may have its name by now.
    delete::delete(store, id, DeleteOptions { force: true }, record.init)
}

fn check(options: &CheckpointOptions) -> Result<()> {
    let invalid = |text: String| Err(Error::new(ErrorKind::InvalidArgument, text));
    if let Some(parent) = &options.parent {
        if parent.is_absolute() {
            return invalid(format!(
                "--parent-path {}: has to be relative to --image-path",
                parent.display()
            ));
        }
        let whole = options.criu.images.join(parent);
        if !whole.is_dir() {
            return invalid(format!("--parent-path {}: is not a directory", whole.display()));
        }
    }
    let Some(number) = options.status_fd else { return Ok(()) };
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    match flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()) {
        None => invalid(format!("invalid --status-fd argument {number}: it is not open")),
        Some(flags) if flags & 3 == 0 => {
            invalid(format!("invalid --status-fd argument {number}: not writable"))
        }
        Some(_) => Ok(()),
    }
}

fn null() -> Result<OwnedFd> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    // Out of the way of what become criu's standard streams.
    null.call(|| "open(/dev/null)")?.try_clone().call(|| "dup(/dev/null)")
}

/// What needs more of the kernel than most have is asked for first: criu finds out late, and says little.
fn check_features(program: &Path, null: &OwnedFd, options: &CheckpointOptions) -> Result<()> {
    let wanted = Features {
        mem_track: options.pre_dump.then_some(true),
        lazy_pages: options.criu.lazy_pages.then_some(true),
    };
    if wanted == Features::default() {
        return Ok(());
    }
    let request =
        Request { kind: Kind::FeatureCheck as i32, features: Some(wanted), ..Request::default() };
    let stdio = [null.as_fd(), null.as_fd(), null.as_fd()];
    let answer = Session::start(program, stdio, &[])?.ask(&request, |_| Ok(()))?;
    let found = answer.features.unwrap_or_default();
    let missing = [
        ("--pre-dump", "track changes of memory", wanted.mem_track, found.mem_track),
        ("--lazy-pages", "load memory lazily", wanted.lazy_pages, found.lazy_pages),
    ];
    match missing.iter().find(|(.., wanted, found)| wanted.is_some() && *found != Some(true)) {
        None => Ok(()),
        Some((flag, what, ..)) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{flag}: this kernel, or this criu, cannot {what}"),
        )),
    }
}

/// The plan that the container was made by, from the configuration kept beside its record.
fn plan_again(
    store: &Store,
    id: &ContainerId,
    entry: &Entry,
    record: &Record,
) -> Result<CreatePlan> {
    let mut bundle = Bundle::open_with(&record.bundle, entry.config()?)?;
    if entry.path().join(notify::DIRECTORY).is_dir() {
        notify::configure(&mut bundle.spec, store, id)?;
    }
    let mut host = probe::host()?;
    host.systemd = record.cgroup.manager().cloned();
    plan::lower::lower(id, &bundle, &host, &CreateOptions::default()).map(|(plan, _)| plan)
}

fn request(
    record: &Record,
    plan: &CreatePlan,
    images: &Images,
    options: &CheckpointOptions,
) -> Result<Request> {
    let pid = record.init.map_or(0, |init| init.pid);
    let mut opts = images.options(&options.criu);
    opts.pid = Some(pid);
    opts.root = Some(record.rootfs.to_string_lossy().into_owned());
    opts.leave_running = Some(options.leave_running);
    opts.tcp_skip_in_flight = Some(options.tcp_skip_in_flight);
    opts.link_remap = Some(options.link_remap);
    opts.freeze_cgroup =
        record.cgroup.freezer_directory().map(|path| path.to_string_lossy().into_owned());
    opts.config_file = config_file(record);
    opts.external = external_namespaces(plan, pid)?;
    opts.status_fd = options.status_fd;
    opts.ps = options.page_server.as_ref().map(|(address, port)| PageServer {
        address: Some(address.clone()),
        port: Some(i32::from(*port)),
    });
    if let Some(parent) = &options.parent {
        opts.parent_img = Some(parent.to_string_lossy().into_owned());
        opts.track_mem = Some(true);
    }
    if options.pre_dump {
        opts.track_mem = Some(true);
        return Ok(Request { kind: Kind::PreDump as i32, opts: Some(opts), ..Request::default() });
    }
    let bound = plan.bound().into_iter().map(|(inside, _)| (inside.clone(), inside));
    let masked = masked_files(plan, pid)?.into_iter().map(|path| (path, "/dev/null".to_owned()));
    opts.ext_mnt = bound.chain(masked).map(|(key, val)| Pair { key, val }).collect();
    write_descriptors(images, record, pid)?;
    Ok(Request { kind: Kind::Dump as i32, opts: Some(opts), ..Request::default() })
}

/// criu's configuration file for containers, as runc names it: that of the annotation, else the host's. An empty
/// annotation means none.
pub(crate) fn config_file(record: &Record) -> Option<String> {
    const HOST: &str = "/etc/criu/runc.conf";
    match record.annotations.get("org.criu.config") {
        Some(path) => Some(path.clone()).filter(|path| !path.is_empty()),
        None => Path::new(HOST).exists().then(|| HOST.to_owned()),
    }
}

/// Namespaces that were there before the container, by the key that `restore` gives them back under.
fn external_namespaces(plan: &CreatePlan, pid: i32) -> Result<Vec<String>> {
    let joined = KEYS
        .iter()
        .filter(|(kind, ..)| matches!(plan.namespaces.wanted.get(*kind), Source::Path { .. }));
    joined
        .map(|(_, name, key)| {
            let path = format!("/proc/{pid}/ns/{name}");
            let stat = rustix::fs::stat(&path).call(|| format!("stat({path})"))?;
            Ok(format!("{name}[{}]:{key}", stat.st_ino))
        })
        .collect()
}

/// The kinds of namespaces that criu takes as descriptors, with its names and our keys, which are runc's: an
/// image may come from there, or go there.
pub(crate) const KEYS: [(Namespace, &str, &str); 2] =
    [(Namespace::Network, "net", "extRootNetNS"), (Namespace::Pid, "pid", "extRootPidNS")];

/// Which of the masked paths are files, covered by the host's null device: looked at inside.
fn masked_files(plan: &CreatePlan, pid: i32) -> Result<Vec<String>> {
    let path = format!("/proc/{pid}/root");
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(&path, flags, Mode::empty()).call(|| format!("open({path})"))?;
    let masked = plan.init.rootfs.iter().flat_map(|rootfs| &rootfs.masked);
    let mut files = Vec::new();
    for path in masked.map(ToString::to_string) {
        let found = rustix::fs::openat2(&root, &path, flags, Mode::empty(), ResolveFlags::IN_ROOT);
        if found.as_ref().is_err_and(|errno| *errno == Errno::NOSYS) {
            return Err(Errno::NOSYS).call(|| format!("openat2({path})"));
        }
        let stat = found.and_then(rustix::fs::fstat);
        if stat.is_ok_and(|stat| stat.st_rdev == rustix::fs::makedev(1, 3)) {
            files.push(format!("/{path}"));
        }
    }
    Ok(files)
}

/// What the standard streams are, for `restore` to put others in their place: those that the container was given,
/// though a shell may have them elsewhere for the moment.
fn write_descriptors(images: &Images, record: &Record, pid: i32) -> Result<()> {
    let names = (0..3)
        .map(|number| {
            if let Some(pipe) = record.pipes.get(number).filter(|pipe| !pipe.is_empty()) {
                return pipe.clone();
            }
            let path = format!("/proc/{pid}/fd/{number}");
            // A closed one has no name.
            let name = std::fs::read_link(path).unwrap_or_default();
            name.to_string_lossy().into_owned()
        })
        .collect::<Vec<_>>();
    let what = || format!("write({})", criu::DESCRIPTORS);
    // A new file: one that is there may be a link to anywhere.
    match rustix::fs::unlinkat(images.directory(), criu::DESCRIPTORS, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno).call(what),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::openat(images.directory(), criu::DESCRIPTORS, flags, mode).call(what)?;
    serde_json::to_writer(std::fs::File::from(file), &names)
        .map_err(std::io::Error::from)
        .call(what)
}
