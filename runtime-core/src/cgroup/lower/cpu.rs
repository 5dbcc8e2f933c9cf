//! `linux.resources.cpu`, with cpuset. Zero shares, quota or period mean "not set", as managers send it.

use oci_spec::runtime::LinuxCpu;

use super::{Home, Target, check_limit};
use crate::cgroup::{Setting, Version};
use crate::error::{Error, Result};

const SHARES: &str = "linux.resources.cpu.shares";
const QUOTA: &str = "linux.resources.cpu.quota";
const PERIOD: &str = "linux.resources.cpu.period";
const BURST: &str = "linux.resources.cpu.burst";
const IDLE: &str = "linux.resources.cpu.idle";
const RT_RUNTIME: &str = "linux.resources.cpu.realtimeRuntime";
const RT_PERIOD: &str = "linux.resources.cpu.realtimePeriod";

/// What a period is where only a quota is given (cgroup-v2.rst, cpu.max).
const DEFAULT_PERIOD: u64 = 100_000;

struct Wanted {
    shares: Option<u64>,
    quota: Option<i64>,
    period: Option<u64>,
    burst: Option<u64>,
    idle: Option<i64>,
    realtime_runtime: Option<i64>,
    realtime_period: Option<u64>,
}

pub(super) fn lower(cpu: &LinuxCpu, target: &mut Target<'_>) -> Result<()> {
    cpuset(cpu, target)?;
    let wanted = Wanted {
        shares: cpu.shares().filter(|n| *n != 0),
        quota: cpu.quota().filter(|n| *n != 0),
        period: cpu.period().filter(|n| *n != 0),
        burst: cpu.burst(),
        idle: cpu.idle(),
        realtime_runtime: cpu.realtime_runtime().filter(|n| *n != 0),
        realtime_period: cpu.realtime_period().filter(|n| *n != 0),
    };
    if let Some(quota) = wanted.quota {
        check_limit(quota, QUOTA)?;
    }
    if let Some(idle) = wanted.idle.filter(|idle| !(0..=1).contains(idle)) {
        return Err(Error::spec(IDLE, format!("{idle} is neither 0 nor 1")));
    }
    let first_field = [
        (wanted.shares.is_some(), SHARES),
        (wanted.quota.is_some(), QUOTA),
        (wanted.period.is_some(), PERIOD),
        (wanted.burst.is_some(), BURST),
        (wanted.idle.is_some(), IDLE),
        (wanted.realtime_runtime.is_some(), RT_RUNTIME),
        (wanted.realtime_period.is_some(), RT_PERIOD),
    ];
    let Some((_, field)) = first_field.into_iter().find(|(set, _)| *set) else { return Ok(()) };
    let home = target.home("cpu", field)?;
    match home.version {
        Version::V1 => lower_v1(&wanted, home, target),
        Version::V2 => lower_v2(&wanted, home, target)?,
    }
    Ok(())
}

fn cpuset(cpu: &LinuxCpu, target: &mut Target<'_>) -> Result<()> {
    // Memory nodes and cpus have the same file names in both interfaces.
    for (list, file, field) in [
        (cpu.cpus(), "cpuset.cpus", "linux.resources.cpu.cpus"),
        (cpu.mems(), "cpuset.mems", "linux.resources.cpu.mems"),
    ] {
        let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else { continue };
        if !list.chars().all(|c| c.is_ascii_digit() || ",- :/".contains(c)) {
            return Err(Error::spec(field, format!("{list:?} is not a list like 0-3,7")));
        }
        let home = target.home("cpuset", field)?;
        target.set(home, Setting::new(file, list, field));
    }
    Ok(())
}

fn lower_v1(wanted: &Wanted, home: Home, target: &mut Target<'_>) {
    let mut set = |setting| target.set(home, setting);
    // Real-time budgets first: a real-time task cannot join a group without one.
    if let Some(period) = wanted.realtime_period {
        set(Setting::new("cpu.rt_period_us", period, RT_PERIOD).retried());
    }
    if let Some(runtime) = wanted.realtime_runtime {
        set(Setting::new("cpu.rt_runtime_us", runtime, RT_RUNTIME));
    }
    if let Some(shares) = wanted.shares {
        // An idle group refuses shares, so this may have to wait for idle = 0.
        set(Setting::new("cpu.shares", shares, SHARES).retried());
    }
    // The kernel checks quota/period against the parent and burst against quota; which order works
    // depends on the old values, so what is refused is written again at the end.
    if let Some(period) = wanted.period {
        set(Setting::new("cpu.cfs_period_us", period, PERIOD).retried());
    }
    if let Some(quota) = wanted.quota {
        set(Setting::new("cpu.cfs_quota_us", quota, QUOTA).retried());
    }
    if let Some(burst) = wanted.burst {
        set(Setting::new("cpu.cfs_burst_us", burst, BURST));
    }
    if let Some(idle) = wanted.idle {
        set(Setting::new("cpu.idle", idle, IDLE));
    }
}

fn lower_v2(wanted: &Wanted, home: Home, target: &mut Target<'_>) -> Result<()> {
    for (set, field) in [
        (wanted.realtime_runtime.is_some(), RT_RUNTIME),
        (wanted.realtime_period.is_some(), RT_PERIOD),
    ] {
        if set {
            return Err(Error::unsupported(field, "cgroup v2 has no real-time budget"));
        }
    }
    if let Some(shares) = wanted.shares {
        target.set(home, Setting::new("cpu.weight", weight(shares), SHARES).retried());
    }
    if wanted.quota.is_some() || wanted.period.is_some() {
        let quota = match wanted.quota {
            Some(quota) if quota > 0 => quota.to_string(),
            _ => "max".into(),
        };
        let period = wanted.period.unwrap_or(DEFAULT_PERIOD);
        let field = if wanted.quota.is_some() { QUOTA } else { PERIOD };
        target.set(home, Setting::new("cpu.max", format!("{quota} {period}"), field).retried());
    }
    if let Some(burst) = wanted.burst {
        target.set(home, Setting::new("cpu.max.burst", burst, BURST));
    }
    if let Some(idle) = wanted.idle {
        target.set(home, Setting::new("cpu.idle", idle, IDLE));
    }
    Ok(())
}

/// Shares (2..=262144, default 1024) as a weight (1..=10000, default 100).
///
/// The curve of runc since 1.3.2 and of systemd-aware managers: with `l = log2(shares)`,
/// `weight = ceil(10 ^ ((l² + 125 l) / 612 − 7/34))`. It meets both ends and the default; the older
/// linear one gave the default share a weight of 39.
pub(super) fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}
