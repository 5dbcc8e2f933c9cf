//! `spec`: a config.json to start from, with the content that `runc spec` has since its 1.2.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::version::SPECIFICATION;
use super::{Call, Command};
use crate::args::{Flag, Syntax};
use crate::exit::Failure;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "spec",
        operands: "",
        count: 0..=0,
        about: "write a config.json to start from",
        description: "The file runs `sh` in the root file system `rootfs` beside it. Edit process.args, or set\n\
                      process.terminal to false for a program without a terminal.",
        flags: &[
            Flag::with("bundle", "DIR", "where to write config.json (default: here)").short('b'),
            Flag::switch("rootless", "for a container of the user who calls this"),
        ],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let bundle = call.given.value("bundle").filter(|b| !b.is_empty()).map(PathBuf::from);
    let path = bundle.map_or_else(|| "config.json".into(), |bundle| bundle.join("config.json"));
    let spec = if call.given.on("rootless") {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        rootless(uid, gid)
    } else {
        default(unified())
    };
    let open = |path: &PathBuf| OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = open(&path).map_err(|error| match error.kind() {
        // The text is runc's; people know it.
        std::io::ErrorKind::AlreadyExists => {
            Failure::Other("File config.json exists. Remove it first".into())
        }
        _ => Failure::os(format!("open({})", path.display()), error),
    })?;
    let text = text(&spec).map_err(|error| Failure::Other(format!("config.json: {error}")))?;
    file.write_all(&text)
        .map_err(|error| Failure::os(format!("write({})", path.display()), error))?;
    Ok(0)
}

/// Indented by tabs, as config.json is everywhere.
fn text(spec: &Spec) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::new();
    spec.serialize(&mut Serializer::with_formatter(
        &mut text,
        PrettyFormatter::with_indent(b"\t"),
    ))?;
    text.push(b'\n');
    Ok(text)
}

/// cgroup2 alone is mounted: then the container gets a cgroup namespace, as with runc.
fn unified() -> bool {
    const CGROUP2: i64 = 0x6367_7270;
    rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|fs| fs.f_type == CGROUP2)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    oci_version: &'static str,
    process: Process,
    root: Root,
    hostname: &'static str,
    mounts: Vec<Mount>,
    linux: Linux,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    terminal: bool,
    user: User,
    args: [&'static str; 1],
    env: [&'static str; 2],
    cwd: &'static str,
    capabilities: Capabilities,
    rlimits: [Rlimit; 1],
    no_new_privileges: bool,
}

#[derive(Serialize)]
struct User {
    uid: u32,
    gid: u32,
}

#[derive(Serialize)]
struct Capabilities {
    bounding: [&'static str; 3],
    effective: [&'static str; 3],
    permitted: [&'static str; 3],
}

#[derive(Serialize)]
struct Rlimit {
    #[serde(rename = "type")]
    kind: &'static str,
    hard: u64,
    soft: u64,
}

#[derive(Serialize)]
struct Root {
    path: &'static str,
    readonly: bool,
}

#[derive(Serialize)]
struct Mount {
    destination: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    source: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    options: &'static [&'static str],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    #[serde(skip_serializing_if = "Option::is_none")]
    uid_mappings: Option<[IdMapping; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid_mappings: Option<[IdMapping; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Resources>,
    namespaces: Vec<Namespace>,
    masked_paths: &'static [&'static str],
    readonly_paths: &'static [&'static str],
}

#[derive(Serialize)]
struct IdMapping {
    #[serde(rename = "containerID")]
    container: u32,
    #[serde(rename = "hostID")]
    host: u32,
    size: u32,
}

#[derive(Serialize)]
struct Resources {
    devices: [DeviceRule; 1],
}

#[derive(Serialize)]
struct DeviceRule {
    allow: bool,
    access: &'static str,
}

#[derive(Serialize)]
struct Namespace {
    #[serde(rename = "type")]
    kind: &'static str,
}

const fn mount(
    destination: &'static str,
    kind: &'static str,
    source: &'static str,
    options: &'static [&'static str],
) -> Mount {
    Mount { destination, kind, source, options }
}

fn mounts(devpts: Mount, sys: Mount) -> Vec<Mount> {
    vec![
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        devpts,
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        sys,
        mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        ),
    ]
}

fn namespaces(kinds: &[&'static str]) -> Vec<Namespace> {
    kinds.iter().map(|kind| Namespace { kind }).collect()
}

fn default(unified: bool) -> Spec {
    const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    let devpts: &[&str] =
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    let mut kinds = vec!["pid", "network", "ipc", "uts", "mount"];
    if unified {
        kinds.push("cgroup");
    }
    Spec {
        oci_version: SPECIFICATION,
        process: Process {
            terminal: true,
            user: User { uid: 0, gid: 0 },
            args: ["sh"],
            env: [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
            ],
            cwd: "/",
            capabilities: Capabilities {
                bounding: CAPABILITIES,
                effective: CAPABILITIES,
                permitted: CAPABILITIES,
            },
            rlimits: [Rlimit { kind: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
            no_new_privileges: true,
        },
        root: Root { path: "rootfs", readonly: true },
        hostname: "teu",
        mounts: mounts(
            mount("/dev/pts", "devpts", "devpts", devpts),
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        ),
        linux: Linux {
            uid_mappings: None,
            gid_mappings: None,
            resources: Some(Resources { devices: [DeviceRule { allow: false, access: "rwm" }] }),
            namespaces: namespaces(&kinds),
            masked_paths: &[
                "/proc/acpi",
                "/proc/asound",
                "/proc/kcore",
                "/proc/keys",
                "/proc/latency_stats",
                "/proc/timer_list",
                "/proc/timer_stats",
                "/proc/sched_debug",
                "/sys/firmware",
                "/proc/scsi",
                "/sys/devices/virtual/tpm",
            ],
            readonly_paths: &[
                "/proc/bus",
                "/proc/fs",
                "/proc/irq",
                "/proc/sys",
                "/proc/sysrq-trigger",
            ],
        },
    }
}

/// Without privilege: no group 5 in the user namespace for terminals, no network namespace (so sysfs
/// cannot be mounted and is bound), and no cgroup to write to.
fn rootless(uid: u32, gid: u32) -> Spec {
    let one = |host| Some([IdMapping { container: 0, host, size: 1 }]);
    let devpts: &[&str] = &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    let spec = default(unified());
    let mut kinds: Vec<&str> =
        spec.linux.namespaces.iter().map(|namespace| namespace.kind).collect();
    kinds.retain(|kind| *kind != "network");
    kinds.push("user");
    Spec {
        mounts: mounts(
            mount("/dev/pts", "devpts", "devpts", devpts),
            mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]),
        ),
        linux: Linux {
            uid_mappings: one(uid),
            gid_mappings: one(gid),
            resources: None,
            namespaces: namespaces(&kinds),
            ..spec.linux
        },
        ..spec
    }
}
