//! Where the measurement takes place: a mount namespace of its own with one tmpfs for everything that
//! the runtimes read and write, and a view of the cgroups that all of them accept.
//!
//! crun refuses the mixed layout, with controllers of both versions. There /sys/fs/cgroup gets the
//! version 1 hierarchies only, in this namespace; the host's mounts are not touched.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_move,
    unmount,
};
use serde_json::json;
use tempfile::TempDir;

use crate::contestant::{Contestant, Kind};
use crate::error::{Context, Error, Result};
use crate::sys;

const CGROUPS: &str = "/sys/fs/cgroup";
const BUSYBOX: &str = "/bin/busybox";
const FLOOR: &[u8] = include_bytes!(env!("FLOOR_PROGRAM"));

/// The cgroups as the runtimes see them.
#[derive(Debug)]
pub(crate) enum View {
    /// The hierarchies of version 1, by their directories.
    V1(Vec<String>),
    /// The single hierarchy of version 2.
    V2,
}

impl View {
    /// One line for the report.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::V1(names) => format!("version 1 only ({})", names.join(", ")),
            Self::V2 => "version 2".to_owned(),
        }
    }
}

/// The place; dropping it removes what the samples left behind.
#[derive(Debug)]
pub(crate) struct Stage {
    directory: TempDir,
    view: View,
}

