//! Facts about the host, probed once and then plain data: everything that lowering may ask about the
//! machine is here, so "rootless on cgroup v2" is a unit test and not another machine.

use std::path::PathBuf;

use crate::cgroup::systemd::Manager;

/// One mounted cgroup v1 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V1Hierarchy {
    /// The directory below the cgroup root that it is mounted on (`memory`, `cpu,cpuacct`, `systemd`).
    pub directory: String,
    /// The controllers bound to it, as cgroups(7) names them; empty for a named hierarchy.
    pub controllers: Vec<String>,
    /// The name of a hierarchy without controllers (`systemd`).
    pub name: Option<String>,
}

/// How the host's cgroup file systems are laid out (cgroups(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupLayout {
    /// cgroup2 alone, mounted on the cgroup root, with the controllers of its root cgroup.
    Unified {
        /// The words of `cgroup.controllers`.
        controllers: Vec<String>,
    },
    /// v1 hierarchies below the cgroup root; with `unified`, a cgroup2 mount beside them (hybrid).
    Legacy {
        /// Every v1 hierarchy that is mounted.
        hierarchies: Vec<V1Hierarchy>,
        /// The directory of the cgroup2 mount below the cgroup root, where there is one.
        unified: Option<String>,
    },
    /// No cgroup file system is mounted.
    None,
}

/// What lowering may know about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
// Each is a fact of its own.
#[allow(clippy::struct_excessive_bools)]
pub struct Host {
    /// Where the cgroup file systems are mounted: `/sys/fs/cgroup`.
    pub cgroup_root: PathBuf,
    /// Their layout.
    pub cgroups: CgroupLayout,
    /// The effective user id of the caller.
    pub euid: u32,
    /// The effective group id of the caller.
    pub egid: u32,
    /// The effective capabilities of the caller, one bit each.
    pub effective: u64,
    /// The caller is in the initial user namespace, whose root is the host's.
    pub initial_user_namespace: bool,
    /// Cgroups, or limits of theirs, that the caller may not make are done without, with a warning: `--rootless`.
    pub rootless: bool,
    /// The cgroup2 directory of a caller without privilege below which its containers' are, where one was
    /// delegated to it (cgroups(7), "Cgroups delegation").
    pub delegated: Option<String>,
    /// The highest capability number that the kernel knows (prctl(2), PR_CAPBSET_READ).
    pub last_capability: u8,
    /// The capabilities in the caller's bounding set, one bit each: what cannot be given is dropped.
    pub bounding: u64,
    /// AppArmor is enabled.
    pub apparmor: bool,
    /// SELinux is enabled.
    pub selinux: bool,
    /// Who makes the cgroups, with the systemd driver; none with the cgroupfs driver.
    pub systemd: Option<Manager>,
}

impl Host {
    /// The same host, where `--rootless` says so.
    #[must_use]
    pub fn rootless(mut self, said: Option<bool>) -> Self {
        self.rootless = said.unwrap_or(self.rootless);
        self
    }

    /// Whether the caller has the privilege of the host's root.
    pub fn is_root(&self) -> bool {
        self.euid == 0 && self.initial_user_namespace
    }

    /// Whether the caller has a capability over its own user namespace (capabilities(7)).
    pub fn can(&self, capability: u8) -> bool {
        self.effective >> capability & 1 != 0
    }

    /// Whether the caller may write any map of a user namespace that it makes (user_namespaces(7)).
    pub fn may_map(&self) -> bool {
        const SETGID: u8 = 6;
        const SETUID: u8 = 7;
        self.can(SETUID) && self.can(SETGID)
    }

    /// Whether the caller may raise hard limits and lower OOM scores, which root of a user namespace may not.
    pub fn may_raise(&self) -> bool {
        const SYS_RESOURCE: u8 = 24;
        self.is_root() && self.can(SYS_RESOURCE)
    }

    /// Whether the caller may take mounts of its namespace for others (open_tree(2), OPEN_TREE_CLONE).
    pub fn may_open_trees(&self) -> bool {
        const SYS_ADMIN: u8 = 21;
        self.can(SYS_ADMIN)
    }

    /// The v1 hierarchy that `controller` is bound to.
    pub fn v1(&self, controller: &str) -> Option<&V1Hierarchy> {
        match &self.cgroups {
            CgroupLayout::Legacy { hierarchies, .. } => {
                hierarchies.iter().find(|h| h.controllers.iter().any(|c| c == controller))
            }
            CgroupLayout::Unified { .. } | CgroupLayout::None => None,
        }
    }

    /// A root caller on the layout of many a v1 host, for tests of lowering.
    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        let one = |name: &str| V1Hierarchy {
            directory: name.into(),
            controllers: vec![name.into()],
            name: None,
        };
        let mut hierarchies: Vec<V1Hierarchy> =
            ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"]
                .into_iter()
                .map(one)
                .collect();
        hierarchies.push(V1Hierarchy {
            directory: "systemd".into(),
            controllers: Vec::new(),
            name: Some("systemd".into()),
        });
        Self {
            cgroup_root: "/sys/fs/cgroup".into(),
            cgroups: CgroupLayout::Legacy { hierarchies, unified: Some("unified".into()) },
            euid: 0,
            egid: 0,
            effective: u64::MAX,
            initial_user_namespace: true,
            rootless: false,
            delegated: None,
            last_capability: 40,
            bounding: (1 << 41) - 1,
            apparmor: false,
            selinux: false,
            systemd: None,
        }
    }
}
