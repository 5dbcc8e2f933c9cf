//! Faults of `linux.resources`: one limit that is ignored, while all others hold.

use serde_json::Value;

use crate::fault::{Fault, Way};

macro_rules! ignored {
    ($($name:literal: $pointer:literal => $case:literal),+ $(,)?) => {
        &[$(Fault {
            name: $name,
            what: concat!("linux.resources", $pointer, " is ignored"),
            cases: &[$case],
            way: Way::Config(|config| remove(config, $pointer)),
        }),+]
    };
}

fn remove(config: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    let parent = config["linux"]["resources"].pointer_mut(parent).and_then(Value::as_object_mut);
    parent.map(|parent| parent.remove(name));
}

/// The faults of this kind.
pub(crate) const FAULTS: &[&[Fault]] = &[
    CHANGED,
    ignored! {
        "memory-reservation": "/memory/reservation" => "cgroup/memory-reservation",
        "memory-swap": "/memory/swap" => "cgroup/memory-swap",
        "memory-swappiness": "/memory/swappiness" => "cgroup/memory-swappiness",
        "cpu-shares": "/cpu/shares" => "cgroup/cpu-shares",
        "cpu-period": "/cpu/period" => "cgroup/cpu-quota",
        "cpu-burst": "/cpu/burst" => "cgroup/cpu-burst",
        "cpu-idle": "/cpu/idle" => "cgroup/cpu-idle",
        "cpuset-cpus": "/cpu/cpus" => "cgroup/cpuset",
        "block-weight": "/blockIO/weight" => "cgroup/block-weight",
        "block-read": "/blockIO/throttleReadBpsDevice" => "cgroup/block-throttle",
        "block-write": "/blockIO/throttleWriteBpsDevice" => "cgroup/block-throttle",
        "block-reads": "/blockIO/throttleReadIOPSDevice" => "cgroup/block-throttle",
        "block-writes": "/blockIO/throttleWriteIOPSDevice" => "cgroup/block-throttle",
        "unified": "/unified" => "cgroup/unified",
        "hugepages": "/hugepageLimits" => "cgroup/hugepages",
        "network-class": "/network" => "cgroup/network-class",
    },
];

/// Limits that are another than what was asked for.
const CHANGED: &[Fault] = &[
    Fault {
        name: "pids-zero",
        what: "linux.resources.pids.limit 0 is taken for no limit",
        cases: &["cgroup/pids-zero"],
        way: Way::Config(|config| {
            if config["linux"]["resources"]["pids"]["limit"] == 0 {
                remove(config, "/pids");
            }
        }),
    },
    Fault {
        name: "memory-floor",
        what: "a limit of memory below 16 MiB is raised",
        cases: &["cgroup/oom-init"],
        way: Way::Config(|config| {
            for name in ["limit", "swap"] {
                let limit = config["linux"]["resources"].pointer_mut(&format!("/memory/{name}"));
                if let Some(limit) = limit.filter(|limit| limit.as_i64() < Some(16 << 20)) {
                    *limit = (16 << 20).into();
                }
            }
        }),
    },
];
