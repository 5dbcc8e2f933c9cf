//! Resource limits and scheduling.

use rustix::io::Errno;
use teu_wire::{List, ProcessView, RlimitView, Step};

use crate::fail::{At, Result};
use crate::sys::call::{self, SchedAttr};

/// Sets one limit (getrlimit(2)).
///
/// # Errors
/// The kernel refused: raising a hard limit needs CAP_SYS_RESOURCE.
pub fn set(rlimit: &RlimitView<'_>) -> Result<()> {
    call::set_rlimit(rlimit.resource, rlimit.soft, rlimit.hard).at(Step::Rlimit, c"prlimit", b"")
}

/// Raises the hard limits as far as the workload is to have them, before a user namespace is entered, whose root may
/// not. Who may not now, either, hears of it when the limits are set.
pub fn raise(process: &ProcessView<'_>, namespaces: u32) {
    const CLONE_NEWUSER: u32 = 0x1000_0000;
    if namespaces & CLONE_NEWUSER != 0 {
        for limit in process.rlimits {
            let _raised = call::raise_rlimit(limit.resource, limit.hard);
        }
    }
}

/// Sets how the kernel schedules the workload and its I/O, where its memory comes from, and its personality.
///
/// # Errors
/// The kernel refused one of them.
pub fn schedule(process: &ProcessView<'_>) -> Result<()> {
    if let Some(wanted) = &process.scheduler {
        let attr = SchedAttr {
            policy: wanted.policy,
            flags: wanted.flags,
            nice: wanted.nice,
            priority: wanted.priority,
            runtime: wanted.runtime,
            deadline: wanted.deadline,
            period: wanted.period,
            ..SchedAttr::default()
        };
        call::sched_setattr(attr).at(Step::Scheduler, c"sched_setattr", b"process.scheduler")?;
    }
    if let Some(priority) = process.io_priority {
        call::ioprio_set(priority).at(Step::IoPriority, c"ioprio_set", b"process.ioPriority")?;
    }
    if let Some(policy) = &process.memory_policy {
        let mut nodes = [0_u64; 16];
        if policy.nodes.len() > nodes.len() {
            return Err(Errno::INVAL).at(
                Step::MemoryPolicy,
                c"set_mempolicy",
                b"more than 1024 nodes",
            );
        }
        for (word, wanted) in nodes.iter_mut().zip(policy.nodes) {
            *word = wanted;
        }
        call::set_mempolicy(policy.mode, &nodes[..policy.nodes.len()]).at(
            Step::MemoryPolicy,
            c"set_mempolicy",
            b"linux.memoryPolicy",
        )?;
    }
    if let Some(persona) = process.personality {
        call::personality(persona).at(Step::Personality, c"personality", b"linux.personality")?;
    }
    Ok(())
}

/// Has the process run on these CPUs only; on any where there are none (process.execCPUAffinity.final).
///
/// # Errors
/// The cpuset of the container has none of them.
pub fn set_affinity(cpus: List<'_, u64>) -> Result<()> {
    // As many as the kernel knows: CONFIG_NR_CPUS is at most 8192.
    let mut words = [0_u64; 128];
    let count = cpus.len().min(words.len());
    if count == 0 {
        return Ok(());
    }
    for (word, wanted) in words.iter_mut().zip(cpus) {
        *word = wanted;
    }
    call::sched_setaffinity(&words[..count]).at(
        Step::Affinity,
        c"sched_setaffinity",
        b"process.execCPUAffinity.final",
    )
}
