//! Makes the container's cgroups and writes its limits, before anything runs in them.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::claim;
use super::prepared::{Prepared, Rights, is_denied};
use super::{
    CgroupPlan, HierarchyPlan, Inherit, OnMissing, OnRefused, Setting, Version, file, owner,
    systemd, v1, v2,
};
use crate::error::{Context, Error, ErrorKind, OsResult, Result};
use crate::host::Host;

/// Makes every directory of the plan and writes its limits. A scope of systemd is started around the process
/// `keeper`, which has to stay in it until init has joined.
///
/// # Errors
/// A directory cannot be made, or the container's own is there already; a limit is refused or unknown to the kernel
/// (the error names its field); systemd does not start the unit. What this call made is removed again.
pub fn prepare(plan: &CgroupPlan, host: &Host, keeper: Option<i32>) -> Result<Prepared> {
    let root = file::open_root(&host.cgroup_root)?;
    if let Some(unit) = &plan.unit {
        systemd::manager::start(unit, keeper)?;
        return prepare_unit(plan, &root).map_err(|mut error| {
            let record = plan.record(host);
            if let Err(failure) = record.kill_all().and_then(|()| record.destroy()) {
                error.attach(failure);
            }
            error
        });
    }
    let mut made = Made { root: &root, paths: Vec::new() };
    match prepare_all(plan, &root, &mut made) {
        Ok(prepared) => Ok(prepared),
        Err(mut error) => {
            made.undo(&mut error);
            Err(error)
        }
    }
}

/// As without systemd, in the directories that systemd has made; v1 hierarchies that it leaves alone get theirs.
fn prepare_unit(plan: &CgroupPlan, root: &OwnedFd) -> Result<Prepared> {
    let mut made = Made { root, paths: Vec::new() };
    let prepared = prepare_all(plan, root, &mut made)?;
    // What is to come only when init is inside is in force already, by systemd.
    if let Some(dir) = &prepared.unified {
        for late in &prepared.late {
            if LIFTED.contains(&late.file.as_str()) {
                match file::write(dir, &late.file, "max") {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => {
                        return Err(refused_value("max", &late.file, errno).at(&late.field));
                    }
                }
            }
        }
    }
    Ok(prepared)
}

/// The files that could keep init out, or end whoever makes it.
const LIFTED: [&str; 4] = ["memory.max", "memory.high", "memory.swap.max", "pids.max"];

fn prepare_all(plan: &CgroupPlan, root: &OwnedFd, made: &mut Made<'_>) -> Result<Prepared> {
    let mut prepared = Prepared::new(Vec::with_capacity(plan.hierarchies.len()), None);
    prepared.rights = Rights::new(plan.optional);
    for hierarchy in &plan.hierarchies {
        let base = file::base(&hierarchy.directory, &plan.path);
        let before = made.paths.len();
        match made.directory(&hierarchy.directory, &plan.path) {
            Ok(Existed::No) if plan.unit.is_some() && hierarchy.version == Version::V2 => {
                return Err(elsewhere(&plan.path));
            }
            Ok(Existed::No) => {}
            // A unit is new, whatever of its cgroup is there.
            Ok(Existed::Yes) if plan.unit.is_some() => {}
            // An empty one, too: whoever has just made it may not have a process in it yet.
            Ok(Existed::Yes) => return Err(plan.taken()),
            Err(error) if plan.optional && is_denied(&error) => {
                // Above what was denied there may be some that are of no use now.
                let left = made.take_back(before);
                prepared.leave_out(hierarchy);
                if let Some(failure) = left.into_iter().next() {
                    return Err(failure);
                }
                continue;
            }
            Err(error) => return Err(error),
        }
        check_no_frozen_parent(root, hierarchy, &plan.path, &base)?;
        match hierarchy.version {
            Version::V1 => {
                let tasks = prepare_v1(root, hierarchy, &plan.path, &base)?;
                prepared.tasks.push(tasks);
            }
            Version::V2 => {
                let rights = &mut prepared.rights;
                v2::enable(root, hierarchy, &plan.path, |passed| rights.tolerate(passed))?;
                let dir = file::open_dir(root, &base).call(|| format!("open({base})"))?;
                prepared.rights.write(&dir, &hierarchy.settings)?;
                if let Some(rules) = &plan.device_program {
                    v2::attach_devices(&dir, rules)?;
                }
                if let Some(owner) = plan.owner {
                    match owner::give(&dir, &base, owner) {
                        // The directory was there, and is somebody else's.
                        Err(error) if plan.optional && is_denied(&error) => {}
                        other => other?,
                    }
                }
                prepared.unified = Some(dir);
                prepared.late.clone_from(&hierarchy.late);
            }
        }
    }
    Ok(prepared)
}

