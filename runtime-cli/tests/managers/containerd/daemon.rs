//! One containerd with everything private to one test, and its end whatever the test does.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::fs::inotify;
use rustix::process::Signal;
use tempfile::TempDir;

use super::leftovers;
use crate::support::lines::path_with_criu;
use crate::support::process::{DEADLINE, Handle, wait_readable};
use crate::support::{Runtime, image};

const CONTAINERD: &str = "/usr/bin/containerd";

/// Names the test in the environment of containerd, which its shims and the runtime inherit: the
/// surest way to find what a test has left behind.
pub(crate) const MARK: &str = "TEU_CONTAINERD_TEST";

/// A running containerd. Dropping it ends it, its shims and whatever a failed test left.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) runtime: Runtime,
    /// The containerd namespace. The parent cgroup of its containers has the same name, if it is no slice.
    pub(crate) namespace: String,
    pub(crate) parent: String,
    child: Child,
    directory: TempDir,
}

impl Daemon {
    /// Starts containerd, waits until it answers, and imports the image.
    pub(crate) fn start(runtime: Runtime) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "the containerd tests start real containers: run them as root"
        );
        assert!(
            Path::new(CONTAINERD).exists(),
            "{CONTAINERD} is missing: install the Debian package containerd"
        );

        let parent = runtime.parent("ctr");
        let namespace = parent.trim_end_matches(".slice").to_owned();
        let directory = tempfile::Builder::new()
            .prefix("teu-containerd-")
            .tempdir()
            .expect("a temporary directory");
        fs::write(directory.path().join("config.toml"), configuration(directory.path()))
            .expect("config.toml");
        let log = File::create(directory.path().join("log")).expect("log file");
        let child = Command::new(CONTAINERD)
            .args(["--log-level", "warn", "--config"])
            .arg(directory.path().join("config.toml"))
            .env(MARK, &namespace)
            .envs(path_with_criu().map(|path| ("PATH", path)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log file"))
            .stderr(log)
            .spawn()
            .expect("containerd starts");
        // From here on the guard is in place: a panic below already ends containerd.
        let daemon = Self { runtime, namespace, parent, child, directory };
        daemon.wait_for_socket();

        let archive = daemon.path("busybox.tar");
        image::write(&archive).expect("image archive");
        daemon.ctr(["image", "import"]).arg(&archive).succeeds();
        daemon
    }

    /// A path in the directory of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory that holds everything private to this test.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("containerd.sock")
    }

    /// Where the shims keep the bundles.
    pub(crate) fn bundles(&self) -> PathBuf {
        self.path("state/io.containerd.runtime.v2.task").join(&self.namespace)
    }

    /// The runtime's `--root`: the shim appends the namespace to what `ctr` was given.
    pub(crate) fn runtime_root(&self) -> PathBuf {
        self.path("runtime").join(&self.namespace)
    }

    /// The name of a container's cgroup.
    pub(crate) fn cgroup(&self, id: &str) -> String {
        if self.runtime.systemd { format!("ctr-{id}.scope") } else { id.into() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_for_socket(&self) {
        let until = Instant::now() + DEADLINE;
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .expect("inotify");
        // containerd binds, listens, then changes the owner: the last is the event after which a
        // connection succeeds.
        let events = inotify::WatchFlags::CREATE | inotify::WatchFlags::ATTRIB;
        inotify::add_watch(&watch, self.directory.path(), events).expect("inotify watch");
        let process = Handle::open(self.pid()).expect("containerd is our child");
        while let Err(error) = UnixStream::connect(self.socket()) {
            assert!(
                wait_readable(&[watch.as_fd(), process.as_fd()], until),
                "containerd does not listen: {error}"
            );
            assert!(!process.wait(Instant::now()), "containerd ended at start:\n{}", self.log());
            let mut buffer = [0; 4096];
            match rustix::io::read(&watch, &mut buffer) {
                Ok(_) | Err(rustix::io::Errno::AGAIN) => {}
                Err(error) => panic!("inotify: {error}"),
            }
        }
        self.ctr(["version"]).succeeds();
    }

    /// What containerd and its shims have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_else(|error| format!("no log: {error}"))
    }

    fn stop(&mut self) -> io::Result<()> {
        let handle = Handle::open(self.pid());
        if let Some(handle) = &handle {
            handle.signal(Signal::TERM);
            if !handle.wait(Instant::now() + DEADLINE) {
                handle.signal(Signal::KILL);
            }
        }
        self.child.wait().map(drop)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of containerd ---\n{}--- end of log ---", self.log());
        }
        if let Err(error) = self.stop() {
            eprintln!("containerd was not stopped: {error}");
        }
        leftovers::remove(self);
    }
}

fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    // Disabled is what reaches outside the private directory (CRI listens on TCP, opt wants /opt) and
    // what only logs that it cannot work here.
    format!(
        r#"version = 2
root = "{directory}/root"
state = "{directory}/state"
temp = "{directory}/tmp"
disabled_plugins = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "{directory}/containerd.sock"
[ttrpc]
address = "{directory}/ttrpc.sock"
"#
    )
}
