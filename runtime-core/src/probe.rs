//! Reads the facts of [`Host`] from the machine: the last impure input of lowering.

use std::fs;
use std::path::Path;

use crate::cgroup::systemd::Manager;
use crate::cgroup::systemd::manager::SYSTEM_BUS;
use crate::error::{OsResult, Result};
use crate::host::{CgroupLayout, Host, V1Hierarchy};
use crate::operation::CreateOptions;

const CGROUP_ROOT: &str = "/sys/fs/cgroup";
const CGROUP2_MAGIC: u32 = 0x6367_7270;
const CGROUP1_MAGIC: u32 = 0x0027_e0eb;
const SELINUX_MAGIC: u32 = 0xf97c_ff8c;

/// Probes the host.
///
/// # Errors
/// /proc is not mounted.
pub(crate) fn host() -> Result<Host> {
    let (last_capability, bounding) = capabilities();
    let euid = rustix::process::geteuid().as_raw();
    let initial_user_namespace = initial_user_namespace();
    let cgroups = cgroups(Path::new(CGROUP_ROOT))?;
    let rootless = euid != 0 || !initial_user_namespace;
    Ok(Host {
        cgroup_root: CGROUP_ROOT.into(),
        delegated: match &cgroups {
            CgroupLayout::Unified { .. } if rootless => delegated(Path::new(CGROUP_ROOT)),
            _ => None,
        },
        cgroups,
        euid,
        egid: rustix::process::getegid().as_raw(),
        effective: effective(),
        initial_user_namespace,
        rootless,
        last_capability,
        bounding,
        apparmor: fs::read("/sys/module/apparmor/parameters/enabled")
            .is_ok_and(|text| text.starts_with(b"Y")),
        selinux: selinux(),
        systemd: None,
    })
}

/// Probes the host for an operation that makes cgroups.
///
/// # Errors
/// As [`host`].
pub(crate) fn host_for(options: &CreateOptions) -> Result<Host> {
    let mut host = host()?.rootless(options.rootless);
    host.systemd = options.systemd_cgroup.then(|| systemd(&host));
    Ok(host)
}

/// Which systemd makes the cgroups of this caller: a user's own where the caller is not the host's root. That is
/// whoever has another id, and root of a user namespace that has a user's runtime directory (rootless Podman), named
/// in the environment or in its place. A container with a systemd of its own has neither.
fn systemd(host: &Host) -> Manager {
    let variable = |name| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
    let outer = outer_uid(host.euid);
    let runtime = variable("XDG_RUNTIME_DIR").filter(|path| path != "/run/user/0");
    let is_users = || outer != 0 && Path::new(&format!("/run/user/{outer}/bus")).exists();
    let user =
        host.euid != 0 || (!host.initial_user_namespace && (runtime.is_some() || is_users()));
    if !user {
        let address = variable("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_else(|| SYSTEM_BUS.into());
        // init.scope is systemd's own, beside its slices; a systemd in a container may be below others.
        let own = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
        let root = own
            .lines()
            .find_map(|line| line.split_once("::").or(line.split_once(":name=systemd:")));
        let cgroup =
            root.and_then(|(_, path)| path.strip_suffix("/init.scope")).unwrap_or_default();
        return Manager { user, address, cgroup: cgroup.to_owned() };
    }
    let address = variable("DBUS_SESSION_BUS_ADDRESS").unwrap_or_else(|| {
        let directory = runtime.unwrap_or_else(|| format!("/run/user/{outer}"));
        format!("unix:path={directory}/bus")
    });
    let cgroup = format!("/user.slice/user-{outer}.slice/user@{outer}.service");
    let mut manager = Manager { user, address, cgroup };
    // Where it cannot be asked it cannot make a unit either: `create` says so then, and a plan shows where
    // logind puts it.
    if let Ok(cgroup) = manager.ask_cgroup() {
        manager.cgroup = cgroup;
    }
    manager
}

/// The user id that `uid` is outside of the caller's user namespace (user_namespaces(7), uid_map).
fn outer_uid(uid: u32) -> u32 {
    let maps = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    outside(&maps, uid).unwrap_or(uid)
}

fn outside(maps: &str, uid: u32) -> Option<u32> {
    maps.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
        let (inside, outside, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let offset = uid.checked_sub(inside).filter(|offset| *offset < count)?;
        outside.checked_add(offset)
    })
}

/// The highest capability that the kernel knows, and the bounding set. The kernel refuses numbers that it does
/// not know (prctl(2), PR_CAPBSET_READ), so both are found without reading procfs.
fn capabilities() -> (u8, u64) {
    (0..64)
        .map_while(|number| Some((number, crate::sys::process::has_bounding(number)?)))
        .fold((0, 0), |(_, set), (number, has)| (number, set | u64::from(has) << number))
}

