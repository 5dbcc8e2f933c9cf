//! `events`: samples and the stream, in the form that go-runc and Docker's and containerd's shims read.

use std::fs;

use serde_json::{Value, json};

use super::Case;
use super::exec::sleeper;
use crate::harness::container::PATIENCE;
use crate::harness::{Lab, Result, Stop, cgroup, ensure, ensure_eq, event, lacks};

const MANUAL: &str = "runc-events(8); runc types/events.go";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "events/stats",
        "--stats prints one object with the numbers of the cgroup",
        MANUAL,
        stats,
    ),
    Case::new(
        "events/pressure",
        "on cgroup v2 the samples have what was waited for",
        "runc types/events.go psi; kernel Documentation/accounting/psi.rst",
        pressure,
    )
    .known("runc 1.1 has no PSI"),
    Case::new("events/throttled", "the samples have what a quota withholds", MANUAL, throttled),
    Case::new(
        "events/interval",
        "a sample at every interval, until the container ends",
        MANUAL,
        interval,
    ),
    Case::new("events/oom", "a notice when the container was out of memory", MANUAL, oom),
    Case::new("events/bad-interval", "an interval that is none is refused", MANUAL, bad_interval),
    Case::new("events/stopped", "a stopped container is refused", MANUAL, stopped),
];

fn stats(lab: &Lab) -> Result {
    for controller in ["memory", "pids", "cpu"] {
        cgroup::needs(controller)?;
    }
    // Before 5.13 the kernel puts into memory.stat what makes 32 pages of a kind on a CPU (MEMCG_CHARGE_BATCH).
    let container = lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "hold", "8388608"]);
        config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20 });
        config["linux"]["resources"]["pids"] = json!({ "limit": 100 });
    })?);
    container.up_ready()?;
    let event = lab.call(["events", "--stats", &container.id]).run()?.ok()?.silent()?.json()?;
    ensure_eq!(
        (&event["type"], &event["id"]),
        (&json!("stats"), &json!(container.id)),
        "type and id"
    );
    let data = &event["data"];
    ensure_eq!(data["memory"]["usage"]["limit"], 64 << 20, "limit of memory");
    ensure_eq!(data["pids"], json!({ "current": 1, "limit": 100 }), "processes");
    let positive = |path: &str| data.pointer(path).and_then(Value::as_u64).is_some_and(|n| n > 0);
    for path in ["/memory/usage/usage", "/cpu/usage/total"] {
        ensure!(positive(path), "{path} must be positive: {data}");
    }
    if cgroup::v1("memory", "").is_some() {
        // The kernel adds up most of memory.stat only every two seconds.
        let limit = &data["memory"]["raw"]["hierarchical_memory_limit"];
        ensure_eq!(*limit, json!(64 << 20), "memory.stat");
        ensure!(positive("/memory/usage/max"), "the most memory: {data}");
        ensure!(data["cpu"]["usage"]["percpu"].is_array(), "time by CPU: {data}");
        ensure!(data["cpuset"]["cpus"].is_array(), "CPUs: {data}");
    } else {
        ensure!(positive("/memory/raw/anon"), "memory.stat: {data}");
        // As v1 has it: both together.
        let number = |path: &str| data.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let (memory, both) = (number("/memory/usage/usage"), number("/memory/swap/usage"));
        ensure!(both >= memory, "memory and swap: {both} is less than memory, {memory}");
    }
    Ok(())
}

fn pressure(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let leaf = container.bundle.cgroup();
    let all = [("cpu", "cpu"), ("memory", "memory"), ("io", "blkio")];
    for (controller, _) in all {
        // Without PSI in the kernel, or in this boot of it, reading fails.
        let file = cgroup::v2(controller, &leaf).map(|f| f.join(format!("{controller}.pressure")));
        if file.is_none_or(|file| fs::read(file).is_err()) {
            return lacks(&format!("{controller}.pressure (cgroup v2 and PSI)"));
        }
    }
    let event = lab.call(["events", "--stats", &container.id]).run()?.ok()?.silent()?.json()?;
    for (_, part) in all {
        let some = &event["data"][part]["psi"]["some"];
        ensure!(some["total"].is_u64(), "{part}.psi.some.total: {some}");
        for window in ["avg10", "avg60", "avg300"] {
            ensure!(some[window].is_number(), "{part}.psi.some.{window}: {some}");
        }
    }
    Ok(())
}

fn throttled(lab: &Lab) -> Result {
    cgroup::needs("cpu")?;
    let container = lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/bin/sh", "-c", "while :; do :; done"]);
        config["linux"]["resources"]["cpu"] = json!({ "quota": 20_000, "period": 100_000 });
    })?);
    container.up()?;
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let event = lab.call(["events", "--stats", &container.id]).run()?.ok()?.silent()?.json()?;
        let found = &event["data"]["cpu"]["throttling"];
        let number = |name: &str| found[name].as_u64().unwrap_or(0);
        if number("periods") > 0 && number("throttledPeriods") > 0 && number("throttledTime") > 0 {
            return Ok(());
        }
        ensure!(std::time::Instant::now() < end, "a quota of 20 % withholds time: {found}");
    }
}

/// The objects of a stream.
fn objects(text: &str) -> Result<Vec<Value>> {
    let parsed = text.lines().map(serde_json::from_str);
    parsed
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Stop::Fail(format!("{error}: {text:?}")))
}

fn interval(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let running = lab.call(["events", "--interval=20ms", &container.id]).spawn()?;
    let output = running.output();
    event::file_has(&output, "\"stats\"", 3, PATIENCE)?;
    container.kill("KILL")?;
    container.wait()?;
    container.delete()?;
    let done = running.finish()?.ok()?;
    let events = objects(&done.stdout)?;
    ensure!(events.iter().all(|event| event["type"] == "stats"), "only samples: {}", done.stdout);
    Ok(())
}

fn oom(lab: &Lab) -> Result {
    cgroup::needs("memory")?;
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = json!([
            "/bin/sh",
            "-c",
            "echo ready; read x </fifo; /probe alloc 100000000; /probe sleep"
        ]);
        config["linux"]["resources"]["memory"] = json!({ "limit": 32 << 20 });
    })?;
    let fifo = bundle.rootfs().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600))?;
    let container = lab.container(bundle);
    container.up_ready()?;
    let running = lab.call(["events", "--interval=30ms", &container.id]).spawn()?;
    let output = running.output();
    // The first sample says that the stream listens.
    event::file_contains(&output, "\"stats\"", PATIENCE)?;
    fs::write(&fifo, "go\n")?;
    let text = event::file_contains(&output, "\"oom\"", PATIENCE)?;
    ensure!(
        objects(text.rsplit_once('\n').map_or("", |(whole, _)| whole))?
            .iter()
            .any(|event| { event["type"] == "oom" && event["id"] == container.id.as_str() }),
        "a notice with type and id: {text:?}"
    );
    container.kill("KILL")?;
    container.wait()?;
    container.delete()?;
    running.finish()?.ok().map(drop)
}

fn bad_interval(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    for bad in ["--interval=0s", "--interval=x", "--interval=5"] {
        lab.call(["events", bad, &container.id]).run()?.refused()?;
    }
    Ok(())
}

fn stopped(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    container.kill("KILL")?;
    container.wait_ended()?;
    lab.call(["events", "--stats", &container.id]).run()?.fails(1, "not running").map(drop)
}
