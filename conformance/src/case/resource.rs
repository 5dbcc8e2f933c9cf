//! Properties of config-linux.md that are rarely used: other limits, and what must be refused.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::cgroup::values;
use super::cgroup_limit::set_or_refused;
use super::{Case, namespace, rootfs, user_namespace};
use crate::harness::{Done, Lab, Result, cgroup, ensure, ensure_eq, lacks};

const RESOURCES: &str = "OCI runtime-spec config-linux.md#control-groups";

pub(super) const CASES: &[Case] = &[
    Case::new("resource/oom-killer", "disableOOMKiller is set or is an error", RESOURCES, |lab| {
        let limits = json!({ "memory": { "disableOOMKiller": true, "limit": 67_108_864 } });
        let shown = "oom_kill_disable 1";
        set_or_refused(lab, limits, &["memory.oom_control"], &[shown], "disableOOMKiller|oom")
    })
    .known_on_v2("runc ignores it there"),
    Case::new(
        "resource/network-priority",
        "network.priorities is set or is an error",
        RESOURCES,
        |lab| {
            // Version 2 has nothing like it.
            if cgroup::v1("pids", "").is_none() {
                return lacks("network priorities (cgroup v1)");
            }
            let limits = json!({ "network": { "priorities": [{ "name": "lo", "priority": 5 }] } });
            set_or_refused(lab, limits, &["net_prio.ifpriomap"], &["lo 5"], "priorities|net_prio")
        },
    ),
    Case::new(
        "resource/unified-written",
        "an entry of unified is in its file",
        "OCI runtime-spec config-linux.md#unified",
        |lab| {
            if cgroup::v2("pids", "").is_none() {
                return lacks("the controller pids on cgroup v2");
            }
            let limits = json!({ "unified": { "pids.max": "22" } });
            values(lab, limits, "pids", &[], &[("pids.max", "22")])
        },
    ),
    Case::new(
        "resource/unified-unknown",
        "an entry of unified for a controller that is not there is an error",
        "OCI runtime-spec config-linux.md#unified MUST generate an error",
        |lab| refused(lab, |linux| linux["resources"]["unified"] = json!({ "nonsense.max": "1" })),
    ),
    Case::new(
        "resource/delete-keeps",
        "delete leaves the bundle, the root file system and volumes alone",
        "OCI runtime-spec runtime.md#delete MUST NOT (not created by the container)",
        delete_keeps,
    ),
    Case::new(
        "resource/rootfs-owner",
        "a user namespace does not change who owns the root file system",
        "OCI runtime-spec config-linux.md#user-namespace-mappings SHOULD NOT",
        rootfs_owner,
    ),
    Case::new(
        "resource/cgroup-owner",
        "on cgroup v1 the cgroups of a container stay root's, whatever user it has",
        "OCI runtime-spec config-linux.md#cgroup-ownership SHOULD NOT on v1; cgroups(7)",
        cgroup_owner,
    ),
    Case::new(
        "resource/seccomp-trace",
        "SCMP_ACT_TRACE without a tracer is ENOSYS",
        "OCI runtime-spec config-linux.md#seccomp; seccomp(2) SECCOMP_RET_TRACE",
        seccomp_trace,
    ),
    Case::new(
        "config/device-elsewhere",
        "a device may be outside of /dev",
        "OCI runtime-spec config-linux.md#devices",
        device_elsewhere,
    ),
    Case::new(
        "config/personality-linux",
        "LINUX is the plain domain",
        "OCI runtime-spec config-linux.md#personality",
        |lab| {
            let bundle = lab.bundle(|config| {
                config["linux"]["personality"] = json!({ "domain": "LINUX" });
            })?;
            ensure_eq!(lab.container(bundle).facts()?["personality"], "00000000", "personality");
            Ok(())
        },
    ),
    Case::new(
        "config/personality-other",
        "another domain is an error",
        "OCI runtime-spec config-linux.md#personality",
        |lab| refused(lab, |linux| linux["personality"] = json!({ "domain": "LINUX64" })),
    )
    .known("runc 1.1 takes any domain for LINUX"),
    Case::new(
        "config/memory-policy-other",
        "another mode is an error",
        "OCI runtime-spec config-linux.md#memory-policy",
        |lab| refused(lab, |linux| linux["memoryPolicy"] = json!({ "mode": "MPOL_NONSENSE" })),
    )
    .known("runc 1.1 has no memoryPolicy"),
    Case::new(
        "config/intel-rdt-absent",
        "intelRdt without a mounted resctrl is an error",
        "OCI runtime-spec config-linux.md#intelrdt MUST generate an error",
        intel_rdt_absent,
    )
    .known("runc 1.1 ignores intelRdt where there is no resctrl"),
];

