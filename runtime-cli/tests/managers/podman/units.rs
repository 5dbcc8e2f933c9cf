//! What is different where containers are units of systemd.

use crate::support::lines::Line;

/// `$u` is the unit of the container aa.
pub(crate) const LINES: &[Line] = &[
    Line {
        name: "a unit in a slice",
        typed: "podman run --detach --name aa --cgroup-parent $PARENT --memory 64m --memory-swap 64m --cpus 0.3 --pids-limit 55 --cpu-shares 512 box sleep 1000 && u=libpod-$(podman inspect --format '{{.Id}}' aa).scope && systemctl show --property Slice $u | grep -x Slice=$PARENT && systemctl show --property ActiveState,MemoryMax,TasksMax,CPUQuotaPerSecUSec,Delegate $u | sort | tr '\\n' ' '",
        code: 0,
        says: "ActiveState=active CPUQuotaPerSecUSec=300ms Delegate=yes MemoryMax=67108864 TasksMax=55 ",
    },
    Line {
        name: "systemd is reloaded",
        typed: "u=libpod-$(podman inspect --format '{{.Id}}' aa).scope; systemctl daemon-reload && systemctl set-property --runtime $u IOWeight=321 && podman exec aa cat $MEMORY $PIDS && podman exec aa $QUOTA",
        code: 0,
        says: "67108864\n55\n30000\n",
    },
    Line {
        name: "update changes the unit",
        typed: "u=libpod-$(podman inspect --format '{{.Id}}' aa).scope; podman update --memory 96m --cpus 0.2 aa && systemctl daemon-reload && systemctl set-property --runtime $u IOWeight=322 && podman exec aa cat $MEMORY $PIDS && podman exec aa $QUOTA && systemctl show --value --property MemoryMax,CPUQuotaPerSecUSec $u | tr '\\n' ' '",
        code: 0,
        says: "100663296\n55\n20000\n200ms 100663296 ",
    },
    Line {
        name: "no unit is left of it",
        typed: "u=libpod-$(podman inspect --format '{{.Id}}' aa).scope; podman rm --force --time 0 aa && until systemctl show --value --property LoadState $u | grep -x not-found; do :; done",
        code: 0,
        says: "not-found\n",
    },
    Line {
        name: "ended by systemctl",
        typed: "podman run --detach --name aa box sh -c 'trap \"exit 4\" TERM; touch /made; while :; do sleep 1000 & wait; done' && until podman exec aa ls /made; do :; done && systemctl stop libpod-$(podman inspect --format '{{.Id}}' aa).scope && podman wait aa && podman start aa && podman rm --force --time 0 aa",
        code: 0,
        says: "\n4\naa\n",
    },
    Line {
        name: "machine.slice",
        typed: "podman run --detach --name aa --cgroup-parent machine.slice box sleep 1000 && systemctl show --value --property Slice libpod-$(podman inspect --format '{{.Id}}' aa).scope; podman rm --force --time 0 aa",
        code: 0,
        says: "machine.slice\n",
    },
    Line {
        name: "a pod is a slice",
        typed: "podman pod create --name pod --infra=false --cgroup-parent $PARENT && podman run --rm --pod pod box cat /proc/self/cgroup; podman pod rm --force pod",
        code: 0,
        says: "",
    },
    Line {
        name: "eight at once",
        typed: "for n in $(seq 8); do podman run --rm --net none box echo done & done | sort | uniq -c; wait",
        code: 0,
        says: "8 done\n",
    },
    Line {
        name: "no unit is left",
        typed: "until test -z \"$(systemctl list-units --all --plain --no-legend 'libpod*')\"; do systemctl list-units --all --plain --no-legend 'libpod*'; done",
        code: 0,
        says: "",
    },
];
