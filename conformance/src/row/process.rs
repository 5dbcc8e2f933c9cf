//! config.md: the version, the root, the process, its user, the hostname, annotations.

use super::{Row, by, rows, unproven};

pub(super) const ROWS: &[Row] = rows! {
    "config.md#specification-version" {
        Must "version/required" "ociVersion is there, is a SemVer, and of a major version that the runtime knows; anything else is an error." => by(&["value/version"]);
        Must "version/compatible" "A configuration of an earlier 1.x version works." => by(&["value/version-earlier", "process/args", "operation/statuses"]);
    }
    "config.md#root" {
        Must "root/required" "A configuration without root, or without a directory at root.path, is an error." => by(&["hostile/missing-fields"]);
        Must "root/path-relative" "A relative root.path starts at the bundle." => by(&["cli/bundle-is-cwd", "mask/root-writable"]);
        Must "root/path-absolute" "root.path may be absolute." => by(&["config/root-absolute"]);
        Must "root/readonly" "With root.readonly the root file system is read-only inside." => by(&["mask/root-read-only"]);
        Must "root/readonly-default" "Without root.readonly the root file system is writable." => by(&["mask/root-writable"]);
    }
    "config.md#process" {
        Must "process/terminal" "With terminal the process has a new pseudoterminal as its standard streams." => by(&["terminal/console-socket"]);
        Must "process/terminal-default" "Without terminal the process has the streams it was given." => by(&["process/standard-streams", "cli/stdio"]);
        Must "process/console-size" "consoleSize is the size of the terminal." => by(&["terminal/console-socket"]);
        Must "process/console-size-ignored" "consoleSize is ignored without terminal." => by(&["config/console-size-ignored"]);
        Must "process/cwd" "The program starts in cwd." => by(&["process/cwd"]);
        Must "process/cwd-absolute" "A cwd that is not absolute is an error." => by(&["process/cwd-relative"]);
        Must "process/cwd-inside" "cwd is a directory of the container, whatever links or descriptors lead elsewhere." => by(&["hostile/cwd-descriptor", "security/cwd-link"]);
        Must "process/cwd-unusable" "A cwd that is no directory is an error." => by(&["process/cwd-file"]);
        Must "process/env" "The environment is what env lists, in that order." => by(&["process/env-order"]);
        Must "process/env-only" "Nothing of the runtime's own environment reaches the program." => by(&["security/environment"]);
        Must "process/args" "The arguments are what args lists." => by(&["process/args"]);
        Must "process/args-required" "args without an entry is an error." => by(&["hostile/missing-fields"]);
        Must "process/args-lookup" "The first argument is searched for as execvp(3) does, in PATH of env." => by(&["process/path-lookup"]);
        Must "process/args-missing" "A program that cannot be executed is an error." => by(&["process/path-missing", "cli/program-missing", "cli/path-missing", "cli/not-executable", "cli/directory"]);
    }
    "config.md#posix-process" {
        Must "process/rlimits" "Soft and hard limit of each entry are what getrlimit(2) says inside." => by(&["process/rlimits"]);
        Must "process/rlimits-unknown" "A limit that the kernel does not have is an error." => by(&["process/rlimit-unknown"]);
        Must "process/rlimits-order" "A soft limit above the hard one is an error, since the hard one is its ceiling." => by(&["value/rlimit-order"]);
        Must "process/rlimits-duplicate" "Two entries of the same type are an error." => by(&["hostile/duplicate-rlimit"]);
    }
    "config.md#linux-process" {
        Must "process/capabilities-effective" "The effective set is as given." => by(&["process/capabilities"]);
        Must "process/capabilities-bounding" "The bounding set is as given, also for root." => by(&["process/capabilities", "process/capabilities-root"]);
        Must "process/capabilities-inheritable" "The inheritable set is as given, and not the caller's." => by(&["process/capabilities", "security/inheritable"]);
        Must "process/capabilities-permitted" "The permitted set is as given." => by(&["process/capabilities"]);
        Must "process/capabilities-ambient" "The ambient set is as given." => by(&["process/capabilities", "process/capabilities-root"]);
        Must "process/capabilities-absent" "Without capabilities the process has none." => by(&["process/capabilities-none"]);
        Must "process/capabilities-unknown" "A capability that nobody knows is a warning and no error." => by(&["hostile/unknown-capability"]);
        Must "process/capabilities-unavailable" "A capability that the runtime cannot give is a warning and no error." => by(&["process/capability-unavailable"]);
        Must "process/no-new-privileges" "noNewPrivileges is the bit of prctl(2)." => by(&["process/no-new-privileges"]);
        Must "process/oom-score-adj" "oomScoreAdj is what oom_score_adj holds." => by(&["process/oom-score-adj"]);
        Must "process/oom-score-adj-unset" "Without oomScoreAdj the value stays." => by(&["process/oom-score-adj-default"]);
        Must "process/apparmor" "apparmorProfile confines the process." => by(&["apparmor/run", "apparmor/user-namespace", "apparmor/enforced", "apparmor/unknown"]);
        Must "process/selinux" "selinuxLabel labels the process." => by(&["selinux/run", "selinux/keyring", "selinux/unknown"]);
        Must "process/scheduler-policy" "scheduler.policy and nice are what sched_getattr(2) says." => by(&["process/scheduler"]);
        Must "process/scheduler-realtime" "scheduler.priority holds for a real-time policy." => by(&["config/scheduler-fifo"]);
        Must "process/scheduler-deadline" "runtime, deadline and period hold for SCHED_DEADLINE." => by(&["scheduler/deadline"]);
        Must "process/scheduler-flags" "scheduler.flags are those of sched_setattr(2)." => by(&["scheduler/flags"]);
        Must "process/scheduler-defaults" "A scheduler without nice has nice 0." => by(&["scheduler/nice-unset"]);
        Must "process/scheduler-unknown" "A policy or a flag that the kernel does not have is an error." => by(&["value/scheduler"]);
        Must "process/io-priority" "ioPriority is what ioprio_get(2) says." => by(&["process/io-priority"]);
        Must "process/io-priority-unknown" "Another class, or a priority that is not 0 to 7, is an error." => by(&["value/io-priority"]);
        Must "process/cpu-affinity-final" "execCPUAffinity.final is the mask of the program." => by(&["exec/cpu-affinity-final", "exec/cpu-affinity-own"]);
        Should "process/cpu-affinity-final-unset" "Without execCPUAffinity.final the kernel decides." => by(&["exec/cpu-affinity-initial"]);
        Must "process/cpu-affinity-initial" "execCPUAffinity.initial is the mask before the process enters the cgroup." => by(&["exec/cpu-affinity-initial"]);
    }
    "config.md#user" {
        Must "user/uid" "The process has uid of user." => by(&["process/user"]);
        Must "user/gid" "The process has gid of user." => by(&["process/user"]);
        Must "user/additional-gids" "The process has the additional groups and no others." => by(&["process/user", "user/groups"]);
        Must "user/umask" "The process has umask of user." => by(&["process/umask"]);
        Must "user/umask-unset" "Without umask it is the runtime's." => unproven("runc and crun set 0022, and callers rely on it: case process/umask-default insists on that");
        Must "user/numeric" "Numbers are numbers: names in the container's passwd do not change them." => by(&["hostile/numeric-user-name", "process/home-numeric-name"]);
    }
    "config.md#hostname" {
        Must "uts/hostname" "hostname is the name inside, and the host keeps its own." => by(&["namespace/hostname"]);
        Must "uts/hostname-own" "hostname without a UTS namespace of its own is an error, since it would rename the host." => by(&["namespace/hostname-without-uts"]);
    }
    "config.md#domainname" {
        Must "uts/domainname" "domainname is the NIS name inside." => by(&["namespace/domainname"]);
        Must "uts/domainname-own" "domainname without a UTS namespace of its own is an error." => by(&["namespace/domainname-without-uts"]);
    }
    "config.md#platform-specific-configuration" {
        May "config/linux-optional" "A configuration without the linux object works, with the runtime's namespaces." => by(&["config/linux-absent"]);
        Must "config/other-platforms" "What is written for other platforms does not disturb." => by(&["config/other-platforms"]);
    }
    "config.md#annotations" {
        Must "annotations/unknown" "An annotation that the runtime does not know is no error." => by(&["operation/state"]);
        Must "annotations/values" "Any key with any string is an annotation; the string may be empty." => by(&["value/annotations"]);
        Must "annotations/strings" "A value that is no string is an error." => by(&["value/annotation-not-string"]);
        Must "annotations/empty-key" "An empty key is an error." => by(&["value/annotation-key-empty"]);
        Must "annotations/absent" "Without annotations there is no error." => by(&["operation/statuses"]);
    }
    "config.md#extensibility" {
        Must "config/unknown-properties" "Properties that the runtime does not know are ignored." => by(&["hostile/unknown-properties"]);
    }
    "glossary.md#json" {
        Must "config/unique-names" "A property that an object has twice is an error." => by(&["value/json-twice"]);
        Must "config/utf-8" "A file that is not UTF-8 is an error." => by(&["value/json-utf-8"]);
    }
    "config.md#valid-values" {
        Must "config/invalid-values" "An invalid or unsupported value is an error." => by(&["hostile/bad-values", "hostile/wrong-type"]);
    }
};
