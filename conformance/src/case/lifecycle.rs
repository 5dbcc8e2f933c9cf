//! The life of a container as `state` and the exit statuses show it.

use std::fs;

use super::Case;
use crate::harness::{Exit, Lab, Result, ensure, ensure_eq, process};

const LIFECYCLE: &str = "OCI runtime-spec runtime.md#lifecycle";
const STATE: &str = "OCI runtime-spec runtime.md#state";
const DELETE: &str = "OCI runtime-spec runtime.md#delete, runc-delete(8)";
const RUN: &str = "runc-run(8)";
const LIST: &str = "runc-list(8)";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "lifecycle/statuses",
        "status goes created, running, stopped, and the workload waits for start",
        LIFECYCLE,
        statuses,
    ),
    Case::new(
        "lifecycle/state-fields",
        "state prints ociVersion, id, status, pid, absolute bundle and annotations",
        STATE,
        state_fields,
    ),
    Case::new(
        "lifecycle/state-stopped-pid",
        "pid is 0 once stopped, even while init is a zombie",
        STATE,
        stopped_pid,
    ),
    Case::new(
        "lifecycle/duplicate-id",
        "create with an id in use fails and does not harm the first container",
        "OCI runtime-spec runtime.md#create MUST (unique id)",
        duplicate_id,
    ),
    Case::new(
        "lifecycle/start-twice",
        "start of a running container fails and does not harm it",
        "OCI runtime-spec runtime.md#start MUST (error unless created)",
        start_twice,
    ),
    Case::new(
        "lifecycle/start-stopped",
        "start of a stopped container fails",
        "OCI runtime-spec runtime.md#start MUST (error unless created)",
        start_stopped,
    ),
    Case::new(
        "lifecycle/config-change-after-create",
        "a change of config.json after create has no effect",
        "OCI runtime-spec runtime.md#create (later changes have no effect)",
        config_change,
    ),
    Case::new(
        "lifecycle/delete-running",
        "delete without force refuses a running container, which lives on",
        DELETE,
        delete_running,
    ),
    Case::new(
        "lifecycle/delete-created",
        "delete of a created container removes it, as callers rely on",
        "runc-delete(8), containerd deletes in state created",
        delete_created,
    ),
    Case::new(
        "lifecycle/delete-force-running",
        "delete --force kills and removes a running container",
        DELETE,
        delete_force_running,
    ),
    Case::new(
        "lifecycle/delete-force-missing",
        "delete --force of an unknown id exits 0 and says nothing",
        DELETE,
        delete_force_missing,
    ),
    Case::new(
        "lifecycle/delete-then-reuse",
        "an id can be used again after delete",
        DELETE,
        delete_then_reuse,
    ),
    Case::new(
        "lifecycle/unknown-id",
        "every command refuses an unknown id: exit 1, does not exist",
        "OCI runtime-spec runtime.md#state MUST, containerd greps `does not exist`",
        unknown_id,
    ),
    Case::new("lifecycle/list", "list prints a table, JSON, or ids only", LIST, list),
    Case::new("lifecycle/list-empty", "list without containers succeeds", LIST, list_empty),
    Case::new(
        "lifecycle/invalid-ids",
        "ids with other characters than letters, digits and _+-. are refused",
        "runc: invalid container ID format",
        invalid_ids,
    ),
    Case::new(
        "lifecycle/run-exit-status",
        "run exits with the status of the workload, 128+N for a signal",
        RUN,
        run_exit_status,
    ),
    Case::new(
        "lifecycle/run-removes",
        "run in the foreground deletes the container at the end; --keep does not",
        RUN,
        run_removes,
    ),
    Case::new(
        "lifecycle/run-detached",
        "run -d leaves a running container whose parent is not the runtime",
        RUN,
        run_detached,
    ),
    Case::new(
        "lifecycle/pid-file",
        "the pid file holds the decimal pid of init and no newline",
        "runc-create(8) --pid-file, go-runc and conmon parse the whole file",
        pid_file,
    ),
];

fn statuses(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.create()?.silent()?;
    ensure_eq!(c.status()?, "created", "status after create");
    ensure_eq!(c.output()?, "", "output of a workload that must not run before start");
    c.start()?.silent()?;
    c.wait_output("ready")?;
    ensure_eq!(c.status()?, "running", "status after start");
    c.kill("KILL")?.silent()?;
    ensure_eq!(c.wait()?, Exit::Signal(9), "end of init");
    ensure_eq!(c.status()?, "stopped", "status after the end");
    c.delete()?.silent()?;
    c.call("state").run()?.fails(1, "does not exist").map(drop)
}

