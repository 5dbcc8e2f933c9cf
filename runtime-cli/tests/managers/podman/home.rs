//! Configuration and storage that are private to a test; Podman has no daemon.

use crate::support::Runtime;
use crate::support::lines::{needs, snippet};
use crate::support::private::Private;

/// Where one test's Podman lives.
#[derive(Debug)]
pub(crate) struct Home {
    place: Private,
    parent: String,
    runtime: Runtime,
}

impl Home {
    /// Writes the configuration, that of the page and what makes it private, and loads the image.
    pub(crate) fn new(runtime: &Runtime) -> Self {
        needs("podman", "podman");
        needs("buildah", "buildah");
        let place = Private::new("teu-podman-");
        let parent = runtime.parent("podman");
        let d = place.directory().display();
        let driver = if runtime.systemd { "systemd" } else { "cgroupfs" };
        let driver = format!("cgroup_manager = \"{driver}\"");
        let page = snippet("podman.md", "toml", &driver, runtime);
        // The defaults are above what root may ask for on a machine without CAP_SYS_RESOURCE.
        let containers = page.replace(
            "[engine]\n",
            &format!(
                "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                 log_driver = \"k8s-file\"\ncgroup_parent = \"{parent}\"\n\n[network]\n\
                 network_backend = \"netavark\"\nnetwork_config_dir = \"{d}/networks\"\n\n[engine]\n\
                 events_logger = \"file\"\ntmp_dir = \"{d}/tmp\"\n",
            ),
        );
        place.write("containers.conf", &containers);
        place.write(
            "storage.conf",
            &format!("[storage]\ndriver = \"overlay\"\ngraphroot = \"{d}/graph\"\nrunroot = \"{d}/run\"\n"),
        );
        place.write("policy.json", "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}");
        let home = Self { place, parent, runtime: runtime.clone() };
        let load = "podman load --quiet --signature-policy policy.json --input busybox.tar && podman tag localhost/busybox:test box";
        let loaded = home
            .place
            .command("sh")
            .args(["-c", load])
            .envs(home.environment())
            .output()
            .expect("podman load");
        assert!(loaded.status.success(), "{loaded:?}");
        home
    }

    pub(crate) fn place(&self) -> &Private {
        &self.place
    }

    /// The cgroup that the containers are in.
    pub(crate) fn parent(&self) -> &str {
        &self.parent
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.place.path(name).display().to_string();
        vec![
            ("CONTAINERS_CONF".into(), path("containers.conf")),
            ("CONTAINERS_STORAGE_CONF".into(), path("storage.conf")),
            ("PARENT".into(), self.parent.clone()),
            ("RUNTIME".into(), self.runtime.binary.display().to_string()),
            ("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()),
        ]
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.place.sweep(&self.parent);
    }
}
