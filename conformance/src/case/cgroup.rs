//! `linux.cgroupsPath` and `linux.resources`: where the container is and what the kernel limits.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Case;
use super::namespace::add;
use crate::harness::{Lab, Result, cgroup, ensure, ensure_eq, lacks};

const PATH: &str = "OCI runtime-spec config-linux.md#cgroups-path";
const RESOURCES: &str = "OCI runtime-spec config-linux.md#control-groups";
const IGNORED: &str =
    "runc 1.1 silently ignores limits of a controller that the host does not have";
const NEWER: &str = "runc 1.1 implements runtime-spec 1.0.2, which has no such property";

pub(super) const CASES: &[Case] = &[
    Case::new("cgroup/path", "the container is in cgroupsPath of every hierarchy", PATH, path),
    Case::new("cgroup/path-default", "without a path it has one with its id", PATH, default_path),
    Case::new(
        "cgroup/path-relative",
        "a relative path is somewhere, and ours",
        PATH,
        relative_path,
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
            &[("memory.max", "max")],
        )
    }),
    Case::new("cgroup/memory-swappiness", "memory.swappiness", RESOURCES, |lab| {
        values(
            lab,
            json!({ "memory": { "swappiness": 17 } }),
            "memory",
            &[("memory.swappiness", "17")],
            &[],
        )
    }),
    Case::new("cgroup/cpu-shares", "cpu.shares", RESOURCES, |lab| {
        // The formula for the weight of v2 differs between runtimes.
        values(lab, json!({ "cpu": { "shares": 512 } }), "cpu", &[("cpu.shares", "512")], &[])
    }),
    Case::new("cgroup/cpu-quota", "cpu.quota and cpu.period", RESOURCES, |lab| {
        let limits = json!({ "cpu": { "quota": 50_000, "period": 200_000 } });
        let v1 = [("cpu.cfs_quota_us", "50000"), ("cpu.cfs_period_us", "200000")];
        values(lab, limits, "cpu", &v1, &[("cpu.max", "50000 200000")])
    }),
    Case::new("cgroup/cpu-burst", "cpu.burst", RESOURCES, |lab| {
        let limits = json!({ "cpu": { "quota": 50_000, "period": 100_000, "burst": 20_000 } });
        values(lab, limits, "cpu", &[("cpu.cfs_burst_us", "20000")], &[("cpu.max.burst", "20000")])
    })
    .known(NEWER),
    Case::new("cgroup/cpu-idle", "cpu.idle", RESOURCES, |lab| {
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
    Case::new("cgroup/pids-in-force", "fork fails at the limit", RESOURCES, pids_in_force),
    Case::new("cgroup/oom", "a workload beyond its memory dies: 137", RESOURCES, oom),
    Case::new("cgroup/block-weight", "blockIO.weight is set or is an error", RESOURCES, weight),
    Case::new("cgroup/block-throttle", "blockIO.throttle*Device", RESOURCES, throttle),
    Case::new("cgroup/hugepages", "hugepageLimits is set or is an error", RESOURCES, hugepages)
        .known(IGNORED),
    Case::new("cgroup/network-class", "network.classID is set or is an error", RESOURCES, class)
        .known(IGNORED),
    Case::new("cgroup/unified", "resources.unified is set, or an error on v1", RESOURCES, unified),
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

fn relative_path(lab: &Lab) -> Result {
    let leaf = format!("{}-relative", lab.token);
    let container = lab.container(lab.bundle(|config| {
        config["linux"]["cgroupsPath"] = leaf.as_str().into();
    })?);
    container.create()?;
    for (controllers, place) in places(container.pid()?)? {
        if !controllers.is_empty() || cgroup::v1("pids", "").is_none() {
            ensure!(place.ends_with(&leaf), "path of {controllers:?} is {place}, not …{leaf}");
        }
    }
    Ok(())
}

fn removed(lab: &Lab) -> Result {
    let container = lab.container(lab.bundle(|_| {})?);
    container.create()?;
    let leaf = container.bundle.cgroup();
    ensure!(!cgroup::named(&leaf).is_empty(), "create made no cgroup {leaf}");
    container.delete_force()?.ok()?;
    ensure_eq!(cgroup::named(&leaf), Vec::<PathBuf>::new(), "cgroups after delete");
    Ok(())
}

fn sub_cgroups(lab: &Lab) -> Result {
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
fn place(controller: &str, leaf: &str) -> Result<(PathBuf, bool)> {
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

fn merge(config: &mut Value, resources: &Value) {
    for (key, value) in resources.as_object().into_iter().flatten() {
        config["linux"]["resources"][key] = value.clone();
    }
}

/// `create` with these resources must fail with a message that names `word`.
fn refused(lab: &Lab, resources: Value, word: &str) -> Result {
    let container = lab.container(lab.bundle(|config| merge(config, &resources))?);
    container.try_create()?.refused()?.fails(1, word).map(drop)
}

fn pids_in_force(lab: &Lab) -> Result {
    place("pids", "")?;
    let container = lab.container(lab.bundle(|config| {
        config["linux"]["resources"]["pids"] = json!({ "limit": 20 });
        config["process"]["args"] = json!(["/probe", "fork", "40"]);
    })?);
    let output = container.run()?.ok()?.stdout;
    let count = output.lines().next().and_then(|line| line.strip_prefix("children ")?.parse().ok());
    ensure!(count.is_some_and(|count: u32| (10..20).contains(&count)), "children: {output:?}");
    ensure!(output.contains(&format!("errno {}", libc::EAGAIN)), "the end of it: {output:?}");
    Ok(())
}

fn oom(lab: &Lab) -> Result {
    place("memory", "")?;
    let container = lab.container(lab.bundle(|config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 33_554_432, "swap": 33_554_432 });
        config["process"]["args"] = json!(["/probe", "alloc", "268435456"]);
    })?);
    ensure_eq!(container.run()?.code, Some(137), "exit status of run");
    Ok(())
}

/// Either one of the files has the value, or create fails and names the field: a limit is never
/// ignored. Which of the two is not asked, because a runtime may enable a controller.
pub(super) fn set_or_refused(
    lab: &Lab,
    resources: Value,
    files: &[&str],
    want: &str,
    word: &str,
) -> Result {
    let container = lab.container(lab.bundle(|config| merge(config, &resources))?);
    let done = container.try_create()?;
    if done.code != Some(0) {
        return done.fails(1, word)?.refused().map(drop);
    }
    let leaf = container.bundle.cgroup();
    let got: Vec<String> = cgroup::hierarchies()
        .iter()
        .flat_map(|hierarchy| files.iter().map(|file| hierarchy.mount.join(&leaf).join(file)))
        .filter_map(|file| Some(fs::read_to_string(file).ok()?.trim().to_owned()))
        .collect();
    ensure!(got.iter().any(|all| all.lines().any(|l| l == want)), "{files:?}: {got:?}, not {want}");
    Ok(())
}

fn weight(lab: &Lab) -> Result {
    let files = ["blkio.weight", "blkio.bfq.weight", "io.bfq.weight"];
    set_or_refused(lab, json!({ "blockIO": { "weight": 321 } }), &files, "321", "weight")
}

fn throttle(lab: &Lab) -> Result {
    let device = fs::read_dir("/sys/block")?
        .flatten()
        .find_map(|entry| fs::read_to_string(entry.path().join("dev")).ok());
    let Some(device) = device else { return lacks("a block device") };
    let device = device.trim();
    let Some((major, minor)) = device.split_once(':') else { return lacks("a block device") };
    let number = |text: &str| text.parse::<i64>().unwrap_or(-1);
    let limit = json!([{ "major": number(major), "minor": number(minor), "rate": 1_048_576 }]);
    let v1 = format!("{device} 1048576");
    let controller = if cgroup::v1("blkio", "").is_some() { "blkio" } else { "io" };
    for (property, file, v2) in [
        ("throttleReadBpsDevice", "read_bps", "rbps=1048576 wbps=max riops=max wiops=max"),
        ("throttleWriteBpsDevice", "write_bps", "rbps=max wbps=1048576 riops=max wiops=max"),
        ("throttleReadIOPSDevice", "read_iops", "rbps=max wbps=max riops=1048576 wiops=max"),
        ("throttleWriteIOPSDevice", "write_iops", "rbps=max wbps=max riops=max wiops=1048576"),
    ] {
        let file = format!("blkio.throttle.{file}_device");
        let v2 = format!("{device} {v2}");
        let limits = json!({ "blockIO": { property: limit } });
        values(lab, limits, controller, &[(&file, &v1)], &[("io.max", &v2)])?;
    }
    Ok(())
}

fn hugepages(lab: &Lab) -> Result {
    let limits = json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 4_194_304 }] });
    let files = ["hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max"];
    set_or_refused(lab, limits, &files, "4194304", "hugepageLimits")
}

fn class(lab: &Lab) -> Result {
    // Version 2 has nothing like it.
    lab.needs("/sys/fs/cgroup/memory/memory.limit_in_bytes", "the v1 controllers")?;
    let limits = json!({ "network": { "classID": 1_048_577 } });
    set_or_refused(lab, limits, &["net_cls.classid"], "1048577", "classID")
}

fn unified(lab: &Lab) -> Result {
    let limits = json!({ "unified": { "pids.max": "22" } });
    if cgroup::v2("pids", "").is_some() {
        return values(lab, limits, "pids", &[], &[("pids.max", "22")]);
    }
    refused(lab, limits, "unified")
}
