//! One dockerd with everything private to a test, configured by the page that users read.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::Runtime;
use crate::support::lines::{needs, snippet};
use crate::support::private::Private;
use crate::support::process::{DEADLINE, Handle};

/// A running dockerd. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Daemon {
    place: Private,
    parent: String,
    child: Child,
}

impl Daemon {
    /// Starts it, waits until it answers, and loads the image.
    pub(crate) fn start(runtime: &Runtime) -> Self {
        needs("/usr/sbin/dockerd", "docker.io");
        let place = Private::new("teu-docker-");
        let parent = format!("teu-docker-{}-{}", std::process::id(), runtime.name());
        let path = |name: &str| place.path(name).display().to_string();
        let page = snippet("docker.md", "json", &runtime.binary);
        let mut config: Value = serde_json::from_str(&page).expect("the page has JSON");
        let private = json!({
            "data-root": path("data"),
            "exec-root": path("exec"),
            "pidfile": path("pid"),
            "hosts": [format!("unix://{}", path("docker.sock"))],
            "log-level": "warn",
            "storage-driver": "overlay2",
            "cgroup-parent": parent,
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "bip": "10.211.0.1/24"
        });
        for (name, value) in private.as_object().into_iter().flatten() {
            config[name] = value.clone();
        }
        place.write("daemon.json", &config.to_string());
        // BuildKit's runtime, which tells that it was called.
        let called = format!(
            "#!/bin/sh\necho \"$@\" >>{}\nexec {} \"$@\"\n",
            path("calls"),
            runtime.binary.display()
        );
        // BuildKit takes `runc` on dockerd's PATH; Docker after 20.10 takes what the variable names.
        std::fs::create_dir(place.path("bin")).expect("a directory");
        place.write("bin/runc", &called);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path("bin/runc"), executable).expect("chmod");
        let log = File::create(place.path("log")).expect("log file");
        let child = place
            .command("/usr/sbin/dockerd")
            .arg("--config-file")
            .arg(place.path("daemon.json"))
            .env("DOCKER_BUILDKIT_RUNC_COMMAND", place.path("bin/runc"))
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", path("bin")))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log file"))
            .stderr(log)
            .spawn()
            .expect("dockerd starts");
        let daemon = Self { place, parent, child };
        daemon.wait_until_it_answers();
        let load = "/usr/bin/docker load --quiet --input busybox.tar && /usr/bin/docker tag localhost/busybox:test box";
        let loaded = daemon
            .place
            .command("sh")
            .args(["-c", load])
            .envs(daemon.environment())
            .output()
            .expect("docker load");
        assert!(loaded.status.success(), "{loaded:?}");
        daemon
    }

    /// dockerd listens when it is ready; until then nobody does, which connect(2) says at once.
    fn wait_until_it_answers(&self) {
        let until = Instant::now() + DEADLINE;
        let socket = self.place.path("docker.sock");
        let process = Handle::open(self.child.id()).expect("dockerd is our child");
        while UnixStream::connect(&socket).is_err() {
            // Also the pause between two tries: the end of dockerd is what may come instead.
            let next = (Instant::now() + std::time::Duration::from_millis(50)).min(until);
            let ended = process.wait(next);
            assert!(!ended && Instant::now() < until, "dockerd does not listen:\n{}", self.log());
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.place.path("log")).unwrap_or_default()
    }

    pub(crate) fn place(&self) -> &Private {
        &self.place
    }

    /// What the client needs to find it, and nothing of the user's own.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.place.path(name).display().to_string();
        vec![
            ("DOCKER_HOST".into(), format!("unix://{}", path("docker.sock"))),
            ("DOCKER_CONFIG".into(), path("client")),
            // Another program of that name may stand before Debian's.
            ("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()),
        ]
    }

    /// Ends it; the name of the cgroup that its containers were in.
    pub(crate) fn stop(&mut self) -> String {
        if let Some(handle) = Handle::open(self.child.id()) {
            handle.signal(Signal::TERM);
            if !handle.wait(Instant::now() + DEADLINE) {
                handle.signal(Signal::KILL);
            }
        }
        self.child.wait().expect("dockerd is our child");
        self.parent.clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- end of dockerd's log, last line first ---\n{}", tail.join("\n"));
        }
        self.stop();
        self.place.sweep(&self.parent);
    }
}
