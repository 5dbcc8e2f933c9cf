//! What is left over after the containers of a test are deleted, asked of the kernel, of the file
//! system and of containerd; and its removal, so that a failed test does not disturb the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;

use super::daemon::{Daemon, MARK};
use crate::support::process::{DEADLINE, Handle, live};
use crate::support::systemd;

/// Fails the test when anything of its containers is left. The shims end some time after their last
/// container is deleted, so their end is waited for; everything else has to be gone by then.
pub(crate) fn none(daemon: &Daemon) {
    let until = Instant::now() + DEADLINE;
    let mut left: Vec<String> = processes(daemon)
        .into_iter()
        .filter(|(handle, _)| !handle.wait(until))
        .map(|(handle, command)| format!("process {}: {command}", handle.pid))
        .collect();
    left.extend(mounts(daemon).iter().map(|point| format!("mount {}", point.display())));
    left.extend(cgroups(daemon).iter().map(|path| format!("cgroup {}", path.display())));
    for directory in [daemon.runtime_root(), daemon.bundles(), daemon.path("fifo")] {
        left.extend(entries(&directory).iter().map(|path| format!("file {}", path.display())));
    }
    for listing in [["container", "list", "--quiet"], ["task", "list", "--quiet"]] {
        left.extend(
            daemon.ctr(listing).succeeds().lines().map(|id| format!("{}: {id}", listing[0])),
        );
    }
    // The committed snapshot is the image's own layer.
    let snapshots = daemon.ctr(["snapshot", "list"]).succeeds();
    left.extend(
        snapshots
            .lines()
            .skip(1)
            .filter(|line| !line.contains("Committed"))
            .map(|line| format!("snapshot {line}")),
    );
    assert!(left.is_empty(), "left over:\n{}", left.join("\n"));
    if daemon.runtime.systemd {
        systemd::nothing_below(&daemon.parent);
    }
}

/// Removes what a test, perhaps a failed one, has left on the host. containerd has ended already.
pub(crate) fn remove(daemon: &Daemon) {
    let sockets: Vec<PathBuf> =
        entries(&daemon.bundles()).iter().filter_map(|bundle| shim_socket(bundle)).collect();
    for (handle, command) in processes(daemon) {
        eprintln!("killing what the test left: process {}: {command}", handle.pid);
        handle.signal(Signal::KILL);
        if !handle.wait(Instant::now() + DEADLINE) {
            eprintln!("process {} does not end", handle.pid);
        }
    }
    for socket in sockets {
        report(&socket, fs::remove_file(&socket));
    }
    for point in mounts(daemon) {
        report(&point, unmount(&point, UnmountFlags::DETACH).map_err(Into::into));
    }
    if daemon.runtime.systemd {
        systemd::stop(&daemon.parent);
    }
    for path in cgroups(daemon).into_iter().chain(parents(daemon)) {
        report(&path, fs::remove_dir(&path));
    }
}

fn report(path: &Path, removed: std::io::Result<()>) {
    if let Err(error) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("{} was not removed: {error}", path.display());
    }
}

/// The live processes of this test without containerd: its shims and runtimes by the mark in their
/// environment, shims also by their arguments, containers by their cgroup.
fn processes(daemon: &Daemon) -> Vec<(Handle, String)> {
    let mark = format!("{MARK}={} ", daemon.namespace);
    let address = format!(" -address {} ", daemon.socket().display());
    let cgroup = format!("/{}/", daemon.parent);
    live()
        .into_iter()
        .filter(|(pid, _)| *pid != daemon.pid())
        .filter(|(_, seen)| {
            seen.environment.contains(&mark)
                || seen.command.contains(&address)
                || seen.cgroups.contains(&cgroup)
        })
        .filter_map(|(pid, seen)| Some((Handle::open(pid)?, seen.command)))
        .collect()
}

/// The shim of one container.
pub(crate) fn shim(daemon: &Daemon, id: &str) -> Handle {
    let address = format!(" -address {} ", daemon.socket().display());
    let id = format!(" -id {id} ");
    let (pid, _) = live()
        .into_iter()
        .find(|(_, seen)| seen.command.contains(&address) && seen.command.contains(&id))
        .expect("a running container has a shim");
    Handle::open(pid).expect("the shim is alive")
}

/// Where the shim of a bundle listens: always below /run/containerd, whatever is configured.
pub(crate) fn shim_socket(bundle: &Path) -> Option<PathBuf> {
    let address = fs::read_to_string(bundle.join("address")).ok()?;
    address.strip_prefix("unix://").map(PathBuf::from)
}

/// The mount points below the directory of this test, innermost first.
fn mounts(daemon: &Daemon) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = mountinfo()
        .into_iter()
        .map(|mount| mount.point)
        .filter(|point| point.starts_with(daemon.directory()))
        .collect();
    points.reverse();
    points
}

/// The cgroup that containerd gives a namespace, or its slice, in every mounted hierarchy. No runtime removes it.
fn parents(daemon: &Daemon) -> Vec<PathBuf> {
    mountinfo()
        .into_iter()
        .filter(|mount| matches!(mount.kind.as_str(), "cgroup" | "cgroup2"))
        .map(|mount| mount.point.join(&daemon.parent))
        .filter(|path| path.is_dir())
        .collect()
}

/// The cgroups of this test's containers, innermost first.
fn cgroups(daemon: &Daemon) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        parents(daemon).iter().flat_map(|parent| directories(parent)).collect();
    let mut next = 0;
    while next < found.len() {
        let below = directories(&found[next]);
        found.extend(below);
        next += 1;
    }
    found.reverse();
    found
}

/// The first file of this name in the cgroups of a container.
pub(crate) fn cgroup_file(daemon: &Daemon, id: &str, names: &[&str]) -> String {
    let path = parents(daemon)
        .iter()
        .flat_map(|parent| names.iter().map(|name| parent.join(daemon.cgroup(id)).join(name)))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no cgroup of {id} has one of {names:?}"));
    fs::read_to_string(&path).expect("a cgroup file").trim().to_owned()
}

fn directories(parent: &Path) -> Vec<PathBuf> {
    entries(parent).into_iter().filter(|path| path.is_dir()).collect()
}

/// What a directory holds; nothing when it does not exist.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

struct Mount {
    point: PathBuf,
    kind: String,
}

fn mountinfo() -> Vec<Mount> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            Some(Mount {
                point: left.split(' ').nth(4)?.into(),
                kind: right.split(' ').next()?.to_owned(),
            })
        })
        .collect()
}
