//! A bundle: a folder with `config.json` and a root file system.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Lab, Result, image, privilege, systemd};

/// A bundle on disk.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// What `config.json` says; call [`Bundle::write`] after a change.
    pub(crate) config: Value,
}

impl Bundle {
    /// Makes a bundle with the default configuration, edited by `edit`.
    pub(super) fn make(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<Self> {
        let folder = lab.new_folder("bundle")?;
        image::unpack(&lab.image, &folder.join("rootfs"))?;
        let mut config = default_config();
        // A cgroup of its own, under a parent that the runner can recognise and remove.
        let leaf = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let leaf = leaf.unwrap_or_default();
        config["linux"]["cgroupsPath"] = lab.cgroups_path(&leaf).into();
        edit(&mut config);
        privilege::bind_shared(&mut config);
        let bundle = Self { folder, config };
        bundle.write()?;
        Ok(bundle)
    }

    /// Writes `config.json` again.
    pub(crate) fn write(&self) -> Result {
        fs::write(self.folder.join("config.json"), serde_json::to_vec_pretty(&self.config)?)?;
        Ok(())
    }

    /// The root file system.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.folder.join("rootfs")
    }

    /// The folder as a word for a command line.
    pub(crate) fn word(&self) -> String {
        self.folder.to_string_lossy().into_owned()
    }

    /// Where `linux.cgroupsPath` is in a hierarchy, without the leading slash.
    pub(crate) fn cgroup(&self) -> String {
        let path = self.config["linux"]["cgroupsPath"].as_str().unwrap_or_default();
        match path.split(':').collect::<Vec<_>>().as_slice() {
            [slice, prefix, name] if !path.contains('/') => {
                let unit = format!("{}/{}", systemd::cgroup(), scope(slice, prefix, name));
                unit.trim_start_matches('/').to_owned()
            }
            _ => path.trim_start_matches('/').to_owned(),
        }
    }
}

/// The cgroup of a scope of systemd, below that of its manager: `a-b.slice` is in `a.slice` (systemd.slice(5)).
pub(crate) fn scope(slice: &str, prefix: &str, name: &str) -> String {
    let stem = slice.trim_end_matches(".slice");
    let ends = stem.match_indices('-').map(|(end, _)| end).chain([stem.len()]);
    let slices: String = ends.map(|end| format!("{}.slice/", &stem[..end])).collect();
    format!("{slices}{prefix}-{name}.scope")
}

/// What `runc spec` writes, but without a terminal and with the probe as the workload.
pub(crate) fn default_config() -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["/probe", "facts"],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities
            },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "conformance",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
              "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
              "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs",
              "options": ["nosuid", "noexec", "nodev", "ro"] }
        ],
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" },
                { "type": "uts" }, { "type": "mount" }
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
                "/proc/scsi"
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"
            ]
        }
    })
}

/// What has to be merged into `base` to get `config` (RFC 7396): a removed member is null.
pub(crate) fn difference(base: &Value, config: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (base, config) else { return config.clone() };
    let changed =
        new.iter().filter(|(key, value)| old.get(*key) != Some(*value)).map(|(key, value)| {
            (key.clone(), difference(&old.get(key).cloned().unwrap_or_default(), value))
        });
    let removed =
        old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    Value::Object(changed.chain(removed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_in_the_slices_of_their_names() {
        assert_eq!(scope("a.slice", "p", "n"), "a.slice/p-n.scope");
        assert_eq!(scope("a-b-c.slice", "p", "n"), "a.slice/a-b.slice/a-b-c.slice/p-n.scope");
    }

    #[test]
    fn a_difference_has_what_changed_and_null_for_what_went() {
        let mut config = default_config();
        config["process"]["cwd"] = "/tmp".into();
        config["linux"]["sysctl"] = json!({ "a": "b" });
        config.as_object_mut().unwrap().remove("hostname");
        assert_eq!(
            difference(&default_config(), &config),
            json!({ "process": { "cwd": "/tmp" }, "linux": { "sysctl": { "a": "b" } }, "hostname": null })
        );
    }
}
