//! `linux.namespaces`: which are new, which are the host's, which are somebody else's.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Lab, Result, Stop, ensure, ensure_eq, needs_linux};

const SPEC: &str = "OCI runtime-spec config-linux.md#namespaces";
const ERROR: &str = "OCI runtime-spec config-linux.md#namespaces MUST generate an error";
const NO_TIME: &str = "runc 1.1 does not know the time namespace";

pub(super) const CASES: &[Case] = &[
    Case::new("namespace/new-pid", "a new pid namespace", SPEC, |lab| new(lab, "pid")),
    Case::new("namespace/new-network", "a new network namespace", SPEC, |lab| new(lab, "network")),
    Case::new("namespace/new-ipc", "a new ipc namespace", SPEC, |lab| new(lab, "ipc")),
    Case::new("namespace/new-uts", "a new uts namespace", SPEC, |lab| new(lab, "uts")),
    Case::new("namespace/new-mount", "a new mount namespace", SPEC, |lab| new(lab, "mount")),
    Case::new("namespace/new-cgroup", "a new cgroup namespace", SPEC, |lab| new(lab, "cgroup")),
    Case::new("namespace/new-time", "a new time namespace", SPEC, |lab| new(lab, "time"))
        .known(NO_TIME),
    Case::new("namespace/host-pid", "without pid: the host's", SPEC, |lab| host(lab, "pid")),
    Case::new("namespace/host-network", "without network: the host's", SPEC, |lab| {
        host(lab, "network")
    }),
    Case::new("namespace/host-ipc", "without ipc: the host's", SPEC, |lab| host(lab, "ipc")),
    Case::new("namespace/host-uts", "without uts: the host's", SPEC, |lab| host(lab, "uts")),
    Case::new("namespace/host-cgroup", "without cgroup: the host's", SPEC, |lab| {
        host(lab, "cgroup")
    }),
    Case::new("namespace/host-mount", "without mount: the host's", SPEC, host_mount)
        .known("runc 1.1 closes descriptors by /proc/self/fd of the container"),
    Case::new("namespace/host-user", "without user: the host's", SPEC, |lab| host(lab, "user")),
    Case::new("namespace/host-time", "without time: the host's", SPEC, |lab| host(lab, "time")),
    Case::new("namespace/join-pid", "the pid namespace of a path", SPEC, |lab| join(lab, "pid")),
    Case::new("namespace/join-network", "the network namespace of a path", SPEC, |lab| {
        join(lab, "network")
    }),
    Case::new("namespace/join-ipc", "the ipc namespace of a path", SPEC, |lab| join(lab, "ipc")),
    Case::new("namespace/join-uts", "the uts namespace of a path", SPEC, |lab| join(lab, "uts")),
    Case::new("namespace/join-mount", "the mount namespace of a path", SPEC, |lab| {
        join(lab, "mount")
    }),
    Case::new("namespace/join-cgroup", "the cgroup namespace of a path", SPEC, |lab| {
        join(lab, "cgroup")
    }),
    Case::new("namespace/join-time", "the time namespace of a path", SPEC, |lab| join(lab, "time"))
        .known(NO_TIME),
    Case::new(
        "namespace/container-network",
        "the network of another container, the rest new",
        "docker run --net container:X",
        |lab| share(lab, &["network"]),
    ),
    Case::new(
        "namespace/container-pod",
        "network, ipc and uts of another container, as in a pod",
        "Kubernetes: the containers of a pod share the sandbox's namespaces",
        |lab| share(lab, &["network", "ipc", "uts"]),
    ),
    Case::new(
        "namespace/container-pid",
        "the pid namespace of another container",
        "Kubernetes shareProcessNamespace; docker run --pid container:X",
        |lab| share(lab, &["pid"]),
    ),
    Case::new("namespace/container-all", "all but mount of another container", SPEC, |lab| {
        share(lab, &["pid", "network", "ipc", "uts", "cgroup"])
    }),
    Case::new("namespace/hostname", "the hostname is set, the host's stays", SPEC, hostname),
    Case::new("namespace/hostname-joined", "the name of a joined uts namespace", SPEC, joined_name),
    Case::new("namespace/hostname-without-uts", "hostname needs an own uts", SPEC, |lab| {
        refused(lab, |config| without(config, "uts", false))
    }),
    Case::new("namespace/domainname", "the domainname is set", SPEC, domainname)
        .known("runc 1.1 implements runtime-spec 1.0.2, which has no domainname"),
    Case::new("namespace/domainname-without-uts", "domainname needs an own uts", SPEC, |lab| {
        refused(lab, |config| {
            without(config, "uts", true);
            config["domainname"] = "example.org".into();
        })
    })
    .known("runc 1.1 implements runtime-spec 1.0.2, which has no domainname"),
    Case::new(
        "namespace/loopback",
        "lo is there and up, and nothing else is",
        "runc: a new network namespace has its loopback up",
        loopback,
    ),
    Case::new("namespace/time-offsets", "clocks are shifted as configured", SPEC, time_offsets)
        .known(NO_TIME),
    Case::new("namespace/wrong-type", "a path of another type", ERROR, |lab| {
        let path = format!("/proc/{}/ns/net", std::process::id());
        refused(lab, |config| replace(config, "ipc", json!({ "type": "ipc", "path": path })))
    }),
    Case::new("namespace/not-a-namespace", "a path that is an ordinary file", ERROR, |lab| {
        refused(lab, |config| {
            replace(config, "ipc", json!({ "type": "ipc", "path": "/etc/passwd" }));
        })
    }),
    Case::new("namespace/missing-path", "a path that is not there", SPEC, |lab| {
        refused(lab, |config| {
            replace(config, "ipc", json!({ "type": "ipc", "path": "/nowhere/ipc" }));
        })
    }),
    Case::new("namespace/relative-path", "a path that is not absolute", ERROR, relative_path),
    Case::new("namespace/duplicate", "the same type twice", ERROR, |lab| {
        refused(lab, |config| add(config, json!({ "type": "ipc" })))
    }),
    Case::new("namespace/unknown-type", "a type that nobody knows", SPEC, |lab| {
        refused(lab, |config| add(config, json!({ "type": "astral" })))
    }),
    Case::new(
        "namespace/masked-without-mount",
        "maskedPaths on the host's mounts would mask the host's files",
        "runc: unable to restrict sys entries without a private MNT namespace",
        |lab| refused(lab, |config| without(config, "mount", false)),
    ),
];