fn prepare_v1(
    root: &OwnedFd,
    hierarchy: &HierarchyPlan,
    path: &str,
    base: &str,
) -> Result<OwnedFd> {
    if hierarchy.cpuset == Inherit::Cpuset {
        v1::inherit_cpuset(root, hierarchy, path)?;
    }
    if !hierarchy.settings.is_empty() {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let dir = file::open(root, base, flags).call(|| format!("open({base})"))?;
        write_all(&dir, &hierarchy.settings)?;
    }
    open_tasks(root, base)
}

pub(super) fn open_tasks(root: &OwnedFd, base: &str) -> Result<OwnedFd> {
    let tasks = format!("{base}/tasks");
    file::open(root, &tasks, OFlags::WRONLY).call(|| format!("open({tasks})"))
}

/// systemd has every unit in cgroup2. Where it put this one is not for us to guess: limits would not hold there.
fn elsewhere(path: &str) -> Error {
    let text = format!("systemd has started the unit, but not in the cgroup {path}");
    Error::new(ErrorKind::Unsupported, text)
}

/// Whether the container's own directory was there before.
#[derive(Clone, Copy, PartialEq)]
enum Existed {
    Yes,
    No,
}

/// The directories that this call made, to be taken back on failure.
struct Made<'a> {
    root: &'a OwnedFd,
    paths: Vec<String>,
}

impl Made<'_> {
    /// Makes `path` in a hierarchy; its parents only when they turn out to be missing.
    fn directory(&mut self, directory: &str, path: &str) -> Result<Existed> {
        // A parent may be removed by another container's end between its creation and its use.
        for _ in 0..8 {
            match self.make(file::base(directory, path), true) {
                Ok(existed) => return Ok(existed),
                Err((Errno::NOENT, _)) => {}
                Err((errno, base)) => return Err(Error::os(format!("mkdir({base})"), errno)),
            }
            for (end, _) in path.match_indices('/').skip(1) {
                match self.make(file::base(directory, &path[..end]), false) {
                    Ok(_) => {}
                    // The hierarchy itself is not there, or the parent has gone again.
                    Err((Errno::NOENT, _)) => break,
                    Err((errno, base)) => return Err(Error::os(format!("mkdir({base})"), errno)),
                }
            }
        }
        Err(Error::os(format!("mkdir({})", file::base(directory, path)), Errno::NOENT))
    }

    fn make(&mut self, base: String, own: bool) -> Result<Existed, (Errno, String)> {
        match rustix::fs::mkdirat(self.root, &base, claim::mode(own)) {
            Ok(()) => {
                self.paths.push(base);
                Ok(Existed::No)
            }
            Err(Errno::EXIST) => Ok(Existed::Yes),
            Err(errno) => Err((errno, base)),
        }
    }

    fn undo(mut self, error: &mut Error) {
        self.take_back(0).into_iter().for_each(|failure| error.attach(failure));
    }

    /// Removes again all but the first `count`; what could not be removed.
    fn take_back(&mut self, count: usize) -> Vec<Error> {
        let mut failures = Vec::new();
        for path in self.paths.drain(count..).rev() {
            match rustix::fs::unlinkat(self.root, &path, AtFlags::REMOVEDIR) {
                // Another container may be using a parent by now.
                Ok(()) | Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => {}
                Err(errno) => failures.push(Error::os(format!("rmdir({path})"), errno)),
            }
        }
        failures
    }
}

