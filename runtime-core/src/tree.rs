//! The mount trees that the caller opens for init: bind sources, and the root directory.
//!
//! Opened here and not in init, because the caller sees the host's paths with the host's rights: init may be
//! root of a user namespace that owns none of them. A caller without privilege only looks at them ([`leave_all`]). A tree is detached from the moment it is made, gets its
//! propagation before anybody can mount something in it, and init only moves it into place.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, OpenTreeFlags};
use teu_wire::{Fds, InitPlan, OwnedText};

use crate::error::{Context, Error, ErrorKind, OsResult, Result};
use crate::namespace::mapping;
use crate::operation::child;
use crate::plan::{CreatePlan, IdMapped, MapSource};
use crate::rootfs::{Purpose, TreeSource};
use crate::sys::mount::{IDMAP, MountAttr, mount_setattr};
use crate::sys::userns;

/// Checks the directory that the root is mounted on, which init opens again in its own mount namespace.
///
/// # Errors
/// root.path is not a directory.
pub(crate) fn check_root(path: &Path) -> Result<()> {
    let found = rustix::fs::stat(path).map_err(|errno| match errno {
        Errno::NOENT => {
            Error::spec("root.path", format_args!("{}: no such file or directory", path.display()))
        }
        other => Error::os(format!("stat({})", path.display()), other).at("root.path"),
    })?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return Ok(());
    }
    Err(Error::spec("root.path", format_args!("{} is no directory", path.display())))
}

/// Looks at every tree that init opens itself, in order, and tells the plan which of them are directories. Returns
/// the numbers under which init is to keep them: behind all that it gets, with room for what it opens itself before.
///
/// # Errors
/// A source that is not there, with the JSON path of what asked for it.
pub(crate) fn leave_all(
    plan: &CreatePlan,
    init: &mut InitPlan,
    given: &Fds,
    preserve: u32,
) -> Result<Vec<i32>> {
    const ROOM: i32 = 32;
    for (place, source) in plan.trees.iter().enumerate() {
        let found = match (rustix::fs::stat(&source.path), &source.what) {
            (Err(Errno::NOENT), Purpose::Cgroup { root }) => {
                let text = OwnedText::new(root.to_string_lossy().as_bytes());
                if let (Ok(text), Some(source)) = (text, init.sources.get_mut(place)) {
                    source.path = text;
                }
                continue;
            }
            (Err(Errno::NOENT), _) => return Err(missing(source).at(source.field.as_str())),
            (found, _) => found
                .call(|| format!("stat({})", source.path.display()))
                .at(|| source.field.as_str())?,
        };
        match source.what {
            Purpose::Root | Purpose::Cgroup { .. } => (),
            Purpose::Bind => {
                let directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
                crate::rootfs::set_directory(init, place, directory);
            }
            Purpose::Device { major, minor } => check_device(&found, (major, minor), source)?,
        }
    }
    let lists = [&given.stdio, &given.tasks, &given.namespaces];
    let highest = [given.link, given.gate, given.console, preserve.cast_signed() + 2]
        .into_iter()
        .chain(lists.into_iter().flatten().copied())
        .max();
    let first = highest.unwrap_or(2) + ROOM;
    Ok((first..).take(plan.trees.len()).collect())
}

/// Docker's users know this sentence from a bind source that is not there; their exit code depends on it.
fn missing(source: &TreeSource) -> Error {
    let text = format!("bind source path {}: no such file or directory", source.path.display());
    Error::new(ErrorKind::Os, text)
}

/// Opens every tree of the plan, in order, and tells the plan which of them are directories.
///
/// # Errors
/// A source that is not there, with the JSON path of what asked for it.
pub(crate) fn open_all(plan: &CreatePlan, init: &mut InitPlan) -> Result<Vec<OwnedFd>> {
    let sources = &plan.trees;
    let mut trees = Vec::with_capacity(sources.len());
    for (place, source) in sources.iter().enumerate() {
        let tree = open_one(source).at(|| source.field.as_str())?;
        let stat = || rustix::fs::fstat(&tree).call(|| format!("stat({})", source.path.display()));
        match source.what {
            Purpose::Root | Purpose::Cgroup { .. } => (),
            Purpose::Bind => {
                let directory = FileType::from_raw_mode(stat()?.st_mode) == FileType::Directory;
                crate::rootfs::set_directory(init, place, directory);
            }
            Purpose::Device { major, minor } => check_device(&stat()?, (major, minor), source)?,
        }
        trees.push(tree);
    }
    map_ids(plan, &trees)?;
    Ok(trees)
}

