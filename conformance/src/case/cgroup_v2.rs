//! What only cgroup v2 has: delegation, device programs beside others', the rules of the tree.

use std::fs;
use std::io::{Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::{Value, json};

use super::exec::{exec, sleeper};
use super::{Case, cgroup_device, namespace, rootfs, user_namespace};
use crate::harness::container::PATIENCE;
use crate::harness::{Bundle, Container, Lab, Result, cgroup, ensure, ensure_eq, lacks};
use crate::sys::bpf;

const OWNER: &str = "OCI runtime-spec config-linux.md#cgroup-ownership";
const KERNEL: &str = "kernel Documentation/admin-guide/cgroup-v2.rst";
const SYSTEMD_ONLY: &str = "runc 1.1 gives cgroups away with its systemd driver only";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "cgroup/owner-v2",
        "a writable cgroup of its own belongs to the container's root, its limits do not",
        OWNER,
        |lab| given(lab, user_namespace::bundle(lab, writable)?, user_namespace::ids().0),
    )
    .known(SYSTEMD_ONLY),
    Case::new(
        "cgroup/owner-v2-user",
        "it belongs to process.user where there is no user namespace",
        OWNER,
        |lab| {
            let bundle = lab.bundle(|config| {
                config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
                writable(config);
            })?;
            given(lab, bundle, 1000)
        },
    )
    .known(SYSTEMD_ONLY),
    Case::new(
        "cgroup/owner-v2-stays",
        "it stays root's without a cgroup namespace, or where the mount is read-only",
        OWNER,
        kept,
    ),
    Case::new(
        "cgroup/delegated",
        "the container's root makes cgroups and moves there, and cannot lift its limits",
        "cgroups(7) \"Cgroups delegation\"",
        delegated,
    )
    .known(SYSTEMD_ONLY),
    Case::new(
        "exec/inner-node",
        "a container that manages cgroups itself has moved init down: exec follows, pause and delete work",
        "cgroups(7) \"no internal processes\" rule; runc: EBUSY joins init's cgroup",
        inner_node,
    ),
    Case::new(
        "cgroup/devices-beside",
        "a device program of another manager stays in force beside the container's own",
        "bpf(2) BPF_F_ALLOW_MULTI; systemd has one for DevicePolicy=",
        beside,
    ),
    Case::new(
        "cgroup/devices-exclusive",
        "device rules that another manager's program leaves no room for are an error",
        "bpf(2) BPF_PROG_ATTACH: EPERM",
        exclusive,
    ),
    Case::new(
        "cgroup/controllers",
        "controllers are passed on down a path that is not there yet",
        KERNEL,
        controllers,
    ),
    Case::new(
        "cgroup/busy-parent",
        "a cgroup with processes of its own can pass no controller on: a limit below it is an error",
        "cgroups(7) \"no internal processes\" rule",
        busy_parent,
    ),
    Case::new(
        "cgroup/threaded-parent",
        "no container can be below a threaded cgroup: an error, and nothing is left",
        "cgroups(7) \"Thread mode\"",
        threaded_parent,
    ),
    Case::new(
        "cgroup/unified-lines",
        "an entry of unified with several lines is written line by line",
        "OCI runtime-spec config-linux.md#unified",
        unified_lines,
    )
    .known("runc 1.1 writes all of it at once, which io.max refuses"),
    Case::new(
        "pause/sub-cgroups",
        "what is in cgroups below the container's is paused, too",
        "runc-pause(8); cgroup-v2.rst cgroup.freeze",
        paused_below,
    ),
];

/// The folder of `path` on a host with cgroup v2 alone.
fn alone(path: &str) -> Result<PathBuf> {
    if !cgroup::is_unified() {
        return lacks("cgroup v2 alone");
    }
    cgroup::needs_any()?;
    let root = cgroup::hierarchies().pop().map(|one| one.mount).unwrap_or_default();
    Ok(root.join(path))
}

