//! `podman container checkpoint` and `restore`, on a container that counts.

use crate::support::lines::Line;

/// Asks the container for the next number.
const ASK: &str = "exec 5<>vol/in 6<>vol/out; echo x >&5; read n <&6; echo n=$n";

pub(crate) const LINES: &[Line] = &[
    Line {
        name: "a container that counts",
        typed: "mkdir vol && mkfifo vol/in vol/out && podman run --detach --name ck --volume $PWD/vol:/vol box \
                sh -c 'exec 3<>/vol/in 4<>/vol/out; n=0; while read x <&3; do n=$((n+1)); echo $n >&4; done'",
        code: 0,
        says: "",
    },
    Line { name: "one", typed: ASK, code: 0, says: "n=1" },
    Line { name: "checkpoint", typed: "podman container checkpoint ck", code: 0, says: "" },
    Line {
        name: "checkpointed",
        typed: "podman inspect --format '{{.State.Running}} {{.State.Checkpointed}}' ck",
        code: 0,
        says: "false true",
    },
    Line { name: "restore", typed: "podman container restore ck", code: 0, says: "" },
    Line { name: "two", typed: ASK, code: 0, says: "n=2" },
    Line {
        name: "left running",
        typed: "podman container checkpoint --leave-running ck",
        code: 0,
        says: "",
    },
    Line { name: "three", typed: ASK, code: 0, says: "n=3" },
    Line {
        name: "exported",
        typed: "podman container checkpoint --export ck.tar.gz ck && podman rm --force ck",
        code: 0,
        says: "",
    },
    Line {
        name: "imported",
        typed: "podman container restore --import ck.tar.gz --name ck2",
        code: 0,
        says: "",
    },
    Line { name: "four", typed: ASK, code: 0, says: "n=4" },
    Line { name: "exec after it", typed: "podman exec ck2 echo in", code: 0, says: "in" },
    Line { name: "the end", typed: "podman rm --force --time 0 ck2", code: 0, says: "" },
];
