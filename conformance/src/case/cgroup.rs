//! `linux.cgroupsPath` and `linux.resources`: where the container is and what the kernel limits.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Case;
use super::namespace::add;
use crate::harness::{Lab, Result, cgroup, ensure, ensure_eq, lacks, needs_linux};

const PATH: &str = "OCI runtime-spec config-linux.md#cgroups-path";
pub(super) const RESOURCES: &str = "OCI runtime-spec config-linux.md#control-groups";
pub(super) const NEWER: &str = "runc 1.1 implements runtime-spec 1.0.2, which has no such property";

pub(super) const CASES: &[Case] = &[
    Case::new("cgroup/path", "the container is in cgroupsPath of every hierarchy", PATH, path),
    Case::new("cgroup/path-default", "without a path it has one with its id", PATH, default_path),
    Case::new("cgroup/path-relative", "a relative path is somewhere, and ours", PATH, |lab| {
        relative_path(lab, &format!("{}-relative", lab.token))
    }),
    Case::new(
        "cgroup/path-colons",
        "slice:prefix:name without --systemd-cgroup is a relative path",
        "BuildKit in Docker with the systemd driver; runc libcontainer/specconv",
        |lab| relative_path(lab, &format!("{}.slice:prefix:name", lab.token)),
    ),
    Case::new("cgroup/removed", "delete removes it from every hierarchy", PATH, removed),
    Case::new(
        "cgroup/sub-cgroups",
        "cgroups that the workload made are removed with their processes",
        "runc-delete(8)",
        sub_cgroups,
    ),
    Case::new(
        "cgroup/not-empty",
        "a cgroup in which somebody is already is refused",
        "runc: container's cgroup is not empty; two containers would share limits and end",
        not_empty,
    )
    .known("runc 1.1 only warns about it"),
    Case::new("cgroup/namespace", "in a cgroup namespace the path is /", RESOURCES, namespace),
    Case::new("cgroup/memory-limit", "memory.limit", RESOURCES, |lab| {
        let limits = json!({ "memory": { "limit": 67_108_864 } });
        values(
            lab,
            limits,
            "memory",
            &[("memory.limit_in_bytes", "67108864")],
            &[("memory.max", "67108864")],
        )
    }),
    Case::new("cgroup/memory-reservation", "memory.reservation", RESOURCES, |lab| {
        let limits = json!({ "memory": { "reservation": 33_554_432 } });
        values(
            lab,
            limits,
            "memory",
            &[("memory.soft_limit_in_bytes", "33554432")],
            &[("memory.low", "33554432")],
        )
    }),
    Case::new("cgroup/memory-swap", "memory.swap is memory and swap together", RESOURCES, |lab| {
        let limits = json!({ "memory": { "limit": 67_108_864, "swap": 100_663_296 } });
        values(
            lab,
            limits,
            "memory",
            &[("memory.memsw.limit_in_bytes", "100663296")],
            &[("memory.swap.max", "33554432")],
        )
    }),
    Case::new("cgroup/memory-unlimited", "-1 is no limit", RESOURCES, |lab| {
        let limits = json!({ "memory": { "limit": -1, "swap": -1 } });
        values(
            lab,
            limits,
            "memory",
            &[("memory.limit_in_bytes", "9223372036854771712")],
            &[("memory.max", "max"), ("memory.swap.max", "max")],
        )
    }),
    Case::new("cgroup/memory-swappiness", "memory.swappiness", RESOURCES, |lab| {
        if cgroup::v1("memory", "").is_none() {
            return lacks("memory.swappiness (cgroup v1)");
        }
        values(
            lab,
            json!({ "memory": { "swappiness": 17 } }),
            "memory",
            &[("memory.swappiness", "17")],
            &[],
        )
    }),
    Case::new("cgroup/cpu-quota", "cpu.quota and cpu.period", RESOURCES, |lab| {
        let limits = json!({ "cpu": { "quota": 50_000, "period": 200_000 } });
        let v1 = [("cpu.cfs_quota_us", "50000"), ("cpu.cfs_period_us", "200000")];
        values(lab, limits, "cpu", &v1, &[("cpu.max", "50000 200000")])
    }),
    Case::new("cgroup/cpu-burst", "cpu.burst", RESOURCES, |lab| {
        needs_linux(5, 14, "bursts of CPU time")?;
        let limits = json!({ "cpu": { "quota": 50_000, "period": 100_000, "burst": 20_000 } });
        values(lab, limits, "cpu", &[("cpu.cfs_burst_us", "20000")], &[("cpu.max.burst", "20000")])
    })
    .known(NEWER),
    Case::new("cgroup/cpu-idle", "cpu.idle", RESOURCES, |lab| {
        needs_linux(5, 15, "idle cgroups")?;
        values(
            lab,
            json!({ "cpu": { "idle": 1 } }),
            "cpu",
            &[("cpu.idle", "1")],
            &[("cpu.idle", "1")],
        )
    })
    .known(NEWER),
    Case::new("cgroup/cpuset", "cpu.cpus and cpu.mems", RESOURCES, |lab| {
        let files = [("cpuset.cpus", "0"), ("cpuset.mems", "0")];
        values(lab, json!({ "cpu": { "cpus": "0", "mems": "0" } }), "cpuset", &files, &files)
    }),
    Case::new("cgroup/cpuset-missing-cpu", "a processor that is not there", RESOURCES, |lab| {
        cgroup::needs_if_delegated("cpuset")?;
        refused(lab, json!({ "cpu": { "cpus": "4095" } }), "cpu")
    }),
    Case::new("cgroup/pids", "pids.limit", RESOURCES, |lab| {
        let files = [("pids.max", "33")];
        values(lab, json!({ "pids": { "limit": 33 } }), "pids", &files, &files)
    }),
    Case::new("cgroup/pids-unlimited", "pids.limit -1", RESOURCES, |lab| {
        let files = [("pids.max", "max")];
        values(lab, json!({ "pids": { "limit": -1 } }), "pids", &files, &files)
    }),
];

