//! Hooks that fail, hang or are missing, and what becomes of the container.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Case;
use super::hook::{ENTRY, Hooked, INSIDE, hooked, part, record, record_fail, recorded};
use crate::harness::{Exit, Lab, Result, ensure, ensure_eq, process};

const FAILURE: &str = "OCI runtime-spec runtime.md#lifecycle (failure of a hook)";

pub(super) const CASES: &[Case] = &[
    Case::new("hook/timeout", "a hook past its timeout is killed and fails create", ENTRY, timeout),
    Case::new(
        "hook/timeout-zero",
        "a timeout of zero is refused",
        "OCI runtime-spec config.md#posix-platform-hooks timeout MUST be greater than zero",
        timeout_zero,
    ),
    Case::new(
        "hook/failure-in-create",
        "a failing hook of create's three stages fails create, and nothing is left",
        FAILURE,
        failure_in_create,
    ),
    Case::new(
        "hook/first-failure-ends",
        "after a failure no further hook runs",
        FAILURE,
        first_failure,
    ),
    Case::new("hook/missing-program", "a hook that does not exist fails create", FAILURE, missing),
    Case::new(
        "hook/start-container-failure",
        "a failing startContainer hook fails start, and the workload never runs",
        FAILURE,
        start_container_failure,
    )
    .known("runc 1.1 reports success of start before the startContainer hooks have run"),
    Case::new(
        "hook/failure-words",
        "the error of a hook has how it ended and what it said",
        "runc: error running hook: exit status N, stdout, stderr",
        failure_words,
    ),
    Case::new(
        "hook/poststart-failure",
        "a failing poststart hook fails start and ends the container; no further one runs",
        "OCI runtime-spec runtime.md#lifecycle step 9 MUST generate an error (since 1.3)",
        poststart_failure,
    )
    .known("runc 1.1 runs poststart hooks in create (opencontainers/runc#4347)"),
    Case::new(
        "hook/poststop-after-failure",
        "when a hook of create fails, all poststop hooks run, and the container is stopped",
        "OCI runtime-spec runtime.md#lifecycle steps 3 to 5: continue at step 12",
        poststop_after_failure,
    ),
    Case::new(
        "hook/poststop-failure",
        "a failing poststop hook is a warning: the next runs and delete succeeds",
        "OCI runtime-spec runtime.md#lifecycle step 13 MUST log a warning",
        poststop_failure,
    )
    .known("runc 1.1 returns the error of a poststop hook and skips the others"),
];

/// `create` with these hooks must fail, and leave no container.
fn refused(lab: &Lab, phrase: &str, hooks: impl FnOnce(&str, &str) -> Value) -> Result<PathBuf> {
    let Hooked { bundle, folder } = hooked(lab, &["/probe", "sleep"], hooks)?;
    let c = lab.container(bundle);
    c.try_create()?.fails(1, phrase)?;
    c.call("state").run()?.fails(1, "does not exist")?;
    let left = process::settle(crate::harness::container::PATIENCE);
    ensure!(left.is_empty(), "processes after the failed create: {left:?}");
    Ok(folder)
}

fn timeout(lab: &Lab) -> Result {
    refused(lab, "", |probe, _| {
        json!({ "createRuntime": [{ "path": probe, "args": ["probe", "sleep"], "timeout": 1 }] })
    })
    .map(drop)
}

fn timeout_zero(lab: &Lab) -> Result {
    refused(lab, "timeout", |probe, folder| {
        let mut hook = record(probe, folder, "zero");
        hook["timeout"] = 0.into();
        json!({ "createRuntime": [hook] })
    })
    .map(drop)
}

