//! cgroups: where a container is accounted and what it may use.
//!
//! Owns the directories of one container below the mounted cgroup file systems, the limits written into
//! them, and their removal. [`lower`] decides (pure), [`prepare`] makes the directories in the caller
//! before the clone, [`CgroupRecord`] finds everything again later. Makes directories, and on cgroup v2 one
//! BPF program. It moves no process: init joins by `CLONE_INTO_CGROUP` (v2) and by writing `0` to the v1
//! `tasks` files it is handed, because writing a pid to `cgroup.procs` costs an RCU grace period.
//! It does not mount cgroup file systems inside the container; that is the root file system's work.

pub(crate) mod claim;
mod destroy;
mod device;
mod file;
mod freeze;
mod join;
mod kill;
mod lower;
mod oom;
mod owner;
mod path;
mod prepare;
mod prepared;
pub mod rdt;
mod record;
pub mod stats;
pub mod systemd;
mod update;
mod v1;
mod v2;

pub use device::{Access, DeviceKind, DeviceProgram, DeviceRule};
pub use join::Below;
pub use lower::lower;
pub use oom::OomNotices;
pub(crate) use owner::is_writable;
pub use prepare::prepare;
pub use prepared::Prepared;
pub use record::CgroupRecord;
pub use update::update;

use crate::error::{Error, ErrorKind};

/// Why a container cannot be paused, or its limits changed.
pub(crate) const NOWHERE: &str =
    "the container has no cgroup: whoever made it had no right to make one";

/// Which of the two kernel interfaces a hierarchy has (cgroups(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// The legacy interface: one hierarchy for each controller or group of controllers.
    V1,
    /// cgroup2: one tree.
    V2,
}

/// What lowering decided: paths and writes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct CgroupPlan {
    /// The container's cgroup, absolute inside each hierarchy (`/docker/abc`), without `.` and `..`.
    pub path: String,
    /// Every hierarchy that the container gets a directory in; v1 ones in the order in which they are
    /// joined, with memory last so that less is charged to the container, then cgroup2.
    pub hierarchies: Vec<HierarchyPlan>,
    /// What the caller may not make is done without, with a warning: it has no privilege.
    pub optional: bool,
    /// The device rules, where cgroup2 has to enforce them by a BPF program.
    pub device_program: Option<DeviceProgram>,
    /// The user of the host who gets the cgroup, where cgroup2 is alone and the container may write to its cgroup.
    pub owner: Option<u32>,
    /// The unit of systemd that the cgroup belongs to; none with the cgroupfs driver.
    pub unit: Option<systemd::UnitPlan>,
}

/// The container's directory in one hierarchy.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct HierarchyPlan {
    /// Where the hierarchy is mounted below the cgroup root; empty where it is the root itself.
    pub directory: String,
    /// Its interface.
    pub version: Version,
    /// v1 cpuset: a new directory has no cpus and memory nodes, and nobody can join it before it has.
    pub cpuset: Inherit,
    /// v2: controllers that the ancestors have to pass on.
    pub controllers: Vec<Controller>,
    /// What to write before anybody joins, in this order.
    pub settings: Vec<Setting>,
    /// What to write only when init is inside, because it would keep init out.
    pub late: Vec<Setting>,
}

/// Whether new directories get their parent's cpuset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inherit {
    /// Nothing to copy.
    Nothing,
    /// Copy `cpuset.cpus` and `cpuset.mems` at every level.
    Cpuset,
}

/// A cgroup2 controller that the container's cgroup should have.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Controller {
    /// Its name in `cgroup.controllers`.
    pub name: String,
    /// The field that cannot be honoured without it; without one it serves statistics only.
    pub needed_by: Option<String>,
}

/// One write into a cgroup file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// The file's name in the container's directory.
    pub file: String,
    /// What is written.
    pub value: String,
    /// The field of config.json that asks for it.
    pub field: String,
    /// What to do when the kernel has no such file.
    pub on_missing: OnMissing,
    /// What to do when the kernel refuses the value.
    pub on_refused: OnRefused,
    /// Refuse a limit that is not above what this file says is used already (`checkBeforeUpdate`).
    pub above: Option<String>,
}

impl Setting {
    pub(crate) fn new(
        file: impl Into<String>,
        value: impl ToString,
        field: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            value: value.to_string(),
            field: field.into(),
            on_missing: OnMissing::Fail,
            on_refused: OnRefused::Fail,
            above: None,
        }
    }

    /// The limit may be absent from the kernel without harm.
    pub(crate) fn or_skip(mut self) -> Self {
        self.on_missing = OnMissing::Skip;
        self
    }

    /// Another kernel interface for the same thing.
    pub(crate) fn or_write(mut self, file: impl Into<String>, value: impl ToString) -> Self {
        self.on_missing = OnMissing::Write { file: file.into(), value: value.to_string() };
        self
    }

    /// Only valid together with a setting that comes later.
    pub(crate) fn retried(mut self) -> Self {
        self.on_refused = OnRefused::RetryLast;
        self
    }
}

/// What to do when a cgroup file does not exist.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// An error that names the field.
    Fail,
    /// Nothing is lost: go on.
    Skip,
    /// Another file of other kernels or schedulers means the same.
    Write {
        /// That file.
        file: String,
        /// The value in its terms.
        value: String,
    },
}

/// What to do when the kernel refuses a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnRefused {
    /// An error that names field and value.
    Fail,
    /// After EINVAL, write it again after the other settings: the kernel checks two values against each
    /// other (limit and swap, period and quota) and which goes first depends on the old ones.
    RetryLast,
}

impl CgroupPlan {
    /// Every write, in order.
    pub fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.hierarchies.iter().flat_map(|h| h.settings.iter().chain(&h.late))
    }

    /// The error of a cgroup that somebody else has made.
    pub(crate) fn taken(&self) -> Error {
        let text = format!(
            "cgroup {} exists already: it belongs to another container, or is left of one; give another \
             linux.cgroupsPath, or remove it",
            self.path
        );
        Error::new(ErrorKind::WrongState, text)
    }

    /// What later commands need to find the cgroup again.
    pub fn record(&self, host: &crate::host::Host) -> CgroupRecord {
        let directories =
            self.hierarchies.iter().map(|h| (h.directory.clone(), h.version)).collect();
        let unit = self.unit.as_ref().map(systemd::UnitPlan::record);
        CgroupRecord::new(host.cgroup_root.clone(), self.path.clone(), directories).of_unit(unit)
    }
}
