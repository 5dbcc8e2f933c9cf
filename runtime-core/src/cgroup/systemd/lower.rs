//! `linux.cgroupsPath` as `slice:prefix:name` → the unit's name and its cgroup; the plan's settings → the unit's
//! properties. Pure.

mod annotation;
mod property;

use std::collections::BTreeMap;
use std::path::Path;

use super::{Manager, Property, UnitPlan, Value};
use crate::cgroup::{DeviceRule, HierarchyPlan, Setting, Version};
use crate::error::{Error, Result};

pub(in crate::cgroup) use property::{devices, resources};

const FIELD: &str = "linux.cgroupsPath";

/// Names of units are not longer (UNIT_NAME_MAX of systemd).
const LONGEST: usize = 255;

/// Where the unit is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cgroup) struct Place {
    pub name: String,
    pub slice: String,
    /// Its cgroup, absolute in every hierarchy.
    pub cgroup: String,
}

/// The unit of `cgroupsPath`, by runc's rules: without one `teu-ID.scope` in system.slice, or in user.slice of a
/// user's systemd; a name that ends in `.slice` is a slice and no scope.
pub(in crate::cgroup) fn place(
    cgroups_path: Option<&Path>,
    id: &str,
    manager: &Manager,
) -> Result<Place> {
    let text = cgroups_path.map(Path::to_string_lossy).unwrap_or_default();
    let default = if manager.user { "user.slice" } else { "system.slice" };
    let (slice, name) = if text.is_empty() {
        (default, format!("teu-{}.scope", escaped(id)))
    } else {
        let parts: Vec<&str> = text.split(':').collect();
        let &[slice, prefix, name] = parts.as_slice() else {
            return Err(Error::spec(
                FIELD,
                format!(
                    "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {text:?} instead"
                ),
            ));
        };
        let unit = match (prefix, name) {
            (_, "") => return Err(Error::spec(FIELD, format!("{text:?} has no name"))),
            (_, name) if name.ends_with(".slice") => name.to_owned(),
            ("", name) => format!("{name}.scope"),
            (prefix, name) => format!("{prefix}-{name}.scope"),
        };
        (slice, unit)
    };
    check_name(&name)?;
    let (slice, cgroup) = if name.ends_with(".slice") {
        // The name of a slice says where it is.
        let own = expand(&name)?;
        let parent =
            name.rsplit_once('-').map_or("-.slice".to_owned(), |(p, _)| format!("{p}.slice"));
        if !slice.is_empty() && slice != parent {
            let text = format!("{name} is in {parent} by its name, and cannot be in {slice}");
            return Err(Error::spec(FIELD, text));
        }
        (parent, own)
    } else {
        let slice = if slice.is_empty() { default } else { slice };
        check_name(slice)?;
        (slice.to_owned(), format!("{}/{}", expand(slice)?, directory(&name)))
    };
    Ok(Place { name, slice, cgroup: format!("{}{cgroup}", manager.cgroup) })
}

/// The cgroup of a slice: `a-b.slice` is in `a.slice` (systemd.slice(5)); `-.slice` is the root of all.
fn expand(slice: &str) -> Result<String> {
    let bad = |why: &str| Error::spec(FIELD, format!("invalid slice name {slice:?}: {why}"));
    let stem = slice.strip_suffix(".slice").ok_or_else(|| bad("it has to end in .slice"))?;
    if stem == "-" {
        return Ok(String::new());
    }
    if stem.split('-').any(str::is_empty) {
        return Err(bad("a dash separates the names of slices, and one of them is empty"));
    }
    let ends = stem.match_indices('-').map(|(end, _)| end).chain([stem.len()]);
    Ok(ends.map(|end| format!("/{}", directory(&format!("{}.slice", &stem[..end])))).collect())
}

/// What systemd takes for the beginning of a file's name: the controllers, its own ones among them.
const CONTROLLERS: [&str; 15] = [
    "cgroup",
    "cpu",
    "cpuacct",
    "cpuset",
    "io",
    "blkio",
    "memory",
    "devices",
    "pids",
    "bpf-firewall",
    "bpf-devices",
    "bpf-foreign",
    "bpf-socket-bind",
    "bpf-restrict-network-interfaces",
    "bpf-bind-network-interface",
];

