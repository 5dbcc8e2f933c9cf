//! `linux.cgroupsPath` and `linux.resources` → [`CgroupPlan`]. Pure: the host is plain data.

mod cpu;
mod io;
mod memory;
mod other;

use std::collections::BTreeMap;
use std::path::Path;

use oci_spec::runtime::LinuxResources;

use super::{
    CgroupPlan, Controller, HierarchyPlan, Inherit, Setting, Version, device, path, systemd,
};
use crate::error::{Error, Result};
use crate::host::{CgroupLayout, Host};

/// cgroup2 controllers that every container gets where the host has them, so that there are statistics.
const FOR_STATISTICS: [&str; 5] = ["cpuset", "cpu", "io", "memory", "pids"];

/// What an administrator can do for users whose containers are to have limits.
pub(super) const HINT: &str = "not applied; where systemd runs on cgroup v2, root can delegate it: \
    [Service] Delegate=cpu cpuset io memory pids in /etc/systemd/system/user@.service.d/delegate.conf";

/// Controllers that only v1 has.
const ONLY_V1: [&str; 2] = ["net_cls", "net_prio"];

/// Decides where the container goes and what is written there; also returns warnings.
///
/// # Errors
/// A field breaks the specification, or asks for what this host cannot give; the error names it.
pub fn lower(
    cgroups_path: Option<&Path>,
    id: &str,
    resources: Option<&LinuxResources>,
    annotations: &BTreeMap<String, String>,
    host: &Host,
) -> Result<(CgroupPlan, Vec<String>)> {
    let place = match &host.systemd {
        Some(manager) => Some((systemd::lower::place(cgroups_path, id, manager)?, manager)),
        None => None,
    };
    let path = match &place {
        Some((place, _)) => place.cgroup.clone(),
        None => path::lower(cgroups_path, id, host.delegated.as_deref())?,
    };
    let mut target = Target::new(host);
    if place.is_none() {
        target.warnings.extend(path::warning(cgroups_path));
    }
    let nothing = LinuxResources::default();
    let resources = resources.unwrap_or(&nothing);
    let device_program = target.devices(resources)?;
    if let Some(memory) = resources.memory() {
        target.section(|target| memory::lower(memory, target))?;
    }
    if let Some(cpu) = resources.cpu() {
        target.section(|target| cpu::lower(cpu, target))?;
    }
    if let Some(block_io) = resources.block_io() {
        target.section(|target| io::lower(block_io, target))?;
    }
    other::lower(resources, &mut target)?;
    let rules = target.legacy_rules(resources)?;
    let Target { mut hierarchies, warnings, .. } = target;
    let unit = place
        .map(|(place, manager)| {
            systemd::lower::unit((&place, manager), id, &mut hierarchies, &rules, annotations)
        })
        .transpose()?;
    let optional = host.rootless;
    Ok((CgroupPlan { path, hierarchies, optional, device_program, owner: None, unit }, warnings))
}

/// The hierarchies while they are being filled.
#[derive(Debug)]
struct Target<'a> {
    host: &'a Host,
    hierarchies: Vec<HierarchyPlan>,
    warnings: Vec<String>,
    /// A controller was asked for that is not there.
    missing: bool,
}

/// Where a controller is, so that a setting can be written in that interface's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Home {
    version: Version,
    index: usize,
}

impl<'a> Target<'a> {
    fn new(host: &'a Host) -> Self {
        let mut hierarchies = Vec::new();
        match &host.cgroups {
            CgroupLayout::Unified { controllers } => {
                let mut unified = hierarchy("", Version::V2);
                let wanted = FOR_STATISTICS.iter().filter(|c| controllers.iter().any(|h| h == *c));
                unified.controllers = wanted
                    .map(|name| Controller { name: (*name).into(), needed_by: None })
                    .collect();
                hierarchies.push(unified);
            }
            CgroupLayout::Legacy { hierarchies: mounted, unified } => {
                for one in mounted {
                    let mut plan = hierarchy(&one.directory, Version::V1);
                    if one.controllers.iter().any(|c| c == "cpuset") {
                        plan.cpuset = Inherit::Cpuset;
                    }
                    hierarchies.push(plan);
                }
                // What init does before it has joined is not charged to the container.
                let memory = host.v1("memory").map(|h| h.directory.as_str());
                hierarchies.sort_by_key(|h| Some(h.directory.as_str()) == memory);
                if let Some(directory) = unified {
                    hierarchies.push(hierarchy(directory, Version::V2));
                }
            }
            CgroupLayout::None => {}
        }
        let mut warnings = Vec::new();
        if hierarchies.is_empty() {
            warnings.push("no cgroup file system is mounted: the container gets no cgroup".into());
        }
        Self { host, hierarchies, warnings, missing: false }
    }

