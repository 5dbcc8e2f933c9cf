//! /dev: default devices and links, and linux.devices. Pure.

use std::path::Path;

use oci_spec::runtime::{LinuxDeviceType, Spec};
use teu_wire::{Device, DeviceLink, OwnedText};

use super::{Inputs, Purpose, TreeSource};
use crate::error::{Error, Result};

const CHARACTER: u32 = libc::S_IFCHR;

/// config-linux.md, "Default Devices": name, major, minor.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// runtime-linux.md, "Dev symbolic links", and /dev/ptmx of "Default Devices".
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// The links; none where /dev is the user's own.
pub(super) fn links() -> Result<Vec<DeviceLink>> {
    LINKS
        .iter()
        .map(|(name, target)| {
            Ok(DeviceLink { path: text(&format!("dev/{name}"))?, target: text(target)? })
        })
        .collect()
}

fn text(value: &str) -> Result<OwnedText> {
    OwnedText::new(value).map_err(|_| Error::spec("linux.devices", "contains a NUL byte"))
}

/// The nodes: linux.devices, then the default ones that it does not replace.
pub(super) fn lower(
    spec: &Spec,
    inputs: &Inputs<'_>,
    default: bool,
    trees: &mut Vec<TreeSource>,
) -> Result<Vec<Device>> {
    let mut devices: Vec<Device> = Vec::new();
    let configured = spec.linux().as_ref().and_then(|linux| linux.devices().as_ref());
    for (index, device) in configured.into_iter().flatten().enumerate() {
        let field = format!("linux.devices[{index}]");
        if !device.path().is_absolute() {
            return Err(Error::spec(
                format!("{field}.path"),
                format_args!("{:?} is not an absolute path", device.path()),
            ));
        }
        let path = super::mount::relative(device.path(), &format!("{field}.path"))?;
        if devices.iter().any(|other| other.path == path) {
            // The first one stays, as with runc: managers list a device twice when two sources ask for it.
            continue;
        }
        let kind = match device.typ() {
            LinuxDeviceType::C | LinuxDeviceType::U => CHARACTER,
            LinuxDeviceType::B => libc::S_IFBLK,
            LinuxDeviceType::P => libc::S_IFIFO,
            LinuxDeviceType::A => {
                return Err(Error::spec(
                    format!("{field}.type"),
                    "\"a\" is no type of a device node",
                ));
            }
        };
        let number = |value: i64, name: &str| {
            u32::try_from(value).map_err(|_| {
                Error::spec(format!("{field}.{name}"), format_args!("{value} is no device number"))
            })
        };
        let mut made = Device {
            index: Some(u32::try_from(index).unwrap_or(u32::MAX)),
            path,
            mode: kind | device.file_mode().unwrap_or(0o666) & 0o7777,
            major: number(device.major(), "major")?,
            minor: number(device.minor(), "minor")?,
            uid: device.uid().unwrap_or(0),
            gid: device.gid().unwrap_or(0),
            tree: None,
        };
        if kind == libc::S_IFIFO {
            (made.major, made.minor) = (0, 0);
        } else if (made.major, made.minor) == (0, 0) {
            // Required by config-linux.md, "Devices"; the kernel has no device of that number, and what is not given
            // reads as 0.
            return Err(Error::spec(format!("{field}.major"), "missing: which device is it?"));
        }
        bind_from_host(&mut made, device.path(), &format!("{field}.path"), inputs, trees);
        devices.push(made);
    }
    for (name, major, minor) in DEFAULT.into_iter().filter(|_| default) {
        let path = text(&format!("dev/{name}"))?;
        if devices.iter().any(|device| device.path == path) {
            continue;
        }
        let mut made = Device {
            index: None,
            path,
            mode: CHARACTER | 0o666,
            major,
            minor,
            uid: 0,
            gid: 0,
            tree: None,
        };
        let host = Path::new("/dev").join(name);
        bind_from_host(&mut made, &host, "default devices", inputs, trees);
        devices.push(made);
    }
    Ok(devices)
}

/// Only the initial user namespace may make devices (mknod(2)); in another one the host's are bound.
fn bind_from_host(
    device: &mut Device,
    path: &Path,
    field: &str,
    inputs: &Inputs<'_>,
    trees: &mut Vec<TreeSource>,
) {
    if inputs.makes_devices || device.mode & libc::S_IFMT == libc::S_IFIFO {
        return;
    }
    device.tree = Some(u32::try_from(trees.len()).unwrap_or(u32::MAX));
    trees.push(TreeSource {
        path: path.to_owned(),
        recursive: false,
        propagation: Some(super::option::PRIVATE),
        field: field.to_owned(),
        what: Purpose::Device { major: device.major, minor: device.minor },
        id_map: None,
    });
}
