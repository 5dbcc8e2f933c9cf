//! Statistics of cgroup2 (Documentation/admin-guide/cgroup-v2.rst).

use super::{BlkioEntry, Directory, Pressure, Psi, Stats, Usage};

/// cpu.stat counts in microseconds.
const MICROSECOND: u64 = 1000;

pub(super) fn sample(dir: &Directory, stats: &mut Stats) {
    cpu(dir, stats);
    memory(dir, stats);
    if let Some(current) = dir.number("pids.current") {
        stats.pids.current = current;
        stats.pids.limit = dir.number("pids.max").filter(|limit| *limit != u64::MAX).unwrap_or(0);
    }
    io(dir, stats);
    for size in dir.names("hugetlb.", ".current") {
        let number = |what: &str| dir.number(&format!("hugetlb.{size}.{what}")).unwrap_or(0);
        let failcnt = dir.table(&format!("hugetlb.{size}.events")).get("max").copied();
        let used = Usage {
            usage: number("current"),
            limit: number("max"),
            max: 0,
            failcnt: failcnt.unwrap_or(0),
        };
        stats.hugetlb.insert(size, used);
    }
}

fn cpu(dir: &Directory, stats: &mut Stats) {
    let table = dir.table("cpu.stat");
    let time = |name: &str| table.get(name).map_or(0, |time| time * MICROSECOND);
    // On a hybrid host every cgroup2 directory counts its time; the v1 controller has counted it already.
    if stats.cpu.usage.total == 0 {
        stats.cpu.usage.total = time("usage_usec");
        stats.cpu.usage.user = time("user_usec");
        stats.cpu.usage.kernel = time("system_usec");
    }
    if let Some(periods) = table.get("nr_periods") {
        stats.cpu.throttling.periods = *periods;
        stats.cpu.throttling.throttled_periods = table.get("nr_throttled").copied().unwrap_or(0);
        stats.cpu.throttling.throttled_time = time("throttled_usec");
    }
    stats.cpu.psi = psi(dir, "cpu.pressure");
}

fn memory(dir: &Directory, stats: &mut Stats) {
    stats.memory.psi = psi(dir, "memory.pressure");
    let Some(used) = dir.number("memory.current") else { return };
    let number = |name: &str| dir.number(name).unwrap_or(0);
    let events = dir.table("memory.events");
    let memory = &mut stats.memory;
    memory.usage = Usage {
        usage: used,
        limit: number("memory.max"),
        max: number("memory.peak"),
        failcnt: events.get("max").copied().unwrap_or(0),
    };
    // Both together, as v1 counts them; the peaks of the two were not at the same time.
    memory.swap = Usage {
        usage: memory.usage.usage + number("memory.swap.current"),
        limit: memory.usage.limit.saturating_add(number("memory.swap.max")),
        max: 0,
        failcnt: 0,
    };
    memory.raw = dir.table("memory.stat");
    memory.cache = memory.raw.get("file").copied().unwrap_or(0);
}

/// Lines "8:0 rbytes=… wbytes=… rios=… wios=…".
fn io(dir: &Directory, stats: &mut Stats) {
    stats.blkio.psi = psi(dir, "io.pressure");
    for line in dir.text("io.stat").unwrap_or_default().lines() {
        let mut words = line.split_whitespace();
        let device = words.next().and_then(|device| device.split_once(':'));
        let Some((Ok(major), Ok(minor))) = device.map(|(a, b)| (a.parse(), b.parse())) else {
            continue;
        };
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            let entry = |op: &str| BlkioEntry { major, minor, op: op.into(), value };
            match name {
                "rbytes" => stats.blkio.service_bytes.push(entry("Read")),
                "wbytes" => stats.blkio.service_bytes.push(entry("Write")),
                "rios" => stats.blkio.serviced.push(entry("Read")),
                "wios" => stats.blkio.serviced.push(entry("Write")),
                _ => {}
            }
        }
    }
}

/// Two lines "some avg10=… avg60=… avg300=… total=…"; none where the kernel does not count.
fn psi(dir: &Directory, name: &str) -> Option<Psi> {
    let text = dir.text(name)?;
    let mut psi = Psi::default();
    for line in text.lines() {
        let (which, numbers) = line.split_once(' ')?;
        let number = |name: &str| {
            let mut pairs = numbers.split_whitespace().filter_map(|word| word.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let share = |name: &str| number(name).and_then(|text| text.parse().ok()).unwrap_or(0.0);
        let pressure = Pressure {
            avg10: share("avg10"),
            avg60: share("avg60"),
            avg300: share("avg300"),
            total: number("total").and_then(|text| text.parse().ok()).unwrap_or(0),
        };
        match which {
            "some" => psi.some = pressure,
            _ => psi.full = pressure,
        }
    }
    Some(psi)
}
