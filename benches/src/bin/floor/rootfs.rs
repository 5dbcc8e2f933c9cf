//! The file system of the container, from the copied mount table to the new root.

use core::ffi::CStr;

use crate::sys::call::{
    self, ENOENT, ENOTDIR, Failure, MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY,
    MS_REC, MS_REMOUNT, MS_STRICTATIME,
};
use crate::text::Text;

const NODES: [(&CStr, u32, u32); 6] = [
    (c"dev/null", 1, 3),
    (c"dev/zero", 1, 5),
    (c"dev/full", 1, 7),
    (c"dev/random", 1, 8),
    (c"dev/urandom", 1, 9),
    (c"dev/tty", 5, 0),
];
const LINKS: [(&CStr, &CStr); 6] = [
    (c"dev/fd", c"/proc/self/fd"),
    (c"dev/stdin", c"/proc/self/fd/0"),
    (c"dev/stdout", c"/proc/self/fd/1"),
    (c"dev/stderr", c"/proc/self/fd/2"),
    (c"dev/core", c"/proc/kcore"),
    (c"dev/ptmx", c"pts/ptmx"),
];
const MASKED: [&CStr; 10] = [
    c"proc/acpi",
    c"proc/asound",
    c"proc/kcore",
    c"proc/keys",
    c"proc/latency_stats",
    c"proc/timer_list",
    c"proc/timer_stats",
    c"proc/sched_debug",
    c"sys/firmware",
    c"proc/scsi",
];
const READ_ONLY: [&CStr; 5] =
    [c"proc/bus", c"proc/fs", c"proc/irq", c"proc/sys", c"proc/sysrq-trigger"];
const RESTRICTED: u64 = MS_NOSUID | MS_NODEV | MS_NOEXEC;

pub(crate) fn make(root: &CStr, hierarchies: &[&CStr]) -> Result<(), Failure> {
    call::mount(c"", c"/", c"", MS_REC | MS_PRIVATE, c"")?;
    call::mount(root, root, c"", MS_BIND | MS_REC, c"")?;
    // Everything below is relative, so that no long path is walked again and again.
    call::chdir(root)?;
    file_systems()?;
    cgroups(hierarchies)?;
    for (path, major, minor) in NODES {
        call::make_device(path, 0o666, major, minor)?;
    }
    for (path, target) in LINKS {
        call::symlink(target, path)?;
    }
    for path in MASKED {
        mask(path)?;
    }
    for path in READ_ONLY {
        read_only(path)?;
    }
    call::mount(c"", c".", c"", MS_REMOUNT | MS_BIND | MS_RDONLY, c"")?;
    // The old root is stacked below the new one at the same place, and taken away from there.
    call::pivot_root(c".", c".")?;
    call::unmount_lazily(c".")?;
    call::chdir(c"/")
}

fn file_systems() -> Result<(), Failure> {
    call::mount(c"proc", c"proc", c"proc", 0, c"")?;
    // Otherwise the modes of the nodes would depend on whoever started the benchmark.
    call::umask(0);
    call::mount(c"tmpfs", c"dev", c"tmpfs", MS_NOSUID | MS_STRICTATIME, c"mode=755,size=65536k")?;
    for path in [c"dev/pts", c"dev/shm", c"dev/mqueue"] {
        call::mkdir(path, 0o755)?;
    }
    let options = c"newinstance,ptmxmode=0666,mode=0620,gid=5";
    call::mount(c"devpts", c"dev/pts", c"devpts", MS_NOSUID | MS_NOEXEC, options)?;
    call::mount(c"shm", c"dev/shm", c"tmpfs", RESTRICTED, c"mode=1777,size=65536k")?;
    call::mount(c"mqueue", c"dev/mqueue", c"mqueue", RESTRICTED, c"")?;
    call::mount(c"sysfs", c"sys", c"sysfs", RESTRICTED | MS_RDONLY, c"")?;
    call::umask(0o022);
    Ok(())
}

fn cgroups(hierarchies: &[&CStr]) -> Result<(), Failure> {
    call::mount(c"cgroup", c"sys/fs/cgroup", c"tmpfs", RESTRICTED, c"mode=755")?;
    for hierarchy in hierarchies {
        let path = Text::of(&[b"sys/fs/cgroup/", hierarchy.to_bytes()]);
        call::mkdir(path.as_c_str(), 0o755)?;
        // The one hierarchy without a controller is known by its name.
        let options = if *hierarchy == c"systemd" { c"none,name=systemd" } else { hierarchy };
        call::mount(c"cgroup", path.as_c_str(), c"cgroup", RESTRICTED | MS_RDONLY, options)?;
    }
    call::mount(c"", c"sys/fs/cgroup", c"", RESTRICTED | MS_REMOUNT | MS_BIND | MS_RDONLY, c"")
}

/// A path that the host does not have needs no mask. A file is covered by /dev/null, a directory by
/// an empty file system: which it is, the kernel says.
fn mask(path: &CStr) -> Result<(), Failure> {
    match call::mount(c"dev/null", path, c"", MS_BIND, c"") {
        Err(failure) if failure.errno == ENOENT => Ok(()),
        Err(failure) if failure.errno == ENOTDIR => {
            call::mount(c"tmpfs", path, c"tmpfs", MS_RDONLY, c"")
        }
        other => other,
    }
}

fn read_only(path: &CStr) -> Result<(), Failure> {
    match call::mount(path, path, c"", MS_BIND | MS_REC, c"") {
        Err(failure) if failure.errno == ENOENT => Ok(()),
        Err(failure) => Err(failure),
        Ok(()) => call::mount(c"", path, c"", MS_REMOUNT | MS_BIND | MS_RDONLY, c""),
    }
}