/// A cgroup namespace, and its file system with these options.
fn mounted(config: &mut Value, options: &[&str]) {
    namespace::add(config, json!({ "type": "cgroup" }));
    rootfs::add(
        config,
        json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options }),
    );
}

fn writable(config: &mut Value) {
    mounted(config, &["nosuid", "noexec", "nodev", "relatime", "rw"]);
    config["process"]["args"] = json!(["/probe", "sleep"]);
}

fn owner(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.uid())
}

fn given(lab: &Lab, bundle: Bundle, user: u32) -> Result {
    let folder = alone(&bundle.cgroup())?;
    let container = lab.container(bundle);
    container.create()?;
    ensure_eq!(owner(&folder)?, user, "owner of the cgroup");
    let list = fs::read_to_string("/sys/kernel/cgroup/delegate")
        .unwrap_or_else(|_| "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n".into());
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wanted = if list.lines().any(|line| line == name) { user } else { 0 };
        ensure_eq!(owner(&path)?, wanted, "owner of {name}");
    }
    Ok(())
}

fn kept(lab: &Lab) -> Result {
    alone("")?;
    let read_only = user_namespace::bundle(lab, |config| {
        mounted(config, &["nosuid", "noexec", "nodev", "ro"]);
    })?;
    let shared = lab.bundle(|config| config["process"]["user"] = json!({ "uid": 7, "gid": 7 }))?;
    for bundle in [read_only, shared] {
        let folder = alone(&bundle.cgroup())?;
        let container = lab.container(bundle);
        container.create()?;
        for name in ["", "cgroup.procs", "cgroup.subtree_control"] {
            ensure_eq!(owner(&folder.join(name))?, 0, "owner of {name:?} in the cgroup");
        }
    }
    Ok(())
}

