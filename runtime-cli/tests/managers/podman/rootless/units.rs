//! What is different where containers are units of the user's own systemd.

use super::lines::line;
use crate::support::lines::Line;

/// What the lines call, beside `./u`.
pub(super) const SCRIPTS: [(&str, &str); 3] = [
    // CONTAINER
    ("unit", "echo libpod-$(./u podman inspect --format '{{.Id}}' $1).scope"),
    // UNIT PROPERTY,...: in the order of their names.
    ("show", "./u systemctl --user show --property $2 $1 | sort | tr '\\n' ' '"),
    // UNIT FILE...: of its cgroup.
    (
        "files",
        "cd /sys/fs/cgroup$(./u systemctl --user show --value --property ControlGroup $1); shift; cat $*",
    ),
];

/// In an order in which later ones use what earlier ones have made.
pub(super) const LINES: &[Line] = &[
    line(
        "the driver",
        "./u podman info --format '{{.Host.CgroupManager}} {{.Host.OCIRuntime.Name}}'",
        0,
        "systemd teu\n",
    ),
    line(
        "a unit",
        "./u podman run --detach --name aa --memory 64m --memory-swap 64m --cpus 0.3 --pids-limit 55 box sleep 1000 && \
         ./show $(./unit aa) Slice,ActiveState,MemoryMax,TasksMax,CPUQuotaPerSecUSec,Delegate",
        0,
        "ActiveState=active CPUQuotaPerSecUSec=300ms Delegate=yes MemoryMax=67108864 Slice=user.slice TasksMax=55 ",
    ),
    line(
        "its cgroup",
        "./files $(./unit aa) memory.max pids.max cpu.max",
        0,
        "67108864\n55\n30000 100000\n",
    ),
    line("its cgroup is the user's", "./show $(./unit aa) ControlGroup", 0, "/user.slice/libpod-"),
    line("the same inside", "./u podman exec aa cat $MEMORY $PIDS", 0, "67108864\n55\n"),
    line(
        "systemd is reloaded",
        "u=$(./unit aa); ./u systemctl --user daemon-reload && \
         ./u systemctl --user set-property --runtime $u IOWeight=321 && ./files $u memory.max pids.max cpu.max",
        0,
        "67108864\n55\n30000 100000\n",
    ),
    line(
        "update changes the unit",
        "u=$(./unit aa); ./u podman update --memory 96m --cpus 0.2 aa && ./u systemctl --user daemon-reload && \
         ./u systemctl --user set-property --runtime $u IOWeight=322 && ./files $u memory.max pids.max cpu.max && \
         ./show $u MemoryMax,CPUQuotaPerSecUSec",
        0,
        "100663296\n55\n20000 100000\nCPUQuotaPerSecUSec=200ms MemoryMax=100663296 ",
    ),
    line(
        "exec is in the unit, too",
        "./u podman exec --detach aa sleep 500 && ./files $(./unit aa) cgroup.procs | wc -l",
        0,
        "2\n",
    ),
    line(
        "stats",
        "./u podman stats --no-stream --format '{{.Name}} {{.PIDs}} {{.MemLimit}}' aa",
        0,
        "aa 2 ",
    ),
    line(
        "pause and unpause",
        "./u podman pause aa && ./files $(./unit aa) cgroup.freeze && ./u podman unpause aa && \
         ./files $(./unit aa) cgroup.freeze && ./u podman exec aa echo again",
        0,
        "0\nagain\n",
    ),
    line(
        "stop",
        "u=$(./unit aa); ./u podman stop --time 1 aa && ./u podman inspect --format '{{.State.ExitCode}}' aa && \
         until ./show $u LoadState | grep not-found; do :; done",
        0,
        "aa\n137\nLoadState=not-found ",
    ),
    line(
        "start again",
        "./u podman start aa && ./show $(./unit aa) ActiveState,TasksMax",
        0,
        "aa\nActiveState=active TasksMax=55 ",
    ),
    line("kill", "./u podman kill aa && ./u podman wait aa", 0, "aa\n137\n"),
    line("rm", "./u podman rm aa", 0, "aa\n"),
    line(
        "out of memory",
        "./u podman run --rm --memory 16m --memory-swap 16m box sh -c 'x=a; while :; do x=$x$x; done'",
        137,
        "",
    ),
    line(
        "a process of it out of memory",
        "./u podman run --detach --name aa --memory 16m --memory-swap 16m box \
         sh -c 'sh -c \"x=a; while :; do x=\\$x\\$x; done\"; touch /made; exec sleep 1000' && \
         until ./u podman exec aa ls /made; do :; done; ./files $(./unit aa) memory.events; \
         ./u podman rm --force --time 0 aa",
        0,
        "\noom_kill 1\n",
    ),
    line(
        "ended by systemctl",
        "./u podman run --detach --name aa box \
         sh -c 'trap \"exit 4\" TERM; touch /made; while :; do sleep 1000 & wait; done' && \
         until ./u podman exec aa ls /made; do :; done && ./u systemctl --user stop $(./unit aa) && \
         ./u podman wait aa && ./u podman start aa && ./u podman rm --force --time 0 aa",
        0,
        "\n4\naa\n",
    ),
    line(
        "a slice of one's own",
        "./u podman run --detach --name aa --cgroup-parent teutest.slice box sleep 1000 && \
         ./show $(./unit aa) Slice,ActiveState; ./u podman rm --force --time 0 aa; ./u systemctl --user stop teutest.slice",
        0,
        "ActiveState=active Slice=teutest.slice aa\n",
    ),
    line(
        "a pod is a slice",
        "./u podman pod create --name pp && ./u podman run --detach --pod pp --name aa --memory 64m box sleep 1000 && \
         ./show $(./unit aa) Slice,ActiveState,MemoryMax",
        0,
        "ActiveState=active MemoryMax=67108864 Slice=user-libpod_pod_",
    ),
    line("a second one in it", "./u podman run --rm --pod pp box echo inpod", 0, "inpod\n"),
    line(
        "stats of a pod",
        "./u podman pod stats --no-stream --format '{{.Name}} {{.PIDS}}' pp | sort",
        0,
        "aa 1\n",
    ),
    line(
        "stop and start of a pod",
        "./u podman pod stop --time 0 pp && ./u podman pod start pp",
        0,
        "",
    ),
    line(
        "the end of a pod",
        "s=$(./show $(./unit aa) Slice); ./u podman pod rm --force pp && s=${s#Slice=} && \
         until ./show $s ActiveState | grep inactive; do :; done",
        0,
        "ActiveState=inactive ",
    ),
    line(
        "a pod with limits",
        "./u podman pod create --name pp --memory 64m --cpus 0.3 && ./u podman run --rm --pod pp box echo inpod && \
         ./show user-libpod_pod_$(./u podman pod inspect --format '{{.ID}}' pp).slice MemoryMax,CPUQuotaPerSecUSec; \
         ./u podman pod rm --force pp",
        0,
        "CPUQuotaPerSecUSec=300ms MemoryMax=67108864",
    ),
    line(
        "in the caller's unit",
        "./u systemd-run --user --scope --quiet --property Delegate=yes \
         podman run --rm --cgroups split box echo here",
        0,
        "here\n",
    ),
    line(
        "a service of the user",
        "./u systemd-run --user --unit teutest --collect --quiet --property Delegate=yes --setenv HOME \
         --setenv CONTAINERS_CONF --setenv CONTAINERS_STORAGE_CONF --property StandardError=file:$PWD/run/said \
         podman run --cgroups split --net none --name aa box sleep 1000; \
         until ./u podman exec aa true || ./show teutest.service ActiveState | grep -v =active; do :; done; \
         cat run/said; \
         ./files teutest.service libpod-payload-*/cgroup.procs | wc -l && ./u podman rm --force --time 0 aa && \
         until ./show teutest.service LoadState | grep not-found; do :; done",
        0,
        "1\naa\nLoadState=not-found ",
    ),
    line(
        "eight at once",
        "./u sh -c 'for n in $(seq 8); do podman run --rm --net none box echo done & done; wait' | sort | uniq -c",
        0,
        "8 done\n",
    ),
    line(
        "rm of what runs",
        "./u podman run --detach --name aa box sleep 1000 && u=$(./unit aa) && ./u podman rm --force --time 0 aa && \
         until ./show $u LoadState | grep not-found; do :; done",
        0,
        "LoadState=not-found ",
    ),
    line("nothing left", "test -z \"$(./u podman ps --all --quiet)\"", 0, ""),
    line(
        "no unit is left",
        "until test -z \"$(./u systemctl --user list-units --all --plain --no-legend '*libpod*')\"; do \
         ./u systemctl --user list-units --all --plain --no-legend '*libpod*'; done",
        0,
        "",
    ),
    line(
        "no cgroup is left",
        "test -z \"$(find /sys/fs/cgroup/user.slice -name '*libpod*')\"",
        0,
        "",
    ),
];
