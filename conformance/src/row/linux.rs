//! config-linux.md: file systems, namespaces, id maps, devices, sysctl, the paths that are hidden.

use super::{Row, by, rows};

pub(super) const ROWS: &[Row] = rows! {
    "config-linux.md#default-filesystems" {
        Should "filesystem/proc" "/proc is a procfs." => by(&["rootfs/default-filesystems"]);
        Should "filesystem/sys" "/sys is a sysfs." => by(&["rootfs/default-filesystems"]);
        Should "filesystem/dev-pts" "/dev/pts is a devpts." => by(&["rootfs/default-filesystems"]);
        Should "filesystem/dev-shm" "/dev/shm is a tmpfs." => by(&["rootfs/default-filesystems"]);
    }
    "config-linux.md#namespaces" {
        Must "namespace/new-pid" "A pid namespace without a path is new." => by(&["namespace/new-pid", "value/namespace-path-empty"]);
        Must "namespace/new-network" "A network namespace without a path is new." => by(&["namespace/new-network"]);
        Must "namespace/new-mount" "A mount namespace without a path is new." => by(&["namespace/new-mount"]);
        Must "namespace/new-ipc" "An ipc namespace without a path is new." => by(&["namespace/new-ipc"]);
        Must "namespace/new-uts" "A UTS namespace without a path is new." => by(&["namespace/new-uts"]);
        Must "namespace/new-user" "A user namespace without a path is new." => by(&["user/maps", "user/owns-others"]);
        Must "namespace/new-cgroup" "A cgroup namespace without a path is new." => by(&["namespace/new-cgroup", "cgroup/namespace"]);
        Must "namespace/new-time" "A time namespace without a path is new." => by(&["namespace/new-time"]);
        Must "namespace/join-pid" "The pid namespace of a path is joined." => by(&["namespace/join-pid", "namespace/container-pid"]);
        Must "namespace/join-network" "The network namespace of a path is joined." => by(&["namespace/join-network", "namespace/container-network"]);
        Must "namespace/join-mount" "The mount namespace of a path is joined." => by(&["namespace/join-mount"]);
        Must "namespace/join-ipc" "The ipc namespace of a path is joined." => by(&["namespace/join-ipc", "namespace/container-pod"]);
        Must "namespace/join-uts" "The UTS namespace of a path is joined." => by(&["namespace/join-uts", "namespace/hostname-joined"]);
        Must "namespace/join-user" "The user namespace of a path is joined." => by(&["user/join"]);
        Must "namespace/join-cgroup" "The cgroup namespace of a path is joined." => by(&["namespace/join-cgroup"]);
        Must "namespace/join-time" "The time namespace of a path is joined." => by(&["namespace/join-time"]);
        Must "namespace/path-absolute" "A path that is not absolute is an error." => by(&["namespace/relative-path"]);
        Must "namespace/path-type" "A path of another type of namespace, or of no namespace, is an error." => by(&["namespace/wrong-type", "namespace/not-a-namespace", "namespace/missing-path"]);
        Must "namespace/inherit-pid" "Without pid it is the runtime's." => by(&["namespace/host-pid"]);
        Must "namespace/inherit-network" "Without network it is the runtime's." => by(&["namespace/host-network"]);
        Must "namespace/inherit-mount" "Without mount it is the runtime's." => by(&["namespace/host-mount"]);
        Must "namespace/inherit-ipc" "Without ipc it is the runtime's." => by(&["namespace/host-ipc"]);
        Must "namespace/inherit-uts" "Without uts it is the runtime's." => by(&["namespace/host-uts"]);
        Must "namespace/inherit-user" "Without user it is the runtime's." => by(&["namespace/host-user"]);
        Must "namespace/inherit-cgroup" "Without cgroup it is the runtime's." => by(&["namespace/host-cgroup"]);
        Must "namespace/inherit-time" "Without time it is the runtime's." => by(&["namespace/host-time"]);
        Must "namespace/duplicate" "The same type twice is an error." => by(&["namespace/duplicate"]);
        Must "namespace/unknown" "A type that nobody knows is an error." => by(&["namespace/unknown-type"]);
    }
    "config-linux.md#user-namespace-mappings" {
        Must "map/uid" "uidMappings are the map of the user namespace, range by range." => by(&["user/maps", "user/several-ranges", "user/identity"]);
        Must "map/gid" "gidMappings are the map of the user namespace, range by range." => by(&["user/maps", "user/several-ranges", "user/groups"]);
        Should "map/owner" "The owners of the root file system are left alone." => by(&["resource/rootfs-owner"]);
        Must "map/joined" "Maps beside a user namespace that is joined are its own, or an error." => by(&["user/join-with-maps"]);
        Must "map/required" "A new user namespace without maps is an error." => by(&["user/no-mapping"]);
    }
    "config-linux.md#offset-for-time-namespace" {
        Must "time/offsets" "timeOffsets shift the clocks of the time namespace." => by(&["namespace/time-offsets"]);
        Must "time/other" "An offset of another clock, or without a new time namespace, is an error." => by(&["value/time-offsets"]);
    }
    "config-linux.md#devices" {
        Must "device/available" "A device of devices is there, with its type and numbers." => by(&["device/configured"]);
        Must "device/mode" "fileMode is its mode, whatever the umask is." => by(&["device/configured", "device/umask"]);
        Must "device/numbers" "major and minor are required, unless the type is p." => by(&["value/device-numbers"]);
        Must "device/owner" "uid and gid own it." => by(&["device/configured"]);
        Must "device/fifo" "Type p is a FIFO and needs no numbers." => by(&["device/configured"]);
        Must "device/other-file" "Another file at its path is an error." => by(&["device/other-exists"]);
        Must "device/same-file" "The device itself at its path is no error." => by(&["device/same-exists"]);
        May "device/anywhere" "A device may be anywhere, also outside of /dev." => by(&["config/device-elsewhere"]);
        Must "device/folder" "Directories above it are made." => by(&["device/subfolder"]);
        Must "device/unknown-type" "Another type is an error." => by(&["device/unknown-type"]);
    }
    "config-linux.md#default-devices" {
        Must "device/null" "/dev/null is there and works." => by(&["device/default", "device/default-work"]);
        Must "device/zero" "/dev/zero is there and works." => by(&["device/default", "device/default-work"]);
        Must "device/full" "/dev/full is there and works." => by(&["device/default", "device/default-work"]);
        Must "device/random" "/dev/random is there." => by(&["device/default"]);
        Must "device/urandom" "/dev/urandom is there and works." => by(&["device/default", "device/default-work"]);
        Must "device/tty" "/dev/tty is there." => by(&["device/default"]);
        Must "device/console" "With terminal /dev/console is its pseudoterminal." => by(&["terminal/console-socket", "terminal/console-link"]);
        Must "device/ptmx" "/dev/ptmx is the multiplexer of the container's /dev/pts." => by(&["device/links", "planted/dev-entries"]);
        Must "device/mapped" "With a user namespace they are there as well." => by(&["user/devices"]);
    }
    "config-linux.md#network-devices" {
        Must "netdev/move" "A device of netDevices is moved into the container." => by(&["netdev/move"]);
        Must "netdev/name" "name is its name there; without one it keeps its own." => by(&["netdev/name", "netdev/move"]);
        Must "netdev/template" "%d in a name is the first free number." => by(&["netdev/template"]);
        Must "netdev/taken" "A name that is taken is an error." => by(&["netdev/taken"]);
        Must "netdev/missing" "A device that is not there is an error." => by(&["netdev/missing"]);
        Must "netdev/addresses" "Its lasting global addresses go with it." => by(&["netdev/addresses"]);
        Must "netdev/attributes" "Its MTU and its hardware address stay." => by(&["netdev/attributes"]);
        Must "netdev/up" "It is up when it was moved." => by(&["netdev/move"]);
        Must "netdev/namespace" "Without a network namespace of the container it is an error." => by(&["netdev/host"]);
        Must "netdev/hooks" "createRuntime hooks find it moved." => by(&["netdev/hook"]);
        Must "netdev/failure" "When create fails the device is back." => by(&["netdev/back"]);
    }
    "config-linux.md#sysctl" {
        Must "sysctl/network" "Parameters of the network namespace are set." => by(&["sysctl/net"]);
        Must "sysctl/ipc" "Parameters of the ipc namespace are set." => by(&["sysctl/ipc", "sysctl/mqueue"]);
        Must "sysctl/uts" "Parameters of the UTS namespace are set." => by(&["sysctl/domainname"]);
        Must "sysctl/user" "Parameters of the user namespace are set." => by(&["sysctl/user"]);
        Must "sysctl/names" "Names are those of sysctl(8), with dots or slashes." => by(&["sysctl/slashes"]);
        Must "sysctl/host" "What would change the host is an error." => by(&["sysctl/host-parameter", "sysctl/without-network", "sysctl/without-ipc", "sysctl/without-uts", "sysctl/joined-host", "sysctl/dots"]);
        Must "sysctl/refused" "A parameter that does not exist, or a value that the kernel refuses, is an error." => by(&["sysctl/unknown", "sysctl/bad-value"]);
    }
    "config-linux.md#rootfs-mount-propagation" {
        Must "propagation/shared" "shared puts the root into a peer group of its own." => by(&["propagation/rootfs", "propagation/rootfs-host"]);
        Must "propagation/slave" "slave makes the root receive from the host, and not the other way round." => by(&["propagation/rootfs", "propagation/rootfs-host"]);
        Must "propagation/private" "private separates the root from the host." => by(&["propagation/rootfs", "propagation/rootfs-host"]);
        Must "propagation/unbindable" "unbindable makes the root private and unbindable." => by(&["propagation/rootfs"]);
        Must "propagation/other" "Another word is an error." => by(&["hostile/bad-values"]);
    }
    "config-linux.md#masked-paths" {
        Must "mask/file" "A masked file cannot be read." => by(&["mask/file"]);
        Must "mask/folder" "A masked directory shows nothing." => by(&["mask/folder"]);
        Must "mask/real" "A mask is a mask, whatever the image planted at /dev/null." => by(&["planted/null-symlink", "planted/null-other", "planted/null-in-volume"]);
        Must "mask/link" "A masked link hides what it leads to." => by(&["mask/symlink"]);
        Must "mask/absolute" "A path that is not absolute is an error." => by(&["value/hidden-relative"]);
        Must "mask/missing" "A path that is not there is no error." => by(&["mask/missing"]);
    }
    "config-linux.md#readonly-paths" {
        Must "readonly/path" "What is listed cannot be written." => by(&["mask/read-only-paths"]);
        Must "readonly/absolute" "A path that is not absolute is an error." => by(&["value/hidden-relative"]);
        Must "readonly/below" "Neither can mounts below." => by(&["mask/read-only-tree"]);
        Must "readonly/flags" "The other flags of the mount stay." => by(&["mask/read-only-keeps-flags"]);
    }
    "config-linux.md#mount-label" {
        Must "selinux/mount-label" "mountLabel is the SELinux context of the mounts." => by(&["selinux/mount-label", "selinux/mount-label-user", "selinux/mount-label-masks", "selinux/mount-label-unknown"]);
    }
    "config-linux.md#personality" {
        Must "personality/linux32" "LINUX32 is what uname(2) tells." => by(&["process/personality"]);
        Must "personality/linux" "LINUX is the plain domain." => by(&["config/personality-linux"]);
        Must "personality/other" "Another domain is an error." => by(&["config/personality-other"]);
        Must "personality/flags" "A flag is an error, since none is supported yet." => by(&["value/personality-flags"]);
    }
    "config-linux.md#memory-policy" {
        Must "memory-policy/mode" "mode and nodes are the policy of the process." => by(&["config/memory-policy", "memory-policy/modes"]);
        Must "memory-policy/flags" "flags are part of the policy." => by(&["memory-policy/flags"]);
        May "memory-policy/nodes" "nodes may be left out where the mode takes none." => by(&["memory-policy/no-nodes"]);
        Must "memory-policy/refused" "What the kernel refuses, such as a mode without the nodes that it needs, is an error." => by(&["memory-policy/refused"]);
        Must "memory-policy/other" "Another mode is an error." => by(&["config/memory-policy-other"]);
    }
    "config-linux.md#intelrdt" {
        Must "rdt/absent" "intelRdt without a mounted resctrl is an error." => by(&["config/intel-rdt-absent"]);
        Must "rdt/tasks" "The process is in the tasks of its class, by closID or the container's id." => by(&["rdt/class", "rdt/named"]);
        Must "rdt/schemata" "l3CacheSchema, memBwSchema and schemata are written to the schemata of the class." => by(&["rdt/schemas", "rdt/schemata"]);
        Must "rdt/existing" "A class that was there before keeps its schemata or is an error, and outlives the container." => by(&["rdt/same", "rdt/other", "rdt/named", "rdt/unknown"]);
        Must "rdt/monitoring" "enableMonitoring makes a monitoring group, which delete removes." => by(&["rdt/monitoring"]);
    }
};
