//! What only v1 hierarchies need: a new cpuset starts empty and lets nobody in.

use std::os::fd::OwnedFd;

use super::{HierarchyPlan, file};
use crate::error::{OsResult, Result};

/// Copies cpus and memory nodes down to the container's new directory `path`, through every level that
/// has none yet; a level that has its own keeps it.
pub(super) fn inherit_cpuset(root: &OwnedFd, hierarchy: &HierarchyPlan, path: &str) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let levels = Levels { root, directory: &hierarchy.directory, name };
        let parent = levels.value(above(path))?;
        // What config.json sets is written later; it only needs parents that are not empty.
        if hierarchy.settings.iter().all(|setting| setting.file != name) {
            levels.write(path, &parent)?;
        }
    }
    Ok(())
}

struct Levels<'a> {
    root: &'a OwnedFd,
    directory: &'a str,
    name: &'a str,
}

impl Levels<'_> {
    fn file(&self, path: &str) -> String {
        format!("{}/{}", file::base(self.directory, path), self.name)
    }

    /// The value at `path`, filled from above where it is empty.
    fn value(&self, path: &str) -> Result<String> {
        let mut empty = Vec::new();
        let mut level = path;
        let value = loop {
            let name = self.file(level);
            let value = file::read(self.root, &name).call(|| format!("read({name})"))?;
            if !value.trim().is_empty() || level.is_empty() {
                break value;
            }
            empty.push(level);
            level = above(level);
        };
        for level in empty.into_iter().rev() {
            self.write(level, &value)?;
        }
        Ok(value)
    }

    fn write(&self, path: &str, value: &str) -> Result<()> {
        let (name, value) = (self.file(path), value.trim());
        file::write(self.root, &name, value).call(|| format!("write({name}, \"{value}\")"))
    }
}

/// The path one level up; empty for the root of the hierarchy.
fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}
