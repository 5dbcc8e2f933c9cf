//! Limits of `linux.resources` that few kernels or hosts have: set where they are, and never lost in silence.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::Case;
use super::cgroup::{merge, refused, values};
use super::cgroup_limit::set_or_refused;
use crate::harness::{Lab, Result, cgroup, ensure, ensure_eq, fail, lacks, privilege};

const MEMORY: &str = "OCI runtime-spec config-linux.md#memory";
const BLOCK: &str = "OCI runtime-spec config-linux.md#block-io";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "cgroup/cpu-realtime",
        "cpu.realtimeRuntime and cpu.realtimePeriod",
        "OCI runtime-spec config-linux.md#cpu; sched(7), CONFIG_RT_GROUP_SCHED",
        realtime,
    ),
    Case::new(
        "cgroup/memory-kernel",
        "memory.kernel and kernelTCP are set, are refused, or are warned of",
        MEMORY,
        kernel_memory,
    ),
    Case::new("cgroup/memory-hierarchy", "useHierarchy counts what is below", MEMORY, hierarchy),
    Case::new("cgroup/block-leaf-weight", "blockIO.leafWeight is set or is an error", BLOCK, |lab| {
        let files = ["blkio.leaf_weight"];
        set_or_refused(lab, json!({ "blockIO": { "leafWeight": 321 } }), &files, &["321"], "leaf")
    }),
    Case::new("cgroup/block-weight-device", "blockIO.weightDevice", BLOCK, weight_device),
    Case::new(
        "cgroup/block-weight-device-empty",
        "an entry of blockIO.weightDevice without a weight is an error",
        "OCI runtime-spec config-linux.md#block-io: MUST specify at least one of weight or leafWeight",
        weight_device_empty,
    )
    .known("runc 1.1 takes a missing weight for 0, and 0 for none"),
    Case::new(
        "cgroup/rdma",
        "rdma is set or is an error",
        "OCI runtime-spec config-linux.md#rdma",
        rdma,
    ),
    Case::new(
        "cgroup/frozen-parent",
        "create below a frozen cgroup is an error, and does not hang",
        "OCI runtime-spec config-linux.md#control-groups (a frozen cgroup MAY be refused)",
        frozen_parent,
    )
    .known("runc 1.1 hangs until the cgroup is thawed"),
    Case::new(
        "cgroup/no-conversion",
        "what only cgroup v1 has is an error on v2",
        "OCI runtime-spec config-linux.md#unified: MUST generate an error",
        no_conversion,
    )
    .known_on_v2("runc ignores what cgroup v2 does not have"),
];

fn realtime(lab: &Lab) -> Result {
    lab.needs_cgroup_paths()?;
    let Some(root) = cgroup::v1("cpu", "") else {
        return lacks("cgroup v1 with the CPU controller");
    };
    lab.needs(&root.join("cpu.rt_runtime_us").to_string_lossy(), "CONFIG_RT_GROUP_SCHED")?;
    // A cgroup in between would have no budget to pass on.
    let path = format!("/{}-realtime", lab.token);
    let container = lab.container(lab.bundle(|config| {
        merge(config, &json!({ "cpu": { "realtimeRuntime": 2000, "realtimePeriod": 500_000 } }));
        config["linux"]["cgroupsPath"] = path.clone().into();
        config["process"]["args"] = json!(["/probe", "sleep"]);
    })?);
    container.create()?;
    let folder = root.join(path.trim_start_matches('/'));
    ensure_eq!(cgroup::read(&folder, "cpu.rt_runtime_us")?, "2000", "cpu.rt_runtime_us");
    ensure_eq!(cgroup::read(&folder, "cpu.rt_period_us")?, "500000", "cpu.rt_period_us");
    Ok(())
}

