//! Faults of what is made of config.json: `create` and `run` get an edited one.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::call::{Call, Result, code};
use crate::fault::{Fault, Way};

/// Makes the call while the bundle's config.json is an edited one. It is edited in its place, because `state` prints
/// the bundle and relative paths begin there, and is the suite's again before the call returns.
pub(crate) fn call(call: &Call, edit: fn(&mut Value)) -> Result<u8> {
    let path = call.config();
    let before = fs::read(&path).ok().filter(|_| call.makes());
    let config = before.as_ref().and_then(|bytes| serde_json::from_slice(bytes).ok());
    let (Some(before), Some(mut config)) = (before, config) else { return call.make() };
    edit(&mut config);
    fs::write(&path, serde_json::to_vec(&config)?)?;
    let code = call.make();
    fs::write(&path, before)?;
    code
}

/// A fault of this kind.
pub(crate) const fn of(
    name: &'static str,
    what: &'static str,
    cases: &'static [&'static str],
    edit: fn(&mut Value),
) -> Fault {
    Fault { name, what, cases, way: Way::Config(edit) }
}

/// Takes the property at this JSON pointer away.
pub(crate) fn without(config: &mut Value, pointer: &str) {
    if let Some((parent, name)) = pointer.rsplit_once('/')
        && let Some(Value::Object(parent)) = config.pointer_mut(parent)
    {
        parent.remove(name);
    }
}

fn without_namespace(config: &mut Value, kind: &str) {
    if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
        list.retain(|namespace| namespace["type"] != kind);
    }
}

/// Takes an option of all mounts away.
pub(crate) fn without_option(config: &mut Value, option: &str) {
    for mount in config["mounts"].as_array_mut().into_iter().flatten() {
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|word| word != option);
        }
    }
}

/// Every hook of the configuration.
fn hooks(config: &mut Value) -> impl Iterator<Item = &mut Value> {
    let stages = config.get_mut("hooks").and_then(Value::as_object_mut);
    stages
        .into_iter()
        .flat_map(|stages| stages.values_mut())
        .filter_map(Value::as_array_mut)
        .flatten()
}

/// Moves the hooks of a stage to the end of another.
fn move_hooks(config: &mut Value, from: &str, to: &str) {
    let Some(stages) = config.get_mut("hooks").and_then(Value::as_object_mut) else { return };
    let Some(Value::Array(moved)) = stages.remove(from) else { return };
    if let Some(list) = stages.entry(to).or_insert_with(|| json!([])).as_array_mut() {
        list.extend(moved);
    }
}

/// The word that makes this program a hook that passes a false state on.
pub(crate) const HOOK: &str = "--hook-that-lies";

/// Runs `program` as a hook with `arguments`, the first of which is its name, and with another status than the
/// runtime wrote.
pub(crate) fn hook_that_lies(program: &str, arguments: &[&str]) -> Result<u8> {
    let mut state = Vec::new();
    std::io::stdin().read_to_end(&mut state)?;
    let mut state: Value = serde_json::from_slice(&state)?;
    state["status"] = "running".into();
    let arguments = arguments.get(1..).unwrap_or_default();
    let mut hook = Command::new(program).args(arguments).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = hook.stdin.take() {
        input.write_all(&serde_json::to_vec(&state)?)?;
    }
    Ok(code(hook.wait()?))
}

fn lie_to_hooks(config: &mut Value) {
    let Ok(this) = std::env::current_exe() else { return };
    for stage in ["prestart", "createRuntime", "poststop"] {
        for hook in config["hooks"][stage].as_array_mut().into_iter().flatten() {
            let mut args = vec![json!("faulty"), json!(HOOK), hook["path"].clone()];
            args.extend(hook["args"].as_array().cloned().unwrap_or_default());
            hook["args"] = args.into();
            hook["path"] = this.to_string_lossy().into();
        }
    }
}

