//! What is left when a command fails half way, or is killed half way.
//!
//! Managers start the runtime with PR_SET_PDEATHSIG=SIGKILL, so it can die at any instruction.
//! strace kills it at the entry of its Nth system call, which makes that a list instead of a dice.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Container, Lab, Result, cgroup, ensure, process};

const CRASH: &str =
    "OCI runtime-spec runtime.md#delete; managers kill the runtime by PR_SET_PDEATHSIG";
const FAILED: &str = "OCI runtime-spec runtime.md#create (a failed create leaves no container)";

/// How many of the system calls are tried; they are spread evenly when there are more.
const POINTS: usize = 150;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "rollback/failed-create",
        "a failed create leaves nothing at all",
        FAILED,
        failed_create,
    ),
    Case::new(
        "rollback/killed-create",
        "create killed at any system call: delete --force leaves the host as it was",
        CRASH,
        killed_create,
    )
    .deadline(240),
    Case::new(
        "rollback/killed-create-mapped",
        "the same with a user namespace, whose first process waits for its id maps",
        CRASH,
        killed_create_mapped,
    )
    .deadline(240),
    Case::new(
        "rollback/killed-create-processes",
        "any process of create killed at any system call: delete --force leaves nothing",
        CRASH,
        killed_anything,
    )
    .deadline(240)
    .known("runc 1.1 writes its state at the end of create and cannot find what it made before"),
    Case::new(
        "rollback/killed-delete",
        "delete killed at any system call: delete --force finishes it",
        CRASH,
        killed_delete,
    )
    .deadline(240),
    Case::new(
        "rollback/killed-start",
        "start killed at any system call: state still works and delete --force cleans up",
        CRASH,
        killed_start,
    )
    .deadline(240),
];

fn failed_create(lab: &Lab) -> Result {
    let edits: [fn(&mut Value); 6] = [
        |config| config["process"]["args"] = json!(["/no/such/program"]),
        |config| config["mounts"][1]["options"] = json!(["no-such-option=1"]),
        |config| config["linux"]["sysctl"] = json!({ "net.ipv4.nonsense": "1" }),
        |config| config["linux"]["namespaces"][1]["path"] = "/no/such/namespace".into(),
        // What the kernel refuses, once there is a cgroup; a limit that nobody has delegated would be done without.
        match cgroup::needs_if_delegated("cpuset") {
            Ok(()) => |config| config["linux"]["resources"]["cpu"] = json!({ "cpus": "4000" }),
            Err(_) => {
                |config| config["linux"]["resources"]["unified"] = json!({ "pids.max": "many" })
            }
        },
        |config| {
            config["hooks"] = json!({ "createContainer": [{ "path": "/bin/false" }] });
        },
    ];
    for edit in edits {
        let bundle = lab.bundle(edit)?;
        // No container object, because its clean-up would hide what is left.
        let id = lab.new_id();
        lab.call(["create", "--bundle", &bundle.word(), &id]).run()?.fails(1, "")?.refused()?;
        lab.call(["state", &id]).run()?.fails(1, "does not exist")?;
        clean(lab, &format!("the failed create with {}", bundle.config["process"]["args"]))?;
    }
    Ok(())
}

/// Insists that no process, cgroup or state of this case is left.
fn clean(lab: &Lab, after: &str) -> Result {
    let processes = process::settle(crate::harness::container::PATIENCE);
    ensure!(processes.is_empty(), "after {after}: processes {processes:?} are left");
    let groups = cgroup::named(&format!("{}-", lab.token));
    ensure!(groups.is_empty(), "after {after}: cgroups {groups:?} are left");
    let state: Vec<_> = match fs::read_dir(lab.state_root()) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name()).collect(),
        Err(_) => Vec::new(),
    };
    ensure!(state.is_empty(), "after {after}: the state root has {state:?}");
    Ok(())
}

fn strace(lab: &Lab) -> Result<String> {
    lab.needs("/usr/bin/strace", "strace")?;
    Ok(lab.folder.join("trace").to_string_lossy().into_owned())
}

