//! Network and mount namespaces of a test's own, so that no manager touches the host's firewall or mounts.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{DEADLINE, Handle, Seen, live};
use super::{cgroup, image, systemd};

/// The namespaces, held by a process, and a directory for everything that is private to the test.
#[derive(Debug)]
pub(crate) struct Private {
    holder: Child,
    directory: TempDir,
}

impl Private {
    /// Makes both, with an image in the archive `busybox.tar`.
    pub(crate) fn new(prefix: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "managers start real containers: run as root"
        );
        let directory = tempfile::Builder::new().prefix(prefix).tempdir().expect("a directory");
        image::write(&directory.path().join("busybox.tar")).expect("image archive");
        let mut holder = Command::new("unshare")
            .args(["--mount", "--net", "--propagation", "private", "sh", "-c"])
            // Where managers keep the names of network namespaces, and CNI plugins the addresses of pods.
            .arg("for d in /run/netns /var/lib/cni; do mkdir -p $d && mount -t tmpfs tmpfs $d; done && ip link set lo up && echo ready && exec sleep infinity")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut line = String::new();
        let output = holder.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n", "the loopback interface is up (Debian package iproute2)");
        Self { holder, directory }
    }

    /// A command in the namespaces and in the directory.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--net", "--target", &self.holder.id().to_string()]);
        // Only now: the caller's working directory is one of other mounts.
        command.arg(format!("--wdns={}", self.directory().display())).arg(program);
        command
    }

    /// The network namespace.
    pub(crate) fn network(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Fails when a shim or conmon, which is told of the directory, has not ended soon after its container.
    pub(crate) fn no_processes(&self) {
        let until = Instant::now() + DEADLINE;
        let monitors = ["containerd-shim", "/conmon"];
        let directory = self.directory().display().to_string();
        for (pid, seen) in live() {
            let monitor = monitors.iter().any(|name| seen.command.contains(name));
            if monitor && seen.command.contains(&directory) {
                let ended = Handle::open(pid).is_none_or(|handle| handle.wait(until));
                assert!(ended, "process {pid} is left: {}", seen.command);
            }
        }
    }

    /// Ends what a test, perhaps a failed one, has left: processes in that cgroup, and those that were told of the
    /// directory (shims, conmon); then removes the cgroup, or ends the slice.
    pub(crate) fn sweep(&self, parent: &str) {
        let below = format!("/{parent}/");
        let directory = self.directory().display().to_string();
        let ours = |seen: &Seen| seen.cgroups.contains(&below) || seen.command.contains(&directory);
        for (pid, _) in live().into_iter().filter(|(_, seen)| ours(seen)) {
            if let Some(handle) = Handle::open(pid) {
                eprintln!("killing what the test left: process {pid}");
                handle.signal(Signal::KILL);
                handle.wait(Instant::now() + DEADLINE);
            }
        }
        if parent.ends_with(".slice") {
            return systemd::stop(parent);
        }
        // Depth first; what is gone already is fine, and what is in use shows in the next test.
        for hierarchy in cgroup::hierarchies() {
            let mut remove = Command::new("find");
            remove.arg(hierarchy.join(parent)).args(["-depth", "-type", "d", "-delete"]);
            drop(remove.stderr(Stdio::null()).status());
        }
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file of the test");
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Err(error) = self.holder.kill().and_then(|()| self.holder.wait()) {
            eprintln!("the holder of the namespaces was not ended: {error}");
        }
    }
}