    /// One section of linux.resources. Without privilege a controller that is not there, because nobody has
    /// delegated it, is worth a warning.
    fn section(&mut self, lower: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.missing = false;
        match lower(self) {
            Err(error) if self.host.rootless && self.missing => {
                self.warnings.push(format!("{error}: {HINT}"));
                Ok(())
            }
            other => other,
        }
    }

    fn warn(&mut self, field: &str, message: &str) {
        self.warnings.push(format!("config.json: {field}: {message}"));
    }

    fn unified(&self) -> Option<usize> {
        self.hierarchies.iter().position(|h| h.version == Version::V2)
    }

    /// Where `controller` is. On a hybrid host cgroup2 has the controllers that no v1 hierarchy took;
    /// whether this is one of them shows when it is enabled.
    fn home(&mut self, controller: &str, field: &str) -> Result<Home> {
        if let Some(mounted) = self.host.v1(controller) {
            let index = self.hierarchies.iter().position(|h| h.directory == mounted.directory);
            if let Some(index) = index {
                return Ok(Home { version: Version::V1, index });
            }
        }
        let on_v2 = match &self.host.cgroups {
            CgroupLayout::Unified { controllers } => controllers.iter().any(|c| c == controller),
            CgroupLayout::Legacy { .. } => !ONLY_V1.contains(&controller),
            CgroupLayout::None => false,
        };
        match self.unified() {
            Some(index) if on_v2 => {
                self.need(index, controller, field);
                Ok(Home { version: Version::V2, index })
            }
            _ => {
                self.missing = true;
                let message = format!("this host has no {controller} controller mounted");
                Err(Error::unsupported(field, message))
            }
        }
    }

    fn need(&mut self, index: usize, controller: &str, field: &str) {
        let controllers = &mut self.hierarchies[index].controllers;
        match controllers.iter_mut().find(|c| c.name == controller) {
            Some(known) => {
                known.needed_by.get_or_insert_with(|| field.into());
            }
            None => controllers
                .push(Controller { name: controller.into(), needed_by: Some(field.into()) }),
        }
    }

    fn set(&mut self, home: Home, setting: Setting) {
        self.hierarchies[home.index].settings.push(setting);
    }

    fn set_late(&mut self, home: Home, setting: Setting) {
        self.hierarchies[home.index].late.push(setting);
    }

    /// The device rules that a v1 hierarchy enforces; none where nothing is denied, or we may not.
    fn legacy_rules(&self, resources: &LinuxResources) -> Result<Vec<device::DeviceRule>> {
        let rules = device::rules(resources.devices().as_deref().unwrap_or_default())?;
        let ours = self.host.is_root() && self.host.v1("devices").is_some();
        Ok(if ours && !device::allow_everything(&rules) { rules } else { Vec::new() })
    }

    /// Device rules apply even where config.json has none: the default is to deny.
    fn devices(&mut self, resources: &LinuxResources) -> Result<Option<device::DeviceProgram>> {
        let asked = resources.devices().as_deref().unwrap_or_default();
        let rules = device::rules(asked)?;
        if device::allow_everything(&rules) || self.hierarchies.is_empty() {
            return Ok(None);
        }
        // Neither interface can be used without privilege, and what an unprivileged caller may not open its
        // container may not open either.
        if !self.host.is_root() {
            return Ok(None);
        }
        if self.host.v1("devices").is_some() {
            let home = self.home("devices", device::FIELD)?;
            for setting in device::legacy(&rules)? {
                self.set(home, setting);
            }
            return Ok(None);
        }
        if self.unified().is_some() {
            return Ok(Some(device::DeviceProgram { rules }));
        }
        if asked.is_empty() {
            self.warn(device::FIELD, "no devices controller: every device node can be opened");
            return Ok(None);
        }
        Err(Error::unsupported(device::FIELD, "this host has no devices controller mounted"))
    }
}

fn hierarchy(directory: &str, version: Version) -> HierarchyPlan {
    HierarchyPlan {
        directory: directory.into(),
        version,
        cpuset: Inherit::Nothing,
        controllers: Vec::new(),
        settings: Vec::new(),
        late: Vec::new(),
    }
}

/// `-1` is "no limit"; any other negative number is a mistake.
fn check_limit(value: i64, field: &str) -> Result<()> {
    if value < -1 {
        let message = format!("{value} is no limit; give a positive number, or -1 for none");
        return Err(Error::spec(field, message));
    }
    Ok(())
}

/// A limit in the words of cgroup2.
fn or_max(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}

#[cfg(test)]
mod tests;