fn state_fields(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = ["/probe", "sleep"].as_slice().into();
        config["annotations"] = serde_json::json!({ "org.example.key": "a value" });
    })?;
    let c = lab.container(bundle);
    c.create()?;
    let state = c.state()?;
    ensure!(
        state["ociVersion"].as_str().is_some_and(|v| v.split('.').count() >= 3),
        "ociVersion must be a version, not {}",
        state["ociVersion"]
    );
    ensure_eq!(state["id"], c.id.as_str(), "id");
    ensure_eq!(state["pid"], c.pid()?, "pid");
    ensure_eq!(state["bundle"], c.bundle.word().as_str(), "bundle");
    ensure_eq!(state["annotations"]["org.example.key"], "a value", "annotation");
    let rootfs = c.bundle.rootfs();
    ensure_eq!(state["rootfs"], rootfs.to_string_lossy().as_ref(), "rootfs");
    let created = state["created"].as_str().unwrap_or_default();
    let looks_right = created.len() >= 20 && created.as_bytes().get(10) == Some(&b'T');
    ensure!(looks_right, "created must be RFC 3339, not {created:?}");
    ensure!(state["owner"].is_string(), "owner must be a string, not {}", state["owner"]);
    Ok(())
}

fn stopped_pid(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "exit", "0"])?;
    c.up()?;
    c.wait_ended()?;
    let state = c.state()?;
    ensure_eq!(state["status"], "stopped", "status while init is a zombie");
    ensure_eq!(state["pid"], 0, "pid of a stopped container");
    c.wait()?;
    ensure_eq!(c.status()?, "stopped", "status after init was reaped");
    Ok(())
}

fn duplicate_id(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.up_ready()?;
    let other = lab.bundle(|_| {})?;
    let folder = other.word();
    lab.call(["create", "--bundle", &folder, &c.id])
        .run()?
        .fails(1, "container with given ID already exists")?;
    ensure_eq!(c.status()?, "running", "status of the first container");
    Ok(())
}

fn start_twice(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.up_ready()?;
    c.call("start").run()?.fails(1, "cannot start an already running container")?;
    ensure_eq!(c.status()?, "running", "status afterwards");
    Ok(())
}

fn start_stopped(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "exit", "0"])?;
    c.up()?;
    c.wait()?;
    c.call("start").run()?.fails(1, "cannot start a container that has stopped").map(drop)
}

fn config_change(lab: &Lab) -> Result {
    let mut c = lab.with_args(&["/probe", "exit", "3"])?;
    c.create()?;
    c.bundle.config["process"]["args"] = ["/probe", "exit", "4"].as_slice().into();
    c.bundle.write()?;
    c.start()?;
    ensure_eq!(c.wait()?, Exit::Code(3), "end of the workload of the first config.json");
    Ok(())
}

fn delete_running(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.up_ready()?;
    c.call("delete").run()?.fails(1, "that is not stopped: running")?;
    ensure_eq!(c.status()?, "running", "status afterwards");
    Ok(())
}

fn delete_created(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.create()?;
    c.delete()?.silent()?;
    ensure_eq!(c.wait()?, Exit::Signal(9), "end of init");
    c.call("state").run()?.fails(1, "does not exist").map(drop)
}

fn delete_force_running(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.up_ready()?;
    c.delete_force()?.ok()?.silent()?;
    ensure_eq!(c.wait()?, Exit::Signal(9), "end of init");
    c.call("state").run()?.fails(1, "does not exist").map(drop)
}

fn delete_force_missing(lab: &Lab) -> Result {
    let done = lab.call(["delete", "--force", &lab.new_id()]).run()?.ok()?.silent()?;
    ensure_eq!(done.stdout, "", "standard output");
    lab.call(["delete", "-f", &lab.new_id()]).run()?.ok()?.silent().map(drop)
}

fn delete_then_reuse(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "exit", "0"])?;
    for _ in 0..2 {
        c.up()?;
        ensure_eq!(c.wait()?, Exit::Code(0), "end of init");
        c.delete()?;
    }
    Ok(())
}

fn unknown_id(lab: &Lab) -> Result {
    let id = lab.new_id();
    for verb in ["state", "start", "kill", "delete", "pause", "resume", "ps"] {
        lab.call([verb, &id]).run()?.fails(1, "does not exist")?;
    }
    Ok(())
}

