//! What a process can say about its surroundings.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::process::Resource;
use rustix::thread::CapabilitySet;
use serde_json::{Map, Value, json};

use crate::sys;
use crate::sys::number_call;

/// The limits, by the names of the specification.
const LIMITS: [(&str, Resource); 16] = [
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_STACK", Resource::Stack),
];

/// All facts, and the values of these files below `/proc/sys` (`kernel.shmmax` or with slashes).
pub(crate) fn all(sysctls: &[&str]) -> Value {
    let uname = rustix::system::uname();
    let name = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let mut all = json!({
        "pid": rustix::process::getpid().as_raw_nonzero().get(),
        "ppid": rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get()),
        // By number: the leader may be in no pid namespace of ours (a hook of a runtime that was itself entered
        // by setns(2)); getsid(2) says 0 then, which rustix's Pid cannot hold.
        "sid": number_call(libc::SYS_getsid, [0; 6]).ok(),
        "uid": rustix::process::getuid().as_raw(),
        "euid": rustix::process::geteuid().as_raw(),
        "gid": rustix::process::getgid().as_raw(),
        "egid": rustix::process::getegid().as_raw(),
        "groups": groups(),
        "umask": umask(),
        "capabilities": capabilities(),
        "noNewPrivileges": status("NoNewPrivs"),
        "cpus": status_text("Cpus_allowed_list"),
        "seccomp": status("Seccomp"),
        "seccompFilters": status("Seccomp_filters"),
        "cwd": std::env::current_dir().ok(),
        "env": environment(),
        "args": std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "rlimits": limits(),
        "namespaces": links("/proc/self/ns"),
        "fds": links("/proc/self/fd"),
        "mounts": mounts(),
        "hostname": name(uname.nodename()),
        "domainname": name(uname.domainname()),
        "machine": name(uname.machine()),
        "cgroup": text("/proc/self/cgroup"),
        "dev": listing(Path::new("/dev")),
        "sysctl": sysctls.iter().map(|key| ((*key).to_owned(), sysctl(key))).collect::<Map<_, _>>(),
        "oomScoreAdj": text("/proc/self/oom_score_adj"),
        "personality": text("/proc/self/personality"),
        "keyring": keyring(),
        "interfaces": interfaces(),
        "timeOffsets": text("/proc/self/timens_offsets"),
        "boottime": clock(rustix::time::ClockId::Boottime),
        "monotonic": clock(rustix::time::ClockId::Monotonic),
        "nice": rustix::process::getpriority_process(None).ok(),
        "scheduler": number_call(libc::SYS_sched_getscheduler, [0; 6]).ok(),
        "ioPriority": number_call(libc::SYS_ioprio_get, [1, 0, 0, 0, 0, 0]).ok(),
        "apparmor": text("/proc/self/attr/current"),
        "uidMap": text("/proc/self/uid_map"),
        "gidMap": text("/proc/self/gid_map"),
        "setgroups": text("/proc/self/setgroups"),
    });
    // One more in the list would be more than json! takes.
    all["deadline"] = deadline();
    all
}

fn deadline() -> Value {
    let Ok([runtime, deadline, period]) = sys::deadline() else { return Value::Null };
    json!({ "runtime": runtime, "deadline": deadline, "period": period })
}

fn text(path: &str) -> Value {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\0']).into(),
        Err(_) => Value::Null,
    }
}

/// A line of proc_pid_status(5).
fn status_text(field: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

fn status(field: &str) -> Value {
    status_text(field).and_then(|value| value.parse::<u64>().ok()).into()
}

/// Sorted: the order of supplementary groups means nothing to the kernel.
fn groups() -> Value {
    let groups = rustix::process::getgroups().unwrap_or_default();
    let mut groups: Vec<u32> = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
    groups.sort_unstable();
    groups.into()
}

/// The mask can only be read by setting it.
fn umask() -> Value {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    mask.as_raw_mode().into()
}

fn capabilities() -> Value {
    let sets = rustix::thread::capabilities(None).ok();
    let each = |test: fn(CapabilitySet) -> rustix::io::Result<bool>| -> u64 {
        CapabilitySet::all()
            .iter()
            .filter(|one| test(*one).unwrap_or(false))
            .fold(0, |sum, one| sum | one.bits())
    };
    let hex = |bits: u64| Value::from(format!("{bits:016x}"));
    json!({
        "effective": sets.map(|s| hex(s.effective.bits())),
        "permitted": sets.map(|s| hex(s.permitted.bits())),
        "inheritable": sets.map(|s| hex(s.inheritable.bits())),
        "bounding": hex(each(rustix::thread::capability_is_in_bounding_set)),
        "ambient": hex(each(rustix::thread::capability_is_in_ambient_set)),
    })
}

/// In order and with duplicates, which `std::env` keeps because it reads the block itself.
fn environment() -> Value {
    std::env::vars_os()
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()))
        .collect::<Vec<_>>()
        .into()
}

