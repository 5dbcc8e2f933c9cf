//! What CRI-O has on a node: a root of the runtime, directories for exits and attach sockets, bundles.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use super::container::Container;
use crate::support::lines::{needs, no_cgroups_below, snippet};
use crate::support::private::Private;
use crate::support::{Runtime, cgroup};

/// Everything of one test.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Private,
    parent: String,
    pub(crate) runtime: PathBuf,
    systemd: bool,
}

/// What a call of the runtime gave.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Fails when the call failed or wrote errors: CRI-O reads some output together with them.
    pub(crate) fn succeeds(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// Fails when CRI-O would not understand that the container's process has ended.
    pub(crate) fn not_found(&self) {
        let known = ["no such process", "container not running", "invalid process"];
        let understood = known.iter().any(|words| self.err.contains(words));
        assert!(self.code == Some(1) && understood, "{self:?}");
    }
}

impl Node {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        needs("conmon", "conmon");
        let place = Private::new("teu-crio-");
        let parent = runtime.parent("crio");
        let make =
            "mkdir root exits attach image && tar -xOf busybox.tar layer.tar | tar -xC image";
        let made = place.command("sh").args(["-ec", make]).status().expect("a shell");
        assert!(made.success(), "directories and the image's files");
        Self { place, parent, runtime: configured(runtime), systemd: runtime.systemd }
    }

    /// The flag by which CRI-O tells the runtime of the driver, its own as conmon's.
    pub(crate) fn driver(&self) -> &'static [&'static str] {
        if self.systemd { &["--systemd-cgroup"] } else { &[] }
    }

    /// The unit of a container.
    pub(crate) fn unit(&self, id: &str) -> String {
        format!("crio-{id}.scope")
    }

    /// The slice that containers are in.
    pub(crate) fn slice(&self) -> &str {
        &self.parent
    }

    /// A bundle of a container that is to run `program`; `edit` may change its configuration.
    pub(crate) fn container(
        &self,
        id: &str,
        program: &[&str],
        edit: impl FnOnce(&mut Value),
    ) -> Container<'_> {
        let make = "mkdir -p $0 && cp -a image $0/rootfs";
        let made = self.place.command("sh").args(["-ec", make, id]).status().expect("a shell");
        assert!(made.success(), "a bundle");
        let mut kinds = vec!["pid", "mount", "ipc", "uts", "network"];
        // As CRI-O does there, for every container that is not privileged.
        if cgroup::is_unified() {
            kinds.push("cgroup");
        }
        let namespaces: Vec<Value> = kinds.iter().map(|kind| json!({ "type": kind })).collect();
        let mut config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "args": program,
                "cwd": "/",
                "env": ["PATH=/bin"],
                "user": { "uid": 0, "gid": 0 }
            },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
                { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] },
                { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"] },
                { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"] }
            ],
            "linux": {
                "cgroupsPath": format!("/{}/crio-{id}", self.parent),
                "namespaces": namespaces
            }
        });
        if self.systemd {
            config["linux"]["cgroupsPath"] = json!(format!("{}:crio:{id}", self.parent));
            // The pod's terminationGracePeriodSeconds first.
            config["annotations"] = json!({
                "org.systemd.property.TimeoutStopUSec": "uint64 30000000",
                "org.systemd.property.CollectMode": "'inactive-or-failed'",
                "org.systemd.property.DefaultDependencies": "true",
                "org.systemd.property.After": "['crio.service']"
            });
        }
        edit(&mut config);
        self.place.write(&format!("{id}/config.json"), &config.to_string());
        Container::new(self, id, config)
    }

    /// A call of the runtime as CRI-O makes it itself: `--root DIR`, and no environment.
    pub(crate) fn call(&self, words: &[&str], input: &str) -> Said {
        let mut child = self
            .place
            .command("env")
            .arg("-i")
            .arg(&self.runtime)
            .arg("--root")
            .arg(self.place.path("root"))
            .args(self.driver())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the runtime starts");
        // Dropped, which is the end of the input.
        let written = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("the runtime ends");
        written.expect("the runtime reads its input");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What the conmons of this node wrote to their standard error.
    pub(crate) fn conmon_said(&self) -> String {
        std::fs::read_to_string(self.place.path("conmon.err")).unwrap_or_default()
    }

    /// Fails when state of the runtime, mounts, cgroups or a conmon are left.
    pub(crate) fn nothing_left(&self) {
        let look = r#"find root -name state.json -o -name record.json; grep -c "$PWD" /proc/self/mountinfo"#;
        let output = self.place.command("sh").args(["-c", look]).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "state, and mounts");
        no_cgroups_below(&self.parent, None);
        self.place.no_processes();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what conmon wrote ---\n{}", self.conmon_said());
        }
        self.place.sweep(&self.parent);
    }
}

/// The program that the page's drop-in names.
fn configured(runtime: &Runtime) -> PathBuf {
    let driver = if runtime.systemd { "systemd" } else { "cgroupfs" };
    let driver = format!("cgroup_manager = \"{driver}\"");
    let page = snippet("cri-o.md", "toml", &driver, runtime);
    let line = page.lines().find_map(|line| line.strip_prefix("runtime_path = "));
    PathBuf::from(line.expect("runtime_path").trim_matches('"'))
}