/// The cgroup of each hierarchy in which the process is: controllers (empty for v2) and path.
fn places(pid: i32) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let place = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        Some((controllers.to_owned(), path.to_owned()))
    };
    Ok(text.lines().filter_map(place).collect())
}

fn path(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = lab.container(lab.bundle(|_| {})?);
    container.create()?;
    let want = format!("/{}", container.bundle.cgroup());
    for (controllers, place) in places(container.pid()?)? {
        // Older runtimes leave the unified hierarchy of a mixed host alone.
        if !controllers.is_empty() || cgroup::v1("pids", "").is_none() {
            ensure_eq!(place, want, "path of the hierarchy {controllers:?}");
        }
    }
    Ok(())
}

fn default_path(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = lab.container(lab.bundle(|config| {
        if let Some(linux) = config["linux"].as_object_mut() {
            linux.remove("cgroupsPath");
        }
    })?);
    container.create()?;
    let all = places(container.pid()?)?;
    let named = all.iter().filter(|(_, place)| place.contains(&container.id)).count();
    ensure!(named > 0, "no cgroup of the container has its id: {all:?}");
    Ok(())
}

fn relative_path(lab: &Lab, leaf: &str) -> Result {
    lab.needs_cgroup_paths()?;
    let container = lab.container(lab.bundle(|config| {
        config["linux"]["cgroupsPath"] = leaf.into();
    })?);
    container.create()?;
    for (controllers, place) in places(container.pid()?)? {
        if !controllers.is_empty() || cgroup::v1("pids", "").is_none() {
            ensure!(place.ends_with(leaf), "path of {controllers:?} is {place}, not …{leaf}");
        }
    }
    Ok(())
}

fn removed(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = lab.container(lab.bundle(|_| {})?);
    container.create()?;
    let leaf = container.bundle.cgroup();
    ensure!(!cgroup::named(&leaf).is_empty(), "create made no cgroup {leaf}");
    container.delete_force()?.ok()?;
    ensure_eq!(cgroup::named(&leaf), Vec::<PathBuf>::new(), "cgroups after delete");
    Ok(())
}