/// The kernel's name in `/proc/PID/ns`.
pub(super) fn file(kind: &str) -> &str {
    match kind {
        "network" => "net",
        "mount" => "mnt",
        other => other,
    }
}

/// The identity of a namespace of a process, for example `net:[4026531833]`.
pub(super) fn link(pid: i32, name: &str) -> Result<String> {
    Ok(fs::read_link(format!("/proc/{pid}/ns/{name}"))?.to_string_lossy().into_owned())
}

fn own(kind: &str) -> Result<String> {
    link(i32::try_from(std::process::id()).unwrap_or(0), file(kind))
}

pub(super) fn add(config: &mut Value, entry: Value) {
    if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
        list.push(entry);
    }
}

/// Removes a type from the list, and the hostname if asked to.
pub(super) fn without(config: &mut Value, kind: &str, hostname: bool) {
    if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
        list.retain(|one| one["type"] != kind);
    }
    if hostname && let Some(config) = config.as_object_mut() {
        config.remove("hostname");
    }
}

/// Puts `entry` in the place of the type's entry, if there is one.
pub(super) fn replace(config: &mut Value, kind: &str, entry: Value) {
    without(config, kind, kind == "uts");
    add(config, entry);
}

fn refused(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result {
    lab.container(lab.bundle(edit)?).try_create()?.refused().map(drop)
}

/// The path would lead to a namespace from the bundle, where runc works.
fn relative_path(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        replace(config, "network", json!({ "type": "network", "path": "joined" }));
    })?;
    let target = format!("/proc/{}/ns/net", std::process::id());
    std::os::unix::fs::symlink(target, bundle.folder.join("joined"))?;
    lab.container(bundle).try_create()?.refused().map(drop)
}

