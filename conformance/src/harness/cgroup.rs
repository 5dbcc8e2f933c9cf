//! The host's cgroup hierarchies as the kernel lists them: find, read, empty and remove by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// The folder of `path` in the hierarchy of a v1 controller, when there is one.
pub(crate) fn v1(controller: &str, path: &str) -> Option<PathBuf> {
    let all = hierarchies();
    let one = all.iter().find(|h| h.controllers.iter().any(|name| name == controller))?;
    Some(one.mount.join(path.trim_start_matches('/')))
}

/// The folder of `path` in the unified hierarchy, when the controller is enabled at its root.
pub(crate) fn v2(controller: &str, path: &str) -> Option<PathBuf> {
    let all = hierarchies();
    let one = all.iter().find(|h| h.unified)?;
    let controllers = fs::read_to_string(one.mount.join("cgroup.controllers")).ok()?;
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
