//! `update`: limits change while the container runs, all that are given or none.

use std::fs;

use serde_json::json;

use super::Case;
use super::cgroup_device;
use super::exec::{exec, sleeper};
use crate::harness::cgroup::{self, Limit};
use crate::harness::{Container, Lab, Result, ensure, ensure_eq, lacks};

const MANUAL: &str = "runc-update(8)";

pub(super) const CASES: &[Case] = &[
    Case::new("update/flags", "each flag changes its limit", MANUAL, flags),
    Case::new("update/cpuset", "CPUs and memory nodes change", MANUAL, cpuset),
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
    )
    .known_on_v2(
        "runc 1.1 cannot set the old limits back there: its copy of them has changed, too",
    ),
    Case::new("update/devices-stay", "device rules are not touched", MANUAL, devices_stay),
    Case::new(
        "update/check-before",
        "checkBeforeUpdate: a limit below what is in use is refused, and nobody dies",
        "OCI runtime-spec config-linux.md#memory checkBeforeUpdate",
        check_before,
    )
    .known_on_v2("runc 1.1 does not know checkBeforeUpdate"),
    Case::new("update/stopped", "a stopped container is refused", MANUAL, stopped),
    Case::new(
        "update/bad-values",
        "what is no limit is refused, and changes nothing",
        MANUAL,
        bad_values,
    ),
];

/// A limit of the container; skips where the host lacks its controller.
fn limit(container: &Container<'_>, limit: Limit) -> Result<String> {
    cgroup::limit(&container.bundle.cgroup(), limit)
}

fn memory(container: &Container<'_>) -> Result<String> {
    limit(container, Limit::Memory)
}

fn pids(container: &Container<'_>) -> Result<String> {
    limit(container, Limit::Pids)
}

fn shares(container: &Container<'_>, shares: u32) -> Result {
    let found = cgroup::has_shares(&container.bundle.cgroup(), shares)?;
    ensure!(found, "the container must have {shares} shares of the CPU");
    Ok(())
}

fn limited(lab: &Lab) -> Result<Container<'_>> {
    for controller in ["memory", "pids", "cpu"] {
        cgroup::needs(controller)?;
    }
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
    ];
    update(lab, &container, &words)?;
    for (which, value) in [
        (Limit::Memory, "33554432"),
        (Limit::Reservation, "16777216"),
        (Limit::Pids, "50"),
        (Limit::Quota, "20000"),
        (Limit::Period, "40000"),
    ] {
        ensure_eq!(limit(&container, which)?, value, "{which:?}");
    }
    shares(&container, 256)
}

fn cpuset(lab: &Lab) -> Result {
    cgroup::needs("cpuset")?;
    let container = sleeper(lab, |_| {})?;
    update(lab, &container, &["--cpuset-cpus", "0", "--cpuset-mems", "0"])?;
    ensure_eq!(limit(&container, Limit::Cpus)?, "0", "CPUs");
    ensure_eq!(limit(&container, Limit::Mems)?, "0", "memory nodes");
    Ok(())
}

fn suffix(lab: &Lab) -> Result {
    let container = limited(lab)?;
    for (text, value) in [("32m", "33554432"), ("40960k", "41943040"), ("1g", "1073741824")] {
        update(lab, &container, &["--memory", text])?;
        ensure_eq!(memory(&container)?, value, "--memory {text}");
    }
    update(lab, &container, &["--memory", "-1"])?;
    ensure_eq!(memory(&container)?, "max", "--memory -1");
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
        shares(&container, 512)?;
    }
    Ok(())
}

fn file(lab: &Lab) -> Result {
    let container = limited(lab)?;
    let path = lab.folder.join("resources.json");
    fs::write(&path, json!({ "cpu": { "shares": 128 } }).to_string())?;
    update(lab, &container, &["--resources", &path.to_string_lossy()])?;
    shares(&container, 128)?;
    ensure_eq!(limit(&container, Limit::Quota)?, "50000", "quota");
    ensure_eq!(
        (pids(&container)?, memory(&container)?),
        ("100".into(), "67108864".into()),
        "limits"
    );
    Ok(())
}

