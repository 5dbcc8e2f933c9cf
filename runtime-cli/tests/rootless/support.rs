//! A user without privilege, and what it has: a bundle, a runtime directory, ids of its own in /etc/subuid.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ran::Ran;

/// The user and its place.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
    pub(crate) uid: u32,
    /// The first of its subordinate ids.
    pub(crate) first: u32,
}

const USER: &str = "teu-test";

impl Lab {
    /// None where the host lacks what the tests need; says so.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can become somebody else");
            return None;
        }
        static USER_EXISTS: std::sync::Once = std::sync::Once::new();
        USER_EXISTS.call_once(|| {
            if id(USER).is_none() {
                let made = Command::new("useradd").args(["--create-home", USER]).status().unwrap();
                assert!(made.success(), "useradd {USER}");
            }
        });
        let uid = id(USER).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let lab = Self { dir, uid, first: first_of(USER)? };
        // Copies: the build's own place may be closed to others.
        let copy = |from: &Path, to: &str| {
            let status = Command::new("cp").arg(from).arg(lab.file(to)).status().unwrap();
            assert!(status.success(), "cp {}", from.display());
        };
        copy(Path::new(env!("CARGO_BIN_EXE_teu")), "teu");
        for directory in ["runtime", "bundle", "bundle/rootfs", "bundle/rootfs/bin"] {
            std::fs::create_dir(lab.file(directory)).unwrap();
        }
        std::fs::set_permissions(lab.file("runtime"), PermissionsExt::from_mode(0o700)).unwrap();
        copy(Path::new("/bin/busybox"), "bundle/rootfs/bin/busybox");
        for name in [
            "sh", "sleep", "cat", "id", "tty", "mkdir", "mount", "stat", "touch", "mknod",
            "readlink", "true", "stty",
        ] {
            std::os::unix::fs::symlink("busybox", lab.file("bundle/rootfs/bin").join(name))
                .unwrap();
        }
        let owner = format!("{uid}:{uid}");
        let owned =
            Command::new("chown").args(["-R", &owner]).arg(lab.dir.path()).status().unwrap();
        assert!(owned.success(), "chown");
        lab.run(&["spec", "--rootless", "--bundle", &lab.word("bundle")]).ok();
        lab.edit(|spec| {
            spec["process"]["terminal"] = false.into();
            spec["process"]["args"] = json!(["sleep", "1000"]);
        });
        Some(lab)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn word(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    /// Changes config.json.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.file("bundle/config.json");
        let mut spec: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut spec);
        std::fs::write(&path, spec.to_string()).unwrap();
    }

    /// What the container runs.
    pub(crate) fn script(&self, script: &str) {
        self.edit(|spec| spec["process"]["args"] = json!(["sh", "-c", script]));
    }

    /// Maps the user and its subordinate ids.
    pub(crate) fn map_all(&self) {
        self.edit(|spec| {
            for field in ["uidMappings", "gidMappings"] {
                spec["linux"][field] = json!([
                    { "containerID": 0, "hostID": self.uid, "size": 1 },
                    { "containerID": 1, "hostID": self.first, "size": 65536 }
                ]);
            }
        });
    }

    /// Makes a directory of the user's.
    pub(crate) fn directory(&self, name: &str) {
        std::fs::create_dir(self.file(name)).unwrap();
        std::os::unix::fs::chown(self.file(name), Some(self.uid), Some(self.uid)).unwrap();
    }

    /// `teu` as the user, with nothing of root's.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.user(&[&[self.word("teu").as_str()], args].concat())
    }

    /// A command of the user's, with nothing of root's.
    pub(crate) fn user(&self, words: &[&str]) -> Command {
        let uid = self.uid.to_string();
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "--inh-caps=-all"])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_RUNTIME_DIR", self.file("runtime"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// `teu` as the user.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args))
    }

    /// The same from a cgroup of version 2.
    pub(crate) fn run_in(&self, cgroup: &Path, args: &[&str]) -> Ran {
        let script = format!("echo $$ >{}/cgroup.procs", cgroup.display());
        ran(self.after(&["sh"], &script, args))
    }

    /// The same after root's `script`, in a shell that is started by these words.
    pub(crate) fn after(&self, shell: &[&str], script: &str, args: &[&str]) -> Command {
        let user = self.command(args);
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", &format!("{script} && exec \"$@\""), "sh"]);
        command.arg(user.get_program()).args(user.get_args()).stdin(Stdio::null());
        command.env_clear().current_dir(self.dir.path());
        command.envs(user.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Waits until the container has this status.
    pub(crate) fn wait_for(&self, status: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        let wanted = format!("\"status\": \"{status}\"");
        while !self.run(&["state", "c1"]).stdout.contains(&wanted) {
            assert!(Instant::now() < end, "never {status}");
        }
    }

    /// Runs the container to its end.
    pub(crate) fn run_container(&self) -> Ran {
        self.run(&["run", "--bundle", &self.word("bundle"), "c1"])
    }

    pub(crate) fn exec(&self, command: &[&str]) -> Ran {
        self.run(&[&["exec", "c1"], command].concat())
    }

    /// Nothing is left of any container.
    #[track_caller]
    pub(crate) fn nothing_left(&self) {
        assert_eq!(self.run(&["list", "-q"]).ok().stdout, "");
        let left = std::fs::read_dir(self.file("runtime/teu")).unwrap();
        let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
        assert!(left.iter().all(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.run(&["delete", "--force", "c1"]);
    }
}

fn id(user: &str) -> Option<u32> {
    let out = Command::new("id").args(["-u", user]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().parse().ok()
}

fn first_of(user: &str) -> Option<u32> {
    let text = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(user)?.strip_prefix(':'));
    let first = line.and_then(|line| line.split(':').next()?.parse().ok());
    if first.is_none() {
        eprintln!("skipped: {user} has no ids in /etc/subuid");
    }
    first
}

/// Its streams are files, which a container that goes on may keep.
pub(crate) fn ran(mut command: Command) -> Ran {
    let file = || tempfile::NamedTempFile::new().unwrap();
    let (out, err) = (file(), file());
    let code = command
        .stdout(out.reopen().unwrap())
        .stderr(err.reopen().unwrap())
        .status()
        .unwrap()
        .code();
    let text = |file: &tempfile::NamedTempFile| std::fs::read_to_string(file.path()).unwrap();
    Ran { code, stdout: text(&out), stderr: text(&err) }
}
