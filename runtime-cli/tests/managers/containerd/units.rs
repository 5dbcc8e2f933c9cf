//! Containers as units of systemd: what an administrator does to them by `systemctl`.

use super::checks::{delete, status};
use super::ctr::Events;
use super::daemon::Daemon;
use super::leftovers;
use crate::support::{Runtime, systemd};

pub(crate) fn what_systemctl_does(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    let events = Events::subscribe(&daemon);
    let run = |id: &str, script: &str| {
        let options = ["--detach", "--null-io", "--memory-limit", "67108864"];
        daemon.run(&options, id, &["sh", "-c", script]).succeeds();
    };
    // A first process is deaf to what it has not asked for.
    let polite = "trap 'exit 4' TERM; while :; do sleep 1000 & wait; done";
    let limits = [("memory.max", "67108864")];
    // The slice is one that nobody has made.
    run("one", polite);
    let unit = daemon.cgroup("one");
    systemd::has(&unit, &[("Slice", &daemon.parent), ("MemoryMax", "67108864")]);
    systemd::holds(&unit, &limits);
    systemd::reload(&unit);
    systemd::control(&["daemon-reexec"]);
    systemd::holds(&unit, &limits);
    assert_eq!(status(&daemon, "one").as_deref(), Some("RUNNING"));

    systemd::control(&["stop", &unit]);
    assert_eq!(events.wait_for("/tasks/exit", "one")["exit_status"], 4);
    delete(&daemon, "one", 4);
    systemd::gone(&unit);

    // Under the same name, and one that is killed.
    run("one", polite);
    systemd::control(&["kill", "--signal", "KILL", &unit]);
    assert_eq!(events.wait_for("/tasks/exit", "one")["exit_status"], 137);
    delete(&daemon, "one", 137);
    systemd::gone(&unit);

    // The slice with all that is in it.
    run("one", polite);
    run("two", polite);
    systemd::control(&["stop", &daemon.parent]);
    for id in ["one", "two"] {
        while status(&daemon, id).as_deref() != Some("STOPPED") {
            events.wait_for("/tasks/exit", id);
        }
        delete(&daemon, id, 4);
    }

    // As ctr has it without the flag for systemd.
    let path = format!("/{}/three", daemon.parent);
    let failed = daemon.run(&["--cgroup", &path], "three", &["true"]).ends();
    let words = "expected cgroupsPath to be of format";
    assert!(failed.code != Some(0) && failed.stderr.contains(words), "{failed:?}");
    daemon.ctr(["container", "delete", "three"]).ends();
    leftovers::none(&daemon);
}
