//! The root file system: what a container stands on.
//!
//! Here it is only decided ([`lower`]): init mounts it, and the caller opens the trees that init cannot. Knows
//! nothing of namespaces or cgroups; what it needs of them is in [`Inputs`].

mod cgroupfs;
mod device;
mod label;
mod layer;
pub(crate) mod lower;
mod mount;
pub mod option;

use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxIdMapping;
use serde::Serialize;
use teu_wire::{InitPlan, MountSource};

pub(crate) use label::MountLabel;
pub use layer::LayeredRoot;

/// A detached mount that the caller opens for init (open_tree(2)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeSource {
    /// Where it is on the host, absolute.
    pub path: PathBuf,
    /// With all mounts below it.
    pub recursive: bool,
    /// MS_* propagation to set on all of it before init gets it.
    pub propagation: Option<u64>,
    /// The JSON path of what asks for it.
    pub field: String,
    /// What it is for.
    pub what: Purpose,
    /// How its ids are mapped.
    pub id_map: Option<IdMap>,
}

impl TreeSource {
    fn root(path: PathBuf, propagation: Option<u64>) -> Self {
        let field = "root.path".into();
        Self { path, recursive: true, propagation, field, what: Purpose::Root, id_map: None }
    }
}

/// An idmapped mount (mount_setattr(2), MOUNT_ATTR_IDMAP).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdMap {
    /// uidMappings: the ids of the source, and what they are in the mount; none means the container's own.
    pub uid: Vec<LinuxIdMapping>,
    /// gidMappings.
    pub gid: Vec<LinuxIdMapping>,
    /// `ridmap`: the mounts below as well.
    pub recursive: bool,
}

/// What a tree is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Purpose {
    /// The directory root.path.
    Root,
    /// The source of a bind mount.
    Bind,
    /// The container's cgroup in one hierarchy. A container without one is in its caller's, and sees all that its
    /// caller sees.
    Cgroup {
        /// The root of the hierarchy.
        root: PathBuf,
    },
    /// A device of the host, where init may not make one.
    Device {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// Tells the plan whether the tree at `place` is a directory, which shows only when it is opened.
pub(crate) fn set_directory(init: &mut InitPlan, place: usize, is_directory: bool) {
    for mount in init.rootfs.iter_mut().flat_map(|rootfs| &mut rootfs.mounts) {
        if let MountSource::Tree(tree) = &mut mount.source
            && tree.place as usize == place
        {
            tree.directory = is_directory;
        }
    }
}

/// How the container sees the host's cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CgroupView {
    /// It has a cgroup namespace: a mount of its own shows its own cgroup.
    Fresh,
    /// It has not: its cgroup's directories are bound from the host.
    BindOf(String),
}

/// One cgroup hierarchy of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Its directory below the cgroup root of host and container; empty for the root itself.
    pub directory: String,
    /// The options that mount it; none for cgroup2.
    pub v1_options: Option<Vec<(String, Option<String>)>>,
    /// Other names of a co-mounted hierarchy.
    pub links: Vec<String>,
}

/// What the rest of the plan tells this section.
#[derive(Clone, Debug)]
// Each is a fact of another section, and none of them decides what another means.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Inputs<'a> {
    /// The bundle, absolute.
    pub bundle: &'a Path,
    /// The container has a mount namespace of its own.
    pub own_mounts: bool,
    /// It has a user namespace of its own.
    pub user_namespace: bool,
    /// Init may make devices: it is in the initial user namespace.
    pub makes_devices: bool,
    /// It has a pid namespace of its own.
    pub own_pids: bool,
    /// It has a network namespace of its own.
    pub own_network: bool,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// The caller may take no mounts of its namespace, and so map the ids of none.
    pub unprivileged: bool,
    /// How cgroups are seen.
    pub cgroup_view: CgroupView,
    /// What there is of them, as mounted on `cgroup_root` of the host.
    pub hierarchies: Vec<Hierarchy>,
    /// Where they are mounted on the host.
    pub cgroup_root: &'a Path,
    /// The SELinux context of its filesystems.
    pub label: Option<MountLabel>,
}
