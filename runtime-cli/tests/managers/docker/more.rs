//! Less common ways of use: what becomes of a container from its birth to its end, and rarer options.

use crate::support::lines::Line;

/// With either runtime.
pub(crate) const MORE: &[Line] = &[
    Line {
        name: "killed by a signal of its own",
        typed: "docker run --rm --init box sh -c 'kill -SEGV $$'",
        code: 139,
        says: "",
    },
    Line {
        name: "killed by nine",
        typed: "docker run --rm --init box sh -c 'kill -KILL $$'",
        code: 137,
        says: "",
    },
    Line {
        name: "a directory on a file",
        typed: "mkdir -p dir && docker run --rm --volume $PWD/dir:/etc/passwd box true",
        code: 125,
        says: "Are you trying to mount a directory onto a file (or vice-versa)?",
    },
    Line {
        name: "rename and kill --signal",
        typed: "docker run --detach --name aa box sh -c 'trap \"exit 8\" USR1; touch /made; while :; do sleep 1000 & wait; done' && docker rename aa bb && until docker exec bb ls /made; do :; done && docker kill --signal USR1 bb && docker wait bb",
        code: 0,
        says: "bb\n8\n",
    },
    Line { name: "diff", typed: "docker diff bb", code: 0, says: "A /made\n" },
    Line {
        name: "commit",
        typed: "docker commit bb made && docker rm bb && docker run --rm made ls /made && docker rmi made",
        code: 0,
        says: "/made\n",
    },
    Line {
        name: "--stop-signal",
        typed: "docker run --detach --name aa --stop-signal USR2 box sh -c 'trap \"exit 6\" USR2; touch /made; while :; do sleep 1000 & wait; done' && until docker exec aa ls /made; do :; done && docker stop aa && docker wait aa; docker rm aa",
        code: 0,
        says: "\n6\n",
    },
    Line {
        name: "--restart on-failure",
        typed: "docker run --name aa --detach --restart on-failure:2 box sh -c 'echo tried; exit 4'; until docker inspect --format '{{.RestartCount}} {{.State.Status}}' aa | grep '2 exited'; do :; done; docker logs aa | grep -c tried; docker rm aa",
        code: 0,
        says: "3\n",
    },
    Line {
        name: "events",
        typed: "docker run --name aa box sh -c 'exit 3'; docker rm aa; docker events --since 60s --until $(($(date +%s) + 1)) --filter container=aa --format '{{.Action}} {{.Actor.Attributes.exitCode}}' | tr '\\n' ,",
        code: 0,
        says: "start <no value>,die 3,",
    },
    Line {
        name: "attach",
        typed: "docker run --detach --interactive --name aa box sh -c 'read line; echo $line' && echo words | docker attach aa; docker wait aa && docker logs aa; docker rm aa",
        code: 0,
        says: "0\nwords\n",
    },
    Line {
        name: "a health check",
        typed: "docker run --detach --name aa --health-cmd 'ls /made' --health-interval 100ms box sh -c 'touch /made; exec sleep 1000'; until docker inspect --format '{{.State.Health.Status}}' aa | grep '^healthy'; do :; done; docker rm --force aa",
        code: 0,
        says: "healthy\n",
    },
    Line {
        name: "a mount of the host's arrives, and none goes back",
        typed: "mkdir -p p && mount -t tmpfs p p && mount --make-shared p && mkdir p/in p/out && docker run --detach --name aa --cap-add SYS_ADMIN --security-opt apparmor=unconfined --mount type=bind,source=$PWD/p,target=/p,bind-propagation=rslave box sleep 1000 && mount -t tmpfs in p/in && touch p/in/seen && docker exec aa ls /p/in && docker exec aa busybox mount -t tmpfs out /p/out && grep -c $PWD/p/out /proc/self/mountinfo; docker rm --force aa",
        code: 0,
        says: "seen\n0\n",
    },
    Line {
        name: "a container's mount goes back",
        typed: "docker run --rm --cap-add SYS_ADMIN --security-opt apparmor=unconfined --mount type=bind,source=$PWD/p,target=/p,bind-propagation=rshared box busybox mount -t tmpfs out /p/out && grep -c $PWD/p/out /proc/self/mountinfo; umount -R p",
        code: 0,
        says: "1\n",
    },
    Line {
        name: "--shm-size",
        typed: "docker run --rm --shm-size 3m box df /dev/shm",
        code: 0,
        says: " 3072 ",
    },
    Line {
        name: "--ipc container:",
        typed: "docker run --detach --name aa --ipc shareable box sh -c 'echo shared >/dev/shm/x; exec sleep 1000'; docker run --rm --ipc container:aa box sh -c 'until cat /dev/shm/x 2>/dev/null; do :; done'; docker rm --force aa",
        code: 0,
        says: "shared\n",
    },
    Line {
        name: "--uts host",
        typed: "test $(docker run --rm --uts host box hostname) = $(hostname)",
        code: 0,
        says: "",
    },
];
