//! The plan of init: sections in the order of its life. What the sections mean is in the specification's
//! config.md and config-linux.md; here they are already decided.

use crate::codec::{Many, Maybe, Text};
use crate::macros::{wire_enum, wire_struct};
use crate::process::Process;
use crate::rootfs::Rootfs;

wire_struct! {
    /// The descriptors that init inherits, by number. They are not part of the plan, which can be made and
    /// compared without opening anything; -1 means that there is none.
    Fds / FdsView {
        /// The link to the caller.
        link: i32,
        /// The listening socket that `start` connects to.
        gate: i32,
        /// The connected console socket.
        console: i32,
        /// Standard input, output and error of the workload.
        stdio: Many<i32>,
        /// The `tasks` files of resctrl and of the cgroups, in the order in which they are to be joined.
        tasks: Many<i32>,
        /// The namespaces of [`Namespaces::join`], in the same order; for [`ExecPlan`], a pidfd of the process
        /// whose namespaces are entered.
        namespaces: Many<i32>,
        /// The mount trees that the plan names by their place in this list.
        trees: Many<i32>,
        /// The root directory to change into, for [`ExecPlan::change_root`].
        root: i32,
    }
}

wire_enum! {
    /// What the init program is made for.
    Work / WorkView {
        /// The first process of a new container.
        Create(InitPlan) = 0,
        /// A further process of a container that is there.
        Exec(ExecPlan) = 1,
    }
}

wire_struct! {
    /// Everything that init is to do.
    InitPlan / InitPlanView {
        /// The container's id.
        id: Text,
        /// Where it lives.
        namespaces: Namespaces,
        /// The trees that init opens itself, in the order of [`Fds::trees`], under whose numbers it keeps them: for
        /// a caller without the right to. Otherwise none.
        sources: Many<Source>,
        /// What it stands on; absent when it joins a container that stands already.
        rootfs: Maybe<Rootfs>,
        /// linux.sysctl.
        sysctls: Many<Sysctl>,
        /// What it becomes.
        process: Process,
        /// Hooks in the container's namespaces.
        hooks: Hooks,
        /// Whether the caller has hooks of its own to run when the root is mounted.
        caller_hooks: bool,
    }
}

wire_struct! {
    /// Everything that a further process is to do.
    ExecPlan / ExecPlanView {
        /// The number of the container's init in the caller's procfs, for kernels that enter no namespaces by pidfd.
        init: i32,
        /// CLONE_NEW* of what the container's init has other than the caller: entered in one step, by its pidfd.
        namespaces: u32,
        /// A user namespace is entered: become its root.
        become_root: bool,
        /// The container has the caller's mount namespace: its root is a directory in it.
        change_root: bool,
        /// The CPUs to run on from the container's cgroup on, 64 a word; empty where the kernel chooses.
        affinity: Many<u64>,
        /// What it becomes.
        process: Process,
    }
}

wire_struct! {
    /// The namespaces (namespaces(7)), as far as clone3 has not made them already.
    Namespaces / NamespacesView {
        /// A joined user namespace with a new pid namespace, or a joined pid namespace: the process that reads this
        /// is only the joiner.
        second_clone: Maybe<u64>,
        /// CLONE_NEW* of each namespace to enter, in order; the descriptors are in [`Fds::namespaces`].
        join: Many<u32>,
        /// CLONE_NEW* of what is made after joining.
        unshare: u32,
        /// A user namespace was entered or made: become its root.
        become_root: bool,
        /// Processes of another container share the pid namespace: be closed to them from the first moment.
        shared_pid: bool,
        /// A new cgroup namespace, made once the cgroups are joined.
        cgroup: bool,
        /// A new time namespace with the lines for timens_offsets (time_namespaces(7)).
        time_offsets: Maybe<Text>,
        /// A new network namespace: bring up its loopback interface.
        loopback: bool,
        /// hostname.
        hostname: Maybe<Text>,
        /// domainname.
        domainname: Maybe<Text>,
    }
}

wire_struct! {
    /// A part of the host's tree of mounts (open_tree(2)).
    Source / SourceView {
        /// Where it is on the host, absolute.
        path: Text,
        /// With all mounts below it.
        recursive: bool,
        /// MS_* propagation to set on all of it; 0 leaves it as it is.
        propagation: u64,
        /// It has to be this device: major and minor number.
        device: Maybe<DeviceNumber>,
    }
}

wire_struct! {
    /// makedev(3).
    DeviceNumber / DeviceNumberView {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    }
}

wire_struct! {
    /// One kernel parameter.
    Sysctl / SysctlView {
        /// The file below /proc/sys.
        file: Text,
        /// What is written.
        value: Text,
    }
}

wire_struct! {
    /// The hooks that run in the container's namespaces, and the state that they read.
    Hooks / HooksView {
        /// The bundle: the working directory of createContainer hooks.
        bundle: Text,
        /// hooks.createContainer.
        create_container: Many<Hook>,
        /// hooks.startContainer.
        start_container: Many<Hook>,
        /// The state JSON for createContainer up to the value of `pid`, which only init knows.
        creating_state: Text,
        /// The same for startContainer.
        created_state: Text,
        /// What follows the value of `pid` in both.
        state_tail: Text,
    }
}

wire_struct! {
    /// One hook (config.md, "POSIX-platform Hooks").
    Hook / HookView {
        /// The program.
        path: Text,
        /// Its arguments, argv[0] first.
        args: Many<Text>,
        /// Its whole environment.
        env: Many<Text>,
        /// Seconds until it is killed.
        timeout: Maybe<u32>,
    }
}
