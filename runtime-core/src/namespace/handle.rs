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

/// Refuses to set what belongs to the host: a namespace that is joined by path may be the caller's own.
///
/// # Errors
/// A parameter or a host name that would be set outside of the container.
pub(crate) fn check_not_ours(
    plan: &NamespacePlan,
    joined: &[&[(Kind, OwnedFd)]],
    sysctls: &[teu_wire::Sysctl],
) -> Result<()> {
    for (kind, fd) in joined.iter().copied().flatten() {
        let sets = |prefix: &[u8]| {
            sysctls.iter().find(|sysctl| sysctl.file.as_bytes().starts_with(prefix)).map(|sysctl| {
                format!("linux.sysctl[{:?}]", sysctl.file.to_string().replace('/', "."))
            })
        };
        let named = plan.init.hostname.as_ref().map(|_| "hostname".to_owned());
        let field = match kind {
            Kind::Network => {
                sets(b"net/").or_else(|| plan.devices.first().map(|device| device.field.clone()))
            }
            Kind::Ipc => {
                sets(b"kernel/sem").or_else(|| sets(b"kernel/")).or_else(|| sets(b"fs/mqueue/"))
            }
            Kind::Uts => named.or_else(|| sets(b"kernel/domainname")),
            _ => None,
        };
        if let Some(field) = field
            && is_ours(*kind, fd)?
        {
            return Err(Error::spec(
                field,
                format_args!(
                    "would be set for the host, whose {} namespace is joined",
                    kind.word()
                ),
            ));
        }
    }
    Ok(())
}

fn is_ours(kind: Kind, fd: &OwnedFd) -> Result<bool> {
    let path = format!("/proc/self/ns/{}", kind.file());
    let ours = rustix::fs::stat(&path).call(|| format!("stat({path})"))?;
    let theirs = rustix::fs::fstat(fd).call(|| "fstat(namespace)")?;
    Ok((ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino))
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
