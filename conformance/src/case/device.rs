//! /dev: default devices, links, and what `linux.devices` says.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::{Value, json};

use super::Case;
use super::rootfs::{add, bind, facts};
use crate::harness::{Lab, Result, ensure, ensure_eq};

const DEVICES: &str = "OCI runtime-spec config-linux.md#devices";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "device/default",
        "the default devices have their numbers, mode 0666 and owner root",
        "OCI runtime-spec config-linux.md#default-devices",
        default,
    ),
    Case::new(
        "device/default-work",
        "null, zero, full and urandom do what they are for",
        "OCI runtime-spec config-linux.md#default-devices; full(4), null(4), random(4)",
        default_work,
    ),
    Case::new(
        "device/links",
        "fd, stdin, stdout, stderr and ptmx are links",
        "OCI runtime-spec runtime-linux.md#dev-symbolic-links",
        links,
    ),
    Case::new(
        "device/core-link",
        "core is a link to /proc/kcore where the kernel has that",
        "systemd's container interface, /dev; runc makes it when /proc/kcore exists",
        core_link,
    ),
    Case::new(
        "device/configured",
        "c, u, b and p nodes with mode, uid and gid",
        DEVICES,
        configured,
    ),
    Case::new("device/subfolder", "folders above a device are made", DEVICES, subfolder),
    Case::new(
        "device/umask",
        "the umask of the caller does not change a device's mode",
        DEVICES,
        caller_umask,
    ),
    Case::new(
        "device/same-exists",
        "the same device that is already there is kept",
        DEVICES,
        same_exists,
    ),
    Case::new(
        "device/other-exists",
        "another file at a device's path is an error",
        "OCI runtime-spec config-linux.md#devices MUST generate an error",
        other_exists,
    )
    .known("runc 1.1 takes any file that exists at the path for the device"),
    Case::new(
        "device/unknown-type",
        "a type that does not exist is an error",
        DEVICES,
        unknown_type,
    ),
    Case::new(
        "device/bound-dev",
        "a /dev bound by the user keeps what it has and gets nothing",
        "runc libcontainer needsSetupDev (a bind mount on /dev is left alone)",
        bound_dev,
    ),
];

fn device(facts: &Value, name: &str) -> Value {
    facts["dev"][name].clone()
}

/// A memory device (major number 1) on the host.
fn node(path: &Path, mode: u32, minor: u32) -> Result {
    let mode = Mode::from_raw_mode(mode);
    Ok(mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(1, minor))?)
}

fn default(lab: &Lab) -> Result {
    let facts = facts(lab, &[])?;
    let owner = lab.owner_of_devices()?;
    for (name, major, minor) in [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ] {
        let want = json!({
            "type": "c", "major": major, "minor": minor, "mode": 0o666, "uid": owner, "gid": owner,
            "target": null
        });
        ensure_eq!(device(&facts, name), want, "/dev/{name}");
    }
    Ok(())
}

fn default_work(lab: &Lab) -> Result {
    let script = "echo x > /dev/null && /bin/busybox head -c 3 /dev/zero | /bin/busybox wc -c && \
                  /bin/busybox head -c 5 /dev/urandom | /bin/busybox wc -c && \
                  { echo x > /dev/full; echo full $?; }";
    let done = lab.with_args(&["/bin/sh", "-c", script])?.run()?.ok()?;
    ensure_eq!(done.stdout, "3\n5\nfull 1\n", "use of the default devices");
    Ok(())
}

fn links(lab: &Lab) -> Result {
    let facts = facts(lab, &[])?;
    for (name, targets) in [
        ("fd", &["/proc/self/fd"][..]),
        ("stdin", &["/proc/self/fd/0"]),
        ("stdout", &["/proc/self/fd/1"]),
        ("stderr", &["/proc/self/fd/2"]),
        ("ptmx", &["pts/ptmx", "/dev/pts/ptmx"]),
    ] {
        let got = device(&facts, name);
        ensure_eq!(got["type"], "link", "type of /dev/{name}");
        let target = got["target"].as_str().unwrap_or_default();
        ensure!(targets.contains(&target), "/dev/{name} leads to {target:?}, not {targets:?}");
    }
    Ok(())
}

fn core_link(lab: &Lab) -> Result {
    let facts = facts(lab, &[])?;
    let core = device(&facts, "core");
    // Runtimes differ where the kernel has no such file, but there is no other target in any case.
    if core.is_null() && !Path::new("/proc/kcore").exists() {
        return Ok(());
    }
    ensure_eq!(core["target"], "/proc/kcore", "target of /dev/core");
    Ok(())
}

/// The default configuration with these devices.
fn with_devices(lab: &Lab, devices: Value) -> Result<crate::harness::Bundle> {
    lab.bundle(|config| config["linux"]["devices"] = devices)
}

