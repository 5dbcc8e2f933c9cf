//! `update`: limits change while the container runs, all that are given or none.

use std::fs;

use serde_json::json;

use super::Case;
use super::exec::sleeper;
use crate::harness::{Container, Lab, Result, Stop, ensure_eq};

const MANUAL: &str = "runc-update(8)";

pub(super) const CASES: &[Case] = &[
    Case::new("update/flags", "each flag changes its limit", MANUAL, flags),
    Case::new("update/suffix", "memory takes k, m, g and -1", MANUAL, suffix),
    Case::new("update/stdin", "--resources - reads JSON; zeros say nothing", MANUAL, stdin),
    Case::new("update/file", "--resources FILE, and what it does not name stays", MANUAL, file),
    Case::new("update/swap-order", "memory and swap go up and down together", MANUAL, swap_order),
    Case::new("update/kept", "a later update builds on an earlier one", MANUAL, kept),
    Case::new(
        "update/all-or-nothing",
        "a refused limit leaves the others as they were",
        MANUAL,
        atomic,
    ),
    Case::new("update/devices-stay", "device rules are not touched", MANUAL, devices_stay),
    Case::new("update/stopped", "a stopped container is refused", MANUAL, stopped),
    Case::new(
        "update/bad-values",
        "what is no limit is refused, and changes nothing",
        MANUAL,
        bad_values,
    ),
];

/// The file of a v1 controller in the container's cgroup.
fn limit(container: &Container<'_>, controller: &str, file: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid()?))?;
    let line = text.lines().find(|line| {
        line.split(':').nth(1).is_some_and(|list| list.split(',').any(|name| name == controller))
    });
    let path = line.and_then(|line| line.splitn(3, ':').nth(2));
    let path = path.ok_or_else(|| Stop::Fail(format!("no {controller} in {text:?}")))?;
    Ok(fs::read_to_string(format!("/sys/fs/cgroup/{controller}{path}/{file}"))?.trim().to_owned())
}

fn memory(container: &Container<'_>) -> Result<String> {
    limit(container, "memory", "memory.limit_in_bytes")
}

fn pids(container: &Container<'_>) -> Result<String> {
    limit(container, "pids", "pids.max")
}

fn limited(lab: &Lab) -> Result<Container<'_>> {
    lab.needs("/sys/fs/cgroup/memory/memory.limit_in_bytes", "the v1 controllers")?;
    sleeper(lab, |config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20 });
        config["linux"]["resources"]["pids"] = json!({ "limit": 100 });
        config["linux"]["resources"]["cpu"] =
            json!({ "shares": 512, "quota": 50_000, "period": 100_000 });
    })
}

fn update(lab: &Lab, container: &Container<'_>, flags: &[&str]) -> Result {
    let words = ["update"].iter().chain(flags).copied().chain([container.id.as_str()]);
    lab.call(words).run()?.ok()?.silent().map(drop)
}

