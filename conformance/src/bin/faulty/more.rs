//! Further faults of what is made of config.json: the finer points of mounts, user namespaces and filters.

use serde_json::Value;

use crate::config::{of, without, without_option};
use crate::fault::Fault;

fn profile(config: &mut Value) -> impl Iterator<Item = &mut Value> {
    config["linux"]["seccomp"]["syscalls"].as_array_mut().into_iter().flatten()
}

fn rename_option(config: &mut Value, from: &str, to: &str) {
    for mount in config["mounts"].as_array_mut().into_iter().flatten() {
        for word in mount["options"].as_array_mut().into_iter().flatten() {
            if word == from {
                *word = to.into();
            }
        }
    }
}

/// The faults of this kind.
pub(crate) const FAULTS: &[&[Fault]] = &[&[
    of("rbind", "rbind is only bind", &["rootfs/bind"], |c| rename_option(c, "rbind", "bind")),
    of("bind", "bind is rbind", &["rootfs/bind"], |c| rename_option(c, "bind", "rbind")),
    of("tmpcopyup", "tmpcopyup is ignored", &["rootfs/tmpcopyup"], |c| {
        without_option(c, "tmpcopyup")
    }),
    of("noatime", "the option noatime is ignored", &["rootfs/flags"], |c| {
        without_option(c, "noatime")
    }),
    of("tmpfs-data", "the size and mode of a tmpfs are ignored", &["rootfs/tmpfs-data"], |c| {
        for mount in c["mounts"].as_array_mut().into_iter().flatten() {
            let tmpfs = mount["type"] == "tmpfs";
            if let Some(options) = mount["options"].as_array_mut().filter(|_| tmpfs) {
                options.retain(|word| !word.as_str().is_some_and(|word| word.contains('=')));
            }
        }
    }),
    of(
        "mount-propagation",
        "the propagation of a mount is private",
        &["propagation/options"],
        |c| {
            for word in ["shared", "slave", "rshared", "rslave", "unbindable", "runbindable"] {
                rename_option(c, word, "private");
            }
        },
    ),
    of("uid-maps", "the container's uid 0 is the host's", &["user/maps"], |c| {
        for map in c["linux"]["uidMappings"].as_array_mut().into_iter().flatten() {
            map["hostID"] = map["containerID"].clone();
        }
    }),
    of("device-mode", "devices have mode 0666", &["device/configured"], |c| {
        for device in c["linux"]["devices"].as_array_mut().into_iter().flatten() {
            without(device, "/fileMode");
        }
    }),
    of("device-owner", "devices belong to root", &["device/configured"], |c| {
        for device in c["linux"]["devices"].as_array_mut().into_iter().flatten() {
            without(device, "/uid");
        }
    }),
    of(
        "device-access",
        "an allowed device can be read and written",
        &["cgroup/devices-access"],
        |c| {
            for rule in c["linux"]["resources"]["devices"].as_array_mut().into_iter().flatten() {
                rule["access"] = "rwm".into();
            }
        },
    ),
    of("seccomp-default-errno", "defaultErrnoRet is ignored", &["seccomp/default-errno"], |c| {
        without(c, "/linux/seccomp/defaultErrnoRet");
    }),
    of(
        "seccomp-kill",
        "a call that kills is only refused",
        &["seccomp/kill-process", "seccomp/kill-thread"],
        |c| {
            profile(c).for_each(|rule| rule["action"] = "SCMP_ACT_ERRNO".into());
        },
    ),
    of("seccomp-trap", "a call that traps kills", &["seccomp/trap-handled"], |c| {
        profile(c).for_each(|rule| rule["action"] = "SCMP_ACT_KILL_PROCESS".into());
    }),
    of("seccomp-architectures", "the filter knows only one architecture", &["seccomp/x86"], |c| {
        without(c, "/linux/seccomp/architectures");
    }),
    of("seccomp-operator", "greater is taken for not equal", &["seccomp/args-gt"], |c| {
        for rule in profile(c) {
            for argument in rule["args"].as_array_mut().into_iter().flatten() {
                argument["op"] = "SCMP_CMP_NE".into();
            }
        }
    }),
    of("ignored-signals", "the workload starts with signals ignored", &["process/signals"], |c| {
        let args = c["process"]["args"].as_array().cloned().unwrap_or_default();
        let shell = ["/bin/busybox", "sh", "-c", "trap '' PIPE USR2; exec \"$0\" \"$@\""];
        c["process"]["args"] = shell.into_iter().map(Value::from).chain(args).collect();
    }),
    of("hook-failure", "the failure of a hook is ignored", &["hook/failure-in-create"], |c| {
        for stage in c["hooks"].as_object_mut().into_iter().flat_map(|stages| stages.values_mut()) {
            for hook in stage.as_array_mut().into_iter().flatten() {
                let program = hook["path"].clone();
                let args = hook["args"].as_array().cloned().unwrap_or_default();
                let shell = ["sh", "-c", "\"$0\" \"$@\"; exit 0"].map(Value::from);
                hook["args"] =
                    shell.into_iter().chain([program]).chain(args.into_iter().skip(1)).collect();
                hook["path"] = "/bin/sh".into();
            }
        }
    }),
]];