fn swap_order(lab: &Lab) -> Result {
    let container = limited(lab)?;
    let leaf = container.bundle.cgroup();
    let files = [
        cgroup::v1("memory", &leaf).map(|folder| folder.join("memory.memsw.limit_in_bytes")),
        cgroup::v2("memory", &leaf).map(|folder| folder.join("memory.swap.max")),
    ];
    if !files.iter().flatten().any(|file| file.exists()) {
        return lacks("accounting of swap");
    }
    let both = |memory: &str, swap: &str| -> Result {
        update(lab, &container, &["--memory", memory, "--memory-swap", swap])?;
        let now = limit(&container, Limit::MemoryAndSwap)?;
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
    ensure_eq!(limit(&container, Limit::Period)?, "50000", "period");
    ensure_eq!(limit(&container, Limit::Quota)?, "10000", "quota");
    Ok(())
}

fn atomic(lab: &Lab) -> Result {
    let container = limited(lab)?;
    // No machine has this cpu, and no kernel takes a period of a microsecond.
    let bad = match cgroup::needs("cpuset") {
        Ok(()) => ["--cpuset-cpus", "8191"],
        Err(_) => ["--cpu-period", "1"],
    };
    let words = ["--memory", "32m", "--pids-limit", "5", "--cpu-share", "99", bad[0], bad[1]];
    lab.call(["update"].iter().chain(&words).copied().chain([container.id.as_str()]))
        .run()?
        .refused()?;
    ensure_eq!(
        (pids(&container)?, memory(&container)?),
        ("100".into(), "67108864".into()),
        "limits"
    );
    shares(&container, 512)?;
    ensure_eq!(limit(&container, Limit::Period)?, "100000", "period");
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
    lab.needs_devices()?;
    cgroup::needs("pids")?;
    let major = cgroup_device::free_major()?;
    let container = sleeper(lab, |config| {
        config["linux"]["devices"] =
            json!([{ "path": "/dev/odd", "type": "c", "major": major, "minor": 7 }]);
        config["linux"]["resources"]["devices"] = json!([{ "allow": false, "access": "rwm" }]);
    })?;
    let denied = || -> Result {
        let done = exec(lab, &container, &[], &["/probe", "open", "/dev/odd"]).run()?.ok()?;
        ensure_eq!(done.stdout, format!("errno {}\n", libc::EPERM), "opening the device");
        Ok(())
    };
    denied()?;
    let text = json!({ "devices": [{ "allow": true, "access": "rwm" }], "pids": { "limit": 60 } });
    lab.call(["update", "--resources", "-", &container.id]).input(text.to_string()).run()?.ok()?;
    ensure_eq!(pids(&container)?, "60", "pids");
    denied()
}

/// A process that uses 64 MiB, and a limit below that.
fn check_before(lab: &Lab) -> Result {
    cgroup::needs("memory")?;
    let container = lab.with_args(&["/probe", "hold", "67108864"])?;
    container.up_ready()?;
    let before = memory(&container)?;
    let text = json!({ "memory": { "limit": 16 << 20, "checkBeforeUpdate": true } });
    lab.call(["update", "--resources", "-", &container.id])
        .input(text.to_string())
        .run()?
        .refused()?;
    ensure_eq!(container.status()?, "running", "status after the refusal");
    ensure_eq!(memory(&container)?, before, "limit of memory");
    let text = json!({ "memory": { "limit": 256 << 20, "checkBeforeUpdate": true } });
    lab.call(["update", "--resources", "-", &container.id]).input(text.to_string()).run()?.ok()?;
    ensure_eq!(memory(&container)?, (256 << 20).to_string(), "a limit above what is in use");
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