/// Maps the ids of trees that want it, while nobody else has them: the kernel lets a mount be mapped only once, and
/// before it is attached.
fn map_ids(plan: &CreatePlan, trees: &[OwnedFd]) -> Result<()> {
    // Volumes of one container have the same maps, as a rule.
    let mut known: Vec<(&MapSource, OwnedFd)> = Vec::new();
    for IdMapped { place, recursive, by } in &plan.id_mapped {
        let (Some(tree), Some(source)) = (trees.get(*place), plan.trees.get(*place)) else {
            continue;
        };
        if known.iter().all(|(of, _)| of != &by) {
            known.push((by, user_namespace(by).at(|| source.field.as_str())?));
        }
        let Some((_, namespace)) = known.iter().find(|(of, _)| of == &by) else { continue };
        let userns_fd = namespace.as_raw_fd().unsigned_abs().into();
        let attr = MountAttr { set: IDMAP, userns_fd, ..MountAttr::default() };
        mount_setattr(tree.as_fd(), *recursive, attr)
            .call(|| {
                format!(
                    "mount_setattr({}, MOUNT_ATTR_IDMAP); can its file system be idmapped?",
                    source.path.display()
                )
            })
            .at(|| source.field.as_str())?;
    }
    Ok(())
}

/// A user namespace with the maps.
fn user_namespace(by: &MapSource) -> Result<OwnedFd> {
    let open = |path: &Path| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).call(|| format!("open({})", path.display()))
    };
    let maps = match by {
        MapSource::Path(path) => return open(path),
        MapSource::Maps(maps) => maps,
    };
    let holder = userns::hold()?;
    let made = mapping::write_privileged(holder.pid, maps)
        .and_then(|()| open(Path::new(&format!("/proc/{}/ns/user", holder.pid))));
    // The descriptor holds the namespace from here on.
    child::end(&holder.pidfd)?;
    made
}

fn open_one(source: &TreeSource) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if source.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let opened = rustix::mount::open_tree(CWD, &source.path, flags);
    let tree = match (opened, &source.what) {
        (Err(Errno::NOENT), Purpose::Cgroup { root }) => rustix::mount::open_tree(CWD, root, flags)
            .call(|| format!("open_tree({}, OPEN_TREE_CLONE)", root.display()))?,
        (Err(Errno::NOENT), _) => return Err(missing(source)),
        (other, _) => {
            other.call(|| format!("open_tree({}, OPEN_TREE_CLONE)", source.path.display()))?
        }
    };
    if let Some(propagation) = source.propagation {
        set_propagation(&tree, propagation).call(|| {
            format!("mount_setattr({}, propagation {propagation:#x})", source.path.display())
        })?;
    }
    Ok(tree)
}

/// Of the tree and all below it.
fn set_propagation(tree: &OwnedFd, propagation: u64) -> Result<(), crate::error::Errno> {
    let attr = MountAttr { propagation, ..MountAttr::default() };
    match mount_setattr(tree.as_fd(), true, attr) {
        // Before Linux 5.12.
        Err(crate::error::Errno(libc::ENOSYS)) => {
            let path = format!("/proc/self/fd/{}", tree.as_raw_fd());
            let flags = MountPropagationFlags::from_bits_retain(propagation as u32);
            Ok(rustix::mount::mount_change(path, flags | MountPropagationFlags::REC)?)
        }
        other => other,
    }
}

/// A node that is bound instead of made has to be that device: a path alone says nothing.
fn check_device(stat: &Stat, wanted: (u32, u32), source: &TreeSource) -> Result<()> {
    let device = matches!(
        FileType::from_raw_mode(stat.st_mode),
        FileType::CharacterDevice | FileType::BlockDevice
    );
    if device && (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)) == wanted {
        return Ok(());
    }
    Err(Error::spec(
        source.field.as_str(),
        format_args!(
            "{} on the host is not device {}:{}",
            source.path.display(),
            wanted.0,
            wanted.1
        ),
    ))
}
