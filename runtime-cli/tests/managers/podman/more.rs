//! Less common ways of use: health checks, attach, restarts, user namespaces, namespaces of another container.

use crate::support::lines::Line;

/// With either runtime.
pub(crate) const MORE: &[Line] = &[
    Line {
        name: "killed by a signal of its own",
        typed: "podman run --rm --pid host box sh -c 'kill -SEGV $$'",
        code: 139,
        says: "",
    },
    Line {
        name: "a health check",
        typed: "podman run --detach --name aa --health-cmd 'ls /etc/passwd' --health-interval disable box sleep 1000 && podman healthcheck run aa && podman inspect --format '{{.State.Health.Status}}' aa; podman rm --force --time 0 aa",
        code: 0,
        says: "healthy\n",
    },
    Line {
        name: "attach",
        typed: "podman run --detach --interactive --name aa box cat && echo words | podman attach aa; podman rm --force --time 0 aa",
        code: 0,
        says: "words\n",
    },
    Line {
        name: "commit",
        typed: "podman run --name aa box touch /made && podman commit --quiet aa made && podman rm aa && podman run --rm made ls /made && podman rmi made",
        code: 0,
        says: "/made\n",
    },
    Line {
        name: "--restart on-failure",
        typed: "podman run --name aa --detach --restart on-failure:2 box sh -c 'echo tried; exit 4'; until podman inspect --format '{{.RestartCount}} {{.State.Status}}' aa | grep '2 exited'; do :; done; podman logs aa | grep -c tried; podman rm --force --time 0 aa",
        code: 0,
        says: "3\n",
    },
    Line {
        name: "a user namespace",
        typed: "podman run --rm --uidmap 0:100000:5000 --gidmap 0:200000:5000 box sh -c 'id -u; cat /proc/self/uid_map /proc/self/gid_map; touch /mine && ls -ln /mine'",
        code: 0,
        says: "100000       5000\n",
    },
    Line {
        name: "exec in a user namespace",
        // Podman may find the container's root file system busy, a moment after its end.
        typed: "podman run --detach --name aa --uidmap 0:100000:5000 --gidmap 0:200000:5000 box sleep 1000 && podman exec aa sh -c 'id -u; touch /dev/shm/x && ls -ln /dev/shm/x; hostname'; podman rm --force --time 0 aa || podman rm --force --ignore aa",
        code: 0,
        says: "0\n-rw-r--r--    1 0        0 ",
    },
    Line {
        name: "--sdnotify conmon",
        typed: "podman run --rm --sdnotify conmon box echo here",
        code: 0,
        says: "here\n",
    },
    Line {
        name: "--shm-size",
        typed: "podman run --rm --shm-size 3m box df /dev/shm",
        code: 0,
        says: " 3072 ",
    },
    Line {
        name: "a stop with a signal",
        typed: "podman run --detach --name aa --stop-signal USR2 box sh -c 'trap \"exit 6\" USR2; touch /made; while :; do sleep 1000 & wait; done' && until podman exec aa ls /made; do :; done && podman stop aa && podman wait aa; podman rm aa",
        code: 0,
        says: "\n6\n",
    },
    Line {
        name: "a container in the namespaces of another",
        typed: "podman run --detach --name aa --ipc shareable --uts private --hostname first box sh -c 'echo shared >/dev/shm/x; exec sleep 1000' && podman run --rm --ipc container:aa --uts container:aa box sh -c 'until cat /dev/shm/x 2>/dev/null; do :; done; hostname'; podman rm --force --time 0 aa",
        code: 0,
        says: "shared\nfirst\n",
    },
];
