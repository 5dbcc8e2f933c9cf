//! The CPUs of a further process (config.md, execCPUAffinity).

use std::fs;

use serde_json::json;

use super::Case;
use super::exec::{exec, facts, facts_of, sleeper};
use crate::harness::{Lab, Result, Stop, ensure, ensure_eq, lacks};

const SECTION: &str = "config.md#linux-process";
const OLD: &str = "new in 1.2.1 of the specification";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "exec/cpu-affinity-final",
        "further processes run on execCPUAffinity.final, and the first does not",
        SECTION,
        last,
    )
    .known(OLD),
    Case::new(
        "exec/cpu-affinity-initial",
        "execCPUAffinity.initial holds before the program is executed, and is nothing more",
        SECTION,
        initial,
    )
    .known(OLD),
    Case::new("exec/cpu-affinity-own", "a process of a file has its own", SECTION, own).known(OLD),
    Case::new("exec/cpu-affinity-bad", "what is no list of CPUs is refused", SECTION, bad)
        .known(OLD),
];

/// The CPUs that a process may use, as /proc/PID/status has them (proc_pid_status(5)).
fn allowed(pid: i32) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.map(|list| list.trim().to_owned())
        .ok_or_else(|| Stop::Fail(format!("no Cpus_allowed_list of {pid}")))
}

/// The first and the last CPU that this suite may use.
fn two_cpus() -> Result<(String, String)> {
    let own = allowed(std::process::id().cast_signed())?;
    let ends = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        [first.to_owned(), last.to_owned()]
    };
    let mut all = own.split(',').flat_map(ends);
    match (all.next(), all.next_back()) {
        (Some(first), Some(last)) if first != last => Ok((first, last)),
        _ => lacks(&format!("a second CPU: the suite may use number {own} alone")),
    }
}

fn last(lab: &Lab) -> Result {
    let (first, last) = two_cpus()?;
    let container = sleeper(lab, |config| {
        config["process"]["execCPUAffinity"] = json!({ "initial": first, "final": last });
    })?;
    ensure_eq!(facts(lab, &container, &[])?["cpus"], last.as_str(), "of exec");
    let own = allowed(std::process::id().cast_signed())?;
    ensure_eq!(allowed(container.pid()?)?, own, "of the first process");
    Ok(())
}

fn initial(lab: &Lab) -> Result {
    lab.needs("/usr/bin/strace", "strace")?;
    let (_, last) = two_cpus()?;
    let container = sleeper(lab, |config| {
        config["process"]["execCPUAffinity"] = json!({ "initial": last, "final": "" });
    })?;
    let trace = lab.folder.join("trace");
    let words = ["/usr/bin/strace", "-f", "-qq", "-o", &trace.to_string_lossy()].map(str::to_owned);
    let words =
        words.into_iter().chain(["-e", "trace=sched_setaffinity,execve"].map(str::to_owned));
    exec(lab, &container, &[], &["/probe", "exit", "0"]).wrap(words).run()?.ok()?;
    let trace = fs::read_to_string(trace)?;
    let wanted = format!("[{last}]");
    let mut calls = trace.lines().skip_while(|line| !line.contains("sched_setaffinity"));
    let call = calls.next().unwrap_or_default();
    ensure!(call.contains(&wanted) && call.ends_with("= 0"), "the first was {call:?}: {trace}");
    let later: Vec<&str> = calls.collect();
    ensure!(later.iter().any(|line| line.contains("\"/probe\"")), "after the program: {trace}");
    let again =
        later.iter().any(|line| line.contains("sched_setaffinity") && !line.contains(&wanted));
    ensure!(!again, "without final the kernel decides: {trace}");
    Ok(())
}

fn own(lab: &Lab) -> Result {
    let (first, last) = two_cpus()?;
    let container = sleeper(lab, |config| {
        config["process"]["execCPUAffinity"] = json!({ "final": last });
    })?;
    let mut process = json!({ "args": ["/probe", "facts"], "cwd": "/",
                              "user": { "uid": 0, "gid": 0 } });
    let found = facts_of(lab, &container, &process)?;
    ensure_eq!(found["cpus"], last.as_str(), "of a file that says nothing");
    process["execCPUAffinity"] = json!({ "final": first });
    let found = facts_of(lab, &container, &process)?;
    ensure_eq!(found["cpus"], first.as_str(), "of a file that says so");
    Ok(())
}

fn bad(lab: &Lab) -> Result {
    for list in ["x", "3-1", "0,,1", "0-"] {
        for field in ["initial", "final"] {
            let container = lab.container(lab.bundle(|config| {
                config["process"]["execCPUAffinity"] = json!({ field: list });
            })?);
            container.try_create()?.refused()?;
        }
    }
    Ok(())
}