/// What the runtime makes of the configuration's process.
const PROCESS: &[Fault] = &[
    of("no-new-privileges", "noNewPrivileges is ignored", &["process/no-new-privileges"], |c| {
        without(c, "/process/noNewPrivileges");
    }),
    of(
        "bounding",
        "the bounding set keeps what was not asked for",
        &["process/capabilities"],
        |c| {
            if let Some(set) =
                c.pointer_mut("/process/capabilities/bounding").and_then(Value::as_array_mut)
            {
                set.push("CAP_SYS_ADMIN".into());
            }
        },
    ),
    of(
        "inheritable",
        "the inheritable set is the bounding set, as in CVE-2022-24769",
        &["process/capabilities-root"],
        |c| {
            if let Some(Value::Object(sets)) = c.pointer_mut("/process/capabilities") {
                let bounding = sets.get("bounding").cloned().unwrap_or_default();
                sets.insert("inheritable".into(), bounding);
            }
        },
    ),
    of("rlimits", "rlimits are ignored", &["process/rlimits", "user/rlimits"], |c| {
        without(c, "/process/rlimits")
    }),
    of("user", "process.user.uid is ignored", &["process/user"], |c| {
        c["process"]["user"]["uid"] = 0.into()
    }),
    of("groups", "additionalGids are ignored", &["process/user"], |c| {
        without(c, "/process/user/additionalGids");
    }),
    of("umask", "user.umask is ignored", &["process/umask"], |c| without(c, "/process/user/umask")),
    of(
        "oom-score",
        "oomScoreAdj is ignored",
        &["process/oom-score-adj", "user/oom-score-adj"],
        |c| {
            without(c, "/process/oomScoreAdj");
        },
    ),
    of("cwd", "process.cwd is ignored", &["process/cwd"], |c| c["process"]["cwd"] = "/".into()),
    of("environment", "the last of process.env is lost", &["process/env-order"], |c| {
        if let Some(list) = c["process"]["env"].as_array_mut() {
            list.pop();
        }
    }),
    of(
        "own-environment",
        "the workload gets the runtime's environment",
        &["security/environment"],
        |c| {
            let own = std::env::vars_os().map(|(name, value)| {
                json!(format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
            });
            if let Some(list) = c["process"]["env"].as_array_mut() {
                list.extend(own);
            }
        },
    ),
    of("scheduler", "process.scheduler is ignored", &["process/scheduler"], |c| {
        without(c, "/process/scheduler");
    }),
    of("io-priority", "process.ioPriority is ignored", &["process/io-priority"], |c| {
        without(c, "/process/ioPriority");
    }),
    of(
        "cpu-affinity",
        "process.execCPUAffinity is ignored",
        &[
            "exec/cpu-affinity-final",
            "exec/cpu-affinity-initial",
            "exec/cpu-affinity-own",
            "exec/cpu-affinity-bad",
        ],
        |c| without(c, "/process/execCPUAffinity"),
    ),
    of("console-size", "consoleSize is ignored", &["terminal/console-socket"], |c| {
        without(c, "/process/consoleSize");
    }),
    of("personality", "linux.personality is ignored", &["process/personality"], |c| {
        without(c, "/linux/personality");
    }),
    of("seccomp", "there is no filter", &["seccomp/errno", "exec/seccomp"], |c| {
        without(c, "/linux/seccomp")
    }),
    of("seccomp-args", "the conditions of a seccomp rule are ignored", &["seccomp/args-eq"], |c| {
        for rule in c["linux"]["seccomp"]["syscalls"].as_array_mut().into_iter().flatten() {
            without(rule, "/args");
        }
    }),
    of("seccomp-errno", "errnoRet is ignored", &["seccomp/errno"], |c| {
        for rule in c["linux"]["seccomp"]["syscalls"].as_array_mut().into_iter().flatten() {
            without(rule, "/errnoRet");
        }
    }),
];

/// What it makes of the file system.
const FILES: &[Fault] = &[
    of(
        "masked-paths",
        "maskedPaths are ignored",
        &["mask/file", "mask/folder", "mask/default"],
        |c| {
            without(c, "/linux/maskedPaths");
        },
    ),
    of("read-only-paths", "readonlyPaths are ignored", &["mask/read-only-paths"], |c| {
        without(c, "/linux/readonlyPaths");
    }),
    of("root-read-only", "root.readonly is ignored", &["mask/root-read-only"], |c| {
        without(c, "/root/readonly")
    }),
    of("nosuid", "the option nosuid is ignored", &["rootfs/flags", "rootfs/bind-flags"], |c| {
        without_option(c, "nosuid");
    }),
    of("noexec", "the option noexec is ignored", &["rootfs/flags", "rootfs/bind-flags"], |c| {
        without_option(c, "noexec");
    }),
    of("nodev", "the option nodev is ignored", &["rootfs/flags", "rootfs/bind-flags"], |c| {
        without_option(c, "nodev");
    }),
    of("mount-read-only", "the option ro is ignored", &["rootfs/flags"], |c| {
        without_option(c, "ro")
    }),
    of("rro", "the option rro is only ro", &["rootfs/read-only"], |c| {
        for mount in c["mounts"].as_array_mut().into_iter().flatten() {
            for word in mount["options"].as_array_mut().into_iter().flatten() {
                if word == "rro" {
                    *word = "ro".into();
                }
            }
        }
    }),
    of("mount-order", "mounts are made in the reverse order", &["rootfs/order"], |c| {
        if let Some(list) = c["mounts"].as_array_mut() {
            list.reverse();
        }
    }),
    of("propagation", "rootfsPropagation is ignored", &["propagation/rootfs"], |c| {
        without(c, "/linux/rootfsPropagation");
    }),
    of("mount-maps", "the mappings of a mount are ignored", &["idmap/mappings"], |c| {
        for mount in c["mounts"].as_array_mut().into_iter().flatten() {
            without(mount, "/uidMappings");
            without(mount, "/gidMappings");
        }
    }),
    of("devices", "linux.devices are not made", &["device/configured"], |c| {
        without(c, "/linux/devices")
    }),
];

/// What it makes of namespaces and cgroups.
const KERNEL: &[Fault] = &[
    of("no-pid-namespace", "no pid namespace is made", &["namespace/new-pid"], |c| {
        without_namespace(c, "pid")
    }),
    of("no-network-namespace", "no network namespace is made", &["namespace/new-network"], |c| {
        without_namespace(c, "network");
    }),
    of("no-ipc-namespace", "no ipc namespace is made", &["namespace/new-ipc"], |c| {
        without_namespace(c, "ipc");
    }),
    of("no-cgroup-namespace", "no cgroup namespace is made", &["namespace/new-cgroup"], |c| {
        without_namespace(c, "cgroup");
    }),
    of(
        "namespace-path",
        "a namespace is new where a path was given",
        &["namespace/join-network"],
        |c| {
            for namespace in c["linux"]["namespaces"].as_array_mut().into_iter().flatten() {
                without(namespace, "/path");
            }
        },
    ),
    of("time-offsets", "timeOffsets are ignored", &["namespace/time-offsets"], |c| {
        without(c, "/linux/timeOffsets");
    }),
    of("hostname", "the hostname is ignored", &["namespace/hostname"], |c| without(c, "/hostname")),
    of("domainname", "the domainname is ignored", &["namespace/domainname"], |c| {
        without(c, "/domainname")
    }),
    of("sysctl", "sysctls are ignored", &["sysctl/net", "sysctl/ipc"], |c| {
        without(c, "/linux/sysctl")
    }),
    of("net-devices", "netDevices are ignored", &["netdev/move"], |c| {
        without(c, "/linux/netDevices")
    }),
    of("cgroups-path", "cgroupsPath is ignored", &["cgroup/path"], |c| {
        // A path of the suite's own, so that it finds and removes it.
        let path = c["linux"]["cgroupsPath"].as_str().unwrap_or("/faulty").to_owned();
        c["linux"]["cgroupsPath"] = format!("{path}-other").into();
    }),
    of("memory", "the limit of memory is ignored", &["cgroup/memory-limit", "cgroup/oom"], |c| {
        without(c, "/linux/resources/memory");
    }),
    of("pids", "the limit of processes is ignored", &["cgroup/pids-in-force"], |c| {
        without(c, "/linux/resources/pids");
    }),
    of("cpu", "the quota of cpu is ignored", &["cgroup/cpu-quota"], |c| {
        without(c, "/linux/resources/cpu")
    }),
    of("all-devices", "every device is allowed", &["cgroup/devices-deny"], |c| {
        c["linux"]["resources"]["devices"] = json!([{ "allow": true, "access": "rwm" }]);
    }),
];

/// What it makes of hooks and the rest.
const HOOKS: &[Fault] = &[
    of("hook-order", "the hooks of a stage run in the reverse order", &["hook/order"], |c| {
        for stage in c
            .get_mut("hooks")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(|s| s.values_mut())
        {
            stage.as_array_mut().into_iter().for_each(|list| list.reverse());
        }
    }),
    of("hook-namespace", "createContainer hooks run outside", &["hook/namespaces"], |c| {
        move_hooks(c, "createContainer", "createRuntime");
    }),
    of("hook-late", "createRuntime hooks run at start", &["hook/order"], |c| {
        move_hooks(c, "createRuntime", "startContainer");
    }),
    of("no-poststop", "poststop hooks are ignored", &["hook/order"], |c| {
        without(c, "/hooks/poststop")
    }),
    of(
        "hook-status",
        "hooks get the status running",
        &["hook/state-of-runtime-hooks"],
        lie_to_hooks,
    ),
    of("hook-environment", "hooks get a variable more", &["hook/env-given"], |c| {
        for hook in hooks(c) {
            if let Some(list) = hook["env"].as_array_mut() {
                list.push("FAULTY=1".into());
            }
        }
    }),
    of("annotations", "annotations are lost", &["lifecycle/state-fields"], |c| {
        without(c, "/annotations")
    }),
];

/// All of them.
pub(crate) const FAULTS: &[&[Fault]] = &[PROCESS, FILES, KERNEL, HOOKS];
