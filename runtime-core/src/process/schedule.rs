//! Scheduling, I/O priority, memory policy and personality. Pure.

use oci_spec::runtime::{
    IOPriorityClass, LinuxIOPriority, LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain,
    LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType,
    Scheduler as WantedScheduler,
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
    let nodes = nodes(list).ok_or_else(|| {
        Error::spec(
            "linux.memoryPolicy.nodes",
            format_args!("{list:?} is not a list like 0-3,7 below 1024"),
        )
    })?;
    Ok(MemoryPolicy { mode: mode | flags, nodes })
}

/// A list of numbers and ranges, as bits.
fn nodes(list: &str) -> Option<Vec<u64>> {
    let mut words = vec![0_u64; 16];
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= 1024 {
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
        assert_eq!(nodes("0-1,65"), Some(vec![3, 2]));
        assert_eq!(nodes(""), Some(vec![]));
        for bad in ["x", "3-1", "1024", "-1", "1-"] {
            assert_eq!(nodes(bad), None, "{bad}");
        }
    }
}
