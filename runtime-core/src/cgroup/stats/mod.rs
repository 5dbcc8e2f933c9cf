//! What a container uses. The fields and their JSON names are those of runc's `events --stats` (types/events.go),
//! which managers read; times are in nanoseconds and sizes in bytes. A controller that the host lacks leaves its
//! part at zero or empty.

mod v1;
mod v2;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use serde::Serialize;

use super::rdt::RdtStats;
use super::{CgroupRecord, Version, file};
use crate::error::Result;

/// A sample of everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// CPU time.
    pub cpu: Cpu,
    /// CPUs and memory nodes, where cpuset is one of v1.
    pub cpuset: Cpuset,
    /// Memory.
    pub memory: Memory,
    /// Processes and threads.
    pub pids: Pids,
    /// Block I/O.
    pub blkio: Blkio,
    /// Huge pages by size, as the kernel writes it (`2MB`).
    pub hugetlb: BTreeMap<String, Usage>,
    /// Caches and memory bandwidth; empty without linux.intelRdt.
    pub intel_rdt: RdtStats,
    /// Network interfaces: those of a container are its manager's, which counts them itself.
    pub network_interfaces: Vec<Empty>,
}

/// Nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Empty {}

/// CPU time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// Used.
    pub usage: CpuUsage,
    /// Withheld by the quota.
    pub throttling: Throttling,
    /// Waited for (Documentation/accounting/psi.rst); v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// CPU time that was used, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuUsage {
    /// All.
    pub total: u64,
    /// By CPU; v1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// By CPU, in the kernel; v1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// By CPU, outside of it; v1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// Outside of it.
    pub user: u64,
}

/// What the quota has withheld.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Throttling {
    /// Periods that have passed.
    pub periods: u64,
    /// Those in which the quota was used up.
    #[serde(rename = "throttledPeriods")]
    pub throttled_periods: u64,
    /// The time waited, in nanoseconds.
    #[serde(rename = "throttledTime")]
    pub throttled_time: u64,
}

/// The files of a v1 cpuset.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpuset {
    /// CPUs.
    pub cpus: Vec<u16>,
    /// Memory nodes.
    pub mems: Vec<u16>,
    /// The switches, by the kernel's name without `cpuset.`.
    #[serde(flatten)]
    pub switches: BTreeMap<String, i64>,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Page cache.
    pub cache: u64,
    /// All.
    pub usage: Usage,
    /// Memory and swap together; `max` is 0 on v2.
    pub swap: Usage,
    /// The kernel's; v1.
    pub kernel: Usage,
    /// TCP buffers; v1.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Usage,
    /// memory.stat.
    pub raw: BTreeMap<String, u64>,
    /// Waited for; v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// A limit and what is used of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// The limit.
    pub limit: u64,
    /// Now.
    pub usage: u64,
    /// The most so far.
    pub max: u64,
    /// How often the limit was met.
    pub failcnt: u64,
}

/// Processes and threads.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pids {
    /// Now.
    pub current: u64,
    /// The limit; 0 for none.
    pub limit: u64,
}

/// Block I/O by device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Blkio {
    /// Bytes.
    #[serde(rename = "ioServiceBytesRecursive")]
    pub service_bytes: Vec<BlkioEntry>,
    /// Operations.
    #[serde(rename = "ioServicedRecursive")]
    pub serviced: Vec<BlkioEntry>,
    /// Waited for; v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// One number of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BlkioEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// `Read`, `Write`, …
    pub op: String,
    /// How much.
    pub value: u64,
}

/// Pressure stall information.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Psi {
    /// Some tasks waited.
    pub some: Pressure,
    /// All tasks waited.
    pub full: Pressure,
}

/// Shares of time in percent, and the sum in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// Over the last 10 seconds.
    pub avg10: f64,
    /// Over the last minute.
    pub avg60: f64,
    /// Over the last 5 minutes.
    pub avg300: f64,
    /// Since the cgroup was made.
    pub total: u64,
}

impl CgroupRecord {
    /// Samples what the container uses.
    ///
    /// # Errors
    /// The cgroup root cannot be opened.
    pub fn stats(&self) -> Result<Stats> {
        let root = self.open()?;
        let mut stats = Stats::default();
        for (base, version) in self.bases() {
            let Ok(dir) = file::open_dir(&root, &base) else { continue };
            match version {
                Version::V1 => v1::sample(&Directory(dir), &mut stats),
                Version::V2 => v2::sample(&Directory(dir), &mut stats),
            }
        }
        Ok(stats)
    }
}

/// A cgroup's directory; a file that is not there is a controller that is not.
struct Directory(OwnedFd);

impl Directory {
    fn text(&self, name: &str) -> Option<String> {
        file::read(&self.0, name).ok()
    }

    /// The number in a file; `max` is the largest.
    fn number(&self, name: &str) -> Option<u64> {
        let text = self.text(name)?;
        match text.trim() {
            "max" => Some(u64::MAX),
            digits => digits.parse().ok(),
        }
    }

    /// The lines `name number` of a file.
    fn table(&self, name: &str) -> BTreeMap<String, u64> {
        let text = self.text(name).unwrap_or_default();
        let pair = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        text.lines().filter_map(pair).collect()
    }

    /// The names in the directory that start and end so, without both.
    fn names(&self, head: &str, tail: &str) -> Vec<String> {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.0) else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().to_str().ok()?;
                Some(name.strip_prefix(head)?.strip_suffix(tail)?.to_owned())
            })
            .filter(|middle| !middle.contains('.'))
            .collect()
    }
}

/// A list like `0-3,7`.
fn list(text: &str) -> Vec<u16> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            numbers.extend(first..=last);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(list("0-2,7\n"), [0, 1, 2, 7]);
        assert_eq!(list("\n"), [0_u16; 0]);
    }

    #[test]
    fn the_names_are_runcs() {
        let json = serde_json::to_value(Stats::default()).unwrap();
        for path in [
            "/cpu/usage/total",
            "/cpu/throttling/throttledTime",
            "/memory/kernelTCP/failcnt",
            "/pids/current",
            "/blkio/ioServiceBytesRecursive",
            "/hugetlb",
            "/intel_rdt",
            "/network_interfaces",
        ] {
            assert!(json.pointer(path).is_some(), "{path}");
        }
    }
}
