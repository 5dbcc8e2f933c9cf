//! What a case left behind on the host.
//!
//! The worker has a mount namespace of its own, is the subreaper of everything it starts, and every
//! name it uses contains one token, so what is found here is this case's and nobody else's, even
//! when cases run at the same time.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Lab, cgroup, process, resctrl};

/// How things were before the case.
#[derive(Debug)]
pub(crate) struct Baseline {
    mounts: Vec<String>,
    descriptors: BTreeSet<String>,
}

impl Baseline {
    /// Looks around.
    pub(crate) fn take() -> Self {
        Self { mounts: mounts(), descriptors: descriptors() }
    }

    /// Everything that is there now and was not before, one line each.
    pub(crate) fn leaks(&self, lab: &Lab) -> Vec<String> {
        let mut leaks = Vec::new();
        for (pid, name) in process::settle(Duration::from_secs(3)) {
            leaks.push(format!("process {pid} ({name}) is still there"));
        }
        let now = mounts();
        for mount in now.iter().filter(|mount| !self.mounts.contains(mount)) {
            leaks.push(format!("a mount appeared on the host: {mount}"));
        }
        for mount in self.mounts.iter().filter(|mount| !now.contains(mount)) {
            // The kernel drops a mount from every namespace when anybody removes its mount point, so
            // only a mount whose place is still there was taken away by the runtime.
            let place = mount.split(' ').nth(4).unwrap_or("/");
            if Path::new(place).exists() {
                leaks.push(format!("a mount of the host is gone: {mount}"));
            }
        }
        // A parent that the configuration named may stay (runtimes differ), a container's may not.
        let container = format!("{}-", lab.token);
        let is_slice = |folder: &Path| folder.extension().is_some_and(|end| end == "slice");
        for folder in cgroup::named(&container).into_iter().filter(|folder| !is_slice(folder)) {
            leaks.push(format!("the cgroup {} is still there", folder.display()));
        }
        for folder in resctrl::named(&container) {
            leaks.push(format!("{} is still in resctrl", folder.display()));
        }
        if let Ok(entries) = fs::read_dir(lab.state_root()) {
            for entry in entries.flatten() {
                // Ids cannot be hidden names: what is hidden is the runtime's own (a cache of filters).
                if entry.file_name().to_string_lossy().starts_with('.') {
                    continue;
                }
                leaks.push(format!("the state root still has {:?}", entry.file_name()));
            }
        }
        for descriptor in descriptors().difference(&self.descriptors) {
            leaks.push(format!("the suite still holds the descriptor {descriptor}"));
        }
        leaks
    }
}

fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn descriptors() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return BTreeSet::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let target = target.to_string_lossy().into_owned();
            // The descriptor that reads this very directory is not a leak.
            (!target.starts_with("/proc/"))
                .then(|| format!("{} -> {target}", entry.file_name().to_string_lossy()))
        })
        .collect()
}
