//! `events`: samples and the stream, in the form that go-runc and Docker's and containerd's shims read.

use std::fs;

use serde_json::{Value, json};

use super::Case;
use super::exec::sleeper;
use crate::harness::container::PATIENCE;
use crate::harness::{Lab, Result, Stop, ensure, ensure_eq, event};

const MANUAL: &str = "runc-events(8); runc types/events.go";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "events/stats",
        "--stats prints one object with the numbers of the cgroup",
        MANUAL,
        stats,
    ),
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
    lab.needs("/sys/fs/cgroup/memory/memory.limit_in_bytes", "the v1 controllers")?;
    let container = sleeper(lab, |config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20 });
        config["linux"]["resources"]["pids"] = json!({ "limit": 100 });
    })?;
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
    // The kernel adds up most of memory.stat only every two seconds.
    let limit = &data["memory"]["raw"]["hierarchical_memory_limit"];
    ensure_eq!(*limit, json!(64 << 20), "memory.stat");
    for path in ["/memory/usage/usage", "/memory/usage/max", "/cpu/usage/total"] {
        ensure!(positive(path), "{path} must be positive: {data}");
    }
    ensure!(data["cpu"]["usage"]["percpu"].is_array(), "time by CPU: {data}");
    ensure!(data["cpuset"]["cpus"].is_array(), "CPUs: {data}");
    Ok(())
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
    lab.needs("/sys/fs/cgroup/memory/memory.limit_in_bytes", "the v1 controllers")?;
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
