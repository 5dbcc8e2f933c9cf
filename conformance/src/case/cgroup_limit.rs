//! `linux.resources` in force, and what must be set or refused: limits that not every kernel has.

use std::fs;

use serde_json::{Value, json};

use super::Case;
use super::cgroup::{NEWER, RESOURCES, merge, place, refused, values};
use crate::harness::{Lab, Result, cgroup, ensure, ensure_eq, lacks, needs_linux};

const IGNORED: &str =
    "runc 1.1 silently ignores limits of a controller that the host does not have";

pub(super) const CASES: &[Case] = &[
    Case::new("cgroup/cpu-shares", "cpu.shares, on v2 as a weight", RESOURCES, cpu_shares),
    Case::new("cgroup/pids-in-force", "fork fails at the limit", RESOURCES, pids_in_force),
    Case::new("cgroup/oom", "a workload beyond its memory dies: 137", RESOURCES, oom),
    Case::new("cgroup/block-weight", "blockIO.weight is set or is an error", RESOURCES, weight),
    Case::new("cgroup/block-throttle", "blockIO.throttle*Device", RESOURCES, throttle),
    Case::new("cgroup/hugepages", "hugepageLimits is set or is an error", RESOURCES, hugepages)
        .known(IGNORED),
    Case::new("cgroup/network-class", "network.classID is set or is an error", RESOURCES, class)
        .known(IGNORED),
    Case::new("cgroup/unified", "resources.unified is set, or an error on v1", RESOURCES, unified),
    Case::new("cgroup/pids-zero", "pids.limit 0 is a limit", RESOURCES, |lab| {
        let files = [("pids.max", "0")];
        values(lab, json!({ "pids": { "limit": 0 } }), "pids", &files, &files)
    })
    .known(NEWER),
    Case::new(
        "cgroup/not-delegated",
        "a limit that nobody has delegated to this user is refused, or warned of",
        "runc: rootless needs no limits + no cgrouppath when no permission is granted for cgroups",
        not_delegated,
    ),
    Case::new(
        "cgroup/oom-init",
        "a limit of memory that init cannot live with is an error which says so",
        "runc: container init was OOM-killed (memory limit too low?), or unable to set memory limit",
        oom_init,
    ),
    Case::new(
        "cgroup/hugepages-reserved",
        "hugepageLimits holds for reservations, too",
        "OCI runtime-spec config-linux.md#huge-page-limits",
        reserved,
    )
    .known(IGNORED),
];

fn cpu_shares(lab: &Lab) -> Result {
    cgroup::needs("cpu")?;
    for shares in [2, 512, 1024, 262_144] {
        let limits = json!({ "cpu": { "shares": shares } });
        let container = lab.container(lab.bundle(|config| merge(config, &limits))?);
        container.create()?;
        let found = cgroup::has_shares(&container.bundle.cgroup(), shares)?;
        ensure!(found, "the cgroup must have {shares} shares of the CPU");
    }
    Ok(())
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
    want: &[&str],
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
    // Where the suite has only what was delegated to it, a runtime may do without, with a word.
    if got.is_empty() && cgroup::ground() != cgroup::Ground::Root {
        ensure!(
            word.split('|').any(|either| done.stderr.contains(either)),
            "neither in force, nor refused, nor warned of: {files:?}"
        );
        return Ok(());
    }
    ensure!(
        got.iter().any(|all| all.lines().any(|l| want.contains(&l))),
        "{files:?}: {got:?}, not {want:?}"
    );
    Ok(())
}

fn weight(lab: &Lab) -> Result {
    let files = ["blkio.weight", "blkio.bfq.weight", "io.bfq.weight", "io.weight"];
    // 10 to 1000, on the scale of io.weight: 1 to 10000.
    let want = ["321", "default 321", "default 3142"];
    set_or_refused(lab, json!({ "blockIO": { "weight": 321 } }), &files, &want, "weight")
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
    set_or_refused(lab, limits, &files, &["4194304"], "hugepageLimits")
}

fn class(lab: &Lab) -> Result {
    // Version 2 has nothing like it.
    if cgroup::v1("memory", "").is_none() {
        return lacks("network classes (cgroup v1)");
    }
    let limits = json!({ "network": { "classID": 1_048_577 } });
    set_or_refused(lab, limits, &["net_cls.classid"], &["1048577"], "classID")
}

fn unified(lab: &Lab) -> Result {
    let limits = json!({ "unified": { "pids.max": "22" } });
    if cgroup::v2("pids", "").is_some() {
        return values(lab, limits, "pids", &[], &[("pids.max", "22")]);
    }
    cgroup::needs_any()?;
    refused(lab, limits, "unified")
}

/// A user's container runs without what nobody has delegated, but not in silence.
fn not_delegated(lab: &Lab) -> Result {
    if cgroup::needs_any().is_ok() {
        return lacks("a user to whom no cgroup was delegated");
    }
    for (limits, word) in [
        (json!({ "memory": { "limit": 100 << 20 } }), "memory"),
        (json!({ "pids": { "limit": 100 } }), "pids"),
        (json!({ "cpu": { "quota": 50_000, "period": 100_000 } }), "cpu"),
    ] {
        let container = lab.container(lab.bundle(|config| merge(config, &limits))?);
        let done = container.try_create()?;
        ensure!(done.stderr.contains(word), "neither refused nor warned of: {limits}");
    }
    Ok(())
}

fn oom_init(lab: &Lab) -> Result {
    cgroup::needs("memory")?;
    // memory_max_write loops until what it has killed is gone, which on the only CPU of a 5.10 never comes to run:
    // that machine stands still for good.
    if std::thread::available_parallelism()?.get() == 1 && cgroup::is_unified() {
        needs_linux(
            6,
            1,
            "a second CPU, or a kernel that survives memory.max below what is in use",
        )?;
    }
    let limits = json!({ "memory": { "limit": 4096, "swap": 4096 } });
    let container = lab.container(lab.bundle(|config| merge(config, &limits))?);
    container.try_create()?.refused()?.fails(1, "memory limit").map(drop)
}

fn reserved(lab: &Lab) -> Result {
    cgroup::needs("hugetlb")?;
    let limits = json!({ "hugepageLimits": [{ "pageSize": "2MB", "limit": 4_194_304 }] });
    let v1 = ["hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.rsvd.limit_in_bytes"];
    let v2 = ["hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"];
    let with = |files: [&'static str; 2]| files.map(|file| (file, "4194304"));
    values(lab, limits, "hugetlb", &with(v1), &with(v2))
}