/// A container with this change cannot be made; without it, it can.
fn refused(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result {
    lab.container(lab.bundle(|_| {})?).facts()?;
    let bundle = lab.bundle(|config| edit(&mut config["linux"]))?;
    let done = lab.container(bundle).try_create()?;
    ensure!(done.code == Some(1), "create must be refused, but it {}", done.ended());
    done.refused().map(drop)
}

/// Every file below, with its owner and its length.
fn listing(folder: &Path) -> Result<BTreeMap<PathBuf, (u32, u32, u64)>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let one = std::fs::symlink_metadata(&path)?;
            if one.is_dir() {
                folders.push(path.clone());
            }
            let length = if one.is_file() { one.len() } else { 0 };
            found.insert(path, (one.uid(), one.gid(), length));
        }
    }
    Ok(found)
}

fn delete_keeps(lab: &Lab) -> Result {
    let volume = lab.new_folder("volume")?;
    std::fs::write(volume.join("file"), "kept")?;
    let c = lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "sleep"]);
        rootfs::add(config, rootfs::bind(&volume, "/tmp", &["bind"]));
    })?);
    c.up_ready()?;
    let (bundle, kept) = (listing(&c.bundle.folder)?, listing(&volume)?);
    c.kill("KILL")?;
    c.wait()?;
    c.delete()?;
    ensure!(bundle == listing(&c.bundle.folder)?, "delete changed the bundle");
    ensure_eq!(listing(&volume)?, kept, "the volume after delete");
    Ok(())
}

fn rootfs_owner(lab: &Lab) -> Result {
    let bundle = user_namespace::bundle(lab, |_| {})?;
    let (rootfs, before) = (bundle.rootfs(), listing(&bundle.rootfs())?);
    lab.container(bundle).facts()?;
    let after = listing(&rootfs)?;
    for (path, one) in before {
        ensure_eq!(after.get(&path), Some(&one), "uid, gid and length of {}", path.display());
    }
    Ok(())
}

fn cgroup_owner(lab: &Lab) -> Result {
    if cgroup::v1("pids", "").is_none() {
        return lacks("cgroup v1");
    }
    let c = lab.container(lab.bundle(|config| {
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        namespace::add(config, json!({ "type": "cgroup" }));
        let mount = json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "rw"] });
        rootfs::add(config, mount);
    })?);
    c.create()?;
    let folder = cgroup::v1("pids", &c.bundle.cgroup()).unwrap_or_default();
    for path in [folder.clone(), folder.join("cgroup.procs"), folder.join("pids.max")] {
        ensure_eq!(std::fs::metadata(&path)?.uid(), 0, "owner of {}", path.display());
    }
    Ok(())
}

fn seccomp_trace(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "syscall", "getsid", "0"]);
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["getsid"], "action": "SCMP_ACT_TRACE" }]
        });
    })?;
    let done: Done = lab.container(bundle).run()?.ok()?;
    ensure_eq!(done.stdout, format!("errno {}\n", libc::ENOSYS), "what getsid(2) returned");
    Ok(())
}

fn device_elsewhere(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "write", "/srv/deep/sink", "x"]);
        config["root"]["readonly"] = false.into();
        config["linux"]["devices"] = json!([
            { "path": "/srv/deep/sink", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666 }
        ]);
    })?;
    let rootfs = bundle.rootfs();
    let c = lab.container(bundle);
    ensure_eq!(c.run()?.ok()?.stdout, "ok\n", "writing to a null device in /srv");
    let length = std::fs::metadata(rootfs.join("srv/deep/sink")).map_or(0, |found| found.len());
    ensure_eq!(length, 0, "bytes of a file that is no device");
    Ok(())
}

fn intel_rdt_absent(lab: &Lab) -> Result {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    if mounts.contains(" - resctrl ") {
        return lacks("a kernel without resctrl");
    }
    refused(lab, |linux| linux["intelRdt"] = json!({ "closID": "class" }))
}
