//! `features`: each property of the document, and that what it lists is true.

use serde_json::{Value, json};

use super::Case;
use super::namespace::replace;
use super::rootfs::add;
use crate::harness::{Lab, Result, ensure, ensure_eq, needs_linux};

const SPEC: &str = "OCI runtime-spec features.md";
const LINUX: &str = "OCI runtime-spec features-linux.md";

pub(super) const CASES: &[Case] = &[
    Case::new("feature/versions", "ociVersionMin is no later than ociVersionMax", SPEC, versions),
    Case::new("feature/hooks", "hooks names all six stages", SPEC, |lab| {
        let stages = ["prestart", "createRuntime", "createContainer", "startContainer"];
        lists(lab, "/hooks", &[&stages[..], &["poststart", "poststop"]].concat())
    }),
    Case::new("feature/mount-options", "mountOptions names what MUST be there", SPEC, |lab| {
        lists(lab, "/mountOptions", MUST_OPTIONS)
    }),
    Case::new(
        "feature/mount-options-true",
        "every word of mountOptions is taken",
        SPEC,
        options_true,
    )
    .known("runc 1.1 lists defaults and gives it to the file system")
    // A container for every word.
    .deadline(120),
    Case::new("feature/annotations", "annotations is an object of strings", SPEC, annotations),
    Case::new(
        "feature/unsafe-annotations",
        "potentiallyUnsafeConfigAnnotations is a list",
        SPEC,
        |l| {
            let all = document(l)?;
            ensure!(all["potentiallyUnsafeConfigAnnotations"].is_array(), "it is missing");
            Ok(())
        },
    )
    .known("runc 1.1 is older than the property"),
    Case::new("feature/namespaces", "linux.namespaces names seven kinds", LINUX, |lab| {
        lists(
            lab,
            "/linux/namespaces",
            &["cgroup", "ipc", "mount", "network", "pid", "user", "uts"],
        )
    }),
    Case::new("feature/namespace-time", "linux.namespaces names time", LINUX, |lab| {
        lists(lab, "/linux/namespaces", &["time"])
    })
    .known("runc 1.1 has no time namespaces"),
    Case::new(
        "feature/capabilities",
        "every name of linux.capabilities is taken",
        LINUX,
        capabilities,
    ),
    Case::new("feature/cgroup", "linux.cgroup says yes or no to v1, v2, systemd", LINUX, |lab| {
        booleans(lab, "/linux/cgroup", &["v1", "v2", "systemd", "systemdUser"])
    }),
    Case::new("feature/cgroup-rdma", "linux.cgroup says yes or no to rdma", LINUX, |lab| {
        booleans(lab, "/linux/cgroup", &["rdma"])
    })
    .known("runc 1.1 is older than the property"),
    Case::new("feature/seccomp-actions", "linux.seccomp.actions names the actions", LINUX, |lab| {
        let words = ["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "NOTIFY"];
        let words = [&words[..], &["TRACE", "TRAP"]].concat();
        let words: Vec<String> = words.iter().map(|word| format!("SCMP_ACT_{word}")).collect();
        lists(lab, "/linux/seccomp/actions", &words.iter().map(String::as_str).collect::<Vec<_>>())
    }),
    Case::new(
        "feature/seccomp-operators",
        "linux.seccomp.operators names all seven",
        LINUX,
        |lab| {
            let words = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
            let words = words.map(|word| format!("SCMP_CMP_{word}"));
            lists(lab, "/linux/seccomp/operators", &words.each_ref().map(String::as_str))
        },
    ),
    Case::new("feature/seccomp-archs", "linux.seccomp.archs names what it runs on", LINUX, |lab| {
        let own = if cfg!(target_arch = "aarch64") { "AARCH64" } else { "X86_64" };
        lists(lab, "/linux/seccomp/archs", &[&format!("SCMP_ARCH_{own}")])
    }),
    Case::new("feature/seccomp-flags", "supportedFlags are among knownFlags", LINUX, seccomp_flags)
        .known("runc 1.1 is older than the properties"),
    Case::new("feature/security-modules", "apparmor and selinux say yes or no", LINUX, |lab| {
        booleans(lab, "/linux/apparmor", &["enabled"])?;
        booleans(lab, "/linux/selinux", &["enabled"])
    }),
    Case::new("feature/intel-rdt", "intelRdt says yes or no to each part", LINUX, |lab| {
        booleans(lab, "/linux/intelRdt", &["enabled", "schemata", "monitoring"])
    })
    .known("runc 1.1 is older than these properties"),
    Case::new("feature/memory-policy", "memoryPolicy names modes and flags", LINUX, |lab| {
        lists(lab, "/linux/memoryPolicy/modes", &["MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE"])?;
        lists(lab, "/linux/memoryPolicy/flags", &["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"])
    })
    .known("runc 1.1 is older than the property"),
    Case::new("feature/network-devices", "netDevices says yes or no", LINUX, |lab| {
        booleans(lab, "/linux/netDevices", &["enabled"])
    })
    .known("runc 1.1 is older than the property"),
    Case::new(
        "feature/namespaces-true",
        "every name of linux.namespaces is taken",
        "OCI runtime-spec features-linux.md#namespaces (MUST recognize)",
        namespaces_true,
    ),
    Case::new(
        "feature/seccomp-true",
        "every action, operator and supported flag of linux.seccomp is taken",
        "OCI runtime-spec features-linux.md#seccomp (MUST recognize)",
        seccomp_true,
    ),
    Case::new(
        "feature/seccomp-archs-true",
        "every architecture of linux.seccomp is taken",
        "OCI runtime-spec features-linux.md#seccomp archs (MUST recognize)",
        seccomp_archs_true,
    )
    .known("libseccomp refuses architectures of another byte order"),
    Case::new(
        "feature/memory-policy-true",
        "every mode and flag of linux.memoryPolicy is taken",
        "OCI runtime-spec features-linux.md#memory-policy (MUST recognize)",
        memory_policy_true,
    )
    .known("runc 1.1 is older than the property"),
    Case::new("feature/idmap", "mountExtensions.idmap says yes or no", LINUX, |lab| {
        booleans(lab, "/linux/mountExtensions/idmap", &["enabled"])
    })
    .known("runc 1.1 is older than the property"),
];

/// The words that config.md says MUST be supported.
const MUST_OPTIONS: &[&str] = &[
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "iversion",
    "lazytime",
    "loud",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "private",
    "rbind",
    "relatime",
    "remount",
    "ro",
    "rprivate",
    "rshared",
    "rslave",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "sync",
    "unbindable",
];

fn document(lab: &Lab) -> Result<Value> {
    lab.call(["features"]).without_root().run()?.ok()?.silent()?.json()
}

fn strings(list: &Value) -> Vec<String> {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The words of a list that must have these.
fn lists(lab: &Lab, pointer: &str, words: &[&str]) -> Result {
    let all = document(lab)?;
    let list = strings(all.pointer(pointer).unwrap_or(&Value::Null));
    let missing: Vec<_> =
        words.iter().filter(|word| !list.iter().any(|one| one == *word)).collect();
    ensure!(missing.is_empty(), "{pointer} lacks {missing:?}; it has {list:?}");
    Ok(())
}

fn booleans(lab: &Lab, pointer: &str, words: &[&str]) -> Result {
    let all = document(lab)?;
    for word in words {
        let value = all.pointer(&format!("{pointer}/{word}"));
        ensure!(value.is_some_and(Value::is_boolean), "{pointer}/{word} is {value:?}");
    }
    Ok(())
}

fn versions(lab: &Lab) -> Result {
    let all = document(lab)?;
    let version = |field: &str| -> Vec<u32> {
        let text = all[field].as_str().unwrap_or_default();
        let numbers = text.split(['-', '+']).next().unwrap_or_default();
        numbers.split('.').filter_map(|number| number.parse().ok()).collect()
    };
    let (least, most) = (version("ociVersionMin"), version("ociVersionMax"));
    ensure!(least.len() == 3 && most.len() == 3, "no versions of three numbers: {all}");
    ensure!(least <= most, "{least:?} is later than {most:?}");
    Ok(())
}

/// Words about one mount on a tmpfs; others have cases of their own.
fn options_true(lab: &Lab) -> Result {
    let words = strings(&document(lab)?["mountOptions"]);
    ensure!(words.len() > 10, "mountOptions has only {words:?}");
    let apart = ["bind", "rbind", "remount", "idmap", "ridmap"];
    for word in words.iter().filter(|word| !apart.contains(&word.as_str())) {
        let bundle = lab.bundle(|config| {
            config["process"]["args"] = json!(["/probe", "exit", "0"]);
            add(
                config,
                json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": [word] }),
            );
        })?;
        let done = lab.container(bundle).run()?;
        ensure!(done.code == Some(0), "{word} is listed, but {}: {}", done.ended(), done.stderr);
    }
    Ok(())
}

/// A container must come to be with a word that is listed.
fn taken(lab: &Lab, word: &str, edit: impl FnOnce(&mut Value)) -> Result {
    let done = lab.container(lab.bundle(edit)?).try_create()?;
    ensure!(done.code == Some(0), "{word} is listed, but {}: {}", done.ended(), done.stderr);
    Ok(())
}

/// The strings at this place of the document, of which there must be some.
fn listed(lab: &Lab, pointer: &str) -> Result<Vec<String>> {
    let words = strings(document(lab)?.pointer(pointer).unwrap_or(&Value::Null));
    ensure!(!words.is_empty(), "{pointer} has no words");
    Ok(words)
}

fn namespaces_true(lab: &Lab) -> Result {
    for word in listed(lab, "/linux/namespaces")? {
        // A name may be recognised where the kernel has no such thing.
        if word == "time" && !std::path::Path::new("/proc/self/ns/time").exists() {
            continue;
        }
        taken(lab, &word, |config| {
            replace(config, &word, json!({ "type": word }));
            if word == "user" {
                let (first, size) = super::user_namespace::ids();
                let map = json!([{ "containerID": 0, "hostID": first, "size": size }]);
                config["linux"]["uidMappings"] = map.clone();
                config["linux"]["gidMappings"] = map;
            }
        })?;
    }
    Ok(())
}

fn rule(action: &str, tests: Value) -> Value {
    let call = json!({ "names": ["getsid"], "action": action, "args": tests });
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [call] })
}

