//! The descriptors of namespaces that are joined by path.
//!
//! All are opened by the caller before anything is entered: once a namespace has changed, a path may mean
//! something else. A file of another kind is refused here, where its JSON path is known.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

use super::{Kind, NamespacePlan, Source};
use crate::error::{Context, Error, OsResult, Result};

/// Opens the namespaces of `kinds`, in that order.
///
/// # Errors
/// A path that cannot be opened or is not a namespace of its kind.
pub(crate) fn open(plan: &NamespacePlan, kinds: &[Kind]) -> Result<Vec<(Kind, OwnedFd)>> {
    kinds.iter().map(|kind| open_one(plan, *kind).map(|fd| (*kind, fd))).collect()
}

fn open_one(plan: &NamespacePlan, kind: Kind) -> Result<OwnedFd> {
    let Source::Path { path, field } = plan.wanted.get(kind) else {
        return Err(Error::spec("linux.namespaces", format_args!("{} has no path", kind.word())));
    };
    let fd =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
            .call(|| format!("open({})", path.display()))
            .at(|| field.as_str())?;
    match crate::sys::namespace::kind(&fd) {
        Some(found) if found == kind.flag() => Ok(fd),
        _ => Err(Error::spec(
            field.as_str(),
            format_args!("{} is not a {} namespace", path.display(), kind.word()),
        )),
    }
}
