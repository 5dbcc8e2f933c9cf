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
    Case::new(
        "cgroup/devices-type",
        "a rule for block devices says nothing of character devices, and type a is every device",
        RESOURCES,
        types,
    ),
    Case::new(
        "cgroup/devices-make",
        "a node of any device can be made, and a device without a rule cannot be used by it",
        "runc: mknod is allowed, since images and packages have nodes; Docker, containerd",
        make,
    ),
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

fn types(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let major = free_major()?;
    for (kind, want) in [("c", libc::ENXIO), ("b", libc::EPERM), ("a", libc::ENXIO)] {
        let container = lab.container(lab.bundle(|config| {
            config["linux"]["devices"] =
                json!([{ "path": "/dev/odd", "type": "c", "major": major, "minor": 7 }]);
            let mut rule = json!({ "allow": true, "type": kind, "access": "rwm" });
            if kind != "a" {
                rule["major"] = major.into();
            }
            config["linux"]["resources"]["devices"] =
                json!([{ "allow": false, "access": "rwm" }, rule]);
            config["process"]["args"] = json!(["/probe", "open", "/dev/odd"]);
        })?);
        let output = container.run()?.ok()?.stdout;
        ensure_eq!(
            output,
            format!("errno {want}\n"),
            "a character device with a rule of type {kind}"
        );
    }
    Ok(())
}

fn make(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let script = format!("busybox mknod /tmp/odd c {} 7 && /probe open /tmp/odd", free_major()?);
    let container = lab.container(lab.bundle(|config| {
        for set in ["bounding", "effective", "permitted"] {
            if let Some(names) = config["process"]["capabilities"][set].as_array_mut() {
                names.push("CAP_MKNOD".into());
            }
        }
        config["root"]["readonly"] = false.into();
        config["linux"]["resources"]["devices"] = json!([{ "allow": false, "access": "rwm" }]);
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    })?);
    let output = container.run()?.ok()?.stdout;
    ensure_eq!(output, format!("errno {}\n", libc::EPERM), "a node without a rule");
    Ok(())
}

/// The errno of opening a device under rules of (access, with minor, allow) after "deny all".
fn device(lab: &Lab, rules: &[(&str, bool, bool)], way: &str, want: i32) -> Result {
    const MINOR: i64 = 7;
    lab.needs_devices()?;
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