/// The directory of a unit: where its name could be taken for a file of the kernel's, systemd puts `_` before.
fn directory(name: &str) -> String {
    let of_kernel = name.split_once('.').is_some_and(|(stem, _)| CONTROLLERS.contains(&stem));
    let escape = if of_kernel || name.starts_with(['_', '.']) { "_" } else { "" };
    format!("{escape}{name}")
}

fn check_name(name: &str) -> Result<()> {
    let valid = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if let Some(bad) = name.chars().find(|c| !valid(*c)) {
        let text = format!("{name:?} is not the name of a unit: {bad:?} is not allowed");
        return Err(Error::spec(FIELD, text));
    }
    if name.len() > LONGEST {
        let text = format!("{name:?} is not the name of a unit: it is longer than {LONGEST} bytes");
        return Err(Error::spec(FIELD, text));
    }
    Ok(())
}

/// An id as a part of a unit's name; of the characters of ids only `+` is none of those of units.
fn escaped(id: &str) -> String {
    id.replace('+', "\\x2b")
}

/// The unit with its properties. Moves what a keeper in the cgroup stands against behind the birth of init.
pub(in crate::cgroup) fn unit(
    (place, manager): (&Place, &Manager),
    id: &str,
    hierarchies: &mut [HierarchyPlan],
    device_rules: &[DeviceRule],
    annotations: &BTreeMap<String, String>,
) -> Result<UnitPlan> {
    let is_scope = place.name.ends_with(".scope");
    let mut properties = common(place, id, is_scope, hierarchies);
    properties.extend(resources(hierarchies.iter().flat_map(settings)));
    if hierarchies.iter().any(|h| h.version == Version::V1) {
        properties.extend(devices(device_rules));
    }
    for property in annotation::properties(annotations)? {
        properties.retain(|known| known.name != property.name);
        properties.push(property);
    }
    if is_scope {
        hierarchies.iter_mut().for_each(leave_room);
    }
    Ok(UnitPlan {
        name: place.name.clone(),
        slice: place.slice.clone(),
        manager: manager.clone(),
        properties,
    })
}

fn settings(hierarchy: &HierarchyPlan) -> impl Iterator<Item = &Setting> {
    hierarchy.settings.iter().chain(&hierarchy.late)
}

/// What every unit is told.
fn common(place: &Place, id: &str, is_scope: bool, hierarchies: &[HierarchyPlan]) -> Vec<Property> {
    let property = |name: &str, value: Value| Property { name: name.into(), value, field: None };
    let mut properties = vec![property("Description", Value::Text(format!("teu container {id}")))];
    if is_scope {
        properties.push(property("Slice", Value::Text(place.slice.clone())));
        // The cgroups below are ours and the container's: systemd keeps its hands off.
        properties.push(property("Delegate", Value::Bool(true)));
    } else {
        // A slice is where its name says; it only has to pull its parent in.
        properties.push(property("Wants", Value::Texts(vec![place.slice.clone()])));
    }
    let io = if hierarchies.iter().any(|h| h.version == Version::V1) {
        "BlockIOAccounting"
    } else {
        "IOAccounting"
    };
    for name in ["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"] {
        properties.push(property(name, Value::Bool(true)));
    }
    // Its end must not wait for, or hold up, what the defaults order it against at shutdown: managers do that.
    properties.push(property("DefaultDependencies", Value::Bool(false)));
    if is_scope {
        // One that failed leaves no unit behind that somebody has to reset.
        properties.push(property("CollectMode", Value::Text("inactive-or-failed".into())));
    }
    properties
}

/// While init is born the keeper is there too: a limit of one process waits until it has gone.
fn leave_room(hierarchy: &mut HierarchyPlan) {
    let tight = |setting: &Setting| setting.file == "pids.max" && setting.value == "1";
    if hierarchy.version == Version::V2 && hierarchy.settings.iter().any(tight) {
        let (late, now) = hierarchy.settings.drain(..).partition(tight);
        hierarchy.settings = now;
        hierarchy.late.splice(..0, late);
    }
}

#[cfg(test)]
mod tests;