fn seccomp_archs_true(lab: &Lab) -> Result {
    let mut profile = rule("SCMP_ACT_ERRNO", json!([]));
    for arch in listed(lab, "/linux/seccomp/archs")? {
        profile["architectures"] = json!([arch]);
        taken(lab, &arch, |config| config["linux"]["seccomp"] = profile.clone())?;
    }
    Ok(())
}

fn seccomp_true(lab: &Lab) -> Result {
    // With SCMP_ACT_NOTIFY somebody must be there to ask: cases of its own.
    for action in listed(lab, "/linux/seccomp/actions")? {
        let profile = rule(&action, json!([]));
        if action != "SCMP_ACT_NOTIFY" {
            taken(lab, &action, |config| config["linux"]["seccomp"] = profile)?;
        }
    }
    for operator in listed(lab, "/linux/seccomp/operators")? {
        let tests = json!([{ "index": 0, "value": 1, "valueTwo": 1, "op": operator }]);
        let profile = rule("SCMP_ACT_ERRNO", tests);
        taken(lab, &operator, |config| config["linux"]["seccomp"] = profile)?;
    }
    let mut all = rule("SCMP_ACT_ERRNO", json!([]));
    // Not in features of runc before 1.2.
    for flag in strings(&document(lab)?["linux"]["seccomp"]["supportedFlags"]) {
        all["flags"] = json!([flag]);
        taken(lab, &flag, |config| config["linux"]["seccomp"] = all.clone())?;
    }
    Ok(())
}

