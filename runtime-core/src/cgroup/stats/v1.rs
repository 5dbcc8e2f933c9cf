//! Statistics of the v1 controllers (Documentation/admin-guide/cgroup-v1). Each hierarchy fills its own part.

use super::{BlkioEntry, Directory, Stats, Usage, list};

/// cpuacct.stat counts in ticks of USER_HZ, which is 100 on every architecture that this runs on.
const TICK: u64 = 10_000_000;

pub(super) fn sample(dir: &Directory, stats: &mut Stats) {
    cpu(dir, stats);
    cpuset(dir, stats);
    memory(dir, stats);
    if let Some(current) = dir.number("pids.current") {
        stats.pids.current = current;
        stats.pids.limit = dir.number("pids.max").filter(|limit| *limit != u64::MAX).unwrap_or(0);
    }
    blkio(dir, stats);
    for size in dir.names("hugetlb.", ".usage_in_bytes") {
        let used = usage(dir, &format!("hugetlb.{size}")).unwrap_or_default();
        stats.hugetlb.insert(size, used);
    }
}

fn cpu(dir: &Directory, stats: &mut Stats) {
    if let Some(total) = dir.number("cpuacct.usage") {
        let used = &mut stats.cpu.usage;
        used.total = total;
        let times = dir.table("cpuacct.stat");
        used.user = times.get("user").map_or(0, |ticks| ticks * TICK);
        used.kernel = times.get("system").map_or(0, |ticks| ticks * TICK);
        let percpu = dir.text("cpuacct.usage_percpu").unwrap_or_default();
        used.percpu = percpu.split_whitespace().filter_map(|time| time.parse().ok()).collect();
        // A head, and then a line "cpu user system" for each.
        let all = dir.text("cpuacct.usage_all").unwrap_or_default();
        for line in all.lines().skip(1) {
            let mut times = line.split_whitespace().skip(1).map(|time| time.parse().unwrap_or(0));
            used.percpu_user.push(times.next().unwrap_or(0));
            used.percpu_kernel.push(times.next().unwrap_or(0));
        }
    }
    let table = dir.table("cpu.stat");
    let number = |name: &str| table.get(name).copied();
    let withheld = &mut stats.cpu.throttling;
    if let Some(periods) = number("nr_periods") {
        withheld.periods = periods;
        withheld.throttled_periods = number("nr_throttled").unwrap_or(0);
        withheld.throttled_time = number("throttled_time").unwrap_or(0);
    }
}

fn cpuset(dir: &Directory, stats: &mut Stats) {
    let Some(cpus) = dir.text("cpuset.cpus") else { return };
    stats.cpuset.cpus = list(&cpus);
    stats.cpuset.mems = list(&dir.text("cpuset.mems").unwrap_or_default());
    for name in [
        "cpu_exclusive",
        "mem_hardwall",
        "mem_exclusive",
        "memory_migrate",
        "memory_spread_page",
        "memory_spread_slab",
        "memory_pressure",
        "sched_load_balance",
        "sched_relax_domain_level",
    ] {
        let text = dir.text(&format!("cpuset.{name}"));
        if let Some(value) = text.and_then(|text| text.trim().parse().ok()) {
            stats.cpuset.switches.insert(name.into(), value);
        }
    }
}

fn memory(dir: &Directory, stats: &mut Stats) {
    let Some(used) = usage(dir, "memory") else { return };
    let memory = &mut stats.memory;
    memory.usage = used;
    memory.swap = usage(dir, "memory.memsw").unwrap_or_default();
    memory.kernel = usage(dir, "memory.kmem").unwrap_or_default();
    memory.kernel_tcp = usage(dir, "memory.kmem.tcp").unwrap_or_default();
    memory.raw = dir.table("memory.stat");
    memory.cache = memory.raw.get("cache").copied().unwrap_or(0);
}

fn usage(dir: &Directory, name: &str) -> Option<Usage> {
    let number = |what: &str| dir.number(&format!("{name}.{what}"));
    Some(Usage {
        usage: number("usage_in_bytes")?,
        max: number("max_usage_in_bytes").unwrap_or(0),
        failcnt: number("failcnt").unwrap_or(0),
        limit: number("limit_in_bytes").unwrap_or(0),
    })
}

/// The BFQ scheduler counts by itself; without it the throttling layer does.
fn blkio(dir: &Directory, stats: &mut Stats) {
    let first = |names: [&str; 3]| {
        names.iter().map(|name| entries(dir, name)).find(|found| !found.is_empty())
    };
    let bytes = first([
        "blkio.bfq.io_service_bytes_recursive",
        "blkio.throttle.io_service_bytes_recursive",
        "blkio.throttle.io_service_bytes",
    ]);
    let operations = first([
        "blkio.bfq.io_serviced_recursive",
        "blkio.throttle.io_serviced_recursive",
        "blkio.throttle.io_serviced",
    ]);
    if let Some(bytes) = bytes {
        stats.blkio.service_bytes = bytes;
    }
    if let Some(operations) = operations {
        stats.blkio.serviced = operations;
    }
}

/// Lines "8:0 Read 4096"; the line of the sum names no device.
fn entries(dir: &Directory, name: &str) -> Vec<BlkioEntry> {
    let text = dir.text(name).unwrap_or_default();
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let op = words.next()?.to_owned();
        Some(BlkioEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op,
            value: words.next()?.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}