/// Neither is recommended, and kernels have given them up one by one.
fn kernel_memory(lab: &Lab) -> Result {
    cgroup::needs("memory")?;
    for (property, file) in
        [("kernel", "memory.kmem.limit_in_bytes"), ("kernelTCP", "memory.kmem.tcp.limit_in_bytes")]
    {
        let limits = json!({ "memory": { "limit": 67_108_864, property: 33_554_432 } });
        let container = lab.container(lab.bundle(|config| merge(config, &limits))?);
        let done = container.try_create()?;
        if done.code != Some(0) {
            done.refused()?;
            continue;
        }
        let folder = cgroup::v1("memory", &container.bundle.cgroup());
        let value = folder.map(|folder| fs::read_to_string(folder.join(file)));
        let set = matches!(value, Some(Ok(text)) if text.trim() == "33554432");
        let warned = done.stderr.to_lowercase().contains("kernel");
        ensure!(set || warned, "memory.{property} is neither in {file} nor warned of");
    }
    Ok(())
}

fn hierarchy(lab: &Lab) -> Result {
    let limits = json!({ "memory": { "limit": 67_108_864, "useHierarchy": true } });
    let container = lab.container(lab.bundle(|config| merge(config, &limits))?);
    cgroup::needs("memory")?;
    container.create()?;
    let leaf = container.bundle.cgroup();
    let Some(folder) = cgroup::v1("memory", &leaf) else {
        // On cgroup v2 there is nothing else: the limit is enough.
        let limit = cgroup::limit(&leaf, cgroup::Limit::Memory)?;
        ensure_eq!(limit, "67108864", "memory.max");
        return Ok(());
    };
    ensure_eq!(cgroup::read(&folder, "memory.use_hierarchy")?, "1", "memory.use_hierarchy");
    Ok(())
}

/// A disk of the case's own, a file, with a scheduler that knows weights; detached when it is dropped.
#[derive(Debug)]
struct Disk {
    name: String,
    /// `major:minor`.
    number: String,
}

impl Disk {
    fn with_bfq(lab: &Lab) -> Result<Self> {
        const CONTROL: &str = "/dev/loop-control";
        lab.needs(CONTROL, "loop devices")?;
        if !privilege::may_write(CONTROL) {
            return lacks("the right to make a loop device");
        }
        let file = lab.folder.join("disk");
        fs::File::create(&file)?.set_len(1 << 20)?;
        let output = Command::new("losetup").args(["--find", "--show"]).arg(&file).output();
        let Ok(output) = output else { return lacks("losetup in $PATH") };
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let Some(name) = path.strip_prefix("/dev/").filter(|_| output.status.success()) else {
            return lacks("a loop device");
        };
        let mut disk = Self { name: name.to_owned(), number: String::new() };
        disk.number = fs::read_to_string(disk.folder().join("dev"))?.trim().to_owned();
        let scheduler = disk.folder().join("queue/scheduler");
        if fs::write(&scheduler, "bfq").is_err() {
            return lacks("the I/O scheduler BFQ");
        }
        Ok(disk)
    }

