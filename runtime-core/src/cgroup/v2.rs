//! What only cgroup2 needs: controllers passed on by every ancestor, and the device program.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use super::device::{self, DeviceProgram};
use super::{Controller, HierarchyPlan, file};
use crate::error::{Context, Error, OsResult, Result};
use crate::sys::bpf;

/// Makes the controllers available in the cgroup `path`, from the top down. What cannot be passed on ends it, unless
/// `judge` makes nothing of the failure.
pub(super) fn enable(
    root: &OwnedFd,
    hierarchy: &HierarchyPlan,
    path: &str,
    mut judge: impl FnMut(Result<()>) -> Result<()>,
) -> Result<()> {
    if hierarchy.controllers.is_empty() {
        return Ok(());
    }
    let control = |level: &str| {
        let base = file::base(&hierarchy.directory, level);
        let slash = if base.is_empty() { "" } else { "/" };
        format!("{base}{slash}cgroup.subtree_control")
    };
    // Usually another container has had the parent pass everything on already.
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    if missing(root, &control(parent), &hierarchy.controllers)?.is_empty() {
        return Ok(());
    }
    let levels = path.match_indices('/').map(|(end, _)| &path[..end]);
    for level in levels {
        let name = control(level);
        for controller in missing(root, &name, &hierarchy.controllers)? {
            judge(pass_on(root, &name, controller))?;
        }
    }
    Ok(())
}

fn missing<'a>(
    root: &OwnedFd,
    control: &str,
    wanted: &'a [Controller],
) -> Result<Vec<&'a Controller>> {
    let enabled = file::read(root, control).call(|| format!("read({control})"))?;
    let is_missing = |c: &&Controller| enabled.split_whitespace().all(|name| name != c.name);
    Ok(wanted.iter().filter(is_missing).collect())
}

fn pass_on(root: &OwnedFd, control: &str, controller: &Controller) -> Result<()> {
    let name = &controller.name;
    let Err(errno) = file::write(root, control, &format!("+{name}")) else { return Ok(()) };
    // Statistics are no reason to refuse a container.
    let Some(field) = &controller.needed_by else { return Ok(()) };
    Err(match errno {
        Errno::NOENT | Errno::INVAL => {
            Error::unsupported(field, format!("this host has no {name} controller for {control}"))
        }
        Errno::BUSY => Error::os(
            format!("\"+{name}\" for {control}, whose cgroup has processes of its own"),
            errno,
        )
        .at(field),
        Errno::OPNOTSUPP => Error::os(
            format!("\"+{name}\" for {control}: the cgroup is threaded, or one above it is, and {name} is for whole processes only (cgroups(7))"),
            errno,
        )
        .at(field),
        _ => Error::os(format!("the kernel refused \"+{name}\" for {control}"), errno).at(field),
    })
}

/// Loads the device rules and attaches them to the container's cgroup.
pub(super) fn attach_devices(cgroup: &OwnedFd, rules: &DeviceProgram) -> Result<()> {
    let instructions: Vec<[u8; 8]> =
        device::assemble(&rules.rules).into_iter().map(device::Insn::bytes).collect();
    let program = bpf::load_device_program(&instructions)
        .call(|| "bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE)")
        .at(|| device::FIELD)?;
    // Programs of the cgroups above stay and have to allow, too; EPERM says that one of them suffers no others.
    bpf::attach_device_program(cgroup.as_fd(), program.as_fd())
        .call(|| {
            "bpf(BPF_PROG_ATTACH, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI); was one attached above without that flag?"
        })
        .at(|| device::FIELD)
}