impl Stage {
    /// Takes this process to a mount namespace of its own and builds everything there.
    pub(crate) fn build() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("teu-bench-")
            .tempdir()
            .context(|| "making a temporary directory".to_owned())?;
        sys::unshare_mounts().context(|| "making a mount namespace".to_owned())?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).context(|| "making the mounts private".to_owned())?;
        mount("tmpfs", directory.path(), "tmpfs", MountFlags::empty(), c"mode=755")
            .context(|| "mounting a tmpfs".to_owned())?;
        let view = view(&directory.path().join("cgroups"))?;
        let stage = Self { directory, view };
        stage.fill().context(|| format!("filling {}", stage.directory.path().display()))?;
        Ok(stage)
    }

    fn fill(&self) -> io::Result<()> {
        for name in ["bin", "dev", "proc", "sys"] {
            fs::create_dir_all(self.rootfs().join(name))?;
        }
        fs::copy(BUSYBOX, self.rootfs().join("bin/busybox"))?;
        symlink("busybox", self.rootfs().join("bin/true"))?;
        fs::write(self.floor(), FLOOR)?;
        fs::set_permissions(self.floor(), fs::Permissions::from_mode(0o755))?;
        for kind in Kind::ALL {
            fs::create_dir(self.bundle(kind))?;
            fs::DirBuilder::new().mode(0o700).create(self.state(kind))?;
        }
        Ok(())
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.directory.path().join("rootfs")
    }

    pub(crate) fn floor(&self) -> PathBuf {
        self.directory.path().join("floor")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.directory.path().join("pid")
    }

    /// Where the standard error of the samples goes.
    pub(crate) fn complaints(&self) -> PathBuf {
        self.directory.path().join("stderr")
    }

    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn bundle(&self, kind: Kind) -> PathBuf {
        self.directory.path().join(format!("bundle-{}", kind.name()))
    }

    pub(crate) fn state(&self, kind: Kind) -> PathBuf {
        self.directory.path().join(format!("state-{}", kind.name()))
    }

    /// The cgroupsPath of a container.
    pub(crate) fn cgroup(&self, kind: Kind, id: &str) -> String {
        format!("/{}/{id}", parent(kind))
    }

    /// Makes the parent cgroups of everyone, which on a real host are there as well, so that no sample
    /// pays for them.
    pub(crate) fn prepare(&self, contestants: &[Contestant]) -> Result<()> {
        for contestant in contestants {
            for hierarchy in self.hierarchies() {
                let path = hierarchy.join(parent(contestant.kind));
                fs::create_dir_all(&path)
                    .context(|| format!("making the cgroup {}", path.display()))?;
                // A new cpuset is empty and cannot be used.
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let (from, to) = (hierarchy.join(file), path.join(file));
                    if from.exists() {
                        fs::read(&from)
                            .and_then(|value| fs::write(&to, value))
                            .context(|| format!("filling {}", to.display()))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the configuration of the next container.
    pub(crate) fn configure(&self, kind: Kind, id: &str) -> Result<()> {
        let path = self.bundle(kind).join("config.json");
        fs::write(&path, configuration(&self.rootfs(), &self.cgroup(kind, id)).to_string())
            .context(|| format!("writing {}", path.display()))
    }

    fn hierarchies(&self) -> Vec<PathBuf> {
        match &self.view {
            View::V1(names) => names.iter().map(|name| Path::new(CGROUPS).join(name)).collect(),
            View::V2 => vec![PathBuf::from(CGROUPS)],
        }
    }

    /// Ends and removes the containers of failed samples, then the parent cgroups.
    fn clean(&self) -> io::Result<()> {
        for parent in Kind::ALL.map(parent) {
            for hierarchy in self.hierarchies() {
                let path = hierarchy.join(&parent);
                if !path.exists() {
                    continue;
                }
                for entry in fs::read_dir(&path)?.filter_map(std::result::Result::ok) {
                    if entry.path().is_dir() {
                        end_processes(&entry.path())?;
                        fs::remove_dir(entry.path())?;
                    }
                }
                fs::remove_dir(&path)?;
            }
        }
        unmount(self.directory.path(), UnmountFlags::DETACH)?;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = self.clean() {
            eprintln!("benches: not everything was removed: {error}");
        }
    }
}

/// The cgroup above all containers of one runtime. The pid keeps two benchmarks apart.
fn parent(kind: Kind) -> String {
    format!("teu-bench-{}-{}", kind.name(), std::process::id())
}

/// Kills what is in a cgroup of ours and waits for it: its parent is gone, so it is our child now.
fn end_processes(cgroup: &Path) -> io::Result<()> {
    for pid in fs::read_to_string(cgroup.join("cgroup.procs"))?
        .lines()
        .filter_map(|line| line.parse().ok())
    {
        if let Some(process) = rustix::process::Pid::from_raw(pid) {
            rustix::process::kill_process(process, rustix::process::Signal::KILL)?;
            sys::wait4(pid)?;
        }
    }
    Ok(())
}

fn view(scratch: &Path) -> Result<View> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo")
        .context(|| "reading /proc/self/mountinfo".to_owned())?;
    let mounts: Vec<(&str, &str)> = mountinfo
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            Some((left.split(' ').nth(4)?, right.split(' ').next()?))
        })
        .collect();
    if mounts.contains(&(CGROUPS, "cgroup2")) {
        return Ok(View::V2);
    }
    let names: Vec<String> = mounts
        .iter()
        .filter(|(_, kind)| *kind == "cgroup")
        .filter_map(|(point, _)| {
            Some(point.strip_prefix(CGROUPS)?.trim_start_matches('/').to_owned())
        })
        .collect();
    if names.is_empty() {
        return Err(Error(format!("no cgroups are mounted below {CGROUPS}")));
    }
    version_1_only(scratch, &names)
        .context(|| format!("mounting the cgroups of version 1 over {CGROUPS}"))?;
    Ok(View::V1(names))
}

fn version_1_only(scratch: &Path, names: &[String]) -> io::Result<()> {
    fs::create_dir(scratch)?;
    mount("cgroups", scratch, "tmpfs", MountFlags::empty(), c"mode=755")?;
    for name in names {
        fs::create_dir(scratch.join(name))?;
        mount_bind(Path::new(CGROUPS).join(name), scratch.join(name))?;
    }
    mount_move(scratch, CGROUPS)?;
    Ok(())
}

/// As `runc spec` writes it, but for `true` without a terminal, in a cgroup namespace, and with
/// absolute paths.
fn configuration(rootfs: &Path, cgroup: &str) -> serde_json::Value {
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    let restricted = ["nosuid", "noexec", "nodev"];
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/true"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true
        },
        "root": {"path": rootfs, "readonly": true},
        "hostname": "bench",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": restricted},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                {"type": "cgroup"}
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}
