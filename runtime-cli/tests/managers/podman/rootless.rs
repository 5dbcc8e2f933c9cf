//! Podman of a user without privilege: its own user namespace, network by slirp4netns, no cgroup.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::Runtime;
use crate::support::lines::{Line, needs, play};
use crate::support::private::Private;

const USER: &str = "teu-test";

const fn line(name: &'static str, typed: &'static str, code: i32, says: &'static str) -> Line {
    Line { name, typed, code, says }
}

/// `./u` is whatever the user types.
const LINES: &[Line] = &[
    line("hello", "./u podman run --rm box echo hi", 0, "hi\n"),
    line(
        "the ids",
        "./u podman run --rm box sh -c 'cat /proc/self/uid_map | wc -l; id -u'",
        0,
        "2\n0\n",
    ),
    line("exit code", "./u podman run --rm box sh -c 'exit 42'", 42, ""),
    line(
        "no such program",
        "./u podman run --rm box nope",
        127,
        "executable file not found in $PATH",
    ),
    line("detached", "./u podman run --detach --name aa box sleep 1000", 0, ""),
    line("exec", "./u podman exec aa echo inside", 0, "inside\n"),
    line("exec as another user", "./u podman exec --user 1000 aa id -u", 0, "1000\n"),
    line("exec with a terminal", "./u podman exec -t aa tty", 0, "/dev/pts/"),
    line("top", "./u podman top aa", 0, "sleep 1000"),
    line("stop", "./u podman stop --time 0 aa", 0, "aa\n"),
    line("start", "./u podman start aa", 0, "aa\n"),
    line("kill", "./u podman kill aa", 0, "aa\n"),
    line("rm", "./u podman rm --force aa", 0, "aa\n"),
    line(
        "its own id inside",
        "./u sh -c 'podman run --rm --userns keep-id box id -u | grep -x $(id -u)'",
        0,
        "",
    ),
    line(
        "a volume",
        "./u podman run --rm --volume $PWD/policy.json:/p:ro box cat /p",
        0,
        "insecureAcceptAnything",
    ),
    line(
        "a tmpfs",
        "./u podman run --rm --tmpfs /t box sh -c 'echo x >/t/x && cat /t/x'",
        0,
        "x\n",
    ),
    line(
        "a read-only root",
        "./u podman run --rm --read-only box touch /x",
        1,
        "Read-only file system",
    ),
    line("privileged", "./u podman run --rm --privileged box echo p", 0, "p\n"),
    line(
        "the host's namespaces",
        "./u podman run --rm --pid host --network host box echo h",
        0,
        "h\n",
    ),
    line("a terminal", "./u podman run --rm -t box tty", 0, "/dev/pts/0"),
    line("a pod", "./u podman pod create --name pp", 0, ""),
    line("in the pod", "./u podman run --rm --pod pp box echo inpod", 0, "inpod\n"),
    line("the end of the pod", "./u podman pod rm --force pp", 0, ""),
    line(
        "a build",
        "printf 'FROM localhost/box\\nRUN echo built >/built\\n' >Containerfile && \
         ./u podman build --signature-policy policy.json -q -t built -f Containerfile empty && \
         ./u podman run --rm built cat /built",
        0,
        "built\n",
    ),
    line("nothing left", "test -z \"$(./u podman ps --all --quiet)\"", 0, ""),
];

checks!(containers_of_a_user);

mod checks {
    use super::*;

    pub(crate) fn containers_of_a_user(runtime: Runtime) {
        needs("podman", "podman");
        needs("slirp4netns", "slirp4netns");
        let home = Home::new(&runtime);
        play(&format!("podman without root with {}", runtime.name()), LINES, &home.0, &[]);
    }
}

/// What the user has.
struct Home(Private);

impl Home {
    fn new(runtime: &Runtime) -> Self {
        let place = Private::new("teu-podman-user-");
        let d = place.directory().display();
        std::fs::set_permissions(place.directory(), Permissions::from_mode(0o755)).expect("chmod");
        // A copy: the build's own place may be closed to others.
        let prepare = format!(
            "id -u {USER} >/dev/null 2>&1 || useradd --create-home {USER}
             cp {runtime} runtime
             mkdir home run empty
             chown {USER} home run && chmod 700 run && chmod 644 busybox.tar
             mknod -m 666 tun c 10 200 && mount --bind tun /dev/net/tun
             chmod 755 u",
            runtime = runtime.binary.display(),
        );
        place.write(
            "u",
            &format!(
                "#!/bin/sh\nuid=$(id -u {USER})\n\
                 exec setpriv --reuid $uid --regid $uid --clear-groups --inh-caps=-all env -i HOME={d}/home \
                 USER={USER} XDG_RUNTIME_DIR={d}/run PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                 CONTAINERS_CONF={d}/containers.conf CONTAINERS_STORAGE_CONF={d}/storage.conf \"$@\"\n"
            ),
        );
        place.write(
            "containers.conf",
            &format!(
                "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                 log_driver = \"k8s-file\"\n\n[engine]\nruntime = \"teu\"\ncgroup_manager = \"cgroupfs\"\n\
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
        home
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Podman keeps a process that holds the user's namespace, and this ends it.
        drop(self.0.command("./u").args(["podman", "system", "migrate"]).output());
    }
}
