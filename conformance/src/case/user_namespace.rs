//! User namespaces: identities as mapped, and a container that is as usable as any other.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use super::Case;
use super::namespace::{add, file, link, replace, without};
use crate::harness::{Bundle, Lab, Result, ensure, ensure_eq, privilege};

const MAPPINGS: &str = "OCI runtime-spec config-linux.md#user-namespace-mappings";
const KERNEL: &str = "user_namespaces(7)";

pub(super) const CASES: &[Case] = &[
    Case::new("user/maps", "uid and gid maps are as configured", MAPPINGS, maps),
    Case::new("user/several-ranges", "maps of several ranges", MAPPINGS, several_ranges),
    Case::new("user/identity", "root inside is the mapped user outside", KERNEL, identity),
    Case::new("user/files", "files that root makes belong to the mapped user", KERNEL, files),
    Case::new("user/groups", "additionalGids work with a map", MAPPINGS, groups),
    Case::new("user/proc-and-sys", "proc and sysfs are mounted", KERNEL, proc_and_sys),
    Case::new(
        "user/devices",
        "the default devices are usable, although nobody may make them",
        "OCI runtime-spec config-linux.md#default-devices",
        devices,
    ),
    Case::new("user/capabilities", "capabilities are those of the namespace", KERNEL, capabilities),
    Case::new(
        "user/owns-others",
        "the other new namespaces belong to the user namespace",
        "user_namespaces(7), ioctl_ns(2)",
        owns_others,
    ),
    Case::new(
        "user/joined-network",
        "a new user namespace in a joined network",
        KERNEL,
        joined_network,
    ),
    Case::new("user/join", "the user namespace of another container, a new pid", KERNEL, join)
        .known("runc 1.1 asks for a map although the joined namespace has its own"),
    Case::new("user/mqueue", "/dev/mqueue belongs to the container's root", KERNEL, mqueue)
        .known("runc 1.1 makes the IPC namespace while its group is still the host's"),
    Case::new(
        "user/rlimits",
        "hard limits above the runtime's own, of the container and of exec",
        "OCI runtime-spec config.md#posix-process rlimits; getrlimit(2)",
        rlimits,
    ),
    Case::new(
        "user/oom-score-adj",
        "a lower OOM score than the runtime's",
        "OCI runtime-spec config.md#linux-process oomScoreAdj; proc_pid_oom_score_adj(5)",
        oom_score_adj,
    ),
    Case::new(
        "user/join-with-maps",
        "maps beside a joined user namespace are its own, or an error",
        "OCI runtime-spec runtime.md#create (what cannot be applied is an error); user_namespaces(7)",
        join_with_maps,
    )
    .known("runc before 1.2 does not compare them"),
    Case::new("user/no-mapping", "a new user namespace needs a map", MAPPINGS, |lab| {
        refused(lab, |config| add(config, json!({ "type": "user" })))
    }),
    Case::new("user/uid-not-mapped", "process.user must be in the map", KERNEL, |lab| {
        refused(lab, |config| {
            mapped(config);
            config["process"]["user"]["uid"] = 70_000.into();
        })
    }),
    Case::new("user/overlap", "ranges that overlap are refused", KERNEL, |lab| {
        refused(lab, |config| {
            mapped(config);
            config["linux"]["uidMappings"] = json!([
                { "containerID": 0, "hostID": ids().0, "size": 1000 },
                { "containerID": 999, "hostID": 2 * ids().0, "size": 10 },
            ]);
        })
    }),
];

/// The host's ids that a user namespace gets: the first, and how many. A caller who is in a user namespace has fewer.
pub(super) fn ids() -> (u32, u32) {
    if privilege::has_id(200_049) { (100_000, 65_536) } else { (10_000, 40_000) }
}

/// A new user namespace whose root is another user of the host.
pub(super) fn mapped(config: &mut Value) {
    add(config, json!({ "type": "user" }));
    let (first, size) = ids();
    let ids = json!([{ "containerID": 0, "hostID": first, "size": size }]);
    config["linux"]["uidMappings"] = ids.clone();
    config["linux"]["gidMappings"] = ids;
}

