//! The host's cgroup hierarchies as the kernel lists them: find, read, empty and remove by name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::privilege::may_write;
use super::{Result, process};

/// One mounted hierarchy.
#[derive(Clone, Debug)]
pub(crate) struct Hierarchy {
    /// Where it is mounted.
    pub(crate) mount: PathBuf,
    /// The v1 controllers (`cpu`, `name=systemd`); empty for v2.
    pub(crate) controllers: Vec<String>,
    /// cgroup2.
    pub(crate) unified: bool,
}

/// Every hierarchy that is mounted, each once.
pub(crate) fn hierarchies() -> Vec<Hierarchy> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<(String, Hierarchy)> = Vec::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let fields: Vec<&str> = left.split(' ').collect();
        let (Some(device), Some(root), Some(mount)) = (fields.get(2), fields.get(3), fields.get(4))
        else {
            continue;
        };
        let kind: Vec<&str> = right.split(' ').collect();
        let unified = kind.first() == Some(&"cgroup2");
        // Containers' own views of a hierarchy have another root; only whole trees count.
        if (!unified && kind.first() != Some(&"cgroup"))
            || *root != "/"
            || found.iter().any(|(known, _)| known == device)
        {
            continue;
        }
        let options = kind.get(2).copied().unwrap_or_default().split(',');
        let controllers = options
            .filter(|option| !unified && !["rw", "ro", "xattr", "clone_children"].contains(option))
            .map(str::to_owned)
            .collect();
        found.push((
            (*device).to_owned(),
            Hierarchy { mount: PathBuf::from(mount), controllers, unified },
        ));
    }
    found.into_iter().map(|(_, hierarchy)| hierarchy).collect()
}

/// The only hierarchy is cgroup2.
pub(crate) fn is_unified() -> bool {
    matches!(hierarchies().as_slice(), [one] if one.unified)
}

/// The name of the cgroup that the suite itself is in where it may not make any at the root.
const SUITE: &str = "conformance-suite";

/// The cgroup2 path of this process.
fn own() -> Option<String> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// Where cases make their cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// At the root of every hierarchy.
    Root,
    /// Below the cgroup that was delegated to the suite, whose path has no slash at its end.
    Delegated(String),
    /// Nowhere: the suite may make no cgroup, and nobody has delegated one to it.
    Nowhere,
}

/// Where cases make their cgroups.
pub(crate) fn ground() -> Ground {
    let delegated =
        own().and_then(|own| Some(own.strip_suffix(SUITE)?.trim_end_matches('/').to_owned()));
    match delegated {
        Some(path) => Ground::Delegated(path),
        None if hierarchies().iter().any(|one| may_write(&one.mount)) => Ground::Root,
        None => Ground::Nowhere,
    }
}

/// The cgroup below which cases make theirs, without a slash at its end; empty for the root.
pub(crate) fn base() -> String {
    match ground() {
        Ground::Delegated(path) => path,
        Ground::Root | Ground::Nowhere => String::new(),
    }
}

/// Where the suite may make no cgroup at the root, but in its own one: moves this process to a cgroup below that, so
/// that controllers can be passed on to others beside it (cgroups(7), "no internal processes").
///
/// The cgroup of the suite stays: it was the caller's to delegate, and is the caller's to remove.
pub(crate) fn settle_in() -> io::Result<()> {
    let all = hierarchies();
    let (Some(own), [hierarchy]) = (own(), all.as_slice()) else { return Ok(()) };
    let place = hierarchy.mount.join(own.trim_start_matches('/'));
    if !hierarchy.unified || ground() != Ground::Nowhere || !may_write(&place) {
        return Ok(());
    }
    let suite = place.join(SUITE);
    fs::create_dir(&suite)?;
    fs::write(suite.join("cgroup.procs"), "0")?;
    for controller in fs::read_to_string(place.join("cgroup.controllers"))?.split_whitespace() {
        fs::write(place.join("cgroup.subtree_control"), format!("+{controller}"))?;
    }
    Ok(())
}

/// The folder of `path` in the hierarchy of a v1 controller, when there is one.
pub(crate) fn v1(controller: &str, path: &str) -> Option<PathBuf> {
    if ground() == Ground::Nowhere {
        return None;
    }
    let all = hierarchies();
    let one = all.iter().find(|h| h.controllers.iter().any(|name| name == controller))?;
    Some(one.mount.join(path.trim_start_matches('/')))
}

/// The folder of `path` in the unified hierarchy, when the suite has the controller there.
pub(crate) fn v2(controller: &str, path: &str) -> Option<PathBuf> {
    if ground() == Ground::Nowhere {
        return None;
    }
    let all = hierarchies();
    let one = all.iter().find(|h| h.unified)?;
    let controllers = fs::read_to_string(
        one.mount.join(base().trim_start_matches('/')).join("cgroup.controllers"),
    )
    .ok()?;
    controllers
        .split_whitespace()
        .any(|name| name == controller)
        .then(|| one.mount.join(path.trim_start_matches('/')))
}

/// Every cgroup whose name or path contains `word`, parents first.
pub(crate) fn named(word: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        walk(&hierarchy.mount, word, &mut found);
    }
    found
}

