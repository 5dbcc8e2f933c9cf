//! What an image can plant in the `/dev` of its root file system.
//!
//! The runtime takes the null device from there for its masks, and makes devices and links there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::{Value, json};

use super::Case;
use super::rootfs::{add, bind};
use crate::harness::{Bundle, Lab, Result, ensure, ensure_eq};

const FAKE_NULL: &str = "CVE-2025-31133";
const KNOWN: &str =
    "runc before 1.2.8 binds whatever /dev/null of the rootfs leads to (CVE-2025-31133)";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "planted/null-symlink",
        "/dev/null of the rootfs is a symlink: masks are the null device still, or create fails",
        FAKE_NULL,
        null_symlink,
    )
    .known(KNOWN),
    Case::new(
        "planted/null-other",
        "/dev/null of the rootfs is a file, a pipe or another device",
        FAKE_NULL,
        null_other,
    )
    .known(KNOWN),
    Case::new(
        "planted/null-in-volume",
        "/dev is a volume with /dev/null as a symlink",
        FAKE_NULL,
        null_in_volume,
    )
    .known(KNOWN),
    Case::new(
        "planted/dev-entries",
        "ptmx, core, fd, stdin and console of the rootfs are symlinks to the host",
        "CVE-2026-41579, CVE-2025-52565",
        dev_entries,
    ),
];

/// A writable rootfs, and no mount on or below /dev: the rootfs's own folder is what there is.
fn without_dev(config: &mut Value) {
    config["root"]["readonly"] = false.into();
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|m| !m["destination"].as_str().is_some_and(|d| d.starts_with("/dev")));
    }
}

/// Masks `/secret` in a rootfs without a mount on /dev; `plant` puts something at /dev/null.
///
/// A refused create is right; a container in which the secret can be read is not. Returns whether the
/// container ran.
fn masked_by(
    lab: &Lab,
    edit: impl FnOnce(&mut Value),
    plant: impl FnOnce(&Bundle) -> Result,
) -> Result<bool> {
    let bundle = lab.bundle(|config| {
        without_dev(config);
        config["linux"]["maskedPaths"] = json!(["/secret"]);
        config["process"]["args"] = json!(["/bin/sh", "-c", "cat /secret; echo changed > /secret"]);
        edit(config);
    })?;
    fs::write(bundle.rootfs().join("secret"), "secret")?;
    fs::write(bundle.rootfs().join("planted"), "planted")?;
    plant(&bundle)?;
    let done = lab.container(bundle.clone()).run()?;
    if done.code == Some(0) {
        ensure_eq!(done.stdout, "", "what the mask shows");
    }
    for (name, want) in [("secret", "secret"), ("planted", "planted")] {
        ensure_eq!(fs::read_to_string(bundle.rootfs().join(name))?, want, "/{name}");
    }
    Ok(done.code == Some(0))
}

/// Without a plant the container must run, or the refusals would mean nothing.
fn control(lab: &Lab) -> Result {
    ensure!(masked_by(lab, |_| {}, |_| Ok(()))?, "a rootfs without a mount on /dev must work");
    Ok(())
}

fn null_symlink(lab: &Lab) -> Result {
    control(lab)?;
    let canary = lab.folder.join("canary");
    fs::write(&canary, "canary")?;
    for target in [Path::new("/planted"), Path::new("../planted"), &canary] {
        masked_by(lab, |_| {}, |bundle| Ok(symlink(target, bundle.rootfs().join("dev/null"))?))?;
        ensure_eq!(fs::read_to_string(&canary)?, "canary", "the file of the host");
    }
    Ok(())
}

fn null_other(lab: &Lab) -> Result {
    lab.needs_devices()?;
    control(lab)?;
    let plants: [fn(&Path) -> Result; 3] = [
        |null| Ok(fs::write(null, "planted")?),
        // /dev/full, which can be read for ever: not the null device.
        |null| {
            let mode = Mode::from_raw_mode(0o666);
            Ok(mknodat(CWD, null, FileType::CharacterDevice, mode, makedev(1, 7))?)
        },
        |null| Ok(mknodat(CWD, null, FileType::Fifo, Mode::from_raw_mode(0o666), 0)?),
    ];
    for plant in plants {
        let edit = |config: &mut Value| {
            // `head`, because a device may never end; `<>`, because a pipe would wait for a writer.
            config["process"]["args"] =
                json!(["/bin/sh", "-c", "/bin/busybox head -c 10 <>/secret"]);
        };
        masked_by(lab, edit, |bundle| plant(&bundle.rootfs().join("dev/null")))?;
    }
    Ok(())
}

fn null_in_volume(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let volume = lab.new_folder("dev")?;
    let null = volume.join("null");
    let mount = |config: &mut Value| add(config, bind(&volume, "/dev", &["rbind"]));
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, &null, FileType::CharacterDevice, mode, makedev(1, 3))?;
    ensure!(masked_by(lab, mount, |_| Ok(()))?, "a volume with the real null device must work");
    fs::remove_file(&null)?;
    symlink("/planted", &null)?;
    masked_by(lab, mount, |_| Ok(())).map(drop)
}

fn dev_entries(lab: &Lab) -> Result {
    control(lab)?;
    let canary = lab.new_folder("canary")?;
    let names = ["ptmx", "core", "fd", "stdin", "stdout", "console", "zero", "tty", "new"];
    for name in &names[..8] {
        fs::write(canary.join(name), "untouched")?;
    }
    let bundle = lab.bundle(|config| {
        without_dev(config);
        config["process"]["args"] = json!(["/probe", "exit", "0"]);
    })?;
    for name in names {
        symlink(canary.join(name), bundle.rootfs().join("dev").join(name))?;
    }
    // Refusing and replacing are both right.
    lab.container(bundle).run()?;
    let mut left: Vec<String> = Vec::new();
    for entry in fs::read_dir(&canary)? {
        let entry = entry?;
        ensure!(entry.file_type()?.is_file(), "{:?} is no file any more", entry.file_name());
        ensure_eq!(fs::read_to_string(entry.path())?, "untouched", "{:?}", entry.file_name());
        left.push(entry.file_name().to_string_lossy().into_owned());
    }
    ensure_eq!(left.len(), 8, "files of the host: {left:?}");
    Ok(())
}