fn delegated(lab: &Lab) -> Result {
    alone("")?;
    cgroup::needs("pids")?;
    let script = "cd /sys/fs/cgroup && busybox mkdir -p own/leaf && echo $$ >own/leaf/cgroup.procs \
        && cat /proc/self/cgroup && echo max 2>&1 >pids.max; cat pids.max";
    let container = lab.container(user_namespace::bundle(lab, |config| {
        writable(config);
        config["linux"]["resources"]["pids"] = json!({ "limit": 50 });
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?);
    let output = container.run()?.ok()?.stdout;
    ensure!(output.starts_with("0::/own/leaf\n"), "where the process is: {output:?}");
    ensure!(output.ends_with("\n50\n"), "the limit after writing to it: {output:?}");
    Ok(())
}

fn inner_node(lab: &Lab) -> Result {
    alone("")?;
    cgroup::needs("pids")?;
    let script = "cd /sys/fs/cgroup && busybox mkdir init && echo $$ >init/cgroup.procs \
        && echo +pids >cgroup.subtree_control && echo ready && exec /probe sleep";
    let container = lab.container(lab.bundle(|config| {
        writable(config);
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?);
    container.up_ready()?;
    let folder = alone(&container.bundle.cgroup())?;
    ensure_eq!(cgroup::read(&folder, "cgroup.subtree_control")?, "pids", "passed on inside");
    let done = exec(lab, &container, &[], &["/bin/cat", "/proc/self/cgroup"]).run()?.ok()?;
    ensure_eq!(done.stdout, "0::/init\n", "where the process of exec is");
    container.call("pause").run()?.ok()?;
    ensure_eq!(container.status()?, "paused", "status");
    container.call("resume").run()?.ok()?;
    container.delete_force()?.ok().map(drop)
}

/// The container's parent cgroup with a program that denies a device, and a container that may use that one and not
/// another: what opening both ends in.
fn with_program<'l>(lab: &'l Lab, flags: u32) -> Result<(Container<'l>, Vec<i64>)> {
    lab.needs_cgroup_paths()?;
    lab.needs_devices()?;
    let taken = cgroup_device::free_major()?;
    let majors = [taken, cgroup_device::free_major_but(taken)?];
    let parent = alone(&lab.cgroup())?;
    fs::create_dir_all(&parent)?;
    let program = bpf::load_deny(u8::try_from(taken).unwrap_or(u8::MAX))?;
    bpf::attach(fs::File::open(&parent)?.as_fd(), program.as_fd(), flags)?;
    let node = |index: usize| json!({ "path": format!("/dev/odd{index}"), "type": "c", "major": majors[index], "minor": 7 });
    let rule = |allow: bool, major: i64| json!({ "allow": allow, "type": "c", "major": major, "minor": 7, "access": "rw" });
    let container = lab.container(lab.bundle(|config| {
        config["linux"]["devices"] = json!([node(0), node(1)]);
        config["linux"]["resources"]["devices"] = json!([
            { "allow": false, "access": "rwm" }, rule(true, majors[0]), rule(true, majors[1]),
            { "allow": false, "type": "c", "major": majors[1], "minor": 8, "access": "rw" }
        ]);
        config["process"]["args"] = json!(["/probe", "sleep"]);
    })?);
    Ok((container, majors.to_vec()))
}

fn beside(lab: &Lab) -> Result {
    let (container, majors) = with_program(lab, bpf::ALLOW_MULTI)?;
    container.up_ready()?;
    let open = |path: &str| -> Result<String> {
        Ok(exec(lab, &container, &[], &["/probe", "open", path]).run()?.ok()?.stdout)
    };
    // The kernel knows no driver for the number that is allowed by both.
    ensure_eq!(open("/dev/odd0")?, format!("errno {}\n", libc::EPERM), "denied above: {majors:?}");
    ensure_eq!(open("/dev/odd1")?, format!("errno {}\n", libc::ENXIO), "allowed by both");
    ensure_eq!(open("/dev/null")?, "ok\n", "a default device");
    container.delete_force()?.ok()?;
    // The other one has stayed: a container without rules of its own meets it.
    let again = lab.container(lab.bundle(|config| {
        config["linux"]["devices"] =
            json!([{ "path": "/dev/odd", "type": "c", "major": majors[0], "minor": 7 }]);
        config["linux"]["resources"]["devices"] = json!([{ "allow": true, "access": "rwm" }]);
        config["process"]["args"] = json!(["/probe", "open", "/dev/odd"]);
    })?);
    let output = again.run()?.ok()?.stdout;
    ensure_eq!(output, format!("errno {}\n", libc::EPERM), "the other program after delete");
    Ok(())
}

fn exclusive(lab: &Lab) -> Result {
    let (container, _) = with_program(lab, 0)?;
    container.try_create()?.refused()?.fails(1, "device|DEVICE").map(drop)
}

fn controllers(lab: &Lab) -> Result {
    lab.needs_cgroup_paths()?;
    let root = alone(cgroup::base().trim_start_matches('/'))?;
    let path = format!("{}/a/b/{}-c", lab.cgroup(), lab.token);
    let container = sleeper(lab, |config| {
        config["linux"]["cgroupsPath"] = format!("/{path}").into();
        config["linux"]["resources"]["pids"] = json!({ "limit": 9 });
    })?;
    let folder = alone(&path)?;
    let has = |folder: &Path| cgroup::read(folder, "cgroup.controllers");
    for name in has(&root)?.split(' ').filter(|name| ["memory", "pids", "cpu"].contains(name)) {
        ensure!(has(&folder)?.split(' ').any(|other| other == name), "{name} at the container");
    }
    ensure_eq!(cgroup::read(&folder, "pids.max")?, "9", "pids.max");
    container.delete_force()?.ok().map(drop)
}

/// A process that waits in a cgroup which is there before the container.
fn occupied(parent: &Path) -> Result<std::process::Child> {
    fs::create_dir_all(parent)?;
    let somebody = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    fs::write(parent.join("cgroup.procs"), somebody.id().to_string())?;
    Ok(somebody)
}

fn busy_parent(lab: &Lab) -> Result {
    lab.needs_cgroup_paths()?;
    let parent = alone(&lab.cgroup())?;
    cgroup::needs("memory")?;
    let container = lab.container(lab.bundle(|config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 67_108_864 });
    })?);
    let mut somebody = occupied(&parent)?;
    let outcome = container.try_create();
    drop(somebody.stdin.take());
    somebody.wait()?;
    outcome?.refused()?.fails(1, &format!("{}|subtree_control", lab.token))?;
    // And without it the same container can be made.
    container.create()?;
    container.delete_force()?.ok().map(drop)
}

