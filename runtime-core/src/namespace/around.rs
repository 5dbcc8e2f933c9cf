//! Namespaces that have to be entered before the clone.
//!
//! A thread made for it enters them, works, and ends: the caller's own threads never leave their namespaces,
//! and there is nothing to go back to when something fails in the middle.

use std::os::fd::OwnedFd;

use super::Kind;
use crate::error::{Error, ErrorKind, OsResult, Result};

/// Runs `work` inside `namespaces`; without any, right here.
///
/// # Errors
/// A namespace cannot be entered, or the error of `work`.
pub(crate) fn inside<T: Send>(
    namespaces: &[(Kind, OwnedFd)],
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    if namespaces.is_empty() {
        return work();
    }
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("teu-enter".into()).spawn_scoped(scope, || {
                for (kind, fd) in namespaces {
                    if *kind == Kind::Mount {
                        crate::sys::namespace::unshare_fs().call(|| "unshare(CLONE_FS)")?;
                    }
                    crate::sys::namespace::enter(fd, kind.flag())
                        .call(|| format!("setns({} namespace)", kind.word()))?;
                }
                work()
            });
        thread.call(|| "starting the thread that enters the namespaces")?.join().unwrap_or_else(
            |_| Err(Error::new(ErrorKind::Os, "the thread in the namespaces panicked")),
        )
    })
}
