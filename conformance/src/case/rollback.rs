//! What is left when a command fails half way, or is killed half way.
//!
//! Managers start the runtime with PR_SET_PDEATHSIG=SIGKILL, so it can die at any instruction.
//! strace kills it at the entry of each of its system calls, which makes that a list instead of a dice, and so it does
//! with calls that fail.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Container, Lab, Result, cgroup, ensure, ensure_eq, process};

const CRASH: &str =
    "OCI runtime-spec runtime.md#delete; managers kill the runtime by PR_SET_PDEATHSIG";
const FAILED: &str = "OCI runtime-spec runtime.md#create (a failed create leaves no container)";

const BESIDE: &str =
    "OCI runtime-spec runtime.md#delete (what others have made must not be deleted)";

/// How many of the system calls are tried; they are spread evenly when there are more.
const POINTS: usize = 300;

/// How often its Go runtime calls futex(2) is another number each time: the call that leaves something may be missed.
const LATE_STATE: &str =
    "runc 1.1 writes its state at the end of create and cannot find what it made before";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "rollback/failed-create",
        "a failed create leaves nothing at all",
        FAILED,
        failed_create,
    ),
    Case::new(
        "rollback/no-descriptor",
        "create for which there is no further descriptor leaves nothing, or what delete --force removes",
        FAILED,
        no_descriptor,
    )
    .deadline(240),
    Case::new(
        "rollback/pid-file",
        "a create that cannot write its pid file leaves nothing, beside it either",
        FAILED,
        pid_file,
    )
    .known("runc 1.1 leaves the file that it renames"),
    Case::new(
        "rollback/killed-create",
        "create killed at any system call: delete --force leaves the host as it was",
        CRASH,
        killed_create,
    )
    .deadline(480)
    .known_at_times(LATE_STATE),
    Case::new(
        "rollback/killed-create-mapped",
        "the same with a user namespace, whose first process waits for its id maps",
        CRASH,
        killed_create_mapped,
    )
    .deadline(480)
    .known_at_times(LATE_STATE),
    Case::new(
        "rollback/killed-create-processes",
        "any process of create killed at any system call: delete --force leaves nothing",
        CRASH,
        killed_anything,
    )
    .deadline(480)
    .known_at_times(LATE_STATE),
    Case::new(
        "rollback/killed-create-beside",
        "create killed at any system call: kill --all and delete --force spare another container at the same cgroup path",
        BESIDE,
        killed_create_beside,
    )
    .deadline(480)
    .known_at_times(LATE_STATE),
    Case::new(
        "rollback/killed-delete",
        "delete killed at any system call: delete --force finishes it",
        CRASH,
        killed_delete,
    )
    .deadline(480),
    Case::new(
        "rollback/killed-start",
        "start killed at any system call: state still works and delete --force cleans up",
        CRASH,
        killed_start,
    )
    .deadline(480),
];

fn failed_create(lab: &Lab) -> Result {
    let mut edits: Vec<fn(&mut Value)> = vec![
        |config| config["process"]["args"] = json!(["/no/such/program"]),
        |config| config["mounts"][1]["options"] = json!(["no-such-option=1"]),
        |config| config["linux"]["sysctl"] = json!({ "net.ipv4.nonsense": "1" }),
        |config| config["linux"]["namespaces"][1]["path"] = "/no/such/namespace".into(),
        |config| {
            config["hooks"] = json!({ "createContainer": [{ "path": "/bin/false" }] });
        },
    ];
    // What the kernel refuses, once there is a cgroup; a limit that nobody has delegated would be done without.
    if cgroup::needs_if_delegated("cpuset").is_ok() {
        edits.push(|config| config["linux"]["resources"]["cpu"] = json!({ "cpus": "4000" }));
    } else if cgroup::needs_if_delegated("pids").is_ok() {
        edits.push(|config| {
            config["linux"]["resources"]["unified"] = json!({ "pids.max": "many" });
        });
    }
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
    /// Whatever the runtime starts too: the first of them that comes so far is killed.
    All,
}

/// Runs `attempt` with a wrapper that kills at a system call, for every one that it makes.
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
    let points = calls_in(Path::new(&trace))?;
    let total = points.len();
    ensure!(total > 10, "strace saw only {total} system calls");
    let bundle = c.bundle.clone();
    for (name, number) in points.iter().step_by(total.div_ceil(POINTS)) {
        let c = lab.container(bundle.clone());
        attempt(&c, wrapper(Some(format!("inject={name}:signal=SIGKILL:when={number}"))))?;
        let after = format!("the kill at call {number} of {name}");
        let done = c.delete_force()?;
        ensure!(done.code == Some(0), "delete --force after {after}: {}", done.stderr);
        clean(lab, &after)?;
    }
    Ok(())
}

/// Every system call of a trace in order, by its name and how many of that name it makes with those before it in its
/// process: strace counts them so (`when=`). Lines of followed processes begin with a pid; what is the same in two of
/// them is there once.
fn calls_in(trace: &Path) -> Result<Vec<(String, usize)>> {
    let text = String::from_utf8_lossy(&fs::read(trace)?).into_owned();
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    let mut seen = HashSet::new();
    let is_name = |word: &str| word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    let calls = text.lines().filter_map(|line| {
        let (call, _) = line.split_once('(')?;
        let (pid, name) = call.rsplit_once(' ').unwrap_or(("", call));
        if name.is_empty() || !is_name(name) {
            return None;
        }
        let number = counts.entry((pid, name)).or_default();
        *number += 1;
        let point = (name.to_owned(), *number);
        seen.insert(point.clone()).then_some(point)
    });
    Ok(calls.collect())
}