fn sub_cgroups(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let script = "cd /sys/fs/cgroup; test -d pids && cd pids
        busybox mkdir -p x/y z || exit 3
        for d in x/y z; do sleep 1000 & echo $! >$d/cgroup.procs || exit 4; done
        echo ready; wait";
    let container = lab.container(lab.bundle(|config| {
        // Without a namespace a writable hierarchy is the host's, and runtimes keep it read-only.
        add(config, json!({ "type": "cgroup" }));
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.push(json!({ "destination": "/sys/fs/cgroup", "type": "cgroup",
                "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "rw"] }));
        }
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?);
    container.up_ready()?;
    let leaf = container.bundle.cgroup();
    let made = cgroup::named(&format!("{leaf}/x/y"));
    ensure!(!made.is_empty(), "the workload made no cgroup below {leaf}");
    container.delete_force()?.ok()?;
    ensure_eq!(cgroup::named(&leaf), Vec::<PathBuf>::new(), "cgroups after delete");
    Ok(())
}

fn not_empty(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = lab.container(lab.bundle(|_| {})?);
    let mut somebody = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let leaf = container.bundle.cgroup();
    // Where a controller has to be configured before somebody may enter, the others are enough.
    let mut entered = Vec::new();
    for hierarchy in cgroup::hierarchies() {
        let folder = hierarchy.mount.join(&leaf);
        fs::create_dir_all(&folder)?;
        if fs::write(folder.join("cgroup.procs"), somebody.id().to_string()).is_ok() {
            entered.push(folder);
        }
    }
    let outcome = container.try_create();
    container.delete_force()?;
    let alive = somebody.try_wait()?.is_none();
    drop(somebody.stdin.take());
    somebody.wait()?;
    for folder in cgroup::named(&leaf).into_iter().rev() {
        fs::remove_dir(folder)?;
    }
    ensure!(!entered.is_empty(), "the suite could not enter a cgroup");
    outcome?.refused()?;
    ensure!(alive, "the process that was there first was killed");
    Ok(())
}

fn namespace(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| add(config, json!({ "type": "cgroup" })))?;
    let facts = lab.container(bundle).facts()?;
    let text = facts["cgroup"].as_str().unwrap_or_default();
    ensure!(!text.is_empty(), "the workload sees no cgroup");
    for line in text.lines() {
        ensure!(line.ends_with(":/"), "the workload sees {line}");
    }
    Ok(())
}

/// The container's folder for a controller; whether it is of v2. Skips without the controller.
pub(super) fn place(controller: &str, leaf: &str) -> Result<(PathBuf, bool)> {
    cgroup::needs_any()?;
    match (cgroup::v1(controller, leaf), cgroup::v2(controller, leaf)) {
        (Some(folder), _) => Ok((folder, false)),
        (None, Some(folder)) => Ok((folder, true)),
        (None, None) => lacks(&format!("the cgroup controller {controller}")),
    }
}

/// After create these files have these values.
pub(super) fn values(
    lab: &Lab,
    resources: Value,
    controller: &str,
    v1: &[(&str, &str)],
    v2: &[(&str, &str)],
) -> Result {
    place(controller, "")?;
    let container = lab.container(lab.bundle(|config| merge(config, &resources))?);
    let (folder, unified) = place(controller, &container.bundle.cgroup())?;
    container.create()?;
    for (file, want) in if unified { v2 } else { v1 } {
        ensure_eq!(cgroup::read(&folder, file)?, *want, "{file}");
    }
    Ok(())
}

pub(super) fn merge(config: &mut Value, resources: &Value) {
    for (key, value) in resources.as_object().into_iter().flatten() {
        config["linux"]["resources"][key] = value.clone();
    }
}

/// `create` with these resources must fail with a message that names `word`.
pub(super) fn refused(lab: &Lab, resources: Value, word: &str) -> Result {
    let container = lab.container(lab.bundle(|config| merge(config, &resources))?);
    container.try_create()?.refused()?.fails(1, word).map(drop)
}
