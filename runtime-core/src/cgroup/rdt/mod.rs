//! Intel RDT and its likes (AMD QoS): a class of service for the container's share of caches and memory bandwidth,
//! and a group that counts its use (linux.intelRdt).
//!
//! The kernel's interface is the resctrl file system (Documentation/filesystems/resctrl.rst): a directory for each
//! class, with `schemata` for what it may use and `tasks` for who is in it. [`lower`] decides (pure), [`RdtPlan`]
//! makes the directories before the clone, init writes itself into the `tasks` files that it is handed, and
//! [`RdtRecord`] finds everything again later. Unlike cgroups, classes are few (often 16), are shared between
//! containers, and lose no process when they are removed: the kernel moves it to the default class.

mod lock;
mod lower;
mod own;
mod resctrl;
mod stats;

use serde::{Deserialize, Serialize};

use super::claim::Claim;

pub(crate) use lower::{lower, lower_schemas};
pub(crate) use resctrl::{Written, add};
pub use stats::RdtStats;

/// What lowering decided: directories and writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RdtPlan {
    /// The class and the group.
    pub groups: RdtRecord,
    /// What is written to the `schemata` of a new class, in this order, or what an old one has to say already.
    pub schemata: Vec<Schemata>,
}

/// Lines for `schemata`, in one write: the kernel applies them together, and takes no domain twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Schemata {
    /// The field of config.json that asks for them.
    pub field: String,
    /// The lines, each with its line feed.
    pub lines: String,
}

/// Where a container is in resctrl, and what of it is its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RdtRecord {
    /// The directory of the class below the mount; `.` is the default class, which is always there.
    pub class: String,
    /// linux.intelRdt.closID names it: it may be there before the container, and outlives it.
    pub shared: bool,
    /// The container's monitoring group, a directory in `mon_groups` of the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<String>,
    /// Which directories its own are; none in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cgroup) claim: Option<Claim>,
}

/// Schemas for `update`, whose word for them is runc's; none stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schemas {
    /// As linux.intelRdt.l3CacheSchema.
    pub l3_cache: Option<String>,
    /// As linux.intelRdt.memBwSchema.
    pub mem_bw: Option<String>,
}

impl RdtRecord {
    /// The monitoring group's directory below the mount.
    fn monitoring_directory(&self) -> Option<String> {
        let name = self.monitoring.as_ref()?;
        Some(match self.class.as_str() {
            "." => format!("mon_groups/{name}"),
            class => format!("{class}/mon_groups/{name}"),
        })
    }

    /// The directories whose `tasks` a process is written to, in this order: the kernel takes only a process of the
    /// class into a group of it, and whoever is written to the class has left the group.
    fn directories(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.class.clone()).chain(self.monitoring_directory())
    }

    /// The directories that go with the container, the inner one first.
    fn own(&self) -> impl Iterator<Item = String> {
        let class = (!self.shared).then(|| self.class.clone());
        self.monitoring_directory().into_iter().chain(class)
    }
}
