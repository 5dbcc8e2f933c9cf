//! The lines, in an order in which later ones use what earlier ones have made.

use crate::support::lines::Line;

/// With either runtime.
pub(crate) const LINES: &[Line] = &[
    Line {
        name: "by name",
        typed: "docker run --rm --runtime teu box echo hi",
        code: 0,
        says: "hi\n",
    },
    Line { name: "hello", typed: "docker run --rm box echo hi", code: 0, says: "hi\n" },
    Line {
        name: "default runtime",
        typed: "docker info --format '{{.DefaultRuntime}}'",
        code: 0,
        says: "teu\n",
    },
    Line { name: "exit code", typed: "docker run --rm box sh -c 'exit 42'", code: 42, says: "" },
    Line {
        name: "no such program",
        typed: "docker run --rm box nope",
        code: 127,
        says: "executable file not found in $PATH",
    },
    Line {
        name: "no such path",
        typed: "docker run --rm box /no/such",
        code: 127,
        says: "no such file or directory",
    },
    Line {
        name: "not executable",
        typed: "docker run --rm box /etc/passwd",
        code: 126,
        says: "permission denied",
    },
    Line { name: "a directory", typed: "docker run --rm box /etc", code: 126, says: "" },
    Line {
        name: "wrong flag",
        typed: "docker run --rm --no-such-flag box true",
        code: 125,
        says: "unknown flag",
    },
    Line {
        name: "detached",
        typed: "docker run --detach --name aa box sleep 1000",
        code: 0,
        says: "",
    },
    Line { name: "exec", typed: "docker exec aa echo inside", code: 0, says: "inside\n" },
    Line { name: "exec's exit code", typed: "docker exec aa sh -c 'exit 7'", code: 7, says: "" },
    Line {
        name: "exec of nothing",
        typed: "docker exec aa nope",
        code: 126,
        says: "executable file not found in $PATH",
    },
    Line {
        name: "exec of a file",
        typed: "docker exec aa /etc/passwd",
        code: 126,
        says: "permission denied",
    },
    Line {
        name: "exec as",
        typed: "docker exec --user 1000:1000 --workdir /tmp --env A=b aa sh -c 'id -u; id -g; pwd; echo $A'",
        code: 0,
        says: "1000\n1000\n/tmp\nb\n",
    },
    Line { name: "exec detached", typed: "docker exec --detach aa sleep 500", code: 0, says: "" },
    Line {
        name: "exec with a terminal",
        typed: "script -qec 'docker exec -it aa tty' /dev/null",
        code: 0,
        says: "/dev/pts/",
    },
    Line {
        name: "exec's input",
        typed: "echo words | docker exec -i aa cat",
        code: 0,
        says: "words\n",
    },
    Line { name: "top", typed: "docker top aa -o pid,args", code: 0, says: "sleep 500" },
    Line {
        name: "pause",
        typed: "docker pause aa && docker inspect --format '{{.State.Status}}' aa",
        code: 0,
        says: "paused",
    },
    Line { name: "exec while paused", typed: "docker exec aa true", code: 1, says: "paused" },
    Line {
        name: "unpause",
        typed: "docker unpause aa && docker exec aa echo again",
        code: 0,
        says: "again\n",
    },
    Line {
        name: "stats",
        typed: "docker stats --no-stream --format '{{.Name}} {{.PIDs}}' aa",
        code: 0,
        says: "aa 2\n",
    },
    Line {
        name: "update",
        typed: "docker update --memory 64m --memory-swap 128m aa && docker exec aa cat $MEMORY",
        code: 0,
        says: "67108864\n",
    },
    Line {
        name: "update others",
        typed: "docker update --pids-limit 50 --cpu-shares 200 aa && docker exec aa cat $PIDS $MEMORY && docker exec aa grep -cxE $SHARES_200 $SHARES",
        code: 0,
        says: "50\n67108864\n1\n",
    },
    Line {
        name: "copy in",
        typed: "docker cp /etc/hostname aa:/tmp/name && docker exec aa cat /tmp/name | cmp - /etc/hostname",
        code: 0,
        says: "",
    },
    Line {
        name: "copy out",
        typed: "docker cp aa:/etc/passwd - | tar -tf -",
        code: 0,
        says: "passwd\n",
    },
    Line {
        name: "stop",
        typed: "docker stop --time 1 aa && docker inspect --format '{{.State.ExitCode}} {{.State.Status}}' aa",
        code: 0,
        says: "137 exited\n",
    },
    Line {
        name: "start again",
        typed: "docker start aa && docker exec aa echo again",
        code: 0,
        says: "again\n",
    },
    Line {
        name: "restart",
        typed: "docker restart --time 1 aa && docker exec aa echo again",
        code: 0,
        says: "again\n",
    },
    Line {
        name: "kill and wait",
        typed: "docker kill aa && docker wait aa",
        code: 0,
        says: "137\n",
    },
    Line {
        name: "remove",
        typed: "docker rm aa && docker ps --all --quiet | wc -l",
        code: 0,
        says: "0\n",
    },
    Line {
        name: "logs",
        typed: "docker run --name bb box sh -c 'echo out; echo err >&2'; docker logs bb 2>&1 | sort; docker rm bb",
        code: 0,
        says: "err\nout\n",
    },
    Line {
        name: "attach",
        typed: "docker create --interactive --name bb box cat && echo words | docker start --attach --interactive bb; docker rm bb",
        code: 0,
        says: "words\n",
    },
    Line {
        name: "a name in use",
        typed: "docker create --name bb box true && docker create --name bb box true; docker rm bb",
        code: 0,
        says: "already in use",
    },
    Line {
        name: "ten at once",
        typed: "for n in 0 1 2 3 4 5 6 7 8 9; do docker run --rm box echo done-$n & done | sort | tr -d '\\n'; wait",
        code: 0,
        says: "done-0done-1done-2done-3done-4done-5done-6done-7done-8done-9",
    },
    Line {
        name: "classic builder",
        typed: "printf 'FROM box\\nRUN echo built >/built && id -u\\nUSER 1000\\nRUN id -u\\nCMD cat /built\\n' >Dockerfile && DOCKER_BUILDKIT=0 docker build --tag one - <Dockerfile && docker run --rm one",
        code: 0,
        says: "built\n",
    },
    Line {
        name: "BuildKit",
        typed: "DOCKER_BUILDKIT=1 docker build --quiet --no-cache --tag two - <Dockerfile && docker run --rm two",
        code: 0,
        says: "built\n",
    },
    Line { name: "BuildKit has called it", typed: "cat calls", code: 0, says: " run --bundle " },
    Line {
        name: "a failing step",
        typed: "printf 'FROM box\\nRUN exit 3\\n' | DOCKER_BUILDKIT=0 docker build --force-rm -",
        code: 3,
        says: "returned a non-zero code: 3",
    },
    Line {
        name: "layers stay as they are",
        typed: "sum() { tar -C $(docker image inspect --format '{{.GraphDriver.Data.UpperDir}}' box) --sort=name --xattrs --pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime --numeric-owner -cf - . | sha256sum; }; sum >before && docker run --rm box sh -c 'echo x >>/etc/passwd; rm /bin/true; chmod 0 /bin/busybox; mv /etc/group /etc/x' && sum >after && cmp before after && test -s before",
        code: 0,
        says: "",
    },
];

/// What Debian's runc fails at on a machine whose root lacks a capability (CAP_SYS_RESOURCE): it gives up, where
/// the specification wants a warning.
pub(crate) const ONLY_TEU: &[Line] = &[Line {
    name: "--privileged",
    typed: "docker run --rm --privileged box true",
    code: 0,
    says: "",
}];

/// The end.
pub(crate) const NOTHING_LEFT: &[Line] = &[
    Line { name: "remove all", typed: "docker rm --force net", code: 0, says: "" },
    Line {
        name: "no container is left",
        typed: "docker ps --all --quiet | wc -l",
        code: 0,
        says: "0\n",
    },
    Line {
        name: "no state is left",
        typed: "find exec -path '*runtime*' -name 'state.json' -o -path '*runtime*' -name record.json | wc -l",
        code: 0,
        says: "0\n",
    },
    Line {
        name: "no mount is left",
        typed: "grep -c \"$PWD.* - overlay \" /proc/self/mountinfo",
        code: 1,
        says: "0\n",
    },
];
