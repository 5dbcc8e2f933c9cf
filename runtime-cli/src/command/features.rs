//! `features`: what this runtime can do, in the form of the specification's features.md and
//! features-linux.md.
//!
//! Managers decide by it what they ask for, so it names what works and nothing else. It needs neither a
//! bundle nor a state root nor privilege, and says the same on every host.

use serde_json::json;

use super::version::{COMMIT, SPECIFICATION, TEU, libseccomp};
use super::{Call, Command, print};
use crate::args::Syntax;
use crate::exit::Failure;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "features",
        operands: "",
        count: 0..=0,
        about: "print what this runtime supports as JSON",
        description: "The form is that of features.md in the OCI runtime specification.",
        flags: &[],
    },
    run: |_: &Call<'_>| -> Result<u8, Failure> {
        let text = serde_json::to_string_pretty(&features())
            .map_err(|error| Failure::Other(format!("features: {error}")))?;
        print(&format!("{text}\n")).map(|()| 0)
    },
};

/// The names of capabilities(7), each at the place of its number.
pub(super) const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

fn features() -> serde_json::Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPECIFICATION,
        "hooks": [
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
        ],
        "mountOptions": runtime_core::rootfs::option::words().collect::<Vec<_>>(),
        "linux": linux(),
        "annotations": annotations(),
        // With a full stop at its end: all that begin so. With the systemd driver some of them set properties of
        // the unit, and others are refused.
        "potentiallyUnsafeConfigAnnotations": ["org.systemd.property.", "run.oci.mount_context_type"],
    })
}

fn linux() -> serde_json::Value {
    json!({
        "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
        "capabilities": CAPABILITIES.as_slice(),
        "cgroup": {
            "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true,
        },
        "seccomp": seccomp(),
        "apparmor": { "enabled": true },
        "selinux": { "enabled": true },
        "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
        "memoryPolicy": {
            "modes": [
                "MPOL_BIND", "MPOL_DEFAULT", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED",
                "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE",
            ],
            "flags": ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
        },
        "mountExtensions": { "idmap": { "enabled": true } },
        "netDevices": { "enabled": true },
    })
}

fn seccomp() -> serde_json::Value {
    let flags = [
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ];
    json!({
        "enabled": true,
        "actions": [
            "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
            "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE",
            "SCMP_ACT_TRAP",
        ],
        "operators": [
            "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
            "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
        ],
        "archs": [
            "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64",
            "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64",
            "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE",
            "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_X32", "SCMP_ARCH_X86",
            "SCMP_ARCH_X86_64",
        ],
        "knownFlags": flags,
        "supportedFlags": flags,
    })
}

fn annotations() -> serde_json::Value {
    let mut annotations = json!({
        "io.github.teu.version": TEU,
        "io.github.teu.commit": COMMIT,
        // The name that callers of runc look for.
        "org.opencontainers.runc.checkpoint.enabled": "true",
    });
    if let Some(version) = libseccomp() {
        annotations["io.github.seccomp.libseccomp.version"] = version.into();
    }
    annotations
}