fn limits() -> Value {
    let one = |value: Option<u64>| value.map_or(Value::from("unlimited"), Value::from);
    LIMITS
        .iter()
        .map(|(name, resource)| {
            let limit = rustix::process::getrlimit(*resource);
            ((*name).to_owned(), json!({ "soft": one(limit.current), "hard": one(limit.maximum) }))
        })
        .collect::<Map<_, _>>()
        .into()
}

fn links(folder: &str) -> Value {
    let Ok(entries) = fs::read_dir(folder) else { return Value::Null };
    entries
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            // The descriptor of this very listing is not a fact about the container.
            let own = folder.ends_with("/fd") && target.ends_with("/fd");
            (!own).then(|| (entry.file_name().to_string_lossy().into_owned(), target.into()))
        })
        .collect::<Map<_, _>>()
        .into()
}

fn mounts() -> Value {
    let Ok(text) = fs::read_to_string("/proc/self/mountinfo") else { return Value::Null };
    text.lines().filter_map(mount).collect::<Vec<_>>().into()
}

fn mount(line: &str) -> Option<Value> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let right: Vec<&str> = right.split(' ').collect();
    Some(json!({
        "device": left.get(2)?,
        "root": left.get(3)?,
        "target": left.get(4)?,
        "options": left.get(5)?.split(',').collect::<Vec<_>>(),
        "propagation": left.get(6..)?,
        "type": right.first()?,
        "source": right.get(1)?,
        "data": right.get(2)?.split(',').collect::<Vec<_>>(),
    }))
}

fn listing(folder: &Path) -> Value {
    let Ok(entries) = fs::read_dir(folder) else { return Value::Null };
    entries
        .flatten()
        .filter_map(|entry| {
            let found = fs::symlink_metadata(entry.path()).ok()?;
            let kind = found.file_type();
            let word = match () {
                () if kind.is_char_device() => "c",
                () if kind.is_block_device() => "b",
                () if kind.is_fifo() => "p",
                () if kind.is_symlink() => "link",
                () if kind.is_dir() => "dir",
                () => "file",
            };
            let value = json!({
                "type": word,
                "major": rustix::fs::major(found.rdev()),
                "minor": rustix::fs::minor(found.rdev()),
                "mode": found.mode() & 0o7777,
                "uid": found.uid(),
                "gid": found.gid(),
                "target": fs::read_link(entry.path()).ok(),
            });
            Some((entry.file_name().to_string_lossy().into_owned(), value))
        })
        .collect::<Map<_, _>>()
        .into()
}

fn sysctl(key: &str) -> Value {
    let path = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    text(&format!("/proc/sys/{path}"))
}

/// The serial number of the session keyring (KEY_SPEC_SESSION_KEYRING is -3, see keyctl(2)).
fn keyring() -> Value {
    const KEYCTL_GET_KEYRING_ID: i64 = 0;
    number_call(libc::SYS_keyctl, [KEYCTL_GET_KEYRING_ID, -3, 0, 0, 0, 0])
        .map_or(Value::Null, Value::from)
}

fn interfaces() -> Value {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return Value::Null };
    all.map(|one| {
        let up = one.flags.contains(nix::net::if_::InterfaceFlags::IFF_UP);
        (one.interface_name, json!({ "up": up }))
    })
    .collect::<Map<_, _>>()
    .into()
}

fn clock(id: rustix::time::ClockId) -> Value {
    rustix::time::clock_gettime(id).tv_sec.into()
}
