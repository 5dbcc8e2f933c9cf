//! One dockerd with everything private to a test, configured by the page that users read.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::Runtime;
use crate::support::lines::{needs, snippet};
use crate::support::private::Private;
use crate::support::server::Server;

/// A running dockerd.
#[derive(Debug)]
pub(crate) struct Daemon(Server);

impl Daemon {
    /// Starts it, waits until it answers, and loads the image.
    pub(crate) fn start(runtime: &Runtime) -> Self {
        needs("/usr/sbin/dockerd", "docker.io");
        let place = Private::new("teu-docker-");
        let parent = runtime.parent("docker");
        let path = |name: &str| place.path(name).display().to_string();
        let driver = if runtime.systemd { "systemd" } else { "cgroupfs" };
        let driver = format!("native.cgroupdriver={driver}");
        let page = snippet("docker.md", "json", &driver, runtime);
        let mut config: Value = serde_json::from_str(&page).expect("the page has JSON");
        let private = json!({
            "data-root": path("data"),
            "exec-root": path("exec"),
            "pidfile": path("pid"),
            "hosts": [format!("unix://{}", path("docker.sock"))],
            "log-level": "warn",
            "storage-driver": "overlay2",
            "cgroup-parent": parent,
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
        let mut command = place.command("/usr/sbin/dockerd");
        command
            .arg("--config-file")
            .arg(place.path("daemon.json"))
            .env("DOCKER_BUILDKIT_RUNC_COMMAND", place.path("bin/runc"))
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", path("bin")));
        let socket = place.path("docker.sock");
        let daemon = Self(Server::start(place, parent, command, socket));
        let load = "/usr/bin/docker load --quiet --input busybox.tar && /usr/bin/docker tag localhost/busybox:test box";
        let loaded = daemon
            .place()
            .command("sh")
            .args(["-c", load])
            .envs(daemon.environment())
            .output()
            .expect("docker load");
        assert!(loaded.status.success(), "{loaded:?}");
        daemon
    }

    pub(crate) fn place(&self) -> &Private {
        &self.0.place
    }

    /// What the client needs to find it, and nothing of the user's own.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.0.place.path(name).display().to_string();
        vec![
            ("DOCKER_HOST".into(), format!("unix://{}", path("docker.sock"))),
            ("DOCKER_CONFIG".into(), path("client")),
            ("PARENT".into(), self.0.parent.clone()),
            // Another program of that name may stand before Debian's.
            ("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()),
        ]
    }

    /// Ends it; the name of the cgroup that its containers were in.
    pub(crate) fn stop(mut self) -> String {
        self.0.stop();
        self.0.parent.clone()
    }
}
