//! What is different where containers are units of systemd.

use crate::support::lines::Line;

/// `$u` is the unit of the container aa.
pub(crate) const LINES: &[Line] = &[
    Line {
        name: "the driver",
        typed: "docker info --format '{{.CgroupDriver}} {{.DefaultRuntime}}'",
        code: 0,
        says: "systemd teu\n",
    },
    Line {
        name: "a unit in a slice",
        typed: "docker run --detach --name aa --memory 64m --memory-swap 64m --cpus 0.3 --pids-limit 55 --cpu-shares 512 box sleep 1000 && u=docker-$(docker inspect --format '{{.Id}}' aa).scope && systemctl show --property Slice $u | grep -x Slice=$PARENT && systemctl show --property ActiveState,MemoryMax,TasksMax,CPUQuotaPerSecUSec,Delegate $u | sort | tr '\\n' ' '",
        code: 0,
        says: "ActiveState=active CPUQuotaPerSecUSec=300ms Delegate=yes MemoryMax=67108864 TasksMax=55 ",
    },
    Line {
        name: "systemd is reloaded",
        typed: "u=docker-$(docker inspect --format '{{.Id}}' aa).scope; systemctl daemon-reload && systemctl set-property --runtime $u IOWeight=321 && docker exec aa cat $MEMORY $PIDS && docker exec aa $QUOTA",
        code: 0,
        says: "67108864\n55\n30000\n",
    },
    Line {
        name: "update changes the unit",
        typed: "u=docker-$(docker inspect --format '{{.Id}}' aa).scope; docker update --memory 96m --memory-swap 96m --cpus 0.2 --pids-limit 66 aa && systemctl daemon-reload && systemctl set-property --runtime $u IOWeight=322 && docker exec aa cat $MEMORY $PIDS && docker exec aa $QUOTA && systemctl show --value --property MemoryMax,CPUQuotaPerSecUSec $u | sort | tr '\\n' ' '",
        code: 0,
        says: "100663296\n66\n20000\n100663296 200ms ",
    },
    Line {
        name: "stats and pause",
        typed: "docker stats --no-stream --format '{{.Name}} {{.PIDs}}' aa && docker pause aa && docker unpause aa",
        code: 0,
        says: "aa 1\n",
    },
    Line {
        name: "restart",
        typed: "docker restart --time 0 aa && systemctl show --value --property ActiveState,MemoryMax docker-$(docker inspect --format '{{.Id}}' aa).scope | sort | tr '\\n' ' '",
        code: 0,
        says: "100663296 active ",
    },
    Line {
        name: "no unit is left of it",
        typed: "u=docker-$(docker inspect --format '{{.Id}}' aa).scope; docker rm --force aa && until systemctl show --value --property LoadState $u | grep -x not-found; do :; done",
        code: 0,
        says: "not-found\n",
    },
    Line {
        name: "ended by systemctl",
        typed: "docker run --detach --name aa box sh -c 'trap \"exit 4\" TERM; touch /made; while :; do sleep 1000 & wait; done' && until docker exec aa ls /made; do :; done && systemctl stop docker-$(docker inspect --format '{{.Id}}' aa).scope && docker wait aa && docker start aa && docker rm --force aa",
        code: 0,
        says: "\n4\naa\n",
    },
    Line {
        name: "system.slice",
        typed: "docker run --detach --name aa --cgroup-parent system.slice box sleep 1000 && systemctl show --value --property Slice docker-$(docker inspect --format '{{.Id}}' aa).scope; docker rm --force aa",
        code: 0,
        says: "system.slice\n",
    },
    Line {
        name: "BuildKit, which knows nothing of the driver",
        typed: "mkdir -p b && printf 'FROM box\\nRUN echo built >/built\\nCMD cat /built\\n' >b/Dockerfile && DOCKER_BUILDKIT=1 docker build --quiet --tag one b && docker run --rm one; cat calls | grep -c ' run '",
        code: 0,
        says: "built\n1\n",
    },
    Line {
        name: "five at once",
        typed: "for n in $(seq 5); do docker run --rm --network none box echo done & done | sort | uniq -c; wait",
        code: 0,
        says: "5 done\n",
    },
    Line {
        name: "no unit is left",
        typed: "until test -z \"$(systemctl list-units --all --plain --no-legend 'docker-*')\"; do systemctl list-units --all --plain --no-legend 'docker-*'; done",
        code: 0,
        says: "",
    },
];