fn new(lab: &Lab, kind: &str) -> Result {
    has(lab, kind)?;
    let bundle = lab.bundle(|config| {
        without(config, kind, false);
        add(config, json!({ "type": kind }));
    })?;
    let facts = lab.container(bundle).facts()?;
    let got = facts["namespaces"][file(kind)].as_str().unwrap_or_default();
    ensure!(!got.is_empty(), "the workload has no {kind} namespace");
    ensure!(got != own(kind)?, "the {kind} namespace is the caller's: {got}");
    Ok(())
}

fn host(lab: &Lab, kind: &str) -> Result {
    has(lab, kind)?;
    let facts =
        lab.container(lab.bundle(|config| without(config, kind, kind == "uts"))?).facts()?;
    ensure_eq!(facts["namespaces"][file(kind)], own(kind)?, "{kind} namespace");
    Ok(())
}

/// There is nothing to mount then, or it would be mounted on the host.
fn host_mount(lab: &Lab) -> Result {
    let c = lab.container(lab.bundle(|config| {
        without(config, "mount", false);
        config["mounts"] = json!([]);
        if let Some(all) = config["linux"].as_object_mut() {
            all.retain(|word, _| !["maskedPaths", "readonlyPaths"].contains(&word.as_str()));
        }
        config["root"]["readonly"] = false.into();
        config["process"]["args"] = json!(["/probe", "sleep"]);
    })?);
    c.up_ready()?;
    let pid = c.pid()?;
    let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}"));
    ensure_eq!(link("ns/mnt")?, fs::read_link("/proc/self/ns/mnt")?, "mount namespace");
    ensure_eq!(link("root")?, fs::canonicalize(c.bundle.rootfs())?, "root");
    Ok(())
}

/// A process that holds a namespace of its own, until it goes out of scope.
struct Holder {
    child: Child,
    path: String,
}

