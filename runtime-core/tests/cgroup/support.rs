//! A cgroup of one test, and processes in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use oci_spec::runtime::LinuxResources;
use runtime_core::cgroup::{CgroupPlan, CgroupRecord, Prepared, Version, lower, prepare};
use runtime_core::host::{CgroupLayout, Host, V1Hierarchy};

pub(crate) const ROOT: &str = "/sys/fs/cgroup";

/// The layout of this machine, read from /proc/self/mounts.
pub(crate) fn host() -> Host {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let (mut hierarchies, mut unified) = (Vec::new(), None);
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let Some(directory) = fields[1].strip_prefix(ROOT) else { continue };
        let directory = directory.trim_start_matches('/').to_owned();
        match fields[2] {
            "cgroup2" => unified = Some(directory),
            "cgroup" => {
                let name = fields[3].split(',').find_map(|o| o.strip_prefix("name="));
                let controllers = directory.split(',').map(str::to_owned).collect();
                hierarchies.push(V1Hierarchy {
                    directory,
                    controllers: if name.is_some() { Vec::new() } else { controllers },
                    name: name.map(str::to_owned),
                });
            }
            _ => {}
        }
    }
    let cgroups = if hierarchies.is_empty() {
        let text = fs::read_to_string(format!("{ROOT}/cgroup.controllers")).unwrap();
        CgroupLayout::Unified { controllers: text.split_whitespace().map(Into::into).collect() }
    } else {
        CgroupLayout::Legacy { hierarchies, unified }
    };
    Host {
        cgroup_root: ROOT.into(),
        cgroups,
        euid: 0,
        egid: 0,
        effective: u64::MAX,
        initial_user_namespace: true,
        rootless: false,
        delegated: None,
        last_capability: 40,
        bounding: u64::MAX,
        apparmor: false,
        selinux: false,
        systemd: None,
    }
}

/// A cgroup of one test, removed at its end however it ends.
pub(crate) struct Cgroup {
    pub(crate) host: Host,
    pub(crate) plan: CgroupPlan,
    pub(crate) record: CgroupRecord,
}

impl Cgroup {
    pub(crate) fn new(name: &str, resources: &str) -> Self {
        Self::on(host(), name, resources)
    }

    pub(crate) fn on(host: Host, name: &str, resources: &str) -> Self {
        let path = format!("/teu-test-{}-{name}", std::process::id());
        let resources: LinuxResources = serde_json::from_str(resources).unwrap();
        let (plan, _) =
            lower(Some(Path::new(&path)), name, Some(&resources), &BTreeMap::new(), &host).unwrap();
        let record = plan.record(&host);
        Self { host, plan, record }
    }

    pub(crate) fn prepare(&self) -> Prepared {
        prepare(&self.plan, &self.host, None).unwrap()
    }

    pub(crate) fn directories(&self) -> Vec<(PathBuf, Version)> {
        self.record.directories().collect()
    }

    pub(crate) fn existing(&self) -> Vec<PathBuf> {
        self.directories().into_iter().map(|(d, _)| d).filter(|d| d.exists()).collect()
    }

    /// The file in whichever hierarchy has it.
    pub(crate) fn read(&self, v1: &str, v2: &str) -> String {
        let found = self.directories().into_iter().find_map(|(directory, version)| {
            let name = if version == Version::V1 { v1 } else { v2 };
            fs::read_to_string(directory.join(name)).ok()
        });
        found.unwrap_or_else(|| panic!("no {v1} and no {v2}")).trim().to_owned()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = self.record.kill_all().and_then(|()| self.record.destroy()) {
            eprintln!("{error}");
        }
    }
}

/// A shell that joins by writing 0 to the handed files, runs `script`, and has said so.
pub(crate) fn spawn(cgroup: &Cgroup, prepared: &Prepared, script: &str) -> Child {
    let own = std::process::id();
    let mut join = String::new();
    for tasks in prepared.tasks() {
        join += &format!("echo 0 > /proc/{own}/fd/{} || exit 9; ", tasks.as_raw_fd());
    }
    for (directory, version) in cgroup.directories() {
        if version == Version::V2 {
            join += &format!("echo 0 > {}/cgroup.procs || exit 9; ", directory.display());
        }
    }
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!("{join}{script}\necho ready; exec sleep 1000")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}