fn failure_words(lab: &Lab) -> Result {
    for stage in ["createRuntime", "createContainer"] {
        for (script, ended) in [("exit 9", "exit status 9"), ("kill -9 $$", "killed")] {
            let script = format!("echo a word of the hook >&2; {script}");
            let hooks = |_: &str, _: &str| json!({ stage: [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
            let Hooked { bundle, .. } = hooked(lab, &["/probe", "sleep"], hooks)?;
            let done = lab.container(bundle).try_create()?.fails(1, ended)?;
            done.fails(1, "a word of the hook")?;
        }
    }
    Ok(())
}

fn failure_in_create(lab: &Lab) -> Result {
    for stage in ["prestart", "createRuntime", "createContainer"] {
        let folder = refused(
            lab,
            "",
            |probe, folder| json!({ stage: [record_fail(probe, folder, stage)] }),
        )?;
        ensure_eq!(recorded(&folder), [stage], "hooks that ran");
    }
    Ok(())
}

fn first_failure(lab: &Lab) -> Result {
    let folder = refused(lab, "", |probe, folder| {
        json!({
            "createRuntime": [
                record(probe, folder, "a"), record_fail(probe, folder, "b"), record(probe, folder, "c")
            ],
            "createContainer": [record(probe, folder, "d")]
        })
    })?;
    let ran = recorded(&folder);
    ensure_eq!(ran, ["a", "b"], "hooks that ran");
    Ok(())
}

fn missing(lab: &Lab) -> Result {
    let hooks = |_: &str, _: &str| json!({ "createRuntime": [{ "path": "/no/such/hook" }] });
    refused(lab, "/no/such/hook", hooks).map(drop)
}

fn start_container_failure(lab: &Lab) -> Result {
    let Hooked { bundle, folder } = hooked(
        lab,
        &["/probe", "sleep"],
        |_, _| json!({ "startContainer": [record_fail("/probe", INSIDE, "startContainer")] }),
    )?;
    let c = lab.container(bundle);
    c.create()?;
    let done = c.call("start").run()?;
    c.wait()?;
    ensure_eq!(recorded(&folder), ["startContainer"], "hooks that ran");
    ensure!(!c.output()?.contains("ready"), "the workload ran after a failed hook");
    done.fails(1, "")?.refused().map(drop)
}

fn poststart_failure(lab: &Lab) -> Result {
    let Hooked { bundle, folder } = hooked(lab, &["/probe", "sleep"], |probe, folder| {
        json!({
            "poststart": [record_fail(probe, folder, "a"), record(probe, folder, "b")],
            "poststop": [record(probe, folder, "c")]
        })
    })?;
    let c = lab.container(bundle);
    c.create()?;
    c.call("start").run()?.fails(1, "")?.refused()?;
    c.wait()?;
    ensure_eq!(recorded(&folder), ["a"], "hooks after start");
    c.delete()?;
    ensure_eq!(recorded(&folder), ["a", "c"], "hooks after delete");
    Ok(())
}

fn poststop_after_failure(lab: &Lab) -> Result {
    for stage in ["prestart", "createRuntime", "createContainer"] {
        let folder = refused(lab, "", |probe, folder| {
            json!({
                stage: [record(probe, folder, "made"), record_fail(probe, folder, "failed")],
                "poststop": [record(probe, folder, "undone-1"), record(probe, folder, "undone-2")]
            })
        })?;
        let wanted = ["made", "failed", "undone-1", "undone-2"];
        ensure_eq!(recorded(&folder), wanted, "hooks where one of {stage} failed");
        let state = part(&folder, "undone-2", "state")?;
        ensure_eq!(state["status"], "stopped", "status that poststop gets");
        ensure!(state["pid"].as_i64().unwrap_or(0) == 0, "pid for poststop: {}", state["pid"]);
    }
    Ok(())
}

fn poststop_failure(lab: &Lab) -> Result {
    let Hooked { bundle, folder } = hooked(
        lab,
        &["/probe", "exit", "0"],
        |probe, folder| json!({ "poststop": [record_fail(probe, folder, "a"), record(probe, folder, "b")] }),
    )?;
    let c = lab.container(bundle);
    c.up()?;
    ensure_eq!(c.wait()?, Exit::Code(0), "end of the workload");
    c.call("delete").run()?.ok()?;
    ensure_eq!(recorded(&folder), ["a", "b"], "hooks that ran");
    c.call("state").run()?.fails(1, "does not exist").map(drop)
}
