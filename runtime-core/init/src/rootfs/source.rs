//! The trees of the host that the container is made of, opened by init itself where its caller may not.
//!
//! The caller of a rootless container has no right over its own mount namespace; init has it over its copy.

use rustix::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use rustix::fs::{CWD, FileType, major, minor};
use rustix::mount::OpenTreeFlags;
use teu_wire::{FdsView, InitPlanView, SourceView, Step};

use super::change;
use crate::fail::{At, Fail, Result};

const STEP: Step = Step::Source;

const MS_REC: u64 = 1 << 14;

/// Opens them all, before anything of the container is mounted: until then every path is the host's.
///
/// # Errors
/// A source is not there, may not be entered, or is not the device that it should be.
pub fn open_all(fds: &FdsView<'_>, plan: &InitPlanView<'static>) -> Result<()> {
    for (source, number) in plan.sources.iter().zip(fds.trees.iter()) {
        let tree = open(&source)?;
        let kept = rustix::io::fcntl_dupfd_cloexec(&tree, number).at(
            STEP,
            c"fcntl(F_DUPFD_CLOEXEC)",
            source.path.to_bytes(),
        )?;
        if kept.as_raw_fd() != number {
            return Err(Fail::found(
                STEP,
                c"too many descriptors are open",
                source.path.to_bytes(),
            ));
        }
        // Closed with the others that served.
        let _kept = kept.into_raw_fd();
    }
    Ok(())
}

fn open(source: &SourceView<'_>) -> Result<OwnedFd> {
    let detail = source.path.to_bytes();
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if source.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = rustix::mount::open_tree(CWD, source.path, flags).at(STEP, c"open_tree", detail)?;
    if source.propagation != 0 {
        change::propagation(tree.as_fd(), source.propagation | MS_REC).at(
            STEP,
            c"mount_setattr",
            detail,
        )?;
    }
    if let Some(device) = &source.device {
        let found = rustix::fs::fstat(&tree).at(STEP, c"fstat", detail)?;
        let is_device = matches!(
            FileType::from_raw_mode(found.st_mode),
            FileType::CharacterDevice | FileType::BlockDevice
        );
        if !is_device
            || (major(found.st_rdev), minor(found.st_rdev)) != (device.major, device.minor)
        {
            return Err(Fail::found(STEP, c"not the device that is asked for", detail));
        }
    }
    Ok(tree)
}
