//! A runtime with a state root of its own, and containers that are brought into a status.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use serde_json::{Value, json};

const BUSYBOX: &str = "/bin/busybox";
const RUNC: &str = "/usr/sbin/runc";

/// What is tested, and the oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Teu,
    Runc,
}

/// A container as a command finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// No container of that id.
    Unknown,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    /// The word that `state` has for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Unknown => "none",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// What a call left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }
}

/// A folder with a root file system, bundles, and the state root of one runtime.
pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) runtime: Runtime,
    serial: Cell<u32>,
    ids: RefCell<Vec<String>>,
}

/// Whether containers can be made here.
pub(crate) fn can_run() -> bool {
    let able = rustix::process::geteuid().is_root() && Path::new(BUSYBOX).exists();
    if !able {
        eprintln!("skipped: needs root and {BUSYBOX}");
    }
    able
}

/// Whether the runc that differences are listed for is there, too.
pub(crate) fn can_compare() -> bool {
    if !can_run() {
        return false;
    }
    let version = Command::new(RUNC).arg("--version").output();
    let able = version.is_ok_and(|said| said.stdout.starts_with(b"runc version 1.1."));
    if !able {
        eprintln!("skipped: {RUNC} of the 1.1 series is not installed");
    }
    able
}

impl Stage {
    pub(crate) fn new(runtime: Runtime) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("rootfs");
        for name in ["bin", "etc", "proc", "sys", "dev"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        // Copied by another process: a descriptor open for writing in this one could be inherited by what another
        // test starts at that moment, and the copy then not be executed (ETXTBSY).
        let to = root.join("bin/busybox");
        assert!(Command::new("cp").args([Path::new(BUSYBOX), &to]).status().unwrap().success());
        for name in ["sh", "sleep", "true", "stat", "tail"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        std::fs::write(root.join("etc/plain"), "no program\n").unwrap();
        Self { folder, runtime, serial: Cell::default(), ids: RefCell::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn word(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn next(&self) -> u32 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    /// An id that nobody else has; it names a cgroup, too. Its container is removed at the end.
    pub(crate) fn id(&self) -> String {
        let folder = self.folder.path().file_name().unwrap().to_str().unwrap();
        let id = format!("golden-{}-{}", folder.trim_start_matches('.'), self.next());
        self.ids.borrow_mut().push(id.clone());
        id
    }

    /// A bundle of the name `id` that runs `args`; `edit` changes the rest.
    pub(crate) fn bundle(&self, id: &str, args: &[&str], edit: impl FnOnce(&mut Value)) -> String {
        let folder = self.path(&format!("bundle-{id}"));
        std::fs::create_dir(&folder).unwrap();
        let mut config = config(&self.path("rootfs"), id);
        config["process"]["args"] = args.into();
        edit(&mut config);
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
        folder.to_str().unwrap().to_owned()
    }

    /// The runtime's command line. Managers pass hardly any environment; what is here may not show in the output.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let program = match self.runtime {
            Runtime::Teu => env!("CARGO_BIN_EXE_teu"),
            Runtime::Runc => RUNC,
        };
        let mut command = Command::new(program);
        command.env_clear().envs([("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")]);
        if self.runtime == Runtime::Runc {
            // Without it runc does not find ps.
            command.env("PATH", "/bin");
        }
        command.arg("--root").arg(self.path("state")).args(words);
        command
    }

    pub(crate) fn call(&self, words: &[&str]) -> Ran {
        self.ran(&mut self.command(words))
    }

    /// Runs it with files as its streams: a container that stays would keep a pipe open.
    pub(crate) fn ran(&self, command: &mut Command) -> Ran {
        let serial = self.next();
        let (out, err) = (self.path(&format!("out-{serial}")), self.path(&format!("err-{serial}")));
        let file = |path| File::create(path).unwrap();
        let status =
            command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).status().unwrap();
        let read = |path| std::fs::read_to_string(path).unwrap();
        Ran { code: status.code(), stdout: read(&out), stderr: read(&err) }
    }

    /// The state, or nothing.
    fn state(&self, id: &str) -> Option<Value> {
        let ran = self.call(&["state", id]);
        (ran.code == Some(0)).then(|| serde_json::from_str(&ran.stdout).unwrap())
    }

    pub(crate) fn status(&self, id: &str) -> String {
        self.state(id).map_or("none".into(), |state| state["status"].as_str().unwrap().to_owned())
    }

    pub(crate) fn pid(&self, id: &str) -> i32 {
        self.state(id).map_or(0, |state| state["pid"].as_i64().unwrap().try_into().unwrap())
    }

    /// A container that sleeps, in that status.
    pub(crate) fn container(&self, status: Status) -> String {
        let id = self.id();
        let bundle = self.bundle(&id, &["sleep", "1000"], |_| {});
        let steps: &[&[&str]] = match status {
            Status::Unknown => return id,
            Status::Created => &[],
            Status::Running => &[&["start"]],
            Status::Paused => &[&["start"], &["pause"]],
            Status::Stopped => &[&["start"], &["kill", "KILL"]],
        };
        self.call(&["create", "--bundle", &bundle, &id]).ok();
        let end = End::of(self.pid(&id));
        for step in steps {
            self.call(&[&step[..1], &[id.as_str()], &step[1..]].concat()).ok();
        }
        if status == Status::Stopped {
            assert!(end.has_come(), "{id} does not end");
        }
        assert_eq!(self.status(&id), status.word());
        id
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for id in self.ids.take() {
            self.call(&["delete", "--force", &id]);
        }
    }
}

/// The end of a process that may be nobody's child here.
pub(crate) struct End(Option<std::os::fd::OwnedFd>);

impl End {
    pub(crate) fn of(pid: i32) -> Self {
        let open = |pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok();
        Self(Pid::from_raw(pid).and_then(open))
    }

    /// Waits for it.
    pub(crate) fn has_come(&self) -> bool {
        self.within(20)
    }

    pub(crate) fn within(&self, seconds: i64) -> bool {
        let Some(pidfd) = &self.0 else { return true };
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&timeout))).unwrap() > 0
    }
}

fn config(root: &Path, id: &str) -> Value {
    let capabilities = json!(["CAP_KILL"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": [],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities
            },
            "noNewPrivileges": true
        },
        "root": { "path": root, "readonly": true },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" }
        ],
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "namespaces": [
                { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }
            ]
        }
    })
}