pub(super) fn bundle(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<Bundle> {
    let bundle = lab.bundle(|config| {
        mapped(config);
        edit(config);
    })?;
    make_walkable(&bundle)?;
    Ok(bundle)
}

/// The mapped root has to be able to walk to its root file system. The folder above the case's is the suite's own
/// temporary folder.
pub(super) fn make_walkable(bundle: &Bundle) -> Result {
    for folder in bundle.folder.ancestors().take(3) {
        fs::set_permissions(folder, Permissions::from_mode(0o711))?;
    }
    Ok(())
}

fn facts(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<Value> {
    lab.container(bundle(lab, edit)?).facts()
}

fn refused(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result {
    lab.container(lab.bundle(edit)?).try_create()?.refused().map(drop)
}

/// The numbers of a map file, line by line.
fn numbers(map: &Value) -> Vec<Vec<u32>> {
    let text = map.as_str().unwrap_or_default();
    let line = |line: &str| line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    text.lines().map(line).collect()
}

/// The numbers of the map of [`mapped`].
fn whole() -> [[u32; 3]; 1] {
    let (first, size) = ids();
    [[0, first, size]]
}

fn maps(lab: &Lab) -> Result {
    let facts = facts(lab, |_| {})?;
    ensure_eq!(numbers(&facts["uidMap"]), whole(), "uid_map");
    ensure_eq!(numbers(&facts["gidMap"]), whole(), "gid_map");
    ensure_eq!((&facts["uid"], &facts["gid"]), (&json!(0), &json!(0)), "uid and gid");
    let host = link(i32::try_from(std::process::id()).unwrap_or(0), file("user"))?;
    ensure!(facts["namespaces"]["user"] != host.as_str(), "the user namespace is the caller's");
    Ok(())
}

fn several_ranges(lab: &Lab) -> Result {
    let (first, _) = ids();
    let far = 2 * first;
    let facts = facts(lab, |config| {
        config["linux"]["uidMappings"] = json!([
            { "containerID": 0, "hostID": first, "size": 1 },
            { "containerID": 1, "hostID": 5, "size": 9 },
            { "containerID": 1000, "hostID": far, "size": 50 },
        ]);
    })?;
    let want = [[0, first, 1], [1, 5, 9], [1000, far, 50]];
    ensure_eq!(numbers(&facts["uidMap"]), want, "uid_map");
    Ok(())
}

fn identity(lab: &Lab) -> Result {
    let (first, _) = ids();
    for (uid, outside) in [(0, first), (1000, first + 1000)] {
        let container = lab.container(bundle(lab, |config| {
            config["process"]["args"] = json!(["/probe", "sleep"]);
            config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        })?);
        container.up_ready()?;
        let status = fs::read_to_string(format!("/proc/{}/status", container.pid()?))?;
        for field in ["Uid:", "Gid:"] {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
            let want = format!("{outside} {outside} {outside} {outside}");
            let got: Vec<&str> = line.split_whitespace().collect();
            ensure_eq!(got.join(" "), want, "{field} on the host of {uid}");
        }
    }
    Ok(())
}

fn files(lab: &Lab) -> Result {
    let bundle = bundle(lab, |config| {
        config["root"]["readonly"] = false.into();
        config["process"]["args"] = json!(["/probe", "write", "/tmp/new", "text"]);
    })?;
    let folder = bundle.rootfs().join("tmp");
    fs::set_permissions(&folder, Permissions::from_mode(0o777))?;
    let output = lab.container(bundle).run()?.ok()?.stdout;
    ensure_eq!(output, "ok\n", "write to /tmp/new");
    let found = fs::metadata(folder.join("new"))?;
    let (first, _) = ids();
    ensure_eq!((found.uid(), found.gid()), (first, first), "owner on the host");
    Ok(())
}

fn groups(lab: &Lab) -> Result {
    let facts = facts(lab, |config| {
        config["process"]["user"] =
            json!({ "uid": 1000, "gid": 1000, "additionalGids": [10, 2000] });
    })?;
    ensure_eq!(facts["groups"], json!([10, 2000]), "supplementary groups");
    ensure_eq!(facts["setgroups"], "allow", "setgroups");
    Ok(())
}

fn proc_and_sys(lab: &Lab) -> Result {
    let facts = facts(lab, |_| {})?;
    ensure_eq!(facts["pid"], 1, "pid");
    let mounts: Vec<(&str, &str)> = facts["mounts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|mount| Some((mount["target"].as_str()?, mount["type"].as_str()?)))
        .collect();
    for want in [("/proc", "proc"), ("/sys", "sysfs"), ("/dev/mqueue", "mqueue")] {
        ensure!(mounts.contains(&want), "{want:?} is not mounted: {mounts:?}");
    }
    Ok(())
}

/// The kernel makes that filesystem together with the IPC namespace, for whoever makes that.
fn mqueue(lab: &Lab) -> Result {
    let owner = json!(["/bin/busybox", "stat", "-c", "%u:%g %a", "/dev/mqueue"]);
    let container = lab.container(bundle(lab, |config| config["process"]["args"] = owner)?);
    ensure_eq!(container.run()?.ok()?.stdout, "0:0 1777\n", "owner and mode");
    Ok(())
}

/// What root of a user namespace may not do, and the host's root may.
fn rlimits(lab: &Lab) -> Result {
    lab.needs_resource()?;
    let lower = ["/bin/sh", "-c", "ulimit -l 64; exec \"$@\"", "sh"];
    let container = lab.container(bundle(lab, |config| {
        config["process"]["args"] = json!(["/probe", "sleep"]);
        config["process"]["rlimits"] =
            json!([{ "type": "RLIMIT_MEMLOCK", "soft": 131_072, "hard": 262_144 }]);
    })?);
    let done = container.launch("create", &[]).wrap(lower).run()?.ok()?;
    container.adopt_if(done)?;
    container.start()?;
    container.wait_output("ready")?;
    let limits = fs::read_to_string(format!("/proc/{}/limits", container.pid()?))?;
    let line =
        limits.lines().find(|line| line.starts_with("Max locked memory")).unwrap_or_default();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    ensure_eq!(numbers, ["131072", "262144"], "limits of init");
    let words = ["exec", &container.id, "/probe", "facts"];
    let further = lab.call(words).wrap(lower).run()?.ok()?.json()?;
    let want = json!({ "soft": 131_072, "hard": 262_144 });
    ensure_eq!(further["rlimits"]["RLIMIT_MEMLOCK"], want, "limits of exec");
    Ok(())
}

fn oom_score_adj(lab: &Lab) -> Result {
    lab.needs_resource()?;
    for value in [-500, 500] {
        let facts = facts(lab, |config| config["process"]["oomScoreAdj"] = value.into())?;
        ensure_eq!(facts["oomScoreAdj"], value.to_string().as_str(), "oom_score_adj");
    }
    ensure_eq!(fs::read_to_string("/proc/self/oom_score_adj")?, "0\n", "that of the suite");
    Ok(())
}

fn devices(lab: &Lab) -> Result {
    let script =
        "for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done
        /probe write /dev/null text; /probe open /dev/zero; /probe open /dev/urandom
        /probe open /dev/ptmx";
    let container = lab.container(bundle(lab, |config| {
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?);
    let done = container.run()?.ok()?;
    ensure_eq!(done.stdout, "ok\nok\nok\nok\n", "use of devices");
    Ok(())
}

fn capabilities(lab: &Lab) -> Result {
    let facts = facts(lab, |config| {
        let set = json!(["CAP_SYS_ADMIN", "CAP_CHOWN"]);
        config["process"]["capabilities"] =
            json!({ "bounding": set, "permitted": set, "effective": set });
    })?;
    ensure_eq!(facts["capabilities"]["effective"], "0000000000200001", "effective set");
    Ok(())
}

fn owns_others(lab: &Lab) -> Result {
    // The capability counts only in namespaces that this user namespace owns.
    let script =
        "busybox hostname renamed && busybox hostname && mount -t tmpfs own /tmp && echo mounted";
    let container = lab.container(bundle(lab, |config| {
        let set = json!(["CAP_SYS_ADMIN"]);
        config["process"]["capabilities"] =
            json!({ "bounding": set, "permitted": set, "effective": set });
        config["process"]["env"] = json!(["PATH=/bin"]);
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?);
    ensure_eq!(container.run()?.ok()?.stdout, "renamed\nmounted\n", "what root may do");
    Ok(())
}

fn joined_network(lab: &Lab) -> Result {
    let first =
        lab.container(lab.bundle(|config| config["process"]["args"] = json!(["/probe", "sleep"]))?);
    first.up_ready()?;
    let pid = first.pid()?;
    let facts = facts(lab, |config| {
        let path = format!("/proc/{pid}/ns/net");
        replace(config, "network", json!({ "type": "network", "path": path }));
        // The kernel lets only the owner of the network mount its sysfs.
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.retain(|mount| mount["type"] != "sysfs");
        }
    })?;
    ensure_eq!(facts["namespaces"]["net"], link(pid, "net")?, "network namespace");
    ensure!(facts["namespaces"]["user"] != link(pid, "user")?, "the user namespace is not new");
    ensure_eq!(numbers(&facts["uidMap"]), whole(), "uid_map");
    Ok(())
}

fn join(lab: &Lab) -> Result {
    let first = lab.container(bundle(lab, |config| {
        config["process"]["args"] = json!(["/probe", "sleep"]);
    })?);
    first.up_ready()?;
    let pid = first.pid()?;
    let facts = facts(lab, |config| {
        without(config, "user", false);
        add(config, json!({ "type": "user", "path": format!("/proc/{pid}/ns/user") }));
        for map in ["uidMappings", "gidMappings"] {
            if let Some(linux) = config["linux"].as_object_mut() {
                linux.remove(map);
            }
        }
    })?;
    ensure_eq!(facts["namespaces"]["user"], link(pid, "user")?, "user namespace");
    ensure!(facts["namespaces"]["pid"] != link(pid, "pid")?, "the pid namespace is not new");
    ensure_eq!(facts["pid"], 1, "pid");
    ensure_eq!(facts["uid"], 0, "uid");
    ensure_eq!(numbers(&facts["uidMap"]), whole(), "uid_map");
    Ok(())
}

fn join_with_maps(lab: &Lab) -> Result {
    let first = lab.container(bundle(lab, |config| {
        config["process"]["args"] = json!(["/probe", "sleep"]);
    })?);
    first.up_ready()?;
    let path = format!("/proc/{}/ns/user", first.pid()?);
    let (first_id, size) = ids();
    let joined = |base: u32| {
        lab.container(bundle(lab, |config| {
            replace(config, "user", json!({ "type": "user", "path": path }));
            let ids = json!([{ "containerID": 0, "hostID": base, "size": size }]);
            config["linux"]["uidMappings"] = ids.clone();
            config["linux"]["gidMappings"] = ids;
        })?)
        .run()
    };
    let facts = joined(first_id)?.ok()?.json()?;
    ensure_eq!(numbers(&facts["uidMap"]), whole(), "uid_map");
    joined(first_id + 1)?.refused().map(drop)
}
