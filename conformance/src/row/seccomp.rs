//! config-linux.md: seccomp; features.md and features-linux.md.

use super::{Row, by, rows};

pub(super) const ROWS: &[Row] = rows! {
    "config-linux.md#seccomp" {
        Must "seccomp/default-action" "defaultAction holds for every call without a rule." => by(&["seccomp/default-errno"]);
        Must "seccomp/default-errno" "defaultErrnoRet is the error of the default action." => by(&["seccomp/default-errno"]);
        Must "seccomp/architectures" "Rules hold for the calls of each architecture of architectures." => by(&["seccomp/x32", "seccomp/x86"]);
        Must "seccomp/flags" "flags are those of seccomp(2)." => by(&["seccomp/flags"]);
        Must "seccomp/names" "A rule holds for every name of names." => by(&["seccomp/first-names"]);
        Must "seccomp/names-required" "A rule without names is an error." => by(&["value/seccomp-names"]);
        Must "seccomp/act-kill" "SCMP_ACT_KILL ends the thread." => by(&["seccomp/kill"]);
        Must "seccomp/act-kill-process" "SCMP_ACT_KILL_PROCESS ends the process." => by(&["seccomp/kill-process"]);
        Must "seccomp/act-kill-thread" "SCMP_ACT_KILL_THREAD ends the thread." => by(&["seccomp/kill-thread"]);
        Must "seccomp/act-trap" "SCMP_ACT_TRAP sends SIGSYS." => by(&["seccomp/trap"]);
        Must "seccomp/act-errno" "SCMP_ACT_ERRNO returns an error." => by(&["seccomp/errno"]);
        Must "seccomp/act-trace" "SCMP_ACT_TRACE asks a tracer, and without one the call is ENOSYS." => by(&["resource/seccomp-trace"]);
        Must "seccomp/act-allow" "SCMP_ACT_ALLOW lets the call through." => by(&["seccomp/allow"]);
        Must "seccomp/act-log" "SCMP_ACT_LOG lets the call through and logs it." => by(&["seccomp/log"]);
        Must "seccomp/act-notify" "SCMP_ACT_NOTIFY asks the agent." => by(&["seccomp/listener", "seccomp/listener-gone"]);
        Must "seccomp/errno" "errnoRet is the error." => by(&["seccomp/errno"]);
        Must "seccomp/errno-default" "Without errnoRet it is EPERM." => by(&["seccomp/errno-default"]);
        Must "seccomp/errno-unsupported" "errnoRet with an action that has no error is an error." => by(&["seccomp/errno-on-allow"]);
        Must "seccomp/op-ne" "SCMP_CMP_NE compares for inequality." => by(&["seccomp/args-ne"]);
        Must "seccomp/op-lt" "SCMP_CMP_LT compares for less." => by(&["seccomp/args-lt"]);
        Must "seccomp/op-le" "SCMP_CMP_LE compares for less or equal." => by(&["seccomp/args-le"]);
        Must "seccomp/op-eq" "SCMP_CMP_EQ compares for equality." => by(&["seccomp/args-eq"]);
        Must "seccomp/op-ge" "SCMP_CMP_GE compares for greater or equal." => by(&["seccomp/args-ge"]);
        Must "seccomp/op-gt" "SCMP_CMP_GT compares for greater." => by(&["seccomp/args-gt"]);
        Must "seccomp/op-masked-eq" "SCMP_CMP_MASKED_EQ compares what the mask leaves." => by(&["seccomp/args-masked-eq"]);
        Must "seccomp/args-all" "Conditions on several arguments hold together." => by(&["seccomp/args-both"]);
        Must "seccomp/args-index" "A condition on an argument that no call has is an error." => by(&["value/seccomp-index"]);
        Must "seccomp/unknown-words" "An action, an operator or an architecture that nobody knows is an error." => by(&["seccomp/bad-words"]);
        Must "seccomp/listener-one" "The agent gets one state for each connection, which ends then." => by(&["seccomp/listener"]);
        Must "seccomp/listener-failure" "An agent that cannot be reached is an error." => by(&["seccomp/listener-missing"]);
        Must "seccomp/listener-unused" "listenerPath is ignored without SCMP_ACT_NOTIFY." => by(&["seccomp/listener-unused"]);
        Must "seccomp/listener-metadata" "listenerMetadata is the metadata of the state." => by(&["seccomp/listener"]);
        Must "seccomp/metadata-alone" "listenerMetadata without listenerPath is an error." => by(&["value/seccomp-metadata"]);
        Must "seccomp/exec" "A process that exec starts has the filter as well." => by(&["exec/seccomp"]);
    }
    "config-linux.md#the-container-process-state" {
        Must "seccomp/state-version" "The state has ociVersion." => by(&["seccomp/listener"]);
        Must "seccomp/state-fds" "fds names the descriptors in the order of the control message." => by(&["seccomp/listener"]);
        Must "seccomp/state-pid" "pid is the process as the runtime sees it." => by(&["seccomp/listener"]);
        Must "seccomp/state-state" "state is the state of the container." => by(&["seccomp/listener"]);
    }
    "features.md#specification-version" {
        Must "feature/version-min" "ociVersionMin is the earliest version." => by(&["feature/versions", "cli/features"]);
        Must "feature/version-max" "ociVersionMax is the latest version." => by(&["feature/versions", "cli/features"]);
    }
    "features.md#hooks" {
        May "feature/hooks" "hooks names the stages that are run." => by(&["feature/hooks"]);
    }
    "features.md#mount-options" {
        May "feature/mount-options" "mountOptions names the words of the table." => by(&["feature/mount-options"]);
        Must "feature/mount-options-true" "Every word there is recognised." => by(&["feature/mount-options-true"]);
    }
    "features.md#annotations" {
        May "feature/annotations" "annotations are strings of the runtime's own." => by(&["feature/annotations"]);
    }
    "features.md#unsafe-annotations-in-configjson" {
        May "feature/unsafe-annotations" "potentiallyUnsafeConfigAnnotations names annotations that a user must not choose." => by(&["feature/unsafe-annotations"]);
    }
    "features-linux.md#namespaces" {
        May "feature/namespaces" "namespaces names the types that are recognised." => by(&["feature/namespaces", "feature/namespace-time"]);
        Must "feature/namespaces-true" "Every type there is recognised." => by(&["feature/namespaces-true"]);
    }
    "features-linux.md#capabilities" {
        Must "feature/capabilities" "Every name of capabilities is recognised." => by(&["feature/capabilities"]);
    }
    "features-linux.md#cgroup" {
        May "feature/cgroup" "cgroup says what of v1, v2, systemd and systemdUser is there." => by(&["feature/cgroup"]);
        May "feature/cgroup-rdma" "cgroup.rdma says whether rdma is there." => by(&["feature/cgroup-rdma"]);
    }
    "features-linux.md#seccomp" {
        May "feature/seccomp-enabled" "seccomp.enabled says whether there is any." => by(&["cli/features"]);
        Must "feature/seccomp-actions" "actions names the actions." => by(&["feature/seccomp-actions"]);
        Must "feature/seccomp-operators" "operators names the operators." => by(&["feature/seccomp-operators"]);
        Must "feature/seccomp-archs" "archs names the architectures." => by(&["feature/seccomp-archs"]);
        Must "feature/seccomp-true" "Every action, operator and supported flag there is recognised." => by(&["feature/seccomp-true"]);
        Must "feature/seccomp-archs-true" "Every architecture there is recognised." => by(&["feature/seccomp-archs-true"]);
        Must "feature/seccomp-flags" "knownFlags are recognised, and supportedFlags among them work." => by(&["feature/seccomp-flags"]);
    }
    "features-linux.md#apparmor" {
        May "feature/apparmor" "apparmor.enabled says whether the runtime can." => by(&["feature/security-modules"]);
    }
    "features-linux.md#selinux" {
        May "feature/selinux" "selinux.enabled says whether the runtime can." => by(&["feature/security-modules"]);
    }
    "features-linux.md#intel-rdt" {
        May "feature/intel-rdt" "intelRdt says whether the runtime can, with schemata and monitoring." => by(&["feature/intel-rdt"]);
    }
    "features-linux.md#memory-policy" {
        May "feature/memory-policy" "memoryPolicy names modes and flags." => by(&["feature/memory-policy"]);
        Must "feature/memory-policy-true" "Every mode and flag there is recognised." => by(&["feature/memory-policy-true"]);
    }
    "features-linux.md#mount-extensions" {
        May "feature/idmap" "mountExtensions.idmap says whether mappings of mounts are used." => by(&["feature/idmap", "idmap/features"]);
    }
    "features-linux.md#network-devices" {
        May "feature/network-devices" "netDevices.enabled says whether the runtime can." => by(&["feature/network-devices"]);
    }
};
