//! What limits are called inside of a container, on cgroup v1 and on v2.

use std::path::PathBuf;

use rustix::fs::statfs;

/// Whether the host has cgroup v2 only. With hierarchies of v1 beside it, managers and runtimes take those.
pub(crate) fn is_unified() -> bool {
    // linux/magic.h
    const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
    statfs("/sys/fs/cgroup").is_ok_and(|found| found.f_type == CGROUP2_SUPER_MAGIC)
}

/// The mount points below which a cgroup of one name is found.
pub(crate) fn hierarchies() -> Vec<PathBuf> {
    let mount = PathBuf::from("/sys/fs/cgroup");
    if is_unified() {
        return vec![mount];
    }
    let entries = std::fs::read_dir(mount).expect("cgroups are mounted").flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Whether containers can be kept to some CPUs; says so where cgroup v2 has no controller for that, as in User-Mode Linux.
pub(crate) fn has_cpuset() -> bool {
    if !is_unified() {
        return true;
    }
    let controllers =
        std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").expect("a file of cgroup v2");
    let found = controllers.split_whitespace().any(|name| name == "cpuset");
    if !found {
        println!("skipped: this host's cgroups have no controller cpuset");
    }
    found
}

/// The path of a file of the container's own cgroup: `v1` below the hierarchies, or `v2`.
fn path(v1: &str, v2: &str) -> String {
    format!("/sys/fs/cgroup/{}", if is_unified() { v2 } else { v1 })
}

/// Where the limit of memory is, in bytes.
pub(crate) fn memory() -> String {
    path("memory/memory.limit_in_bytes", "memory.max")
}

/// Where the number is that [`has_shares`] reads.
pub(crate) fn shares() -> String {
    path("cpu/cpu.shares", "cpu.weight")
}

/// What may be read at [`shares`] after a runtime was told of so many shares of the CPU.
///
/// On v2 the runtime turns the shares 2 to 262144 into a weight from 1 to 10000. Older ones, as runc up to 1.3.1, do it in
/// proportion, by which the default 1024 becomes 39 and not the 100 that is the default of v2; newer ones, and teu, by a
/// curve through both defaults.
pub(crate) fn values_of(shares: u32) -> Vec<String> {
    if !is_unified() {
        return vec![shares.to_string()];
    }
    let proportional = 1 + (shares - 2) * 9999 / 262_142;
    let log = f64::from(shares).log2();
    let curve = 10f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0).ceil();
    vec![proportional.to_string(), curve.to_string()]
}

/// Whether `read` is what [`values_of`] gives.
pub(crate) fn has_shares(read: &str, shares: u32) -> bool {
    values_of(shares).iter().any(|value| value == read.trim())
}

/// For the lines that a test types: the paths as $MEMORY, $SHARES and $PIDS; the command $QUOTA, which prints the
/// quota in microseconds; and $SHARES_200, an extended regular expression of [`values_of`].
pub(crate) fn environment() -> [(&'static str, String); 5] {
    let quota = if is_unified() {
        // The period follows. No word has quotes: the shell splits what a variable holds, and does not read them.
        "busybox awk {print$1} /sys/fs/cgroup/cpu.max"
    } else {
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us"
    };
    [
        ("MEMORY", memory()),
        ("SHARES", shares()),
        ("SHARES_200", values_of(200).join("|")),
        ("PIDS", path("pids/pids.max", "pids.max")),
        ("QUOTA", quota.into()),
    ]
}