fn walk(folder: &Path, word: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            if path.to_string_lossy().contains(word) {
                found.push(path.clone());
            }
            walk(&path, word, found);
        }
    }
}

/// The processes in one cgroup.
pub(crate) fn members(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Kills what is in the cgroups that contain `word`, and removes them. Other cgroups are not touched.
pub(crate) fn remove_named(word: &str) {
    let mut folders = named(word);
    for folder in &folders {
        // A frozen process does not die before it is thawed; the files exist only where it matters.
        for (file, value) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
            if folder.join(file).exists() {
                fs::write(folder.join(file), value).unwrap_or_default();
            }
        }
        for pid in members(folder) {
            process::end(pid, Duration::from_secs(2));
        }
    }
    folders.reverse();
    for folder in folders {
        // What stays is reported by the leak check of the next look.
        fs::remove_dir(folder).unwrap_or_default();
    }
}

/// A value file, trimmed.
pub(crate) fn read(folder: &Path, file: &str) -> Result<String> {
    let path = folder.join(file);
    let text = fs::read_to_string(&path)
        .map_err(|error| super::Stop::Fail(format!("cannot read {}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// Skips where a container of the suite's has no cgroup of its own.
pub(crate) fn needs_any() -> Result {
    if ground() == Ground::Nowhere {
        return super::lacks("a cgroup that was delegated to this user");
    }
    Ok(())
}

/// Skips where the host has no such controller, in either interface.
pub(crate) fn needs(controller: &str) -> Result {
    needs_any()?;
    if v1(controller, "").is_some() || v2(controller, "").is_some() {
        return Ok(());
    }
    super::lacks(&format!("the cgroup controller {controller}"))
}

/// Skips where the host has no such controller and the suite only what was delegated to it: a runtime does without a
/// limit there that it cannot set, with a warning, and refuses it nowhere else.
pub(crate) fn needs_if_delegated(controller: &str) -> Result {
    if ground() == Ground::Root { Ok(()) } else { needs(controller) }
}

/// A limit of a container in words that both interfaces share.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Memory in bytes.
    Memory,
    /// The soft limit of memory in bytes.
    Reservation,
    /// Memory and swap together in bytes.
    MemoryAndSwap,
    /// Tasks.
    Pids,
    /// CPU time of each period in microseconds.
    Quota,
    /// That period in microseconds.
    Period,
    /// CPUs.
    Cpus,
    /// Memory nodes.
    Mems,
}

/// What the kernel says of a limit of the cgroup at `path`; `max` where there is none. Skips where the host lacks
/// its controller.
pub(crate) fn limit(path: &str, limit: Limit) -> Result<String> {
    let (controller, file, of_v2) = match limit {
        Limit::Memory => ("memory", "memory.limit_in_bytes", "memory.max"),
        Limit::Reservation => ("memory", "memory.soft_limit_in_bytes", "memory.low"),
        Limit::MemoryAndSwap => ("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"),
        Limit::Pids => ("pids", "pids.max", "pids.max"),
        Limit::Quota => ("cpu", "cpu.cfs_quota_us", "cpu.max"),
        Limit::Period => ("cpu", "cpu.cfs_period_us", "cpu.max"),
        Limit::Cpus => ("cpuset", "cpuset.cpus", "cpuset.cpus"),
        Limit::Mems => ("cpuset", "cpuset.mems", "cpuset.mems"),
    };
    if let Some(folder) = v1(controller, path) {
        let value = read(&folder, file)?;
        // The highest number of whole pages, and -1, are how v1 says that there is no limit.
        return Ok(if value == "9223372036854771712" || value == "-1" {
            "max".into()
        } else {
            value
        });
    }
    let Some(folder) = v2(controller, path) else {
        return super::lacks(&format!("the cgroup controller {controller}"));
    };
    let value = read(&folder, of_v2)?;
    let word = |index: usize| value.split(' ').nth(index).unwrap_or_default().to_owned();
    Ok(match limit {
        Limit::Quota => word(0),
        Limit::Period => word(1),
        // v2 limits swap alone.
        Limit::MemoryAndSwap => {
            match (value.parse::<u64>(), read(&folder, "memory.max")?.parse()) {
                (Ok(swap), Ok(memory)) => {
                    let memory: u64 = memory;
                    (swap + memory).to_string()
                }
                _ => "max".into(),
            }
        }
        _ => value,
    })
}

/// Whether the cgroup at `path` has so many shares of the CPU. Skips where the host lacks the controller.
pub(crate) fn has_shares(path: &str, shares: u32) -> Result<bool> {
    if let Some(folder) = v1("cpu", path) {
        return Ok(read(&folder, "cpu.shares")? == shares.to_string());
    }
    let Some(folder) = v2("cpu", path) else { return super::lacks("the cgroup controller cpu") };
    // As a weight of v2: linear, or, since 2025, by a curve that meets both ends and both defaults.
    let linear = 1 + (u64::from(shares) - 2) * 9999 / 262_142;
    let log = f64::from(shares).log2();
    let curve = 10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil();
    let weight = read(&folder, "cpu.weight")?;
    Ok(weight == linear.to_string() || weight == curve.to_string())
}