fn flags(lab: &Lab) -> Result {
    let container = limited(lab)?;
    let words = [
        "--memory",
        "33554432",
        "--memory-reservation",
        "16777216",
        "--pids-limit",
        "50",
        "--cpu-share",
        "256",
        "--cpu-quota",
        "20000",
        "--cpu-period",
        "40000",
        "--cpuset-cpus",
        "0",
        "--cpuset-mems",
        "0",
    ];
    update(lab, &container, &words)?;
    for (controller, file, value) in [
        ("memory", "memory.limit_in_bytes", "33554432"),
        ("memory", "memory.soft_limit_in_bytes", "16777216"),
        ("pids", "pids.max", "50"),
        ("cpu", "cpu.shares", "256"),
        ("cpu", "cpu.cfs_quota_us", "20000"),
        ("cpu", "cpu.cfs_period_us", "40000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("cpuset", "cpuset.mems", "0"),
    ] {
        ensure_eq!(limit(&container, controller, file)?, value, "{file}");
    }
    Ok(())
}

fn suffix(lab: &Lab) -> Result {
    let container = limited(lab)?;
    for (text, value) in [("32m", "33554432"), ("40960k", "41943040"), ("1g", "1073741824")] {
        update(lab, &container, &["--memory", text])?;
        ensure_eq!(memory(&container)?, value, "--memory {text}");
    }
    update(lab, &container, &["--memory", "-1"])?;
    ensure_eq!(memory(&container)?, "9223372036854771712", "--memory -1");
    Ok(())
}

fn stdin(lab: &Lab) -> Result {
    let container = limited(lab)?;
    // What Docker sends when only the number of processes changes.
    let text = json!({
        "memory": { "limit": 0, "reservation": 0, "swap": 0 },
        "cpu": { "shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": "" },
        "blockIO": { "weight": 0 },
        "pids": { "limit": 77 }
    });
    for words in [
        ["update", "--resources", "-", &container.id].as_slice(),
        &["update", "--resources=-", &container.id],
    ] {
        lab.call(words).input(text.to_string()).run()?.ok()?.silent()?;
        ensure_eq!(
            (pids(&container)?, memory(&container)?),
            ("77".into(), "67108864".into()),
            "limits"
        );
        ensure_eq!(limit(&container, "cpu", "cpu.shares")?, "512", "shares");
    }
    Ok(())
}

fn file(lab: &Lab) -> Result {
    let container = limited(lab)?;
    let path = lab.folder.join("resources.json");
    fs::write(&path, json!({ "cpu": { "shares": 128 } }).to_string())?;
    update(lab, &container, &["--resources", &path.to_string_lossy()])?;
    ensure_eq!(limit(&container, "cpu", "cpu.shares")?, "128", "shares");
    ensure_eq!(limit(&container, "cpu", "cpu.cfs_quota_us")?, "50000", "quota");
    ensure_eq!(
        (pids(&container)?, memory(&container)?),
        ("100".into(), "67108864".into()),
        "limits"
    );
    Ok(())
}

fn swap_order(lab: &Lab) -> Result {
    lab.needs("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "accounting of swap")?;
    let container = limited(lab)?;
    let both = |memory: &str, swap: &str| -> Result {
        update(lab, &container, &["--memory", memory, "--memory-swap", swap])?;
        let now = limit(&container, "memory", "memory.memsw.limit_in_bytes")?;
        ensure_eq!(now, swap, "memory and swap");
        ensure_eq!(self::memory(&container)?, memory, "memory");
        Ok(())
    };
    both("134217728", "268435456")?;
    both("536870912", "1073741824")?;
    both("67108864", "134217728")
}

fn kept(lab: &Lab) -> Result {
    let container = limited(lab)?;
    update(lab, &container, &["--cpu-period", "50000"])?;
    update(lab, &container, &["--cpu-quota", "10000"])?;
    ensure_eq!(limit(&container, "cpu", "cpu.cfs_period_us")?, "50000", "period");
    ensure_eq!(limit(&container, "cpu", "cpu.cfs_quota_us")?, "10000", "quota");
    Ok(())
}

fn atomic(lab: &Lab) -> Result {
    let container = limited(lab)?;
    // No machine has this cpu.
    let words =
        ["--memory", "32m", "--pids-limit", "5", "--cpu-share", "99", "--cpuset-cpus", "8191"];
    lab.call(["update"].iter().chain(&words).copied().chain([container.id.as_str()]))
        .run()?
        .refused()?;
    ensure_eq!(
        (pids(&container)?, memory(&container)?),
        ("100".into(), "67108864".into()),
        "limits"
    );
    ensure_eq!(limit(&container, "cpu", "cpu.shares")?, "512", "shares");
    // And what was refused is not kept either.
    update(lab, &container, &["--pids-limit", "99"])?;
    ensure_eq!(
        (pids(&container)?, memory(&container)?),
        ("99".into(), "67108864".into()),
        "limits"
    );
    Ok(())
}

fn devices_stay(lab: &Lab) -> Result {
    lab.needs("/sys/fs/cgroup/devices/devices.list", "the v1 controller devices")?;
    let container = limited(lab)?;
    let before = limit(&container, "devices", "devices.list")?;
    let text = json!({ "devices": [{ "allow": true, "access": "rwm" }], "pids": { "limit": 60 } });
    lab.call(["update", "--resources", "-", &container.id]).input(text.to_string()).run()?.ok()?;
    ensure_eq!(limit(&container, "devices", "devices.list")?, before, "device rules");
    ensure_eq!(pids(&container)?, "60", "pids");
    Ok(())
}

fn stopped(lab: &Lab) -> Result {
    let container = limited(lab)?;
    container.kill("KILL")?;
    container.wait_ended()?;
    lab.call(["update", "--pids-limit", "9", &container.id])
        .run()?
        .fails(1, "not running")
        .map(drop)
}

fn bad_values(lab: &Lab) -> Result {
    let container = limited(lab)?;
    for words in [["--memory", "lots"], ["--cpu-quota", "1m"], ["--pids-limit", "x"]] {
        lab.call(["update", words[0], words[1], &container.id]).run()?.refused()?;
    }
    for text in ["", "{", "[]", "{\"memory\": {\"limit\": \"1g\"}}"] {
        lab.call(["update", "--resources", "-", &container.id]).input(text).run()?.refused()?;
    }
    ensure_eq!(
        (pids(&container)?, memory(&container)?),
        ("100".into(), "67108864".into()),
        "limits"
    );
    Ok(())
}