    fn folder(&self) -> PathBuf {
        Path::new("/sys/block").join(&self.name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The next user of the device finds it as it was.
        drop(fs::write(self.folder().join("queue/scheduler"), "none"));
        drop(
            Command::new("losetup")
                .arg("--detach")
                .arg(Path::new("/dev").join(&self.name))
                .status(),
        );
    }
}

fn weight_device(lab: &Lab) -> Result {
    if cgroup::v1("blkio", "").is_none() && cgroup::v2("io", "").is_none() {
        return lacks("the cgroup controller io");
    }
    let disk = Disk::with_bfq(lab)?;
    let (major, minor) = disk.number.split_once(':').unwrap_or_default();
    let number = |text: &str| text.parse::<i64>().unwrap_or_default();
    let one = json!({ "major": number(major), "minor": number(minor), "weight": 321 });
    let limits = json!({ "blockIO": { "weight": 123, "weightDevice": [one] } });
    // BFQ may be built without weights of cgroups (CONFIG_BFQ_GROUP_IOSCHED).
    let plain = lab.container(lab.bundle(|_| {})?);
    plain.create()?;
    if !weights_of(&plain.bundle.cgroup()).is_some_and(|file| file.exists()) {
        return lacks("weights of cgroups in BFQ");
    }
    let container = lab.container(lab.bundle(|config| merge(config, &limits))?);
    container.create()?;
    let file = weights_of(&container.bundle.cgroup()).unwrap_or_default();
    let text = fs::read_to_string(file)?;
    let wanted = format!("{} 321", disk.number);
    ensure!(text.lines().any(|line| line == wanted), "{wanted} is not in {text:?}");
    Ok(())
}

/// Where BFQ has the weights of a cgroup for one device each.
fn weights_of(leaf: &str) -> Option<PathBuf> {
    cgroup::v1("blkio", leaf)
        .map(|folder| folder.join("blkio.bfq.weight_device"))
        .or_else(|| cgroup::v2("io", leaf).map(|folder| folder.join("io.bfq.weight")))
}

fn weight_device_empty(lab: &Lab) -> Result {
    refused(lab, json!({ "blockIO": { "weightDevice": [{ "major": 8, "minor": 0 }] } }), "weight")
}

fn rdma(lab: &Lab) -> Result {
    let mut devices = fs::read_dir("/sys/class/infiniband").into_iter().flatten().flatten();
    let device = devices.next().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let limits =
        |name: &str| json!({ "rdma": { name: { "hcaHandles": 3, "hcaObjects": 10_000 } } });
    if let Some(name) = device {
        let line = format!("{name} hca_handle=3 hca_object=10000");
        let files = [("rdma.max", line.as_str())];
        return values(lab, limits(&name), "rdma", &files, &files);
    }
    set_or_refused(lab, limits("mlx5_1"), &["rdma.max"], &[], "rdma")
}

fn no_conversion(lab: &Lab) -> Result {
    if !cgroup::is_unified() {
        return lacks("cgroup v2 alone");
    }
    let all: [(&str, Value); 4] = [
        ("swappiness", json!({ "memory": { "swappiness": 17 } })),
        ("disableOOMKiller", json!({ "memory": { "disableOOMKiller": true } })),
        ("classID", json!({ "network": { "classID": 1_048_577 } })),
        ("priorities", json!({ "network": { "priorities": [{ "name": "lo", "priority": 3 }] } })),
    ];
    for (word, limits) in all {
        refused(lab, limits, word)?;
    }
    Ok(())
}

/// Freezes a cgroup, and thaws and removes it when it is dropped.
#[derive(Debug)]
struct Frozen {
    folder: PathBuf,
    file: &'static str,
    words: [&'static str; 2],
}

impl Frozen {
    fn new(path: &str) -> Result<Self> {
        let (folder, file, words) = match (cgroup::v1("freezer", path), cgroup::is_unified()) {
            (Some(folder), _) => (folder, "freezer.state", ["FROZEN", "THAWED"]),
            (None, true) => {
                let mount = cgroup::hierarchies().into_iter().map(|one| one.mount).next();
                let folder = mount.unwrap_or_default().join(path.trim_start_matches('/'));
                (folder, "cgroup.freeze", ["1", "0"])
            }
            (None, false) => return lacks("a freezer"),
        };
        fs::create_dir(&folder)?;
        let frozen = Self { folder, file, words };
        fs::write(frozen.folder.join(file), words[0])?;
        Ok(frozen)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(fs::write(self.folder.join(self.file), self.words[1]));
        drop(fs::remove_dir(&self.folder));
    }
}

fn frozen_parent(lab: &Lab) -> Result {
    lab.needs_cgroup_paths()?;
    let parent = format!("/{}-frozen", lab.cgroup());
    let container = lab.container(lab.bundle(|config| {
        config["linux"]["cgroupsPath"] = format!("{parent}/{}", lab.token).into();
    })?);
    let frozen = Frozen::new(&parent)?;
    let call = container.launch("create", &[]).spawn()?;
    if !call.ends_within(Duration::from_secs(5))? {
        // Thawed, what hangs can be ended.
        drop(frozen);
        call.kill()?;
        return fail("create below a frozen cgroup hangs");
    }
    call.finish()?.refused()?.fails(1, "frozen").map(drop)
}