/// The inode number of the initial one is part of the kernel's interface (PROC_USER_INIT_INO).
fn initial_user_namespace() -> bool {
    const INITIAL: u64 = 0xEFFF_FFFD;
    rustix::fs::stat("/proc/self/ns/user").is_ok_and(|stat| stat.st_ino == INITIAL)
}

/// The effective set of the calling thread (capget(2)).
fn effective() -> u64 {
    rustix::thread::capabilities(None).map_or(0, |sets| sets.effective.bits())
}

/// Where a caller without privilege may make cgroups: beside its own, so that controllers can be passed on, which a
/// cgroup with processes cannot; else below its own.
fn delegated(root: &Path) -> Option<String> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let beside = own.rsplit_once('/').map(|(parent, _)| parent).filter(|parent| !parent.is_empty());
    let may_write = |path: &str| {
        use rustix::fs::{Access, access};
        let directory = root.join(path.trim_start_matches('/'));
        access(&directory, Access::WRITE_OK).is_ok()
            && access(directory.join("cgroup.procs"), Access::WRITE_OK).is_ok()
    };
    beside.into_iter().chain([own]).find(|path| may_write(path)).map(str::to_owned)
}

/// Whether labels mean something, as is_selinux_enabled(3) has it: a read-only selinuxfs is how a container is told that
/// they are not its business, and without a policy the kernel takes every label and calls everything `kernel`.
fn selinux() -> bool {
    const ST_RDONLY: i64 = 1;
    let writable = rustix::fs::statfs("/sys/fs/selinux")
        .is_ok_and(|fs| fs.f_type as u32 == SELINUX_MAGIC && fs.f_flags & ST_RDONLY == 0);
    let own = || fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    writable && own().trim_end_matches(['\0', '\n']) != "kernel"
}

fn magic(path: &Path) -> Option<u32> {
    rustix::fs::statfs(path).ok().map(|fs| fs.f_type as u32)
}

/// The layout, without mountinfo: what is on the cgroup root, and the hierarchies of /proc/self/cgroup by the
/// names that distributions mount them under (cgroups(7), "Cgroups version 1").
fn cgroups(root: &Path) -> Result<CgroupLayout> {
    if magic(root) == Some(CGROUP2_MAGIC) {
        let words = fs::read_to_string(root.join("cgroup.controllers"))
            .call(|| format!("read({}/cgroup.controllers)", root.display()))?;
        let controllers = words.split_whitespace().map(str::to_owned).collect();
        return Ok(CgroupLayout::Unified { controllers });
    }
    let lines = fs::read_to_string("/proc/self/cgroup").call(|| "read(/proc/self/cgroup)")?;
    let mut hierarchies = Vec::new();
    let mut unified = None;
    for line in lines.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(names)) = (fields.next(), fields.next()) else { continue };
        if number == "0" && names.is_empty() {
            unified =
                (magic(&root.join("unified")) == Some(CGROUP2_MAGIC)).then(|| "unified".to_owned());
        } else {
            hierarchies.extend(hierarchy(root, names));
        }
    }
    if hierarchies.is_empty() && unified.is_none() {
        return Ok(CgroupLayout::None);
    }
    Ok(CgroupLayout::Legacy { hierarchies, unified })
}

/// A hierarchy that is bound to `names` ("cpu,cpuacct" or "name=systemd") and mounted below `root`.
fn hierarchy(root: &Path, names: &str) -> Option<V1Hierarchy> {
    let name = names.strip_prefix("name=");
    let controllers: Vec<String> = match name {
        Some(_) => Vec::new(),
        None => names.split(',').map(str::to_owned).collect(),
    };
    // Co-mounted controllers are listed in the kernel's order, while the directory may have another: then
    // there are links with the single names.
    let directory = std::iter::once(name.unwrap_or(names))
        .chain(controllers.iter().map(String::as_str))
        .find(|directory| magic(&root.join(directory)) == Some(CGROUP1_MAGIC))?
        .to_owned();
    Some(V1Hierarchy { directory, controllers, name: name.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::outside;

    #[test]
    fn ids_outside_of_a_user_namespace() {
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!(outside(rootless, 0), Some(1000));
        assert_eq!(outside(rootless, 33), Some(100_032));
        assert_eq!(outside(rootless, 65_537), None);
        assert_eq!(outside("         0          0 4294967295\n", 1000), Some(1000));
    }
}
