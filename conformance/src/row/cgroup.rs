//! config-linux.md: control groups, the limits, the unified map.

use super::{Row, by, rows};

pub(super) const ROWS: &[Row] = rows! {
    "config-linux.md#control-groups" {
        May "cgroup/unfit" "A cgroup that is not fit for the container, such as one with processes, may be refused, and then it is an error." => by(&["cgroup/not-empty", "cgroup/frozen-parent"]);
    }
    "config-linux.md#cgroups-path" {
        Must "cgroup/path-absolute" "An absolute cgroupsPath starts at the mount point of the hierarchy." => by(&["cgroup/path"]);
        May "cgroup/path-relative" "A relative cgroupsPath starts where the runtime likes." => by(&["cgroup/path-relative", "cgroup/path-colons"]);
        May "cgroup/path-default" "Without cgroupsPath the runtime chooses." => by(&["cgroup/path-default"]);
        Must "cgroup/path-same" "The same path is the same place every time." => by(&["exec/cgroup", "cgroup/not-empty"]);
        Must "cgroup/made" "Cgroups that are not there are made." => by(&["cgroup/path"]);
    }
    "config-linux.md#cgroup-ownership" {
        Should "cgroup/owner-v1" "On cgroup v1 the owner of a cgroup is not changed." => by(&["resource/cgroup-owner"]);
        Should "cgroup/owner-v2" "On cgroup v2 a writable cgroup mount in a cgroup namespace gives the cgroup, and only the delegated files, to the container's user." => by(&["cgroup/owner-v2", "cgroup/owner-v2-user", "cgroup/owner-v2-stays", "cgroup/delegated"]);
    }
    "config-linux.md#allowed-device-list" {
        Must "cgroup/devices-order" "Rules are applied in the listed order." => by(&["cgroup/devices-order"]);
        Must "cgroup/devices-allow" "allow lets a device be used, and without it the device cannot be used." => by(&["cgroup/devices-allow", "cgroup/devices-deny"]);
        Must "cgroup/devices-numbers" "A number that is not given means all." => by(&["cgroup/devices-any-minor"]);
        Must "cgroup/devices-type" "type is c, b, or a for all, which is also meant when none is given." => by(&["cgroup/devices-type", "cgroup/devices-deny"]);
        Must "cgroup/devices-access" "access is any of reading, writing and making." => by(&["cgroup/devices-access"]);
        Must "cgroup/devices-default" "The default devices stay usable." => by(&["cgroup/devices-default"]);
    }
    "config-linux.md#memory" {
        Must "memory/limit" "memory.limit is the limit." => by(&["cgroup/memory-limit", "cgroup/oom", "cgroup/oom-init"]);
        Must "memory/reservation" "memory.reservation is the soft limit." => by(&["cgroup/memory-reservation"]);
        Must "memory/swap" "memory.swap is the limit of memory and swap together." => by(&["cgroup/memory-swap"]);
        Must "memory/unlimited" "-1 is no limit." => by(&["cgroup/memory-unlimited"]);
        Must "memory/swappiness" "memory.swappiness is the cgroup's." => by(&["cgroup/memory-swappiness"]);
        Must "memory/oom-killer" "disableOOMKiller turns the OOM killer of the cgroup off." => by(&["resource/oom-killer"]);
        May "memory/kernel" "memory.kernel and kernelTCP, which are not recommended, are never lost in silence." => by(&["cgroup/memory-kernel"]);
        May "memory/hierarchy" "With useHierarchy the limits hold for the cgroups below as well." => by(&["cgroup/memory-hierarchy"]);
        May "memory/check-before-update" "With checkBeforeUpdate a limit below what is in use is an error." => by(&["update/check-before"]);
    }
    "config-linux.md#cpu" {
        Must "cpu/shares" "cpu.shares is the weight." => by(&["cgroup/cpu-shares"]);
        Must "cpu/quota" "cpu.quota and cpu.period are the bandwidth." => by(&["cgroup/cpu-quota"]);
        Must "cpu/burst" "cpu.burst is what may be saved up." => by(&["cgroup/cpu-burst"]);
        Must "cpu/realtime" "realtimeRuntime and realtimePeriod are the real-time bandwidth." => by(&["cgroup/cpu-realtime"]);
        Must "cpu/cpus" "cpu.cpus and cpu.mems are the cpuset." => by(&["cgroup/cpuset", "cgroup/cpuset-missing-cpu"]);
        Must "cpu/idle" "cpu.idle is the cgroup's." => by(&["cgroup/cpu-idle"]);
    }
    "config-linux.md#block-io" {
        Must "block/weight" "blockIO.weight is the weight, or an error where the kernel has none." => by(&["cgroup/block-weight"]);
        Must "block/leaf-weight" "leafWeight is the weight against cgroups below, or an error where the kernel has none, as since 5.0." => by(&["cgroup/block-leaf-weight"]);
        Must "block/weight-device" "weightDevice is the weight for a device." => by(&["cgroup/block-weight-device"]);
        Must "block/weight-device-empty" "An entry of weightDevice has at least one of weight and leafWeight." => by(&["cgroup/block-weight-device-empty"]);
        Must "block/read-bps" "throttleReadBpsDevice limits bytes read." => by(&["cgroup/block-throttle"]);
        Must "block/write-bps" "throttleWriteBpsDevice limits bytes written." => by(&["cgroup/block-throttle"]);
        Must "block/read-iops" "throttleReadIOPSDevice limits reads." => by(&["cgroup/block-throttle"]);
        Must "block/write-iops" "throttleWriteIOPSDevice limits writes." => by(&["cgroup/block-throttle"]);
    }
    "config-linux.md#huge-page-limits" {
        Must "hugepage/limit" "hugepageLimits are the limits of each size, or an error where the kernel has none." => by(&["cgroup/hugepages", "cgroup/hugepages-reserved"]);
    }
    "config-linux.md#network" {
        Must "network/class" "network.classID is the class of the cgroup, or an error where the kernel has none." => by(&["cgroup/network-class"]);
        Must "network/priorities" "network.priorities are those of each interface." => by(&["resource/network-priority"]);
    }
    "config-linux.md#pids" {
        Must "pids/limit" "pids.limit is how many tasks there may be." => by(&["cgroup/pids", "cgroup/pids-in-force"]);
        Must "pids/unlimited" "-1 is no limit." => by(&["cgroup/pids-unlimited"]);
        Must "pids/zero" "0 is a limit of none, since 1.3." => by(&["cgroup/pids-zero"]);
    }
    "config-linux.md#rdma" {
        Must "rdma/limits" "rdma limits the handles and objects of a device, or is an error where there is none." => by(&["cgroup/rdma"]);
    }
    "config-linux.md#unified" {
        Must "unified/written" "Each entry of unified is written to its file, known or not." => by(&["resource/unified-written", "cgroup/unified-lines"]);
        Must "unified/no-controller" "An entry for a controller that is not there is an error." => by(&["resource/unified-unknown"]);
        Must "unified/no-conversion" "A limit of cgroup v1 that cannot be converted to v2 is an error there." => by(&["cgroup/no-conversion"]);
        Must "unified/controllers" "The controllers that are needed are enabled for the cgroup." => by(&["cgroup/controllers"]);
    }
};