/// System calls that make a descriptor.
const DESCRIPTORS: [&str; 14] = [
    "open",
    "openat",
    "openat2",
    "open_tree",
    "fsopen",
    "fsmount",
    "socket",
    "socketpair",
    "memfd_create",
    "pidfd_open",
    "clone3",
    "fcntl",
    "dup",
    "eventfd2",
];

/// First one such call fails, then that one and all of the same name after it: those that clean up, too.
fn no_descriptor(lab: &Lab) -> Result {
    let trace = strace(lab)?;
    let c = sleeper(lab)?;
    let wrapper = |inject: &[String]| {
        let words = ["/usr/bin/strace", "-qq", "-o", &trace].map(str::to_owned);
        words.into_iter().chain(inject.iter().cloned()).collect::<Vec<_>>()
    };
    c.launch("create", &[]).wrap(wrapper(&[])).run()?.ok()?;
    c.delete_force()?.ok()?;
    let mut points = calls_in(Path::new(&trace))?;
    points.retain(|(name, _)| DESCRIPTORS.contains(&name.as_str()));
    ensure!(points.len() > 10, "strace saw only {} calls that make a descriptor", points.len());
    let bundle = c.bundle.clone();
    for ((name, number), more) in points.iter().flat_map(|point| [(point, ""), (point, "+")]) {
        let c = lab.container(bundle.clone());
        let inject = format!("inject={name}:error=EMFILE:when={number}{more}");
        let done = c.launch("create", &[]).wrap(wrapper(&["-e".into(), inject])).run()?;
        ensure!(done.signal.is_none(), "create without descriptors {}", done.ended());
        let after = format!("a create whose call {number}{more} of {name} has failed");
        if done.code != Some(0) && more.is_empty() {
            clean(lab, &after)?;
        }
        let forced = c.delete_force()?;
        ensure!(forced.code == Some(0), "delete --force after {after}: {}", forced.stderr);
        clean(lab, &after)?;
    }
    Ok(())
}

fn pid_file(lab: &Lab) -> Result {
    let folder = lab.new_folder("pid")?;
    fs::create_dir(folder.join("taken"))?;
    for (name, works) in [("taken", false), ("no-such-folder/file", false), ("file", true)] {
        let c = sleeper(lab)?;
        let file = folder.join(name).to_string_lossy().into_owned();
        let words = ["create", "--bundle", &c.bundle.word(), "--pid-file", &file, &c.id];
        let done = lab.call(words).run()?;
        ensure_eq!(done.code == Some(0), works, "success of create with the pid file {name}");
        if !works {
            done.refused()?;
            clean(lab, &format!("a create that cannot write {name}"))?;
        }
        c.delete_force()?.ok()?;
    }
    let mut left: Vec<_> =
        fs::read_dir(&folder)?.flatten().map(|entry| entry.file_name()).collect();
    left.sort();
    ensure_eq!(left, ["file", "taken"], "what is in the directory of the pid files");
    Ok(())
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

/// The other one has the same id, too, in another state root: nothing of either but the path of its cgroup, or that of
/// a class of resctrl, is in sight of the other.
fn killed_create_beside(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let trace = strace(lab)?;
    let other = sleeper(lab)?;
    let root = lab.folder.join("other-state").to_string_lossy().into_owned();
    let id = other.id.as_str();
    let call = |words: &[&str]| lab.call(words).without_root().globals(["--root", &root]);
    let delete = || call(&["delete", "--force", id]).run();
    let create = |inject: &[String]| {
        let words = ["/usr/bin/strace", "-qq", "-o", &trace].map(str::to_owned);
        let words = words.into_iter().chain(inject.iter().cloned()).collect::<Vec<_>>();
        call(&["create", "--bundle", &other.bundle.word(), id]).wrap(words).run()
    };
    create(&[])?.ok()?;
    delete()?.ok()?;
    let points = calls_in(Path::new(&trace))?;
    let (mut tried, mut beside) = (0, 0);
    // With systemd it takes a second to find that what is there is not the process that keeps the first one's scope.
    let most = if lab.target.systemd { POINTS / 3 } else { POINTS };
    for (name, number) in points.iter().step_by(points.len().div_ceil(most)) {
        let after = format!("the kill at call {number} of {name}");
        tried += 1;
        create(&["-e".into(), format!("inject={name}:signal=SIGKILL:when={number}")])?;
        let there = other.try_create()?.code == Some(0);
        // Whatever comes out: there may be nothing.
        call(&["kill", "--all", id, "KILL"]).run()?;
        let forced = delete()?;
        ensure!(forced.code == Some(0), "delete --force after {after}: {}", forced.stderr);
        if there {
            beside += 1;
        } else {
            // The first one has made the cgroup, and it has gone with it.
            other.create()?;
        }
        ensure_eq!(other.status()?, "created", "status of the other container after {after}");
        let groups = cgroup::named(&other.bundle.cgroup());
        ensure!(!groups.is_empty(), "the cgroup of the other container has gone after {after}");
        other.delete_force()?.ok()?;
        clean(lab, &after)?;
    }
    ensure!(beside > 0 && beside < tried, "{beside} of {tried} kills came before the cgroup");
    Ok(())
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
