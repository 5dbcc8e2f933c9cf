//! How init says what failed.

use crate::codec::Text;
use crate::macros::wire_struct;

wire_struct! {
    /// What failed in init: which step, on which element of the configuration, and the system call.
    Failure / FailureView {
        /// A [`Step`].
        step: u16,
        /// Which element of the list that the step walks (`mounts[3]`); otherwise 0.
        index: u32,
        /// errno(3); 0 when no system call failed.
        errno: i32,
        /// The system call, or what was found.
        call: Text,
        /// The path or name that it was about; may be empty, may be cut.
        detail: Text,
    }
}

macro_rules! steps {
    ($($(#[$meta:meta])* $step:ident = $text:literal,)*) => {
        /// Every step of init has a name, so that a failure names its place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Step {
            $($(#[$meta])* $step,)*
        }

        impl Step {
            /// All of them, in the order in which a container meets them.
            pub const ALL: &[Self] = &[$(Self::$step),*];

            /// What the step does, for messages: "setting up {name}".
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $text,)*
                }
            }

            /// The step of that number.
            pub fn from_number(number: u16) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }
    };
}

steps! {
    /// Reading the plan.
    Plan = "reading the plan",
    /// setsid(2).
    Session = "making a session",
    /// setns(2), element of linux.namespaces.
    Join = "joining a namespace",
    /// unshare(2).
    Unshare = "making namespaces",
    /// Becoming root of the user namespace.
    BecomeRoot = "becoming root of the user namespace",
    /// The second clone of the joiner.
    Joiner = "making the process in the joined user namespace",
    /// The loopback interface.
    Loopback = "bringing up the loopback interface",
    /// The session keyring.
    Keyring = "making the session keyring",
    /// hostname and domainname.
    HostName = "setting the host name",
    /// Opening and checking the host's procfs.
    Procfs = "opening procfs",
    /// The clock offsets of the time namespace.
    TimeOffsets = "setting the time offsets",
    /// A tree of the host's mounts, which init opens itself.
    Source = "opening a part of the host's file systems",
    /// Propagation of all mounts before anything is mounted.
    Propagation = "setting the mount propagation",
    /// The root mount.
    Root = "mounting the root file system",
    /// An element of mounts.
    Mount = "mounting",
    /// Writing to the tasks files of the cgroups, and of resctrl.
    Cgroup = "joining the cgroups",
    /// The cgroup namespace.
    CgroupNamespace = "making the cgroup namespace",
    /// A device node, element of linux.devices or a default one.
    Device = "making a device",
    /// A symbolic link of /dev.
    DeviceLink = "making a link in /dev",
    /// Waiting for the caller.
    Link = "talking to the runtime",
    /// An element of hooks.createContainer.
    CreateContainerHook = "running a createContainer hook",
    /// An element of linux.sysctl.
    Sysctl = "setting a sysctl",
    /// An element of linux.maskedPaths.
    Mask = "masking a path",
    /// An element of linux.readonlyPaths.
    ReadOnly = "making a path read-only",
    /// The console.
    Console = "setting up the console",
    /// Making the root read-only.
    ReadOnlyRoot = "making the root file system read-only",
    /// pivot_root(2), or its substitutes.
    Switch = "switching to the root file system",
    /// oom_score_adj.
    OomScore = "setting the OOM score adjustment",
    /// An element of process.rlimits.
    Rlimit = "setting a resource limit",
    /// sched_setaffinity(2).
    Affinity = "setting the CPU affinity",
    /// Scheduling policy.
    Scheduler = "setting the scheduler",
    /// I/O priority.
    IoPriority = "setting the I/O priority",
    /// Memory policy.
    MemoryPolicy = "setting the memory policy",
    /// Execution domain.
    Personality = "setting the personality",
    /// Supplementary groups.
    Groups = "setting the groups",
    /// process.cwd.
    Cwd = "entering the working directory",
    /// The program of process.args.
    Program = "finding the program",
    /// The gate that `start` opens.
    Gate = "waiting to be started",
    /// An element of hooks.startContainer.
    StartContainerHook = "running a startContainer hook",
    /// process.apparmorProfile.
    AppArmorProfile = "setting the AppArmor profile",
    /// process.selinuxLabel.
    SelinuxLabel = "setting the SELinux label",
    /// no_new_privs.
    NoNewPrivileges = "setting no_new_privs",
    /// The seccomp filter.
    Seccomp = "installing the seccomp filter",
    /// Capability sets.
    Capabilities = "setting the capabilities",
    /// uid and gid.
    User = "becoming the user",
    /// execve(2).
    Exec = "starting the program",
}