impl Holder {
    fn new(kind: &str) -> Result<Self> {
        let flag = match kind {
            "network" => "--net",
            "pid" => "--pid",
            "ipc" => "--ipc",
            "uts" => "--uts",
            "mount" => "--mount",
            "cgroup" => "--cgroup",
            _ => "--time",
        };
        let mut command = Command::new("unshare");
        command.arg(flag);
        // Only a child is in these; a pid namespace also needs its process 1.
        if matches!(kind, "pid" | "time") {
            command.args(["--fork", "--kill-child"]);
        }
        let mut child = command
            .args(["sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let name = match kind {
            "pid" => "pid_for_children",
            "time" => "time_for_children",
            other => file(other),
        };
        let path = format!("/proc/{}/ns/{name}", child.id());
        let holder = Self { child, path };
        ensure_eq!(line, "ready\n", "unshare {flag}");
        Ok(holder)
    }

    fn identity(&self) -> Result<String> {
        Ok(fs::read_link(&self.path)?.to_string_lossy().into_owned())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It ends at the end of its input; what is not reaped is found by the leak check.
        drop(self.child.stdin.take());
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn join(lab: &Lab, kind: &str) -> Result {
    has(lab, kind)?;
    let holder = Holder::new(kind)?;
    let entry = json!({ "type": kind, "path": holder.path });
    let facts = lab.container(lab.bundle(|config| replace(config, kind, entry))?).facts()?;
    ensure_eq!(facts["namespaces"][file(kind)], holder.identity()?, "{kind} namespace");
    ensure!(holder.identity()? != own(kind)?, "unshare made no {kind} namespace");
    Ok(())
}

/// A second container joins these namespaces of a first one; all others are its own.
fn share(lab: &Lab, kinds: &[&str]) -> Result {
    const ALL: [&str; 6] = ["pid", "network", "ipc", "uts", "cgroup", "mount"];
    let first = lab.container(lab.bundle(|config| {
        add(config, json!({ "type": "cgroup" }));
        config["process"]["args"] = json!(["/probe", "sleep"]);
    })?);
    first.up_ready()?;
    let pid = first.pid()?;
    let second = lab.container(lab.bundle(|config| {
        add(config, json!({ "type": "cgroup" }));
        for kind in kinds {
            let path = format!("/proc/{pid}/ns/{}", file(kind));
            replace(config, kind, json!({ "type": kind, "path": path }));
        }
    })?);
    let facts = second.facts()?;
    for kind in ALL {
        let got = facts["namespaces"][file(kind)].as_str().unwrap_or_default();
        let theirs = link(pid, file(kind))?;
        ensure_eq!(got == theirs, kinds.contains(&kind), "{kind} is shared ({got} and {theirs})");
        ensure!(got != own(kind)?, "{kind} is the host's");
    }
    ensure_eq!(facts["pid"] == 1, !kinds.contains(&"pid"), "the workload is process 1");
    ensure_eq!(facts["interfaces"]["lo"]["up"], true, "loopback");
    drop(second);
    ensure_eq!(first.status()?, "running", "the first container after the end of the second");
    Ok(())
}

fn hostname(lab: &Lab) -> Result {
    let before = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let facts = lab.container(lab.bundle(|config| config["hostname"] = "a-b.c".into())?).facts()?;
    ensure_eq!(facts["hostname"], "a-b.c", "hostname");
    ensure_eq!(fs::read_to_string("/proc/sys/kernel/hostname")?, before, "the host's name");
    Ok(())
}

/// A container that joins must not rename the one it joins.
fn joined_name(lab: &Lab) -> Result {
    let first = lab.container(lab.bundle(|config| {
        config["hostname"] = "first".into();
        config["process"]["args"] = json!(["/probe", "sleep"]);
    })?);
    first.up_ready()?;
    let path = format!("/proc/{}/ns/uts", first.pid()?);
    let facts = lab
        .container(
            lab.bundle(|config| replace(config, "uts", json!({ "type": "uts", "path": path })))?,
        )
        .facts()?;
    ensure_eq!(facts["hostname"], "first", "hostname in the joined namespace");
    Ok(())
}

fn domainname(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| config["domainname"] = "example.org".into())?;
    ensure_eq!(lab.container(bundle).facts()?["domainname"], "example.org", "domainname");
    Ok(())
}

fn loopback(lab: &Lab) -> Result {
    let facts = lab.container(lab.bundle(|_| {})?).facts()?;
    ensure_eq!(facts["interfaces"]["lo"]["up"], true, "lo");
    Ok(())
}

fn time_offsets(lab: &Lab) -> Result {
    has(lab, "time")?;
    let before = uptime()?;
    let bundle = lab.bundle(|config| {
        add(config, json!({ "type": "time" }));
        config["linux"]["timeOffsets"] = json!({
            "monotonic": { "secs": 100_000, "nanosecs": 5 },
            "boottime": { "secs": 2_000_000 },
        });
    })?;
    let facts = lab.container(bundle).facts()?;
    let shifted = facts["boottime"].as_i64().unwrap_or(0) - before;
    ensure!(
        (2_000_000..2_000_060).contains(&shifted),
        "the container's boottime is {shifted} s ahead, want 2000000"
    );
    let offsets = facts["timeOffsets"].as_str().unwrap_or_default();
    let words: Vec<&str> = offsets.split_whitespace().collect();
    let wanted = ["monotonic", "100000", "5", "boottime", "2000000", "0"];
    ensure_eq!(words, wanted, "timens_offsets");
    Ok(())
}

/// Seconds since boot, as the host sees them.
/// A kernel may be built without time namespaces, and before 6.3 execve(2) does not enter one.
fn has(lab: &Lab, kind: &str) -> Result {
    if kind == "time" {
        lab.needs("/proc/self/ns/time", "time namespaces")?;
        needs_linux(6, 3, "time namespaces that execve(2) enters")?;
    }
    Ok(())
}

fn uptime() -> Result<i64> {
    let text = fs::read_to_string("/proc/uptime")?;
    let whole = text.split('.').next().and_then(|seconds| seconds.parse().ok());
    whole.ok_or_else(|| Stop::Fail(format!("/proc/uptime is {text:?}")))
}
