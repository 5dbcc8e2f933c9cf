//! `kill`: which signals it takes, in which states, and what it says.

use super::Case;
use crate::harness::container::PATIENCE;
use crate::harness::{Exit, Lab, Result, cgroup, ensure, ensure_eq, event, process};

const KILL: &str = "OCI runtime-spec runtime.md#kill, runc-kill(8)";

pub(super) const CASES: &[Case] = &[
    Case::new("lifecycle/kill-default", "kill without a signal sends SIGTERM", KILL, kill_default),
    Case::new(
        "lifecycle/kill-names",
        "kill takes numbers and names, with and without SIG, in any case",
        KILL,
        kill_names,
    ),
    Case::new(
        "lifecycle/kill-nonsense",
        "kill refuses what is no signal, and sends nothing",
        KILL,
        kill_nonsense,
    ),
    Case::new("lifecycle/kill-created", "a created container can be killed", KILL, kill_created),
    Case::new(
        "lifecycle/kill-stopped",
        "kill of a stopped container fails: container not running",
        "OCI runtime-spec runtime.md#kill MUST, containerd greps `container not running`",
        kill_stopped,
    ),
    Case::new(
        "lifecycle/run-signals",
        "run in the foreground passes SIGTERM on",
        "runc-run(8); what a service manager or a shell sends ends the workload",
        run_signals,
    ),
    Case::new(
        "lifecycle/kill-all",
        "kill --all signals every process",
        "runc-kill(8) --all",
        kill_all,
    ),
    Case::new(
        "lifecycle/kill-all-stopped",
        "kill --all of a stopped container succeeds",
        "runc-kill(8) --all, containerd calls it after the exit",
        kill_all_stopped,
    ),
];

fn kill_default(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "trap", "15"])?;
    c.up_ready()?;
    c.call("kill").run()?.ok()?.silent()?;
    ensure_eq!(c.wait()?, Exit::Code(0), "end of init");
    ensure!(c.output()?.contains("got 15"), "the workload must get SIGTERM: {}", c.output()?);
    Ok(())
}

fn kill_names(lab: &Lab) -> Result {
    for word in ["10", "USR1", "SIGUSR1", "usr1", "sigusr1"] {
        let c = lab.with_args(&["/probe", "trap", "10"])?;
        c.up_ready()?;
        c.kill(word)?.silent()?;
        ensure_eq!(c.wait()?, Exit::Code(0), "end of init after kill {word}");
    }
    Ok(())
}

fn kill_nonsense(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.up_ready()?;
    for word in ["NONSENSE", "SIG", "9x"] {
        lab.call(["kill", &c.id, word]).run()?.fails(1, "")?.refused()?;
    }
    ensure_eq!(c.status()?, "running", "status afterwards");
    Ok(())
}

fn kill_created(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.create()?;
    c.kill("KILL")?;
    ensure_eq!(c.wait()?, Exit::Signal(9), "end of init");
    ensure_eq!(c.status()?, "stopped", "status afterwards");
    Ok(())
}

fn kill_stopped(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "exit", "0"])?;
    c.up()?;
    c.wait_ended()?;
    lab.call(["kill", &c.id, "KILL"]).run()?.fails(1, "container not running")?;
    c.wait()?;
    lab.call(["kill", &c.id, "KILL"]).run()?.fails(1, "container not running").map(drop)
}

fn run_signals(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "trap", "15"])?;
    let run = c.launch("run", &[]).spawn()?;
    event::file_contains(&run.output(), "ready", PATIENCE)?;
    run.terminate()?;
    let done = run.finish()?.ok()?;
    ensure!(done.stdout.contains("got 15"), "the workload must get SIGTERM: {}", done.stdout);
    Ok(())
}

/// In the host's pid namespace, where no kernel ends the rest when the first process ends.
fn kill_all(lab: &Lab) -> Result {
    // Its processes share the pid namespace of others.
    cgroup::needs_any()?;
    let script = "busybox sleep 1000 & echo \"child $! \"; exec /probe trap 15";
    let c = lab.container(lab.bundle(|config| {
        config["process"]["args"] = ["/bin/sh", "-c", script].as_slice().into();
        if let Some(all) = config["linux"]["namespaces"].as_array_mut() {
            all.retain(|namespace| namespace["type"] != "pid");
        }
    })?);
    c.up()?;
    let text = c.wait_output("ready")?;
    let child = text.split_whitespace().skip_while(|word| *word != "child").nth(1);
    let child = process::handle(child.and_then(|word| word.parse().ok()).unwrap_or(0))?;
    lab.call(["kill", "--all", &c.id, "TERM"]).run()?.ok()?;
    ensure_eq!(c.wait()?, Exit::Code(0), "end of init");
    ensure!(event::readable(&child, PATIENCE)?, "the other process has not got the signal");
    Ok(())
}

fn kill_all_stopped(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "exit", "0"])?;
    c.up()?;
    c.wait()?;
    lab.call(["kill", "--all", &c.id, "9"]).run()?.ok().map(drop)
}
