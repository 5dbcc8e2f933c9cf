//! What the user has: configuration and storage of its own, and `./u`, which runs a command as that user.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::units;
use crate::support::private::Private;
use crate::support::{Runtime, systemd};

/// What the user has.
pub(super) struct Home(Private);

impl Home {
    /// Makes all of it and loads the image. `None`, with the reason, where nobody has a systemd of his own that the
    /// runtime is to ask.
    pub(super) fn new(runtime: &Runtime) -> Option<Self> {
        let (user, driver) = if runtime.systemd {
            (systemd::user()?, "systemd")
        } else {
            ("teu-test".to_owned(), "cgroupfs")
        };
        let place = Private::new("teu-podman-user-");
        let d = place.directory().display();
        std::fs::set_permissions(place.directory(), Permissions::from_mode(0o755)).expect("chmod");
        // A copy: the build's own place may be closed to others.
        let prepare = format!(
            "id -u {user} >/dev/null 2>&1 || useradd --create-home {user}
             cp {runtime} runtime
             mkdir home run empty
             chown {user} home run && chmod 700 run && chmod 644 busybox.tar
             mknod -m 666 tun c 10 200 && mount --bind tun /dev/net/tun
             chmod 755 u {scripts}",
            runtime = runtime.binary.display(),
            scripts = units::SCRIPTS.map(|(name, _)| name).join(" "),
        );
        place.write("u", &command_of(&user, runtime, &place));
        for (name, script) in units::SCRIPTS {
            place.write(name, &format!("#!/bin/sh\nset -e\n{script}\n"));
        }
        place.write(
            "containers.conf",
            &format!(
                "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                 log_driver = \"k8s-file\"\n\n[engine]\nruntime = \"teu\"\ncgroup_manager = \"{driver}\"\n\
                 events_logger = \"file\"\ntmp_dir = \"{d}/run/podman\"\n\n\
                 [engine.runtimes]\nteu = [\"{d}/runtime\"]\n",
            ),
        );
        place.write(
            "storage.conf",
            &format!(
                "[storage]\ndriver = \"overlay\"\ngraphroot = \"{d}/home/graph\"\nrunroot = \"{d}/run/storage\"\n"
            ),
        );
        place.write("policy.json", "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}");
        let load = "./u podman load --quiet --signature-policy policy.json --input busybox.tar && \
                    ./u podman tag localhost/busybox:test box";
        let home = Self(place);
        for script in [&prepare, load] {
            let done = home.0.command("sh").args(["-ec", script]).output().expect("a shell");
            assert!(done.status.success(), "{script}: {done:?}");
        }
        Some(home)
    }

    pub(super) fn place(&self) -> &Private {
        &self.0
    }
}

/// The script `u`: a command in a login session of the user or, without systemd, with the user's ids alone.
fn command_of(user: &str, runtime: &Runtime, place: &Private) -> String {
    let d = place.directory().display();
    let environment = format!(
        "HOME={d}/home USER={user} PATH=/usr/sbin:/usr/bin:/sbin:/bin CONTAINERS_CONF={d}/containers.conf \
         CONTAINERS_STORAGE_CONF={d}/storage.conf"
    );
    if runtime.systemd {
        // The session begins in the directory of the user.
        let words = systemd::AS_USER;
        return format!(
            "#!/bin/sh\nexec {words} sh -c 'cd {d} && exec \"$@\"' sh env {environment} \"$@\"\n"
        );
    }
    format!(
        "#!/bin/sh\nuid=$(id -u {user})\n\
         exec setpriv --reuid $uid --regid $uid --clear-groups --inh-caps=-all env -i XDG_RUNTIME_DIR={d}/run \
         {environment} \"$@\"\n"
    )
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Where the next test would look for what this one has left.
            drop(
                self.0
                    .command("./u")
                    .args(["podman", "rm", "--force", "--all", "--time", "0"])
                    .output(),
            );
        }
        // Podman keeps a process that holds the user's namespace, and this ends it.
        drop(self.0.command("./u").args(["podman", "system", "migrate"]).output());
    }
}
