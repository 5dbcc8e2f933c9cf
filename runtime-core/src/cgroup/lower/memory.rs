//! `linux.resources.memory`. Zero means "not set" for the three limits, as managers send it.

use oci_spec::runtime::LinuxMemory;

use super::{Home, Target, check_limit, or_max};
use crate::cgroup::{Setting, Version};
use crate::error::{Error, Result};

const LIMIT: &str = "linux.resources.memory.limit";
const SWAP: &str = "linux.resources.memory.swap";
const RESERVATION: &str = "linux.resources.memory.reservation";
const SWAPPINESS: &str = "linux.resources.memory.swappiness";
const OOM_KILLER: &str = "linux.resources.memory.disableOOMKiller";
const HIERARCHY: &str = "linux.resources.memory.useHierarchy";
const KERNEL: &str = "linux.resources.memory.kernel";
const KERNEL_TCP: &str = "linux.resources.memory.kernelTCP";

/// The numbers that are set.
struct Limits {
    limit: Option<i64>,
    swap: Option<i64>,
    reservation: Option<i64>,
}

pub(super) fn lower(memory: &LinuxMemory, target: &mut Target<'_>) -> Result<()> {
    #[allow(deprecated, reason = "config.json may still have it; it gets a warning")]
    let kernel = memory.kernel();
    for (value, field) in [(kernel, KERNEL), (memory.kernel_tcp(), KERNEL_TCP)] {
        if value.is_some() {
            // Not recommended by the specification; kernels since 5.16 take the first without effect, and since
            // 6.12 warn of the second.
            target.warn(field, "deprecated and ignored: use memory.limit");
        }
    }
    let limits = limits(memory)?;
    let first_field = [
        (limits.limit.is_some(), LIMIT),
        (limits.swap.is_some(), SWAP),
        (limits.reservation.is_some(), RESERVATION),
        (memory.swappiness().is_some(), SWAPPINESS),
        (memory.disable_oom_killer() == Some(true), OOM_KILLER),
        (memory.use_hierarchy().is_some(), HIERARCHY),
    ];
    let Some((_, field)) = first_field.into_iter().find(|(set, _)| *set) else { return Ok(()) };
    let home = target.home("memory", field)?;
    let check = memory.check_before_update() == Some(true);
    match home.version {
        Version::V1 => lower_v1(memory, &limits, check, home, target),
        Version::V2 => lower_v2(memory, &limits, check, home, target),
    }
}

fn limits(memory: &LinuxMemory) -> Result<Limits> {
    let set = |value: Option<i64>, field| match value {
        None | Some(0) => Ok(None),
        Some(value) => check_limit(value, field).map(|()| Some(value)),
    };
    let limit = set(memory.limit(), LIMIT)?;
    let swap = set(memory.swap(), SWAP)?;
    let reservation = set(memory.reservation(), RESERVATION)?;
    if let Some(swap) = swap.filter(|swap| *swap > 0) {
        // The specification: swap is memory plus swap, so it cannot be the smaller one.
        match limit {
            None => return Err(Error::spec(SWAP, "needs memory.limit to be set too")),
            Some(limit) if limit < 0 || swap < limit => {
                let limit = or_max(limit);
                let message = format!("memory+swap {swap} is less than memory.limit {limit}");
                return Err(Error::spec(SWAP, message));
            }
            Some(_) => {}
        }
    }
    Ok(Limits { limit, swap, reservation })
}

fn above(mut setting: Setting, check: bool, usage: &str) -> Setting {
    // Without a limit there is nothing that usage could exceed.
    if check && !setting.value.starts_with(['-', 'm']) {
        setting.above = Some(usage.into());
    }
    setting
}

fn lower_v1(
    memory: &LinuxMemory,
    limits: &Limits,
    check: bool,
    home: Home,
    target: &mut Target<'_>,
) -> Result<()> {
    // Hierarchical accounting is the only mode since 5.11; before, it had to be asked for.
    match memory.use_hierarchy() {
        Some(true) => {
            target.set(home, Setting::new("memory.use_hierarchy", 1, HIERARCHY).or_skip());
        }
        Some(false) => target.warn(HIERARCHY, "ignored: memory is always accounted hierarchically"),
        None => {}
    }
    if let Some(limit) = limits.limit {
        // memory <= memory+swap holds at any moment, so raising both starts with the second.
        let setting = Setting::new("memory.limit_in_bytes", limit, LIMIT).retried();
        target.set(home, above(setting, check, "memory.usage_in_bytes"));
    }
    match (limits.swap, limits.limit) {
        (Some(swap), _) => {
            let setting = Setting::new("memory.memsw.limit_in_bytes", swap, SWAP);
            let setting = if swap < 0 { setting.or_skip() } else { setting };
            target.set(home, above(setting, check, "memory.memsw.usage_in_bytes"));
        }
        // Unlimited memory below an older limit of memory+swap would be refused.
        (None, Some(-1)) => {
            target.set(home, Setting::new("memory.memsw.limit_in_bytes", -1, LIMIT).or_skip());
        }
        (None, _) => {}
    }
    if let Some(reservation) = limits.reservation {
        target.set(home, Setting::new("memory.soft_limit_in_bytes", reservation, RESERVATION));
    }
    if let Some(swappiness) = memory.swappiness() {
        if swappiness > 100 {
            let message = format!("{swappiness} is not between 0 and 100");
            return Err(Error::spec(SWAPPINESS, message));
        }
        target.set(home, Setting::new("memory.swappiness", swappiness, SWAPPINESS));
    }
    if memory.disable_oom_killer() == Some(true) {
        target.set(home, Setting::new("memory.oom_control", 1, OOM_KILLER));
    }
    Ok(())
}

fn lower_v2(
    memory: &LinuxMemory,
    limits: &Limits,
    check: bool,
    home: Home,
    target: &mut Target<'_>,
) -> Result<()> {
    if memory.disable_oom_killer() == Some(true) {
        return Err(Error::unsupported(OOM_KILLER, "cgroup v2 cannot disable the OOM killer"));
    }
    if memory.swappiness().is_some() {
        return Err(Error::unsupported(SWAPPINESS, "cgroup v2 has no swappiness of its own"));
    }
    if memory.use_hierarchy() == Some(false) {
        target.warn(HIERARCHY, "ignored: memory is always accounted hierarchically");
    }
    // v2 limits swap alone, config.json memory and swap together.
    let swap = match (limits.swap, limits.limit) {
        (Some(-1), _) => Some((-1, SWAP)),
        (Some(swap), Some(limit)) => Some((swap - limit, SWAP)),
        // As on v1: no limit of memory without a word about swap means none of both.
        (None, Some(-1)) => Some((-1, LIMIT)),
        _ => None,
    };
    if let Some((swap, field)) = swap {
        let setting = Setting::new("memory.swap.max", or_max(swap), field);
        // Without swap in the kernel, "all of it" and "none" are both true already.
        target.set_late(home, if swap <= 0 { setting.or_skip() } else { setting });
    }
    if let Some(limit) = limits.limit {
        // Late: init is born in this cgroup and shares the caller's memory until it runs its own program. Were
        // the limit met before, the OOM killer would end whoever shares it: the caller.
        let setting = Setting::new("memory.max", or_max(limit), LIMIT);
        target.set_late(home, above(setting, check, "memory.current"));
    }
    if let Some(reservation) = limits.reservation {
        target.set(home, Setting::new("memory.low", or_max(reservation), RESERVATION));
    }
    Ok(())
}
