//! Pausing, and what can be done to a paused container.

use serde_json::json;

use super::Case;
use super::exec::{exec, sleeper};
use crate::harness::call::Running;
use crate::harness::container::PATIENCE;
use crate::harness::{Container, Exit, Lab, Result, cgroup, ensure, ensure_eq, event, process};

const MANUAL: &str = "runc-pause(8), runc-resume(8)";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "pause/wrong-state",
        "only what runs is paused, only what is paused goes on",
        MANUAL,
        wrong_state,
    ),
    Case::new("pause/created", "a created container is paused, and started after", MANUAL, created),
    Case::new("pause/exec", "exec refuses a paused container", "runc-exec(8)", exec_refused),
    Case::new(
        "pause/exec-ignored",
        "--ignore-paused: it runs after resume",
        "runc-exec(8)",
        exec_ignored,
    ),
    Case::new(
        "pause/exec-killed",
        "a process that dies before its program is a failure: 255 and no pid file",
        "runc-exec(8); conmon knows a failed exec by the absence of the pid file",
        exec_killed,
    ),
    Case::new(
        "pause/exec-caller-killed",
        "a process whose caller was killed before it came up never runs its program",
        "go-runc and conmon set PR_SET_PDEATHSIG",
        exec_caller_killed,
    )
    .known("runc 1.1 does not ask"),
    Case::new(
        "pause/exec-called-off",
        "SIGTERM ends a foreground exec whose process cannot run yet: 143, and no process later",
        "runc-exec(8); a shell's 128+n",
        exec_called_off,
    )
    .known("runc 1.1 waits for resume")
    .deadline(10),
    Case::new("pause/kill", "SIGKILL ends a paused container", "runc-kill(8)", kill),
    Case::new("pause/signal-waits", "other signals wait for resume", "runc-kill(8)", signal_waits),
    Case::new("ps/exec", "ps lists what exec has started", "runc-ps(8)", ps_exec),
];

fn wrong_state(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = sleeper(lab, |_| {})?;
    container.call("resume").run()?.fails(1, "not paused")?;
    container.call("pause").run()?.ok()?;
    container.call("pause").run()?.fails(1, "not running")?;
    container.call("resume").run()?.ok()?;
    container.kill("KILL")?;
    container.wait_ended()?;
    container.call("pause").run()?.fails(1, "not running")?;
    container.call("resume").run()?.fails(1, "not paused").map(drop)
}

fn created(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = lab.with_args(&["/probe", "exit", "4"])?;
    container.create()?;
    container.call("pause").run()?.ok()?.silent()?;
    ensure_eq!(container.status()?, "paused", "status");
    container.call("resume").run()?.ok()?.silent()?;
    container.start()?;
    ensure_eq!(container.wait()?, Exit::Code(4), "end");
    Ok(())
}

fn exec_refused(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = sleeper(lab, |_| {})?;
    container.call("pause").run()?.ok()?;
    exec(lab, &container, &[], &["/probe", "exit", "0"])
        .run()?
        .fails(255, "cannot exec in a paused container (use --ignore-paused to override)")?;
    container.call("resume").run()?.ok()?;
    exec(lab, &container, &[], &["/probe", "exit", "0"]).run()?.ok().map(drop)
}

fn exec_ignored(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = sleeper(lab, |_| {})?;
    container.call("pause").run()?.ok()?;
    let waiting = exec(lab, &container, &["--ignore-paused"], &["/probe", "exit", "5"]).spawn()?;
    container.call("resume").run()?.ok()?;
    ensure_eq!(waiting.finish()?.code, Some(5), "exit code");
    Ok(())
}

/// A call of `exec` into a paused container, once its process is frozen there on its way to the program.
fn held<'l>(
    lab: &'l Lab,
    container: &Container<'_>,
    flags: &[&str],
    program: &[&str],
) -> Result<(Running<'l>, i32)> {
    let flags: Vec<&str> = ["--ignore-paused"].iter().chain(flags).copied().collect();
    let call = exec(lab, container, &flags, program).spawn()?;
    let init = container.pid()?;
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let listed = lab.call(["ps", "--format", "json", &container.id]).run()?.ok()?.json()?;
        let pids = listed.as_array().into_iter().flatten().filter_map(|pid| pid.as_i64());
        // In the container's pid namespace: who makes it may be in the cgroup for a moment, too. On cgroup v2 it may
        // be born in there, and is frozen before it is anything; then nobody else comes.
        let unified = cgroup::v1("freezer", "").is_none();
        let inside = |pid: &i32| {
            let ids = process::status_field(*pid, "NSpid").unwrap_or_default();
            *pid != init && (unified || ids.split_whitespace().count() > 1)
        };
        if let Some(pid) = pids.filter_map(|pid| i32::try_from(pid).ok()).find(inside) {
            return Ok((call, pid));
        }
        ensure!(std::time::Instant::now() < end, "the process does not appear in the cgroup");
    }
}

