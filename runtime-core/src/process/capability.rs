//! Capabilities by name and number (capabilities(7)). Pure.

use std::collections::HashSet;

use oci_spec::runtime::{Capability, LinuxCapabilities};
use teu_wire::Capabilities;

use crate::host::Host;

/// Names without `CAP_`, by number (linux/capability.h).
pub(crate) const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

fn number(capability: Capability) -> Option<usize> {
    let name = capability.to_string();
    NAMES.iter().position(|known| *known == name)
}

/// The sets as bits. What this host cannot give is left out with a warning, as the specification says of
/// capabilities that are not there.
pub(super) fn lower(
    wanted: &LinuxCapabilities,
    host: &Host,
    user_namespace: bool,
    warnings: &mut Vec<String>,
) -> Capabilities {
    // A new user namespace gives all there are, whatever the caller has.
    let all = (1_u64 << (u32::from(host.last_capability) + 1)) - 1;
    let available = if user_namespace { all } else { host.bounding };
    let mut bits = |set: &str, wanted: &Option<HashSet<Capability>>| {
        let mut bits = 0;
        let mut missing: Vec<String> = Vec::new();
        for capability in wanted.iter().flatten() {
            match number(*capability) {
                Some(number) if available >> number & 1 == 1 => bits |= 1 << number,
                _ => missing.push(format!("CAP_{capability}")),
            }
        }
        if !missing.is_empty() {
            missing.sort();
            warnings.push(format!(
                "config.json: process.capabilities.{set}: this host cannot give {}, ignored",
                missing.join(", ")
            ));
        }
        bits
    };
    let bounding = bits("bounding", wanted.bounding());
    let permitted = bits("permitted", wanted.permitted());
    let inheritable = bits("inheritable", wanted.inheritable());
    let effective = bits("effective", wanted.effective()) & permitted;
    // The kernel takes an ambient capability only if it is permitted and inheritable.
    let ambient = bits("ambient", wanted.ambient());
    let possible = ambient & permitted & inheritable;
    if possible != ambient {
        warnings.push(
            "config.json: process.capabilities.ambient: what is not permitted and inheritable as well is ignored"
                .into(),
        );
    }
    Capabilities { bounding, effective, permitted, inheritable, ambient: possible }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_bits_and_what_is_missing_is_warned_of() {
        let wanted = serde_json::from_value(json!({
            "bounding": ["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE", "CAP_SYS_RESOURCE"],
            "permitted": ["CAP_KILL"], "effective": ["CAP_KILL", "CAP_CHOWN"],
            "inheritable": [], "ambient": ["CAP_KILL"]
        }))
        .unwrap();
        let mut host = Host::for_test();
        host.bounding &= !(1 << 24);
        let mut warnings = Vec::new();
        let sets = lower(&wanted, &host, false, &mut warnings);
        assert_eq!(sets.bounding, 1 | 1 << 40);
        assert_eq!(
            (sets.permitted, sets.effective, sets.inheritable, sets.ambient),
            (1 << 5, 1 << 5, 0, 0)
        );
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].contains("CAP_SYS_RESOURCE"), "{warnings:?}");
        assert_eq!(lower(&wanted, &host, true, &mut Vec::new()).bounding, 1 | 1 << 40 | 1 << 24);
    }

    #[test]
    fn every_name_of_oci_spec_has_a_number() {
        for (number, name) in NAMES.iter().enumerate() {
            let capability: Capability = name.parse().unwrap();
            assert_eq!(super::number(capability), Some(number));
        }
    }
}
