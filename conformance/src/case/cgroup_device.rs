//! `linux.resources.devices`: which device numbers the workload may open.

use std::fs;

use serde_json::json;

use super::Case;
use crate::harness::{Lab, Result, ensure_eq, lacks};

const RESOURCES: &str = "OCI runtime-spec config-linux.md#allowed-device-list";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "cgroup/devices-deny",
        "a device without a rule cannot be opened",
        RESOURCES,
        |lab| device(lab, &[], "read", libc::EPERM),
    ),
    Case::new("cgroup/devices-allow", "a device with a rule can be opened", RESOURCES, |lab| {
        // No driver has this number, and that is what the kernel then says.
        device(lab, &[("rw", true, true)], "read", libc::ENXIO)
    }),
    Case::new("cgroup/devices-any-minor", "a rule without minor holds for all", RESOURCES, |lab| {
        device(lab, &[("r", false, true)], "read", libc::ENXIO)
    }),
    Case::new("cgroup/devices-access", "reading is not writing", RESOURCES, |lab| {
        device(lab, &[("w", true, true)], "read", libc::EPERM)?;
        device(lab, &[("w", true, true)], "write", libc::ENXIO)
    }),
    Case::new("cgroup/devices-order", "later rules override earlier ones", RESOURCES, |lab| {
        device(lab, &[("rwm", true, true), ("rwm", true, false)], "read", libc::EPERM)?;
        device(lab, &[("rwm", true, false), ("rwm", true, true)], "read", libc::ENXIO)
    }),
    Case::new("cgroup/devices-default", "null and zero work without a rule", RESOURCES, |lab| {
        let container = lab.with_args(&["/probe", "write", "/dev/null", "text"])?;
        ensure_eq!(container.run()?.ok()?.stdout, "ok\n", "write to /dev/null");
        Ok(())
    }),
];

/// A number for a character device that no driver has.
pub(super) fn free_major() -> Result<i64> {
    free_major_but(-1)
}

/// Another one.
pub(super) fn free_major_but(other: i64) -> Result<i64> {
    let text = fs::read_to_string("/proc/devices")?;
    let mut taken: Vec<i64> =
        text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    taken.push(other);
    // The ranges that devices.txt of the kernel reserves for local use.
    let free = (60..64).chain(120..128).find(|major| !taken.contains(major));
    free.map_or_else(|| lacks("a free device number"), Ok)
}

/// The errno of opening a device under rules of (access, with minor, allow) after "deny all".
fn device(lab: &Lab, rules: &[(&str, bool, bool)], way: &str, want: i32) -> Result {
    const MINOR: i64 = 7;
    let major = free_major()?;
    let probe = if way == "read" { "open" } else { "write" };
    let container = lab.container(lab.bundle(|config| {
        let node = json!([{ "path": "/dev/odd", "type": "c", "major": major, "minor": MINOR,
            "fileMode": 0o666, "uid": 0, "gid": 0 }]);
        config["linux"]["devices"] = node;
        let mut list = vec![json!({ "allow": false, "access": "rwm" })];
        for (access, with_minor, allow) in rules {
            let mut rule = json!({ "allow": allow, "type": "c", "major": major, "access": access });
            if *with_minor {
                rule["minor"] = MINOR.into();
            }
            list.push(rule);
        }
        config["linux"]["resources"]["devices"] = list.into();
        config["process"]["args"] = json!(["/probe", probe, "/dev/odd"]);
    })?);
    let output = container.run()?.ok()?.stdout;
    ensure_eq!(output, format!("errno {want}\n"), "{way} of a device under {rules:?}");
    Ok(())
}