/// True where the cgroup is frozen, whichever interface it has; false where it cannot be frozen.
pub(super) fn frozen(root: &OwnedFd, base: &str) -> bool {
    let v1 = file::read(root, &format!("{base}/freezer.state"));
    if let Ok(state) = v1 {
        return state.trim() != "THAWED";
    }
    file::read(root, &format!("{base}/cgroup.freeze")).is_ok_and(|state| state.trim() == "1")
}

/// Below a frozen cgroup init would stand still, and `create` with it (config-linux.md, "Control groups"). The root
/// cannot be frozen, so a path of one component costs nothing.
fn check_no_frozen_parent(
    root: &OwnedFd,
    hierarchy: &HierarchyPlan,
    path: &str,
    base: &str,
) -> Result<()> {
    let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) else {
        return Ok(());
    };
    let read = |name: &str| file::read(root, &format!("{base}/{name}"));
    // What has just been made is frozen only by what is above it.
    let frozen = match hierarchy.version {
        Version::V1 if hierarchy.directory.split(',').any(|name| name == "freezer") => {
            read("freezer.state").is_ok_and(|state| state.trim() != "THAWED")
        }
        Version::V1 => false,
        Version::V2 => {
            read("cgroup.events").is_ok_and(|text| file::keyed(&text, "frozen") == Some(1))
        }
    };
    if !frozen {
        return Ok(());
    }
    let message =
        format!("{parent}, or a cgroup above it, is frozen: no container can start there");
    Err(Error::spec("linux.cgroupsPath", message).with_kind(ErrorKind::WrongState))
}

/// Writes settings in order, then once more those that were only refused because of a later one.
pub(super) fn write_all(dir: &OwnedFd, settings: &[Setting]) -> Result<()> {
    let mut again = Vec::new();
    let mut last: Option<(&str, OwnedFd)> = None;
    for setting in settings {
        if let Some(usage) = &setting.above {
            check_above(dir, setting, usage)?;
        }
        // Device rules are a dozen lines for one file.
        let file = match last.take() {
            Some((name, file)) if name == setting.file => file,
            _ => match file::open(dir, &setting.file, OFlags::WRONLY) {
                Ok(file) => file,
                Err(Errno::NOENT) => {
                    write_instead(dir, setting)?;
                    continue;
                }
                Err(errno) => return Err(refused(setting, errno)),
            },
        };
        match file::write_to(&file, &setting.value) {
            Ok(()) => {}
            Err(Errno::INVAL) if setting.on_refused == OnRefused::RetryLast => again.push(setting),
            Err(errno) => return Err(refused(setting, errno)),
        }
        last = Some((&setting.file, file));
    }
    for setting in again {
        file::write(dir, &setting.file, &setting.value).map_err(|errno| refused(setting, errno))?;
    }
    Ok(())
}

fn write_instead(dir: &OwnedFd, setting: &Setting) -> Result<()> {
    let missing = |files: String| {
        Error::unsupported(&setting.field, format!("this host's kernel has no {files}"))
    };
    match &setting.on_missing {
        OnMissing::Skip => Ok(()),
        OnMissing::Fail => Err(missing(setting.file.clone())),
        OnMissing::Write { file, value } => match file::write(dir, file, value) {
            Err(Errno::NOENT) => Err(missing(format!("{} and no {file}", setting.file))),
            Err(errno) => Err(refused_value(value, file, errno)).at(|| &setting.field),
            Ok(()) => Ok(()),
        },
    }
}

pub(super) fn check_above(dir: &OwnedFd, setting: &Setting, usage: &str) -> Result<()> {
    let used = file::read(dir, usage).ok().and_then(|text| text.trim().parse::<u64>().ok());
    match (used, setting.value.parse::<u64>()) {
        (Some(used), Ok(limit)) if limit <= used => Err(Error::spec(
            &setting.field,
            format!("{limit} is not above the {used} bytes in use (checkBeforeUpdate)"),
        )),
        _ => Ok(()),
    }
}

fn refused(setting: &Setting, errno: Errno) -> Error {
    refused_value(&setting.value, &setting.file, errno).at(&setting.field)
}

pub(super) fn refused_value(value: &str, file: &str, errno: Errno) -> Error {
    Error::os(format!("the kernel refused {value:?} for {file}"), errno)
}
