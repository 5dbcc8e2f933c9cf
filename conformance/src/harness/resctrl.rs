//! The host's resctrl file system, as it stands beside the runtime.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Result, fail, lacks};

/// Where it is mounted.
fn mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - resctrl "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

/// The mount, on a host whose `info` has all of these; else the case is skipped.
pub(crate) fn needed(parts: &[&str]) -> Result<PathBuf> {
    let Some(root) = mount() else {
        return lacks("a mounted resctrl (a processor with Intel RDT or AMD QoS)");
    };
    match parts.iter().find(|part| !root.join("info").join(part).is_dir()) {
        Some(part) => lacks(&format!("{part} in resctrl")),
        None => Ok(root),
    }
}

/// Classes and monitoring groups whose name contains the word.
pub(crate) fn named(word: &str) -> Vec<PathBuf> {
    let Some(root) = mount() else { return Vec::new() };
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let mut found = entries(&root.join("mon_groups"));
    for class in entries(&root) {
        found.extend(entries(&class.join("mon_groups")));
        found.push(class);
    }
    let is_named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(word));
    found.into_iter().filter(is_named).collect()
}

/// Removes them; what is gone already is fine.
pub(crate) fn remove_named(word: &str) {
    for folder in named(word) {
        let _gone = fs::remove_dir(folder);
    }
}

/// A class that outlives its containers; it goes with this.
#[derive(Debug)]
pub(crate) struct Class(pub(crate) PathBuf);

impl Class {
    /// Makes it.
    pub(crate) fn make(root: &Path, name: &str) -> Result<Self> {
        fs::create_dir(root.join(name))?;
        Ok(Self(root.join(name)))
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        let _gone = fs::remove_dir(&self.0);
    }
}

/// A file of a class or a group, which is there.
pub(crate) fn read(folder: &Path, file: &str) -> Result<String> {
    let path = folder.join(file);
    fs::read_to_string(&path)
        .or_else(|error| fail(format!("{} cannot be read: {error}", path.display())))
}

/// Whether a process is in a class or a group.
pub(crate) fn has(folder: &Path, pid: i32) -> Result<bool> {
    let tasks = read(folder, "tasks")?;
    Ok(tasks.lines().any(|line| line.trim() == pid.to_string()))
}

/// The domains of a resource with their values in a class, without zeros in front; empty where it has none.
pub(crate) fn values(class: &Path, resource: &str) -> Result<Vec<(String, String)>> {
    let schemata = read(class, "schemata")?;
    let line = schemata.lines().find_map(|line| line.trim().strip_prefix(&format!("{resource}:")));
    let pair = |pair: &str| {
        let (domain, value) = pair.split_once('=')?;
        let value = value.trim().trim_start_matches('0');
        Some((domain.trim().to_owned(), value.to_owned()))
    };
    Ok(line.unwrap_or_default().split(';').filter_map(pair).collect())
}

/// A schema with one value for all domains of a resource.
pub(crate) fn schema(root: &Path, resource: &str, value: &str) -> Result<String> {
    let domains = values(root, resource)?;
    if domains.is_empty() {
        return lacks(&format!("a line {resource} in schemata"));
    }
    let pairs: Vec<String> =
        domains.iter().map(|(domain, _)| format!("{domain}={value}")).collect();
    Ok(format!("{resource}:{}", pairs.join(";")))
}

/// A mask of the L3 cache with so many bits more than it must have.
pub(crate) fn mask(root: &Path, more: u32) -> Result<String> {
    let least = fs::read_to_string(root.join("info/L3/min_cbm_bits"))?;
    let bits = least.trim().parse::<u32>().unwrap_or(1) + more;
    Ok(format!("{:x}", (1_u64 << bits) - 1))
}