fn threaded_parent(lab: &Lab) -> Result {
    lab.needs_cgroup_paths()?;
    let parent = alone(&lab.cgroup())?;
    fs::create_dir_all(&parent)?;
    match fs::write(parent.join("cgroup.type"), "threaded") {
        // What is delegated already passes controllers on, and then only whole processes can be below.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            return lacks("a cgroup that may become threaded");
        }
        other => other?,
    }
    let container = lab.container(lab.bundle(|config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 67_108_864 });
    })?);
    container.try_create()?.refused()?.fails(1, "cgroup")?;
    ensure_eq!(
        cgroup::named(&container.bundle.cgroup()),
        Vec::<PathBuf>::new(),
        "cgroups after the refusal"
    );
    Ok(())
}

fn unified_lines(lab: &Lab) -> Result {
    alone("")?;
    if cgroup::v2("io", "").is_none() {
        return lacks("the controller io on cgroup v2");
    }
    let mut devices = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        devices.extend(fs::read_to_string(entry?.path().join("dev")));
    }
    let [one, other, ..] = devices.as_slice() else { return lacks("two block devices") };
    let (one, other) = (one.trim(), other.trim());
    let lines = format!("{one} rbps=1048576\n{other} wbps=2097152\n");
    let container = sleeper(lab, |config| {
        config["linux"]["resources"]["unified"] = json!({ "io.max": lines });
    })?;
    let found = cgroup::read(&alone(&container.bundle.cgroup())?, "io.max")?;
    for (device, limit) in [(one, "rbps=1048576"), (other, "wbps=2097152")] {
        let line = found.lines().find(|line| line.split(' ').next() == Some(device));
        ensure!(line.is_some_and(|line| line.contains(limit)), "{device} {limit}: {found:?}");
    }
    Ok(())
}

fn frozen(events: &mut fs::File) -> Result<bool> {
    let mut text = String::new();
    events.rewind()?;
    events.read_to_string(&mut text)?;
    Ok(text.lines().any(|line| line == "frozen 1"))
}

fn paused_below(lab: &Lab) -> Result {
    alone("")?;
    let script = "busybox mkdir /sys/fs/cgroup/x || exit 3; \
        sleep 1000 & echo $! >/sys/fs/cgroup/x/cgroup.procs && echo ready; wait";
    let container = lab.container(lab.bundle(|config| {
        writable(config);
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?);
    let below = alone(&container.bundle.cgroup())?.join("x");
    container.up_ready()?;
    let mut events = fs::File::open(below.join("cgroup.events"))?;
    ensure!(!frozen(&mut events)?, "frozen before pause");
    container.call("pause").run()?.ok()?;
    // The kernel tells of each change since the file was read last; a runtime may not have waited for this one.
    let end = std::time::Instant::now() + PATIENCE;
    while !frozen(&mut events)? {
        let left = end.saturating_duration_since(std::time::Instant::now());
        ensure!(!left.is_zero(), "what is below runs on");
        let left = rustix::event::Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: left.subsec_nanos().into(),
        };
        poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&left))?;
    }
    container.call("resume").run()?.ok()?;
    container.kill("KILL")?;
    container.wait()?;
    container.delete().map(drop)
}
