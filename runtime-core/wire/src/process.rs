//! The section of the plan that turns init into the workload.

use crate::codec::{Bytes, Many, Maybe, Text};
use crate::macros::wire_struct;

wire_struct! {
    /// The process, as config.md's `process` describes it.
    Process / ProcessView {
        /// argv.
        args: Many<Text>,
        /// The environment, in order.
        env: Many<Text>,
        /// HOME is not among `env`: it is taken from the root's /etc/passwd.
        home: bool,
        /// Paths to try for the program, in order.
        candidates: Many<Text>,
        /// Working directory.
        cwd: Text,
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
        /// Supplementary groups; absent where setgroups(2) is denied to the user namespace.
        groups: Maybe<Many<u32>>,
        /// umask(2).
        umask: u32,
        /// The capability sets; absent where they are to stay as they are.
        capabilities: Maybe<Capabilities>,
        /// The highest capability that the kernel knows.
        last_capability: u32,
        /// no_new_privs.
        no_new_privileges: bool,
        /// Resource limits.
        rlimits: Many<Rlimit>,
        /// oom_score_adj.
        oom_score_adj: Maybe<i32>,
        /// Where the kernel does not let it be lowered so far, it stays what it is: the caller has no privilege.
        oom_score_may_stay: bool,
        /// A terminal.
        terminal: Maybe<Terminal>,
        /// The seccomp filter.
        seccomp: Maybe<Seccomp>,
        /// AppArmor profile for the execve.
        apparmor: Maybe<Text>,
        /// SELinux label for the execve.
        selinux: Maybe<Text>,
        /// The session keyring to make.
        keyring: Maybe<Text>,
        /// Scheduling.
        scheduler: Maybe<Scheduler>,
        /// ioprio_set(2)'s value.
        io_priority: Maybe<u32>,
        /// set_mempolicy(2).
        memory_policy: Maybe<MemoryPolicy>,
        /// personality(2).
        personality: Maybe<u64>,
        /// The first so many descriptors from 3 on stay open.
        preserve_fds: u32,
    }
}

wire_struct! {
    /// The five sets, one bit a capability (capabilities(7)).
    Capabilities / CapabilitiesView {
        /// Bounding set.
        bounding: u64,
        /// Effective set.
        effective: u64,
        /// Permitted set.
        permitted: u64,
        /// Inheritable set.
        inheritable: u64,
        /// Ambient set.
        ambient: u64,
    }
}

wire_struct! {
    /// One resource limit (getrlimit(2)).
    Rlimit / RlimitView {
        /// RLIMIT_*.
        resource: u32,
        /// Soft limit; all ones is infinity.
        soft: u64,
        /// Hard limit.
        hard: u64,
    }
}

wire_struct! {
    /// The workload's terminal; a size of zeros is none.
    Terminal / TerminalView {
        /// Rows.
        height: u16,
        /// Columns.
        width: u16,
        /// Lines end in a bare line feed: who shows them adds the carriage return (ONLCR of termios(3)).
        bare_lines: bool,
    }
}

wire_struct! {
    /// A compiled filter.
    Seccomp / SeccompView {
        /// SECCOMP_FILTER_FLAG_*.
        flags: u32,
        /// struct sock_filter, as the kernel wants it.
        program: Bytes,
        /// A listener comes out of it that the caller is to get.
        notify: bool,
    }
}

wire_struct! {
    /// sched_setattr(2).
    Scheduler / SchedulerView {
        /// SCHED_*.
        policy: u32,
        /// SCHED_FLAG_*.
        flags: u64,
        /// Nice value.
        nice: i32,
        /// Static priority.
        priority: u32,
        /// Nanoseconds.
        runtime: u64,
        /// Nanoseconds.
        deadline: u64,
        /// Nanoseconds.
        period: u64,
    }
}

wire_struct! {
    /// set_mempolicy(2).
    MemoryPolicy / MemoryPolicyView {
        /// MPOL_* with MPOL_F_*.
        mode: u32,
        /// The nodes, 64 a word.
        nodes: Many<u64>,
    }
}