fn exec_caller_killed(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = sleeper(lab, |_| {})?;
    container.call("pause").run()?.ok()?;
    let script = ["/bin/sh", "-c", "echo ran >/dev/shm/ran"];
    let (caller, pid) = held(lab, &container, &[], &script)?;
    let other = process::handle(pid)?;
    caller.kill()?;
    container.call("resume").run()?.ok()?;
    ensure!(event::readable(&other, PATIENCE)?, "the process goes on without its caller");
    // Others may have been made on the way, and init of their pid namespace cannot end before they are reaped.
    ensure_eq!(process::settle_but(container.pid()?, PATIENCE), Vec::new(), "processes left");
    exec(lab, &container, &[], &["/bin/cat", "/dev/shm/ran"]).run()?.refused().map(drop)
}

fn exec_called_off(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = sleeper(lab, |_| {})?;
    container.call("pause").run()?.ok()?;
    let script = ["/bin/sh", "-c", "echo ran >/dev/shm/ran"];
    let (call, pid) = held(lab, &container, &[], &script)?;
    let other = process::handle(pid)?;
    call.terminate()?;
    call.finish()?.fails(128 + 15, "before the process ran")?;
    ensure_eq!(container.status()?, "paused", "status of the container");
    container.call("resume").run()?.ok()?;
    ensure!(event::readable(&other, PATIENCE)?, "the process goes on without its caller");
    // Others may have been made on the way, and init of their pid namespace cannot end before they are reaped.
    ensure_eq!(process::settle_but(container.pid()?, PATIENCE), Vec::new(), "processes left");
    exec(lab, &container, &[], &["/bin/cat", "/dev/shm/ran"]).run()?.refused().map(drop)
}

fn exec_killed(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = sleeper(lab, |_| {})?;
    container.call("pause").run()?.ok()?;
    let file = lab.folder.join("exec.pid");
    let word = file.to_string_lossy().into_owned();
    let flags = ["--detach", "--pid-file", &word];
    let (call, pid) = held(lab, &container, &flags, &["/probe", "sleep"])?;
    process::kill(pid);
    container.call("resume").run()?.ok()?;
    call.finish()?.fails(255, "")?;
    ensure!(!file.exists(), "a pid file is left");
    ensure_eq!(container.status()?, "running", "status of the container");
    Ok(())
}

fn kill(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = sleeper(lab, |_| {})?;
    container.call("pause").run()?.ok()?;
    container.kill("KILL")?;
    ensure_eq!(container.wait()?, Exit::Signal(9), "end");
    Ok(())
}

fn signal_waits(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let container = lab.with_args(&["/probe", "trap", "15"])?;
    container.up_ready()?;
    container.call("pause").run()?.ok()?;
    container.kill("TERM")?;
    ensure_eq!(container.status()?, "paused", "status after the signal");
    container.call("resume").run()?.ok()?;
    ensure_eq!(container.wait()?, Exit::Code(0), "end");
    Ok(())
}

fn ps_exec(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let file = lab.folder.join("exec.pid");
    let word = file.to_string_lossy().into_owned();
    exec(lab, &container, &["--detach", "--pid-file", &word], &["/probe", "sleep"]).run()?.ok()?;
    let pid: i32 = std::fs::read_to_string(&file)?.parse().unwrap_or(0);
    let mut listed = lab
        .call(["ps", "--format", "json", &container.id])
        .run()?
        .ok()?
        .silent()?
        .json()?
        .as_array()
        .cloned()
        .unwrap_or_default();
    listed.sort_by_key(|pid| pid.as_i64());
    ensure_eq!(json!(listed), json!([container.pid()?, pid]), "pids");
    let table = lab.call(["ps", &container.id, "-e", "-o", "pid,args"]).run()?.ok()?.stdout;
    ensure_eq!(table.lines().count(), 3, "lines of {table:?}");
    crate::harness::process::end(pid, crate::harness::container::PATIENCE);
    Ok(())
}