fn configured(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let facts = lab
        .container(with_devices(
            lab,
            json!([
                { "path": "/dev/chars", "type": "c", "major": 10, "minor": 229,
                  "fileMode": 0o640, "uid": 1000, "gid": 2000 },
                { "path": "/dev/unbuffered", "type": "u", "major": 1, "minor": 3,
                  "fileMode": 0o600, "uid": 0, "gid": 5 },
                { "path": "/dev/blocks", "type": "b", "major": 7, "minor": 3,
                  "fileMode": 0o660, "uid": 0, "gid": 6 },
                { "path": "/dev/pipe", "type": "p", "fileMode": 0o622, "uid": 7, "gid": 0 },
                { "path": "/dev/zero", "type": "c", "major": 1, "minor": 5,
                  "fileMode": 0o600, "uid": 3, "gid": 4 }
            ]),
        )?)
        .facts()?;
    for (name, kind, major, minor, mode, uid, gid) in [
        ("chars", "c", 10, 229, 0o640, 1000, 2000),
        ("unbuffered", "c", 1, 3, 0o600, 0, 5),
        ("blocks", "b", 7, 3, 0o660, 0, 6),
        ("pipe", "p", 0, 0, 0o622, 7, 0),
        // An entry for a default device replaces it.
        ("zero", "c", 1, 5, 0o600, 3, 4),
    ] {
        let want = json!({
            "type": kind, "major": major, "minor": minor, "mode": mode, "uid": uid, "gid": gid,
            "target": null
        });
        ensure_eq!(device(&facts, name), want, "/dev/{name}");
    }
    Ok(())
}

fn subfolder(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let bundle = lab.bundle(|config| {
        config["linux"]["devices"] = json!([
            { "path": "/dev/net/deep/tun", "type": "c", "major": 10, "minor": 200,
              "fileMode": 0o666, "uid": 0, "gid": 0 }
        ]);
        config["process"]["args"] = json!(["/bin/ls", "-ln", "/dev/net/deep/tun"]);
    })?;
    let done = lab.container(bundle).run()?.ok()?;
    let words: Vec<&str> = done.stdout.split_whitespace().collect();
    ensure_eq!(words.first().copied(), Some("crw-rw-rw-"), "mode of the device");
    ensure_eq!(words.get(4..6), Some(&["10,", "200"][..]), "numbers of the device");
    Ok(())
}

fn caller_umask(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let bundle = with_devices(
        lab,
        json!([{ "path": "/dev/open", "type": "c", "major": 1, "minor": 3,
                 "fileMode": 0o666, "uid": 0, "gid": 0 }]),
    )?;
    let c = lab.container(bundle);
    let facts = c
        .launch("run", &[])
        .wrap(["/bin/sh", "-c", "umask 077; exec \"$@\"", "sh"])
        .run()?
        .ok()?
        .json()?;
    for name in ["open", "null", "tty"] {
        ensure_eq!(device(&facts, name)["mode"], 0o666, "mode of /dev/{name}");
    }
    Ok(())
}

fn same_exists(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let bundle = lab.bundle(|config| {
        config["linux"]["devices"] = json!([
            { "path": "/node", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666,
              "uid": 0, "gid": 0 }
        ]);
        config["process"]["args"] = json!(["/bin/ls", "-ln", "/node"]);
    })?;
    node(&bundle.rootfs().join("node"), 0o666, 3)?;
    let done = lab.container(bundle).run()?.ok()?;
    ensure!(done.stdout.starts_with("crw"), "the device: {}", done.stdout);
    Ok(())
}

fn other_exists(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let bundle = with_devices(
        lab,
        json!([{ "path": "/node", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666,
                 "uid": 0, "gid": 0 }]),
    )?;
    let path = bundle.rootfs().join("node");
    fs::write(&path, "a file")?;
    let done = lab.container(bundle.clone()).try_create()?.fails(1, "")?.refused()?;
    ensure!(done.stderr.contains("node"), "the path is not named: {}", done.stderr);
    ensure_eq!(fs::read_to_string(&path)?, "a file", "the file that was there");

    fs::remove_file(&path)?;
    node(&path, 0o666, 5)?;
    lab.container(bundle).try_create()?.fails(1, "")?.refused()?;
    ensure!(fs::symlink_metadata(&path)?.file_type().is_char_device(), "the device is gone");
    Ok(())
}

fn unknown_type(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let known = json!([{ "path": "/dev/x", "type": "c", "major": 1, "minor": 3 }]);
    lab.container(with_devices(lab, known)?).run()?.ok()?;
    for device in [
        json!([{ "path": "/dev/x", "type": "x", "major": 1, "minor": 3 }]),
        json!([{ "path": "dev/relative", "type": "q", "major": 1, "minor": 3 }]),
    ] {
        lab.container(with_devices(lab, device)?).try_create()?.fails(1, "")?.refused()?;
    }
    Ok(())
}

fn bound_dev(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let own = lab.new_folder("dev")?;
    fs::write(own.join("marker"), "mine")?;
    node(&own.join("null"), 0o622, 3)?;
    let bundle = lab.bundle(|config| {
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.retain(|m| !m["destination"].as_str().is_some_and(|d| d.starts_with("/dev")));
        }
        add(config, bind(&own, "/dev", &["rbind", "rprivate"]));
    })?;
    let facts = lab.container(bundle).facts()?;
    let seen = facts["dev"].as_object().cloned().unwrap_or_default();
    let names: Vec<&String> = seen.keys().collect();
    ensure_eq!(names, ["marker", "null"], "files in a /dev of the user's own");
    let mut left: Vec<_> = fs::read_dir(&own)?.flatten().map(|entry| entry.file_name()).collect();
    left.sort();
    ensure_eq!(left, ["marker", "null"], "files in the folder on the host");
    Ok(())
}
