//! Faults of values that are ignored, or made into others, where the runtime has to apply or refuse them.

use serde_json::{Value, json};

use crate::config::{of, without};
use crate::fault::Fault;

/// All of these, with the property at the end of the pointer taken away.
macro_rules! ignored {
    ($($name:literal: $pointer:literal => $case:literal),+ $(,)?) => {
        &[$(of($name, concat!($pointer, " is ignored"), &[$case], |c| without(c, $pointer))),+]
    };
}

/// Runs a command among the container's namespaces, before the root changes.
fn inside(config: &mut Value, command: &str) {
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", command],
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] });
    match config["hooks"]["createContainer"].as_array_mut() {
        Some(hooks) => hooks.push(hook),
        None => config["hooks"]["createContainer"] = json!([hook]),
    }
}

fn list<'c>(config: &'c mut Value, pointer: &str) -> impl Iterator<Item = &'c mut Value> {
    config.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The faults of this kind.
pub(crate) const FAULTS: &[&[Fault]] = &[
    ignored! {
        "scheduler-flags": "/process/scheduler/flags" => "scheduler/flags",
        "scheduler-unset": "/process/scheduler" => "scheduler/nice-unset",
        "memory-policy-flags": "/linux/memoryPolicy/flags" => "memory-policy/flags",
        "memory-policy": "/linux/memoryPolicy" => "memory-policy/refused",
        "personality-flags": "/linux/personality/flags" => "value/personality-flags",
        "io-priority-unknown": "/process/ioPriority" => "value/io-priority",
        "time-offsets-other": "/linux/timeOffsets" => "value/time-offsets",
        "seccomp-metadata": "/linux/seccomp/listenerMetadata" => "value/seccomp-metadata",
        "annotations-lost": "/annotations" => "value/annotations",
        "annotation-key": "/annotations/" => "value/annotation-key-empty",
        "realtime": "/linux/resources/cpu" => "cgroup/cpu-realtime",
        "leaf-weight": "/linux/resources/blockIO/leafWeight" => "cgroup/block-leaf-weight",
        "weight-device": "/linux/resources/blockIO/weightDevice" => "cgroup/block-weight-device",
        "rdma": "/linux/resources/rdma" => "cgroup/rdma",
        "kernel-memory": "/linux/resources/memory/kernel" => "cgroup/memory-kernel",
        "sysctl-user": "/linux/sysctl/user.max_net_namespaces" => "sysctl/user",
    },
    OTHERS,
];

const OTHERS: &[Fault] = &[
    of("any-version", "any version is taken", &["value/version"], |c| {
        c["ociVersion"] = "1.0.2".into()
    }),
    of("deadline", "the deadline is the period", &["scheduler/deadline"], |c| {
        let period = c.pointer("/process/scheduler/period").cloned();
        if let (Some(deadline), Some(period)) =
            (c.pointer_mut("/process/scheduler/deadline"), period)
        {
            *deadline = period;
        }
    }),
    of(
        "rlimit-order",
        "a soft limit above the hard one is lowered",
        &["value/rlimit-order"],
        |c| {
            for limit in list(c, "/process/rlimits") {
                if limit["soft"].as_u64() > limit["hard"].as_u64() {
                    limit["soft"] = limit["hard"].clone();
                }
            }
        },
    ),
    of(
        "hidden-relative",
        "a relative path is taken for absolute",
        &["value/hidden-relative"],
        |c| {
            for pointer in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
                for path in list(c, pointer) {
                    if let Some(text) = path.as_str().filter(|text| !text.starts_with('/')) {
                        *path = format!("/{text}").into();
                    }
                }
            }
        },
    ),
    of("device-numbers", "a device without numbers is left out", &["value/device-numbers"], |c| {
        if let Some(devices) = c["linux"]["devices"].as_array_mut() {
            devices.retain(|device| device["type"] == "p" || device.get("major").is_some());
        }
    }),
    of("seccomp-names", "a rule without names is left out", &["value/seccomp-names"], |c| {
        if let Some(rules) = c["linux"]["seccomp"]["syscalls"].as_array_mut() {
            rules.retain(|rule| rule["names"].as_array().is_none_or(|names| !names.is_empty()));
        }
    }),
    of(
        "bind-data",
        "options of a file system are lost in a bind mount",
        &["mount/bind-data"],
        |c| {
            for options in list(c, "/mounts").map(|mount| &mut mount["options"]) {
                let Some(options) = options.as_array_mut() else { continue };
                if options.iter().any(|word| word == "bind") {
                    options.retain(|word| !word.as_str().is_some_and(|word| word.contains('=')));
                }
            }
        },
    ),
    of("hook-timeout", "a hook past its timeout is no failure", &["hook/timeout"], |c| {
        for hook in list(c, "/hooks/createRuntime").filter(|hook| hook["timeout"].is_number()) {
            *hook = json!({ "path": "/bin/true" });
        }
    }),
    of(
        "poststop-after-failure",
        "no poststop hook runs when a hook of create has failed",
        &["hook/poststop-after-failure"],
        |c| {
            let text = c["hooks"].to_string();
            if text.contains("record-fail") && !text.contains("poststart") {
                without(c, "/hooks/poststop");
            }
        },
    ),
    of(
        "rootfs-slave",
        "a root that is to be a slave is private",
        &["propagation/rootfs-host"],
        |c| {
            c["linux"]["rootfsPropagation"] = "private".into();
        },
    ),
    of("device-type", "a rule holds for every type", &["cgroup/devices-type"], |c| {
        list(c, "/linux/resources/devices").for_each(|rule| without(rule, "/type"));
    }),
    of("loopback", "lo is left down", &["namespace/loopback"], |c| {
        inside(c, "ip link set lo down");
    }),
    of("netdev-attributes", "a moved device has another MTU", &["netdev/attributes"], |c| {
        inside(c, "ip link set e mtu 1500");
    }),
];
