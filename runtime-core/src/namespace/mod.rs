//! Namespaces: what a container sees.
//!
//! Owns the decision how each namespace comes about ([`lower`]), the descriptors of those joined by path
//! ([`handle`]), the thread that enters some of them before the clone ([`around`]), what a further process has to
//! enter ([`enter`]), and the id maps ([`mapping`]). The entering itself is init's. Knows nothing of cgroups or the root file system.

pub(crate) mod around;
pub(crate) mod device;
pub(crate) mod enter;
pub(crate) mod handle;
pub(crate) mod idmap;
pub(crate) mod lower;
pub(crate) mod mapping;
mod netlink;

use std::path::PathBuf;

use idmap::IdMaps;
use serde::Serialize;

/// The eight kinds of namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// user_namespaces(7).
    User,
    /// pid_namespaces(7).
    Pid,
    /// network_namespaces(7).
    Network,
    /// ipc_namespaces(7).
    Ipc,
    /// uts_namespaces(7).
    Uts,
    /// mount_namespaces(7).
    Mount,
    /// cgroup_namespaces(7).
    Cgroup,
    /// time_namespaces(7).
    Time,
}

impl Kind {
    /// All kinds, in the order in which they are entered: the user namespace first, because it decides over
    /// the right to enter the others; the mount namespace late, because it changes what paths mean.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Pid,
        Self::Time,
        Self::Network,
        Self::Ipc,
        Self::Uts,
        Self::Cgroup,
        Self::Mount,
    ];

    /// CLONE_NEW* (clone(2)).
    pub fn flag(self) -> u32 {
        (match self {
            Self::User => libc::CLONE_NEWUSER,
            Self::Pid => libc::CLONE_NEWPID,
            Self::Network => libc::CLONE_NEWNET,
            Self::Ipc => libc::CLONE_NEWIPC,
            Self::Uts => libc::CLONE_NEWUTS,
            Self::Mount => libc::CLONE_NEWNS,
            Self::Cgroup => libc::CLONE_NEWCGROUP,
            Self::Time => 0x80,
        }) as u32
    }

    /// The file in /proc/PID/ns.
    pub fn file(self) -> &'static str {
        match self {
            Self::Network => "net",
            Self::Mount => "mnt",
            other => other.word(),
        }
    }

    /// The word of config-linux.md.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Pid => "pid",
            Self::Network => "network",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Mount => "mount",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }
}

/// How a namespace of one kind comes about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The caller's own: the kind is not in linux.namespaces.
    Inherit,
    /// A new one.
    New,
    /// An existing one.
    Path {
        /// A file of nsfs.
        path: PathBuf,
        /// The JSON path of the element that names it.
        field: String,
    },
}

/// Where every namespace of the container comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted([Source; 8]);

impl Wanted {
    /// The source of one kind.
    pub fn get(&self, kind: Kind) -> &Source {
        &self.0[kind as usize]
    }

    /// A new namespace is made.
    pub fn is_new(&self, kind: Kind) -> bool {
        *self.get(kind) == Source::New
    }

    /// The caller's namespace stays.
    pub fn is_inherited(&self, kind: Kind) -> bool {
        *self.get(kind) == Source::Inherit
    }

    fn is_joined(&self, kind: Kind) -> bool {
        matches!(self.get(kind), Source::Path { .. })
    }
}

/// What was decided: who enters or makes which namespace, and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamespacePlan {
    /// Where each comes from.
    pub wanted: Wanted,
    /// Entered by a short-lived thread of the caller before the clone.
    pub around_clone: Vec<Kind>,
    /// CLONE_NEW* of the one clone3.
    pub at_clone: u32,
    /// Entered by init (or the joiner), in this order.
    pub in_init: Vec<Kind>,
    /// The maps of a new user namespace.
    pub maps: Option<IdMaps>,
    /// What a joined user namespace is said to have.
    pub joined_maps: Option<IdMaps>,
    /// Network devices that move into the container.
    pub devices: Vec<NetDevice>,
    /// Init's part.
    pub init: teu_wire::Namespaces,
}

/// A network device of the caller's namespace (linux.netDevices).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetDevice {
    /// Its name there.
    pub name: String,
    /// Its name in the container; `%d` stands for the first number that is free.
    pub new_name: String,
    /// The JSON path of the element.
    pub field: String,
}
