//! Limits of the systemd driver that few hosts can try: cpuset as properties, huge pages beside them.

use serde_json::json;

use super::Case;
use super::systemd::{LIMITS, has, made, reload, unified};
use crate::harness::lab::SYSTEMD;
use crate::harness::{Container, Lab, Result, cgroup, ensure_eq, lacks};

// As in systemd.rs, to reload takes long where the CPU is emulated.
pub(super) const CASES: &[Case] = &[
    Case::new("systemd/cpuset", "CPUs and memory nodes are properties, and stay", LIMITS, cpuset)
        .deadline(120),
    Case::new("systemd/cpuset-update", "update changes these properties", LIMITS, cpuset_update)
        .deadline(120),
    Case::new(
        "systemd/hugepages-stay",
        "systemd, reloaded, leaves a limit of huge pages, which it does not know",
        LIMITS,
        hugepages_stay,
    )
    .deadline(120),
];

/// A scope on one CPU and one memory node.
fn on_one(lab: &Lab) -> Result<(Container<'_>, String)> {
    cgroup::needs("cpuset")?;
    let (container, unit) = made(lab, |config| {
        config["linux"]["resources"]["cpu"] = json!({ "cpus": "0", "mems": "0" });
    })?;
    unified(&container)?;
    is_on(&container, &unit, "0")?;
    Ok((container, unit))
}

/// Insists that systemd and the kernel know these CPUs and node 0.
fn is_on(container: &Container<'_>, unit: &str, cpus: &str) -> Result {
    has(unit, &[("AllowedCPUs", cpus), ("AllowedMemoryNodes", "0")])?;
    stays_on(container, cpus)
}

fn stays_on(container: &Container<'_>, cpus: &str) -> Result {
    let folder = unified(container)?;
    ensure_eq!(cgroup::read(&folder, "cpuset.cpus")?, cpus, "cpuset.cpus");
    ensure_eq!(cgroup::read(&folder, "cpuset.mems")?, "0", "cpuset.mems");
    let status = std::fs::read_to_string(format!("/proc/{}/status", container.pid()?))?;
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    ensure_eq!(allowed.map(str::trim), Some(cpus), "CPUs of the process");
    Ok(())
}

fn cpuset(lab: &Lab) -> Result {
    let (container, unit) = on_one(lab)?;
    reload(&unit)?;
    stays_on(&container, "0")
}

fn cpuset_update(lab: &Lab) -> Result {
    if std::thread::available_parallelism()?.get() < 2 {
        return lacks("a second CPU");
    }
    let (container, unit) = on_one(lab)?;
    container.start()?;
    for cpus in ["0-1", "1"] {
        let words = ["update", "--cpuset-cpus", cpus, &container.id];
        lab.call(words).globals([SYSTEMD]).run()?.ok()?;
        is_on(&container, &unit, cpus)?;
    }
    reload(&unit)?;
    stays_on(&container, "1")
}

fn hugepages_stay(lab: &Lab) -> Result {
    cgroup::needs("hugetlb")?;
    let (container, unit) = made(lab, |config| {
        config["linux"]["resources"]["hugepageLimits"] =
            json!([{ "pageSize": "2MB", "limit": 4_194_304 }]);
    })?;
    let folder = unified(&container)?;
    ensure_eq!(cgroup::read(&folder, "hugetlb.2MB.max")?, "4194304", "hugetlb.2MB.max");
    reload(&unit)?;
    ensure_eq!(cgroup::read(&folder, "hugetlb.2MB.max")?, "4194304", "hugetlb.2MB.max, reloaded");
    Ok(())
}
