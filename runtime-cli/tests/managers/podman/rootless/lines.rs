//! What a user types, with either driver of cgroups.

use crate::support::lines::Line;

pub(super) const fn line(
    name: &'static str,
    typed: &'static str,
    code: i32,
    says: &'static str,
) -> Line {
    Line { name, typed, code, says }
}

/// `./u` is whatever the user types.
pub(super) const LINES: &[Line] = &[
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
