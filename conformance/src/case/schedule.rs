//! How the workload is scheduled and where its memory is: `process.scheduler`, `linux.memoryPolicy`.

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Done, Lab, Result, ensure, ensure_eq, lacks, needs_linux};

const SCHEDULER: &str = "OCI runtime-spec config.md#linux-process scheduler; sched_setattr(2)";
const POLICY: &str = "OCI runtime-spec config-linux.md#memory-policy; set_mempolicy(2)";
const OLDER: &str = "runc 1.1 implements runtime-spec 1.0.2, which has no such property";

pub(super) const CASES: &[Case] = &[
    Case::new("scheduler/flags", "SCHED_FLAG_RESET_ON_FORK is set", SCHEDULER, flags).known(OLDER),
    Case::new(
        "scheduler/nice-unset",
        "a scheduler without nice has nice 0, whatever the runtime's is",
        SCHEDULER,
        nice_unset,
    )
    .known(OLDER),
    Case::new(
        "scheduler/deadline",
        "runtime, deadline and period are those of SCHED_DEADLINE",
        SCHEDULER,
        deadline,
    )
    .known(OLDER),
    Case::new("memory-policy/modes", "each mode is the policy of the workload", POLICY, modes)
        .known(OLDER),
    Case::new("memory-policy/flags", "a flag is part of the policy", POLICY, policy_flags)
        .known(OLDER),
    Case::new(
        "memory-policy/no-nodes",
        "modes that take no nodes work without",
        "OCI runtime-spec config-linux.md#memory-policy (nodes OPTIONAL since 1.3.0)",
        no_nodes,
    )
    .known(OLDER),
    Case::new(
        "memory-policy/refused",
        "what set_mempolicy(2) refuses, and flags that nobody knows, are errors",
        POLICY,
        refused,
    )
    .known(OLDER),
];

fn scheduled(lab: &Lab, scheduler: &Value) -> Result<Done> {
    lab.container(lab.bundle(|config| config["process"]["scheduler"] = scheduler.clone())?).run()
}

fn flags(lab: &Lab) -> Result {
    let wanted = json!({ "policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_RESET_ON_FORK"] });
    let facts = scheduled(lab, &wanted)?.ok()?.json()?;
    let policy = libc::SCHED_BATCH | libc::SCHED_RESET_ON_FORK;
    ensure_eq!(facts["scheduler"], policy, "sched_getscheduler");
    Ok(())
}

fn nice_unset(lab: &Lab) -> Result {
    lab.needs_priority()?;
    let c = lab.container(lab.bundle(|config| {
        config["process"]["scheduler"] = json!({ "policy": "SCHED_OTHER" });
    })?);
    let facts = c.launch("run", &[]).wrap(["nice", "-n", "5"]).run()?.ok()?.json()?;
    ensure_eq!(facts["nice"], 0, "nice");
    let plain = lab.container(lab.bundle(|_| {})?);
    let facts = plain.launch("run", &[]).wrap(["nice", "-n", "5"]).run()?.ok()?.json()?;
    let own = rustix::process::getpriority_process(None)?;
    ensure_eq!(facts["nice"], (own + 5).min(19), "nice without a scheduler");
    Ok(())
}

fn deadline(lab: &Lab) -> Result {
    let times = json!({ "runtime": 20_000_000, "deadline": 70_000_000, "period": 100_000_000 });
    let mut scheduler = times.clone();
    scheduler["policy"] = "SCHED_DEADLINE".into();
    let done = scheduled(lab, &scheduler)?;
    // sched(7): the kernel admits it only where no cpuset or other deadlines are in the way.
    if ["EPERM", "EBUSY", "not permitted", "busy"].iter().any(|word| done.stderr.contains(word)) {
        return lacks("room for SCHED_DEADLINE (sched(7), Admission)");
    }
    let facts = done.ok()?.json()?;
    ensure_eq!(facts["scheduler"], libc::SCHED_DEADLINE, "sched_getscheduler");
    ensure_eq!(facts["deadline"], times, "sched_getattr");
    Ok(())
}

/// Runs a container with that policy, which says what the kernel has of it.
fn policy(lab: &Lab, policy: &Value) -> Result<Done> {
    lab.needs("/proc/self/numa_maps", "NUMA")?;
    lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "cat", "/proc/self/numa_maps"]);
        config["linux"]["memoryPolicy"] = policy.clone();
    })?)
    .run()
}

/// How numa(7) writes a policy in numa_maps.
fn written(lab: &Lab, mode: &str, flag: Option<&str>) -> Result<String> {
    let mut wanted = json!({ "mode": mode, "nodes": "0" });
    if let Some(flag) = flag {
        wanted["flags"] = json!([flag]);
    }
    let text = policy(lab, &wanted)?.ok()?.stdout;
    let line = text.lines().next().unwrap_or_default();
    // "ADDRESS POLICY file=…": the policy may have spaces, and ends with its nodes.
    let (_, rest) = line.split_once(' ').unwrap_or_default();
    Ok(rest.split_once(":0 ").map_or(rest, |(policy, _)| policy).to_owned())
}

fn modes(lab: &Lab) -> Result {
    for (mode, name, since) in [
        ("MPOL_BIND", "bind", 0),
        ("MPOL_INTERLEAVE", "interleave", 0),
        ("MPOL_PREFERRED", "prefer", 0),
        ("MPOL_PREFERRED_MANY", "prefer (many)", 515),
        ("MPOL_WEIGHTED_INTERLEAVE", "weighted interleave", 609),
    ] {
        if needs_linux(since / 100, since % 100, mode).is_ok() {
            ensure_eq!(written(lab, mode, None)?, name, "policy of {mode}");
        }
    }
    Ok(())
}

fn policy_flags(lab: &Lab) -> Result {
    for (flag, name) in
        [("MPOL_F_STATIC_NODES", "bind=static"), ("MPOL_F_RELATIVE_NODES", "bind=relative")]
    {
        ensure_eq!(written(lab, "MPOL_BIND", Some(flag))?, name, "policy with {flag}");
    }
    Ok(())
}

fn no_nodes(lab: &Lab) -> Result {
    for (mode, name) in [("MPOL_DEFAULT", " default "), ("MPOL_LOCAL", " local ")] {
        let text = policy(lab, &json!({ "mode": mode }))?.ok()?.stdout;
        ensure!(text.contains(name), "no mapping has the policy {mode}: {text}");
    }
    Ok(())
}

fn refused(lab: &Lab) -> Result {
    for bad in [
        // A mode that needs nodes, one that takes none, nodes that are none, and flags that exclude each other.
        json!({ "mode": "MPOL_BIND" }),
        json!({ "mode": "MPOL_BIND", "nodes": "4095" }),
        json!({ "mode": "MPOL_BIND", "nodes": "zero" }),
        json!({ "mode": "MPOL_BIND", "nodes": "0",
            "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"] }),
        json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NONSENSE"] }),
        json!({ "mode": "MPOL_NONSENSE", "nodes": "0" }),
    ] {
        policy(lab, &bad)?.refused()?.fails(1, "memory|memoryPolicy")?;
    }
    Ok(())
}