fn list(lab: &Lab) -> Result {
    let a = lab.with_args(&["/probe", "sleep"])?;
    let b = lab.with_args(&["/probe", "sleep"])?;
    a.create()?;
    b.up_ready()?;
    let table = lab.call(["list"]).run()?.ok()?.silent()?.stdout;
    let head: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    ensure_eq!(head, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], "head of the table");
    ensure_eq!(table.lines().count(), 3, "lines of the table");
    let ids = lab.call(["list", "-q"]).run()?.ok()?.silent()?.stdout;
    let mut ids: Vec<&str> = ids.lines().collect();
    ids.sort_unstable();
    ensure_eq!(ids, [a.id.as_str(), b.id.as_str()], "ids of list -q");
    let json = lab.call(["list", "--format=json"]).run()?.ok()?.silent()?.json()?;
    let of = |id: &str| json.as_array()?.iter().find(|entry| entry["id"] == id).cloned();
    let (first, second) = (of(&a.id).unwrap_or_default(), of(&b.id).unwrap_or_default());
    ensure_eq!(first["status"], "created", "status of the first in JSON");
    ensure_eq!(second["status"], "running", "status of the second in JSON");
    ensure_eq!(second["pid"], b.pid()?, "pid of the second in JSON");
    ensure_eq!(second["bundle"], b.bundle.word(), "bundle of the second in JSON");
    ensure_eq!(
        second["rootfs"],
        b.bundle.rootfs().to_string_lossy().into_owned(),
        "rootfs of the second in JSON"
    );
    let created = second["created"].as_str().unwrap_or_default();
    let rfc3339 = created.len() >= 20 && created.as_bytes()[10] == b'T';
    ensure!(rfc3339, "created must be RFC 3339: {created:?}");
    Ok(())
}

fn list_empty(lab: &Lab) -> Result {
    ensure_eq!(lab.call(["list", "-q"]).run()?.ok()?.silent()?.stdout, "", "list -q");
    let json = lab.call(["list", "--format", "json"]).run()?.ok()?.silent()?.json()?;
    let empty = json.is_null() || json.as_array().is_some_and(Vec::is_empty);
    ensure!(empty, "list --format json without containers must be null or [], not {json}");
    Ok(())
}

fn invalid_ids(lab: &Lab) -> Result {
    let folder = lab.bundle(|_| {})?.word();
    for id in [".", "..", "a/b", "../x", "a b", "a\nb", "ä", "a*", "a:b", ""] {
        lab.call(["create", "--bundle", &folder, id]).run()?.fails(1, "")?.refused()?;
    }
    ensure_eq!(lab.call(["list", "-q"]).run()?.ok()?.stdout, "", "containers afterwards");
    Ok(())
}

fn run_exit_status(lab: &Lab) -> Result {
    for (action, number, status) in
        [("exit", "0", 0), ("exit", "1", 1), ("exit", "42", 42), ("exit", "255", 255)]
    {
        let done = lab.with_args(&["/probe", action, number])?.run()?;
        ensure_eq!(done.code, Some(status), "exit status of run for {action} {number}");
    }
    // Process 1 ignores signals without a handler unless they come from outside its namespace.
    for (signal, status) in [("9", 137), ("11", 139)] {
        let bundle = lab.bundle(|config| {
            config["process"]["args"] = ["/probe", "signal", signal].as_slice().into();
            if let Some(all) = config["linux"]["namespaces"].as_array_mut() {
                all.retain(|namespace| namespace["type"] != "pid");
            }
        })?;
        let done = lab.container(bundle).run()?;
        ensure_eq!(done.code, Some(status), "exit status of run for signal {signal}");
    }
    Ok(())
}

fn run_removes(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "exit", "0"])?;
    c.run()?.ok()?.silent()?;
    c.call("state").run()?.fails(1, "does not exist")?;
    c.launch("run", &["--keep"]).run()?.ok()?;
    ensure_eq!(c.status()?, "stopped", "status after run --keep");
    c.delete().map(drop)
}

fn run_detached(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    let done = c.launch("run", &["--detach"]).run()?;
    c.adopt_if(done)?.ok()?.silent()?;
    c.wait_output("ready")?;
    ensure_eq!(c.status()?, "running", "status after run --detach");
    let parent = process::status_field(c.pid()?, "PPid")?;
    ensure_eq!(parent, std::process::id().to_string(), "parent of init: the subreaper that called");
    Ok(())
}

fn pid_file(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.create()?;
    let text = fs::read_to_string(c.pid_file())?;
    ensure!(text.bytes().all(|b| b.is_ascii_digit()), "the pid file holds {text:?}");
    let same = fs::canonicalize(format!("/proc/{text}/cwd")).is_ok();
    ensure!(same, "the pid {text} of the pid file is no process here");
    ensure_eq!(c.state()?["pid"].to_string(), text, "pid of state and of the pid file");
    // A launch that fails must leave no pid file: conmon takes it for success.
    let broken = lab.with_args(&["/missing"])?;
    broken.try_create()?.refused()?;
    ensure!(!broken.pid_file().exists(), "a failed create left a pid file");
    Ok(())
}
