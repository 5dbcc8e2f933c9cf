//! `linux.resources.blockIO`. Zero weights mean "not set", as managers send it.

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice};

use super::Target;
use crate::cgroup::{Setting, Version};
use crate::error::{Error, Result};

const FIELD: &str = "linux.resources.blockIO";

pub(super) fn lower(io: &LinuxBlockIo, target: &mut Target<'_>) -> Result<()> {
    weights(io, target)?;
    for (member, v1, v2, devices) in [
        ("throttleReadBpsDevice", "read_bps", "rbps", io.throttle_read_bps_device()),
        ("throttleWriteBpsDevice", "write_bps", "wbps", io.throttle_write_bps_device()),
        ("throttleReadIOPSDevice", "read_iops", "riops", io.throttle_read_iops_device()),
        ("throttleWriteIOPSDevice", "write_iops", "wiops", io.throttle_write_iops_device()),
    ] {
        for (index, device) in devices.iter().flatten().enumerate() {
            throttle(device, v1, v2, &format!("{FIELD}.{member}[{index}]"), target)?;
        }
    }
    Ok(())
}

/// The name of the controller differs: blkio on v1, io on v2.
fn home(target: &mut Target<'_>, field: &str) -> Result<super::Home> {
    let name = if target.host.v1("blkio").is_some() { "blkio" } else { "io" };
    target.home(name, field)
}

fn weights(io: &LinuxBlockIo, target: &mut Target<'_>) -> Result<()> {
    if let Some(weight) = io.weight().filter(|weight| *weight != 0) {
        let field = format!("{FIELD}.weight");
        check_weight(weight, &field)?;
        let home = home(target, &field)?;
        let setting = match home.version {
            Version::V1 => {
                Setting::new("blkio.weight", weight, field).or_write("blkio.bfq.weight", weight)
            }
            // Where BFQ schedules, io.weight belongs to another mechanism (blk-iocost).
            Version::V2 => Setting::new("io.bfq.weight", weight, field)
                .or_write("io.weight", io_weight(weight)),
        };
        target.set(home, setting);
    }
    if let Some(weight) = io.leaf_weight().filter(|weight| *weight != 0) {
        let field = format!("{FIELD}.leafWeight");
        check_weight(weight, &field)?;
        let home = home(target, &field)?;
        refuse_leaf_on_v2(home.version, &field)?;
        target.set(home, Setting::new("blkio.leaf_weight", weight, field));
    }
    for (index, device) in io.weight_device().iter().flatten().enumerate() {
        let field = format!("{FIELD}.weightDevice[{index}]");
        let number = device_number(device.major(), device.minor(), &field)?;
        if device.weight().is_none() && device.leaf_weight().is_none() {
            return Err(Error::spec(field, "needs weight or leafWeight"));
        }
        if let Some(weight) = device.weight().filter(|weight| *weight != 0) {
            let field = format!("{field}.weight");
            check_weight(weight, &field)?;
            let home = home(target, &field)?;
            let value = format!("{number} {weight}");
            let setting = match home.version {
                Version::V1 => Setting::new("blkio.weight_device", &value, field)
                    .or_write("blkio.bfq.weight_device", &value),
                Version::V2 => Setting::new("io.bfq.weight", value, field)
                    .or_write("io.weight", format!("{number} {}", io_weight(weight))),
            };
            target.set(home, setting);
        }
        if let Some(weight) = device.leaf_weight().filter(|weight| *weight != 0) {
            let field = format!("{field}.leafWeight");
            check_weight(weight, &field)?;
            let home = home(target, &field)?;
            refuse_leaf_on_v2(home.version, &field)?;
            let value = format!("{number} {weight}");
            target.set(home, Setting::new("blkio.leaf_weight_device", value, field));
        }
    }
    Ok(())
}

fn throttle(
    device: &LinuxThrottleDevice,
    v1: &str,
    v2: &str,
    field: &str,
    target: &mut Target<'_>,
) -> Result<()> {
    let number = device_number(device.major(), device.minor(), field)?;
    let home = home(target, field)?;
    let rate = device.rate();
    match home.version {
        Version::V1 => {
            let file = format!("blkio.throttle.{v1}_device");
            target.set(home, Setting::new(file, format!("{number} {rate}"), field));
        }
        Version::V2 => {
            // v1 takes 0 for "no throttle", v2 refuses it.
            let rate = if rate == 0 { "max".to_owned() } else { rate.to_string() };
            let limit = format!("{v2}={rate}");
            let prefix = format!("{number} ");
            // One line for each device: the four limits of a device are one record in the kernel.
            let settings = &mut target.hierarchies[home.index].settings;
            let same = settings.iter_mut().find(|s| {
                s.file == "io.max" && s.value.starts_with(&prefix) && !s.value.contains(v2)
            });
            match same {
                Some(line) => {
                    line.value.push(' ');
                    line.value.push_str(&limit);
                }
                None => settings.push(Setting::new("io.max", prefix + &limit, field)),
            }
        }
    }
    Ok(())
}

fn refuse_leaf_on_v2(version: Version, field: &str) -> Result<()> {
    match version {
        Version::V1 => Ok(()),
        Version::V2 => Err(Error::unsupported(field, "cgroup v2 has no leaf weights")),
    }
}

fn check_weight(weight: u16, field: &str) -> Result<()> {
    if (10..=1000).contains(&weight) {
        return Ok(());
    }
    Err(Error::spec(field, format!("{weight} is not between 10 and 1000")))
}

fn device_number(major: i64, minor: i64, field: &str) -> Result<String> {
    if u32::try_from(major).is_err() || u32::try_from(minor).is_err() {
        return Err(Error::spec(field, format!("{major}:{minor} is not a device number")));
    }
    Ok(format!("{major}:{minor}"))
}

/// A blkio weight (10..=1000) on the scale of io.weight (1..=10000): linear, as in runc and crun.
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight) - 10) * 9999 / 990
}