fn memory_policy_true(lab: &Lab) -> Result {
    lab.needs("/proc/self/numa_maps", "NUMA")?;
    needs_linux(6, 9, "all modes of set_mempolicy(2)")?;
    for mode in listed(lab, "/linux/memoryPolicy/modes")? {
        taken(lab, &mode, |config| {
            config["linux"]["memoryPolicy"] = json!({ "mode": mode });
            if !["MPOL_DEFAULT", "MPOL_LOCAL"].contains(&mode.as_str()) {
                config["linux"]["memoryPolicy"]["nodes"] = "0".into();
            }
        })?;
    }
    for flag in listed(lab, "/linux/memoryPolicy/flags")? {
        taken(lab, &flag, |config| {
            config["linux"]["memoryPolicy"] =
                json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": [flag] });
        })?;
    }
    Ok(())
}

fn annotations(lab: &Lab) -> Result {
    let all = document(lab)?;
    let strings = all["annotations"].as_object().map(|map| map.values().all(Value::is_string));
    ensure!(strings != Some(false), "annotations are not all strings: {}", all["annotations"]);
    Ok(())
}

fn capabilities(lab: &Lab) -> Result {
    let names = strings(&document(lab)?["linux"]["capabilities"]);
    ensure!(names.iter().any(|name| name == "CAP_SYS_ADMIN"), "linux.capabilities is {names:?}");
    let host = std::fs::read_to_string("/proc/self/status")?;
    let bounding = host.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap_or_default();
    let bits = u64::from_str_radix(bounding.trim(), 16).unwrap_or_default();
    let ours = rustix::thread::CapabilitySet::from_bits_retain(bits);
    // What the suite does not have itself, no runtime can give; that is another case's business.
    let wanted: Vec<&String> = names
        .iter()
        .filter(|name| ours.iter_names().any(|(word, _)| name.strip_prefix("CAP_") == Some(word)))
        .collect();
    let c = lab.container(lab.bundle(|config| {
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = json!(wanted);
        }
    })?);
    ensure_eq!(c.facts()?["capabilities"]["effective"], bounding.trim(), "set with every name");
    Ok(())
}

fn seccomp_flags(lab: &Lab) -> Result {
    let all = document(lab)?;
    let known = strings(&all["linux"]["seccomp"]["knownFlags"]);
    let supported = strings(&all["linux"]["seccomp"]["supportedFlags"]);
    ensure!(!known.is_empty(), "knownFlags is missing");
    for flag in supported {
        ensure!(known.contains(&flag), "{flag} is supported and not known");
    }
    Ok(())
}