/// Which processes strace follows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// Only the first thread of the runtime.
    Caller,
    /// Whatever the runtime starts too: the first of them that reaches the Nth call is killed.
    All,
}

/// Runs `attempt` with a wrapper that kills at the Nth system call, for every N.
pub(super) fn sweep<'l>(
    lab: &'l Lab,
    c: Container<'l>,
    follow: Follow,
    attempt: impl Fn(&Container<'l>, Vec<String>) -> Result,
) -> Result {
    let trace = strace(lab)?;
    let wrapper = |inject: Option<String>| {
        let mut words: Vec<String> =
            ["/usr/bin/strace", "-qq", "-o", &trace].map(str::to_owned).into();
        if follow == Follow::All {
            // Detached, because it follows init, which outlives the call that we wait for.
            words.extend(["-f".to_owned(), "-D".to_owned()]);
        }
        if let Some(inject) = inject {
            words.extend(["-e".to_owned(), inject]);
        }
        words
    };
    attempt(&c, wrapper(None))?;
    c.delete_force()?.ok()?;
    clean(lab, "a call under strace that nobody killed")?;
    let total = calls_in(Path::new(&trace))?;
    ensure!(total > 10, "strace saw only {total} system calls");
    let step = total.div_ceil(POINTS).max(1);
    let bundle = c.bundle.clone();
    for number in (1..=total).step_by(step) {
        let c = lab.container(bundle.clone());
        attempt(&c, wrapper(Some(format!("inject=all:signal=SIGKILL:when={number}"))))?;
        let after = format!("the kill at system call {number} of {total}");
        let done = c.delete_force()?;
        ensure!(done.code == Some(0), "delete --force after {after}: {}", done.stderr);
        clean(lab, &after)?;
    }
    Ok(())
}

/// The largest number of system calls of one thread; lines of followed processes begin with a pid.
fn calls_in(trace: &Path) -> Result<usize> {
    let text = String::from_utf8_lossy(&fs::read(trace)?).into_owned();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for line in text.lines().filter(|line| line.contains('(')) {
        let pid = line.split(' ').next().filter(|word| word.parse::<u32>().is_ok());
        *counts.entry(pid.unwrap_or_default()).or_default() += 1;
    }
    Ok(counts.into_values().max().unwrap_or(0))
}

fn sleeper(lab: &Lab) -> Result<Container<'_>> {
    lab.with_args(&["/probe", "sleep"])
}

fn killed_create(lab: &Lab) -> Result {
    sweep(lab, sleeper(lab)?, Follow::Caller, |c, wrapper| {
        c.launch("create", &[]).wrap(wrapper).run().map(drop)
    })
}

/// The new process waits for its id maps in the middle of it, and has to notice that nobody will write them.
fn killed_create_mapped(lab: &Lab) -> Result {
    let bundle = super::user_namespace::bundle(lab, |config| {
        config["process"]["args"] = json!(["/probe", "sleep"]);
    })?;
    sweep(lab, lab.container(bundle), Follow::Caller, |c, wrapper| {
        c.launch("create", &[]).wrap(wrapper).run().map(drop)
    })
}

fn killed_anything(lab: &Lab) -> Result {
    sweep(lab, sleeper(lab)?, Follow::All, |c, wrapper| {
        c.launch("create", &[]).wrap(wrapper).run().map(drop)
    })
}

fn killed_delete(lab: &Lab) -> Result {
    sweep(lab, sleeper(lab)?, Follow::Caller, |c, wrapper| {
        c.up_ready()?;
        c.kill("KILL")?;
        c.wait()?;
        c.call("delete").wrap(wrapper).run().map(drop)
    })
}

fn killed_start(lab: &Lab) -> Result {
    sweep(lab, sleeper(lab)?, Follow::Caller, |c, wrapper| {
        c.create()?;
        c.call("start").wrap(wrapper).run()?;
        let status = c.status()?;
        let possible = ["created", "running", "stopped"].contains(&status.as_str());
        ensure!(possible, "status after a killed start: {status}");
        Ok(())
    })
}
