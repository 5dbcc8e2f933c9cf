//! What is remembered of a container between commands: only what they need, in a form of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use oci_spec::runtime::Hook;
use serde::{Deserialize, Serialize};

use crate::cgroup::CgroupRecord;
use crate::cgroup::claim::Marks;
use crate::cgroup::rdt::RdtRecord;
use crate::error::Result;

/// The file in the container's directory.
pub(crate) const FILE: &str = "record.json";
/// Beside it: config.json as the container was made from it, for what `exec` takes from there. The bundle's own
/// may have been changed since.
pub(crate) const CONFIG: &str = "config.json";

/// A process that is known by more than its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its id in the pid namespace of the runtime.
    pub pid: i32,
    /// Clock ticks between boot and its start: another process that got the number later has another one
    /// (proc_pid_stat(5), field 22).
    pub start_time: u64,
}

/// Who is to get the listener of a notifying seccomp filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompListener {
    /// linux.seccomp.listenerPath.
    pub path: PathBuf,
    /// linux.seccomp.listenerMetadata.
    pub metadata: String,
}

/// The record. Written before the first kernel object of the container is made, so that whatever happens to
/// the runtime, `delete --force` knows what to look for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The version of this form.
    pub version: u32,
    /// ociVersion of config.json.
    pub oci_version: String,
    /// The bundle.
    pub bundle: PathBuf,
    /// root.path, absolute.
    pub rootfs: PathBuf,
    /// RFC 3339, UTC.
    pub created: String,
    /// The user that made it.
    pub owner: u32,
    /// annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Init; absent until `create` has done all that it promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Process>,
    /// The cgroups.
    pub cgroup: CgroupRecord,
    /// The class of caches and memory bandwidth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rdt: Option<RdtRecord>,
    /// The pid namespace is not the container's own: the kernel does not end the others with init.
    pub shared_pid: bool,
    /// Which of the standard streams that it was given are pipes, for `checkpoint`: where the workload has them may
    /// change from one moment to the next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pipes: Vec<String>,
    /// `--no-new-keyring`, which `exec` follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_new_keyring: bool,
    /// hooks.poststart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub poststart: Vec<Hook>,
    /// hooks.poststop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
    /// Whom `start` sends the seccomp listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp_listener: Option<SeccompListener>,
}

impl Record {
    /// Notes which cgroups and classes have been made. To be written before anything runs in them; then their marks can
    /// go, and nobody takes them for what a killed creator has left.
    ///
    /// # Errors
    /// Somebody has removed them.
    pub(crate) fn claim(&mut self) -> Result<Vec<Marks>> {
        let classes = self.rdt.as_mut().map(RdtRecord::claim);
        classes.into_iter().chain([self.cgroup.claim()]).collect()
    }
}
