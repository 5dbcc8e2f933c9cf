//! What is done to a task that runs.

use std::fs;

use serde_json::Value;

use super::checks::{delete, ended, status};
use super::ctr::Events;
use super::daemon::Daemon;
use super::leftovers;
use crate::support::{Runtime, cgroup};

pub(crate) fn exec_pause_metrics(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    let events = Events::subscribe(&daemon);
    daemon.run(&["--detach", "--null-io"], "box", &["sleep", "1000"]).succeeds();

    let exec = |id: &str, program: &[&str]| daemon.exec(&["--exec-id", id], "box", program).ends();
    assert_eq!(
        exec("first", &["sh", "-c", "echo in; echo err >&2; exit 5"]),
        ended(5, "in\n", "err\n")
    );
    let missing = exec("second", &["no-such-program"]);
    assert_ne!(missing.code, Some(0), "{missing:?}");
    let phrase = "executable file not found in $PATH";
    assert!(missing.stderr.contains(phrase), "{phrase:?} in {missing:?}");
    let options = ["--exec-id", "third", "--user", "1000:1000", "--cwd", "/tmp"];
    let user = daemon.exec(&options, "box", &["sh", "-c", "id -u; id -g; pwd"]).succeeds();
    assert_eq!(user, "1000\n1000\n/tmp\n");

    let options = ["--exec-id", "fourth", "--detach"];
    daemon.exec(&options, "box", &["sleep", "500"]).succeeds();
    let processes = daemon.ctr(["task", "ps", "box"]).succeeds();
    assert_eq!(processes.lines().count(), 3, "a head and two processes: {processes}");

    daemon.ctr(["task", "pause", "box"]).succeeds();
    assert_eq!(status(&daemon, "box").as_deref(), Some("PAUSED"));
    let paused = exec("fifth", &["true"]);
    assert_ne!(paused.code, Some(0), "exec in a paused container: {paused:?}");
    daemon.ctr(["task", "resume", "box"]).succeeds();
    assert_eq!(status(&daemon, "box").as_deref(), Some("RUNNING"));
    assert_eq!(exec("sixth", &["echo", "again"]), ended(0, "again\n", ""));

    let metrics = daemon.ctr(["task", "metrics", "--format", "json", "box"]).succeeds();
    let metrics: Value = serde_json::from_str(&metrics).expect("JSON");
    let processes = metrics["pids"]["current"].as_u64();
    assert!(processes >= Some(2), "two processes and what ends just now: {metrics}");
    let usage = &metrics["memory"]["usage"];
    // The message for v1 has usage, its maximum and the limit there; that for v2 the number.
    let usage = if cgroup::is_unified() { usage } else { &usage["usage"] };
    assert!(usage.as_u64() > Some(0), "memory: {metrics}");

    daemon.ctr(["task", "kill", "--signal", "SIGKILL", "--all", "box"]).succeeds();
    // Of the task, not of what was executed in it.
    while events.wait_for("/tasks/exit", "box")["id"] != "box" {}
    delete(&daemon, "box", 137);
    // A detached ctr leaves the FIFOs of what it has executed; no others may be there.
    for entry in fs::read_dir(daemon.path("fifo")).expect("FIFOs").flatten() {
        fs::remove_file(entry.path().join("fourth-stdin")).expect("the FIFOs of `fourth`");
        fs::remove_dir_all(entry.path()).expect("their directory");
    }
    leftovers::none(&daemon);
}
