//! The plan of `create`: what was decided, before anything is done.
//!
//! Sections and not a list of operations: the order of the steps is code, read in `operation/create.rs` for
//! the caller and in `init/src/create.rs` for init. A plan holds no descriptor, is never edited while it runs
//! and never stored; `teu plan` prints it.

pub(crate) mod lower;

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Hook, LinuxSeccomp};
use serde::Serialize;
use teu_wire::{InitPlan, MountSource};

use crate::cgroup::CgroupPlan;
use crate::cgroup::rdt::RdtPlan;
use crate::error::Result;
use crate::namespace::NamespacePlan;
use crate::namespace::idmap::IdMaps;
use crate::rootfs::TreeSource;
use crate::store::record::SeccompListener;

/// Everything that `create` will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CreatePlan {
    /// The container's id.
    pub id: String,
    /// Where it lives.
    pub namespaces: NamespacePlan,
    /// What it may use.
    pub cgroup: CgroupPlan,
    /// Its class of caches and memory bandwidth.
    pub rdt: Option<RdtPlan>,
    /// The trees that the caller opens for [`InitPlan::rootfs`].
    pub trees: Vec<TreeSource>,
    /// Which of them are idmapped, and how.
    pub id_mapped: Vec<IdMapped>,
    /// Hooks in the runtime's namespaces.
    pub hooks: CallerHooks,
    /// Whom `start` sends the seccomp listener.
    pub seccomp_listener: Option<SeccompListener>,
    /// The profile to compile; the program goes into [`teu_wire::Process::seccomp`].
    pub seccomp: Option<LinuxSeccomp>,
    /// Init's part.
    pub init: InitPlan,
}

/// A tree whose ids are mapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdMapped {
    /// Its place among the trees.
    pub place: usize,
    /// The mounts below as well.
    pub recursive: bool,
    /// By what.
    pub by: MapSource,
}

/// A user namespace whose maps a mount takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapSource {
    /// One with these maps, made for it.
    Maps(IdMaps),
    /// The one at this path, which the container joins.
    Path(PathBuf),
}

/// Hooks in the runtime's namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CallerHooks {
    /// hooks.prestart.
    pub prestart: Vec<Hook>,
    /// hooks.createRuntime.
    pub create_runtime: Vec<Hook>,
    /// hooks.poststart.
    pub poststart: Vec<Hook>,
    /// hooks.poststop.
    pub poststop: Vec<Hook>,
}

impl CreatePlan {
    /// Every mount whose source is outside of the container: its place inside, absolute, and the source.
    pub(crate) fn bound(&self) -> Vec<(String, PathBuf)> {
        let Some(rootfs) = &self.init.rootfs else { return Vec::new() };
        let mounts =
            rootfs.mounts.iter().chain(&rootfs.late).filter_map(|mount| match &mount.source {
                MountSource::Tree(tree) => Some((&mount.destination, tree.place)),
                _ => None,
            });
        let devices = rootfs.devices.iter().filter_map(|device| Some((&device.path, device.tree?)));
        mounts
            .chain(devices)
            .filter_map(|(inside, place)| {
                let tree = self.trees.get(place as usize)?;
                Some((format!("/{inside}"), tree.path.clone()))
            })
            .collect()
    }

    /// Compiles the seccomp profile into init's part. Done by the caller before the clone: libseccomp needs
    /// milliseconds and megabytes, which must not be the container's.
    ///
    /// # Errors
    /// A profile that libseccomp refuses.
    pub(crate) fn compile_seccomp(&mut self, state_root: &Path) -> Result<()> {
        if let Some(profile) = &self.seccomp {
            let no_new_privileges = self.init.process.no_new_privileges;
            self.init.process.seccomp =
                crate::process::seccomp::compile_cached(profile, no_new_privileges, state_root)?;
        }
        Ok(())
    }
}
