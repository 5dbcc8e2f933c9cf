//! Scheduling, I/O priority, memory policy and personality. Pure.

use oci_spec::runtime::{
    ExecCPUAffinity, IOPriorityClass, LinuxIOPriority, LinuxMemoryPolicy, LinuxPersonality,
    LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType,
    MemoryPolicyModeType, Scheduler as WantedScheduler,
};
use teu_wire::{MemoryPolicy, Scheduler};

use crate::error::{Error, Result};

/// process.scheduler (sched_setattr(2)).
pub(super) fn scheduler(wanted: &WantedScheduler) -> Result<Scheduler> {
    let policy = match wanted.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => {
            return Err(Error::unsupported("process.scheduler.policy", "Linux has no SCHED_ISO"));
        }
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
    };
    let flag = |flag: &LinuxSchedulerFlag| match flag {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    };
    let real_time = matches!(policy, 1 | 2);
    let priority = wanted.priority().unwrap_or(0);
    if priority != 0 && !real_time {
        return Err(Error::spec(
            "process.scheduler.priority",
            "only SCHED_FIFO and SCHED_RR have a priority (sched(7))",
        ));
    }
    let deadline = [wanted.runtime(), wanted.deadline(), wanted.period()];
    if policy != 6 && deadline.into_iter().any(|value| value.unwrap_or(0) != 0) {
        return Err(Error::spec(
            "process.scheduler",
            "only SCHED_DEADLINE has runtime, deadline and period (sched(7))",
        ));
    }
    Ok(Scheduler {
        policy,
        flags: wanted.flags().iter().flatten().map(flag).fold(0, |all, one| all | one),
        nice: wanted.nice().unwrap_or(0),
        priority: u32::try_from(priority)
            .map_err(|_| Error::spec("process.scheduler.priority", "below 0"))?,
        runtime: wanted.runtime().unwrap_or(0),
        deadline: wanted.deadline().unwrap_or(0),
        period: wanted.period().unwrap_or(0),
    })
}

/// process.ioPriority (ioprio_set(2)).
pub(super) fn io_priority(wanted: &LinuxIOPriority) -> Result<u32> {
    let class = match wanted.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    let level =
        u32::try_from(wanted.priority()).ok().filter(|level| *level < 8).ok_or_else(|| {
            Error::spec(
                "process.ioPriority.priority",
                format_args!("{} is not 0 to 7", wanted.priority()),
            )
        })?;
    Ok(class << 13 | level)
}

/// linux.personality (personality(2)).
pub(super) fn personality(wanted: &LinuxPersonality) -> Result<u64> {
    if wanted.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
        return Err(Error::spec("linux.personality.flags", "the specification knows no flag yet"));
    }
    Ok(match wanted.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

/// linux.memoryPolicy (set_mempolicy(2)).
pub(super) fn memory_policy(wanted: &LinuxMemoryPolicy) -> Result<MemoryPolicy> {
    let mode = match wanted.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flag = |flag: &MemoryPolicyFlagType| match flag {
        MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
        MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
        MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
    };
    let flags = wanted.flags().iter().flatten().map(flag).fold(0, |all, one| all | one);
    let list = wanted.nodes().as_deref().unwrap_or_default();
    let nodes = bits(list, 1024).ok_or_else(|| {
        Error::spec(
            "linux.memoryPolicy.nodes",
            format_args!("{list:?} is not a list like 0-3,7 below 1024"),
        )
    })?;
    Ok(MemoryPolicy { mode: mode | flags, nodes })
}

/// The largest CONFIG_NR_CPUS of x86-64 (arch/x86/Kconfig).
const MOST_CPUS: usize = 8192;

/// process.execCPUAffinity: the CPUs before and after a further process enters the container's cgroup
/// (sched_setaffinity(2)), 64 a word; empty where they are the kernel's to choose.
///
/// # Errors
/// A list is not one.
pub(crate) fn affinity(wanted: Option<&ExecCPUAffinity>) -> Result<(Vec<u64>, Vec<u64>)> {
    let Some(wanted) = wanted else { return Ok(Default::default()) };
    let lower = |list: &Option<String>, field: &str| {
        let list = list.as_deref().unwrap_or_default();
        bits(list, MOST_CPUS).ok_or_else(|| {
            Error::spec(
                format!("process.execCPUAffinity.{field}"),
                format_args!("{list:?} is not a list like 0-3,7 below {MOST_CPUS}"),
            )
        })
    };
    Ok((lower(wanted.initial(), "initial")?, lower(wanted.cpu_affinity_final(), "final")?))
}

/// A list of numbers below `limit` and ranges of them, as bits.
fn bits(list: &str, limit: usize) -> Option<Vec<u64>> {
    let mut words = vec![0_u64; limit.div_ceil(64)];
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= limit {
            return None;
        }
        (first..=last).for_each(|node| words[node / 64] |= 1 << (node % 64));
    }
    let used = words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
    words.truncate(used);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_nodes_are_bits() {
        assert_eq!(bits("0-1,65", 1024), Some(vec![3, 2]));
        assert_eq!(bits("", 1024), Some(vec![]));
        for bad in ["x", "3-1", "1024", "-1", "1-"] {
            assert_eq!(bits(bad, 1024), None, "{bad}");
        }
    }

    #[test]
    fn affinity_names_the_list_that_is_none() {
        let of = |json| affinity(Some(&serde_json::from_value(json).unwrap()));
        let both = of(serde_json::json!({"initial": "0,2", "final": "1023-1024"})).unwrap();
        assert_eq!((both.0, both.1.len(), both.1[15], both.1[16]), (vec![5], 17, 1 << 63, 1));
        assert_eq!(affinity(None).unwrap(), (vec![], vec![]));
        let error = of(serde_json::json!({"initial": "0", "final": "8192"})).unwrap_err();
        assert_eq!(error.path(), Some("process.execCPUAffinity.final"));
        let error = of(serde_json::json!({"initial": "3-1"})).unwrap_err();
        assert_eq!(error.path(), Some("process.execCPUAffinity.initial"));
    }
}
