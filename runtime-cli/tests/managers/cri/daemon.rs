//! One containerd with the CRI plugin, everything private to a test, configured by the page that users read.

use std::path::PathBuf;

use crate::support::Runtime;
use crate::support::image;
use crate::support::lines::{needs, no_cgroups_below, snippet};
use crate::support::private::Private;
use crate::support::server::Server;

/// The image of the process that holds a pod's namespaces.
pub(crate) const PAUSE: &str = "localhost/pause:test";

/// A running containerd.
#[derive(Debug)]
pub(crate) struct Daemon(Server);

impl Daemon {
    /// Starts it, waits until it answers, and imports the images.
    pub(crate) fn start(runtime: &Runtime) -> Self {
        needs("containerd", "containerd");
        let place = Private::new("teu-cri-");
        let parent = runtime.parent("cri");
        place.write("config.toml", &configuration(&place, runtime));
        std::fs::create_dir(place.path("cni")).expect("a directory");
        place.write("cni/10-net.conflist", NETWORK);
        let mut command = place.command("containerd");
        command.args(["--log-level", "warn", "--config"]).arg(place.path("config.toml"));
        let socket = place.path("containerd.sock");
        let daemon = Self(Server::start(place, parent, command, socket));
        let pause = daemon.0.place.path("pause.tar");
        image::write_as(&pause, PAUSE, &["sleep", "1000000"]).expect("image archive");
        for archive in ["busybox.tar", "pause.tar"] {
            let imported = daemon
                .0
                .place
                .command("ctr")
                .arg("--address")
                .arg(daemon.socket())
                .args(["--namespace", "k8s.io", "images", "import", archive])
                .output()
                .expect("ctr starts");
            assert!(imported.status.success(), "{imported:?}");
        }
        daemon
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.place.path("containerd.sock")
    }

    /// The cgroup that pods are made in.
    pub(crate) fn parent(&self) -> &str {
        &self.0.parent
    }

    /// The directory and the namespaces that containerd is in.
    pub(crate) fn place(&self) -> &Private {
        &self.0.place
    }

    /// Ends containerd, runs `meanwhile`, and starts it anew.
    pub(crate) fn restart(&mut self, meanwhile: impl FnOnce()) {
        self.0.restart(meanwhile);
    }

    /// A directory for the logs of pods.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.place.path("logs")
    }

    /// Fails when anything of a pod or container is left: state of the runtime, mounts, cgroups, shims.
    pub(crate) fn nothing_left(&self) {
        let look = r#"ls runtime/k8s.io 2>/dev/null; grep -c "$PWD\|/cni-" /proc/self/mountinfo"#;
        let output = self.0.place.command("sh").args(["-c", look]).output().expect("a shell");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "0\n",
            "state of containers, and mounts"
        );
        no_cgroups_below(&self.0.parent, None);
        self.0.place.no_processes();
    }
}

/// A bridge in the test's own network namespace.
const NETWORK: &str = r#"{
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [{
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": true,
        "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.212.0.0/16" }]] }
    }]
}"#;

/// How long containerd waits for a shim. A few seconds, as by default, can be too short with many pods at once on one
/// slow CPU: it then goes on with 0 for a pod's pid.
const TIMEOUTS: &str = r#""io.containerd.timeout.shim.cleanup" = "60s"
"io.containerd.timeout.shim.load" = "60s"
"io.containerd.timeout.shim.shutdown" = "60s"
"io.containerd.timeout.task.state" = "60s"
"#;

/// The page's block, and what makes it private: limits that root cannot raise without CAP_SYS_RESOURCE included.
fn configuration(place: &Private, runtime: &Runtime) -> String {
    let d = place.directory().display();
    let driver = format!("SystemdCgroup = {}", runtime.systemd);
    let page = snippet("kubernetes.md", "toml", &driver, runtime);
    let page = page.replace("SystemdCgroup", &format!("Root = \"{d}/runtime\"\nSystemdCgroup"));
    format!(
        r#"{page}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{d}/cni"

[plugins."io.containerd.internal.v1.opt"]
path = "{d}/opt"
"#
    )
    .replacen(
        "version = 2\n",
        &format!(
            "version = 2\nroot = \"{d}/root\"\nstate = \"{d}/state\"\ntemp = \"{d}/tmp\"\n\
             disabled_plugins = [\"io.containerd.internal.v1.tracing\", \"io.containerd.tracing.processor.v1.otlp\"]\n\n\
             [grpc]\naddress = \"{d}/containerd.sock\"\n\n[ttrpc]\naddress = \"{d}/ttrpc.sock\"\n\n\
             [timeouts]\n{TIMEOUTS}"
        ),
        1,
    )
}
