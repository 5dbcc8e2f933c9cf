//! The small members of `linux.resources`: pids, hugepageLimits, network, rdma, unified.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxHugepageLimit, LinuxNetwork, LinuxResources};

use super::{Target, check_limit, or_max};
use crate::cgroup::{Setting, Version};
use crate::error::{Error, Result};
use crate::host::CgroupLayout;

const UNIFIED: &str = "linux.resources.unified";

pub(super) fn lower(resources: &LinuxResources, target: &mut Target<'_>) -> Result<()> {
    if let Some(pids) = resources.pids() {
        target.section(|target| lower_pids(pids.limit(), target))?;
    }
    for (index, limit) in resources.hugepage_limits().iter().flatten().enumerate() {
        target.section(|target| hugepages(limit, index, target))?;
    }
    if let Some(network) = resources.network() {
        target.section(|target| lower_network(network, target))?;
    }
    target.section(|target| rdma(resources, target))?;
    // An error for everybody where the host has no such controller: "MUST generate an error" (config-linux.md,
    // Unified), and nobody writes such an entry for a host in general. Last, so that what is said in the kernel's own words wins over a converted value.
    unified(resources, target)
}

/// 0 is a limit (specification 1.3): nobody in the container can fork.
fn lower_pids(limit: i64, target: &mut Target<'_>) -> Result<()> {
    const FIELD: &str = "linux.resources.pids.limit";
    check_limit(limit, FIELD)?;
    let home = target.home("pids", FIELD)?;
    let setting = Setting::new("pids.max", or_max(limit), FIELD);
    // A clone into a cgroup that allows no process fails; joining a v1 one is never refused.
    if limit == 0 && home.version == Version::V2 {
        target.set_late(home, setting);
    } else {
        target.set(home, setting);
    }
    Ok(())
}

fn hugepages(limit: &LinuxHugepageLimit, index: usize, target: &mut Target<'_>) -> Result<()> {
    let field = format!("linux.resources.hugepageLimits[{index}]");
    let size = limit.page_size();
    let digits = size.trim_end_matches("KB").trim_end_matches("MB").trim_end_matches("GB");
    let well_formed = digits.len() + 2 == size.len()
        && !digits.is_empty()
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    if !well_formed {
        let message = format!("{size:?} is not a size like 64KB, 2MB or 1GB");
        return Err(Error::spec(format!("{field}.pageSize"), message));
    }
    let field = format!("{field}.limit");
    check_limit(limit.limit(), &field)?;
    let home = target.home("hugetlb", &field)?;
    let (last, value) = match home.version {
        Version::V1 => ("limit_in_bytes", limit.limit().to_string()),
        Version::V2 => ("max", or_max(limit.limit())),
    };
    target.set(home, Setting::new(format!("hugetlb.{size}.{last}"), &value, &field));
    // The specification's default: the limit also holds for reservations (kernel 5.7 and later).
    let reserved = format!("hugetlb.{size}.rsvd.{last}");
    target.set(home, Setting::new(reserved, value, field).or_skip());
    Ok(())
}

fn lower_network(network: &LinuxNetwork, target: &mut Target<'_>) -> Result<()> {
    const CLASS: &str = "linux.resources.network.classID";
    const PRIORITIES: &str = "linux.resources.network.priorities";
    let priorities = network.priorities().as_deref().unwrap_or_default();
    if matches!(target.host.cgroups, CgroupLayout::Unified { .. }) {
        // config-linux.md, "Unified": what cannot be converted to cgroup v2 is an error.
        return match (network.class_id(), priorities) {
            (Some(_), _) => Err(Error::unsupported(CLASS, "cgroup v2 has no network classes")),
            (None, [_, ..]) => {
                Err(Error::unsupported(PRIORITIES, "cgroup v2 has no network priorities"))
            }
            (None, []) => Ok(()),
        };
    }
    if let Some(class) = network.class_id() {
        let home = target.home("net_cls", CLASS)?;
        target.set(home, Setting::new("net_cls.classid", class, CLASS));
    }
    for (index, one) in priorities.iter().enumerate() {
        let field = format!("{PRIORITIES}[{index}]");
        let name = one.name();
        if name.is_empty() || name.len() > 15 || name.contains([' ', '\t', '\n', '/', '\0']) {
            let message = format!("{name:?} is not the name of a network interface");
            return Err(Error::spec(format!("{field}.name"), message));
        }
        let home = target.home("net_prio", &field)?;
        let value = format!("{name} {}", one.priority());
        target.set(home, Setting::new("net_prio.ifpriomap", value, field));
    }
    Ok(())
}

fn rdma(resources: &LinuxResources, target: &mut Target<'_>) -> Result<()> {
    // Sorted, so that one config.json always gives one plan.
    let devices: BTreeMap<_, _> = resources.rdma().iter().flatten().collect();
    for (device, limits) in devices {
        let field = format!("linux.resources.rdma.{device}");
        if device.is_empty() || device.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Error::spec(field, "not the name of an RDMA device"));
        }
        let mut value = device.clone();
        for (word, limit) in
            [("hca_handle", limits.hca_handles()), ("hca_object", limits.hca_objects())]
        {
            if let Some(limit) = limit {
                value.push_str(&format!(" {word}={limit}"));
            }
        }
        if value.len() == device.len() {
            return Err(Error::spec(field, "needs hcaHandles or hcaObjects"));
        }
        let home = target.home("rdma", &field)?;
        target.set(home, Setting::new("rdma.max", value, field));
    }
    Ok(())
}

fn unified(resources: &LinuxResources, target: &mut Target<'_>) -> Result<()> {
    let files: BTreeMap<_, _> = resources.unified().iter().flatten().collect();
    for (file, value) in files {
        let field = format!("{UNIFIED}.{file}");
        let Some((controller, _)) = file.split_once('.').filter(|(c, rest)| {
            !c.is_empty() && !rest.is_empty() && !file.contains(['/', '\0', '\n'])
        }) else {
            let message = "a key is the name of a cgroup v2 file, like memory.high";
            return Err(Error::spec(field, message));
        };
        let about_processes = ["cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.freeze"];
        if about_processes.contains(&file.as_str()) {
            let message = "moves, stops or kills processes and is not a resource";
            return Err(Error::spec(field, message));
        }
        let Some(index) = target.unified() else {
            return Err(Error::unsupported(UNIFIED, "this host has cgroup v1 only"));
        };
        let home = if controller == "cgroup" {
            super::Home { version: Version::V2, index }
        } else if target.host.v1(controller).is_some() {
            let message = format!("the {controller} controller is mounted as cgroup v1 here");
            return Err(Error::unsupported(field, message));
        } else {
            target.home(controller, &field)?
        };
        for line in lines(value) {
            let setting = Setting::new(file, line, &field);
            // Limits of memory come when init runs its own program (see `memory`), and after the typed ones.
            if file.starts_with("memory.") {
                target.set_late(home, setting);
            } else {
                target.set(home, setting);
            }
        }
    }
    Ok(())
}

/// What is written at once: a file with a line for each device takes one line a write, and none at all is a line
/// feed, since the kernel never sees a write of nothing.
fn lines(value: &str) -> Vec<&str> {
    let lines: Vec<&str> = value.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() { vec!["\n"] } else { lines }
}
