//! What the caller of the suite may do. Where it is root of a user namespace (rootless managers call a runtime so) that
//! is less than on the host; each fact is asked of the kernel, once for each case that depends on it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, fsconfig_create, fsopen};
use rustix::process::{
    Resource, Rlimit, getpriority_process, getrlimit, setpriority_process, setrlimit,
};
use serde_json::{Value, json};

use super::{Lab, Result, lacks};

impl Lab {
    /// Skips the case unless device nodes can be made: of the host's root alone (mknod(2)).
    pub(crate) fn needs_devices(&self) -> Result {
        if self.may_make_devices()? { Ok(()) } else { lacks("the right to make device nodes") }
    }

    /// Whether device nodes can be made.
    pub(crate) fn may_make_devices(&self) -> Result<bool> {
        let node = self.folder.join("privilege");
        match mknodat(CWD, &node, FileType::CharacterDevice, Mode::RUSR, makedev(1, 3)) {
            Ok(()) => Ok(fs::remove_file(node).map(|()| true)?),
            Err(Errno::PERM) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whose the default devices are in a container: root's, unless the host's own have to be bound there.
    pub(crate) fn owner_of_devices(&self) -> Result<u32> {
        Ok(if self.may_make_devices()? { 0 } else { fs::metadata("/dev/null")?.uid() })
    }

    /// Skips the case unless hard limits can be raised, and OOM scores lowered: with CAP_SYS_RESOURCE on the host
    /// (setrlimit(2), proc(5)).
    pub(crate) fn needs_resource(&self) -> Result {
        let own = getrlimit(Resource::Nofile);
        let Some(hard) = own.maximum else { return lacks("a limit that could be raised") };
        let (higher, lower) = (hard + 1, hard - 1);
        let set = |maximum| setrlimit(Resource::Nofile, Rlimit { maximum: Some(maximum), ..own });
        // The highest possible one (fs.nr_open) cannot be raised, but put back.
        let raised =
            set(higher).is_ok() || (lower >= own.current.unwrap_or(hard) && set(lower).is_ok());
        let back = set(hard);
        if raised && back.is_ok() { Ok(()) } else { lacks("the right to raise hard limits") }
    }

    /// Skips the case unless the nice value can be lowered: with CAP_SYS_NICE on the host, or RLIMIT_NICE.
    pub(crate) fn needs_priority(&self) -> Result {
        let own = getpriority_process(None)?;
        if setpriority_process(None, own - 1).is_err() {
            return lacks("the right to lower nice values");
        }
        Ok(setpriority_process(None, own)?)
    }

    /// Skips the case unless this file of the host can be written to; nothing is written. Those of procfs belong to
    /// the host's root, or to the owner of the namespace that they are about.
    pub(crate) fn needs_writable(&self, path: &str) -> Result {
        if may_write(path) { Ok(()) } else { lacks(&format!("the right to write to {path}")) }
    }
}

/// Whether the caller is in the host's user namespace, whose inode number is part of the kernel's interface
/// (PROC_USER_INIT_INO).
pub(crate) fn is_of_host() -> bool {
    const INITIAL: u64 = 0xEFFF_FFFD;
    fs::metadata("/proc/self/ns/user").is_ok_and(|meta| meta.ino() == INITIAL)
}

/// Whether access(2) says so; nothing is written.
pub(crate) fn may_write(path: impl AsRef<Path>) -> bool {
    rustix::fs::access(path.as_ref(), rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether this file system can be mounted from here.
fn may_mount(kind: &str) -> bool {
    // Nothing is mounted: what was made vanishes with its descriptor.
    fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).is_ok_and(|fs| fsconfig_create(&fs).is_ok())
}

/// Whether this id is one in the caller's user namespace.
pub(crate) fn has_id(id: u32) -> bool {
    ["uid_map", "gid_map"].iter().all(|map| outside(map, id).is_some())
}

/// What this group is outside of the caller's user namespace.
pub(crate) fn outside_group(gid: u32) -> Option<u64> {
    outside("gid_map", gid)
}

/// user_namespaces(7), "User and group ID mappings": first id inside, first id outside, how many.
fn outside(map: &str, id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/{map}")).ok()?;
    text.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        let (inside, outside, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let offset = u64::from(id).checked_sub(inside).filter(|offset| *offset < count)?;
        Some(outside + offset)
    })
}

/// File systems that show a namespace of the caller, which it may not own: kind, namespace, where the host has it.
const OF_NAMESPACES: [(&str, &str, &str); 3] =
    [("proc", "pid", "/proc"), ("sysfs", "network", "/sys"), ("mqueue", "ipc", "/dev/mqueue")];

/// Binds the host's own where a container shares a namespace, and its file system cannot be mounted anew by this
/// caller: as Podman configures such a container.
pub(super) fn bind_shared(config: &mut Value) {
    for (kind, namespace, place) in OF_NAMESPACES {
        let own = |all: &Vec<Value>| all.iter().any(|entry| entry["type"] == namespace);
        if config["linux"]["namespaces"].as_array().is_none_or(own) || may_mount(kind) {
            continue;
        }
        if !Path::new(place).exists() {
            continue;
        }
        for mount in config["mounts"].as_array_mut().into_iter().flatten() {
            if mount["type"] == kind && mount["destination"] == place {
                let mut options = mount["options"].as_array().cloned().unwrap_or_default();
                options.push("rbind".into());
                *mount = json!({ "destination": place, "type": "bind", "source": place,
                    "options": options });
            }
        }
    }
}
