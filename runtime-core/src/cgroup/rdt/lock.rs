//! The lock by which programs that change resctrl keep out of each other's way (resctrl.rst, "Resctrl filesystem
//! locking").

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::resctrl::{FIELD, Resctrl};
use crate::cgroup::file;
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::link;

/// How long another program may keep the lock. Who heeds the convention gives it back after a few writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at the lock.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

impl Resctrl {
    /// Keeps other programs from making and changing classes, by the kernel's convention (resctrl.rst, "Resctrl
    /// filesystem locking"). Above all: nobody may compare itself with a class that has no schemata yet.
    pub(super) fn lock(&self, cancel: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
        self.lock_within(PATIENCE, cancel)
    }

    fn lock_within(&self, patience: Duration, cancel: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
        // Another description than the root's, so that it ends with what is returned.
        let lock = file::open_dir(&self.root, ".").call(|| format!("open({})", self.shown(".")))?;
        let end = Instant::now() + patience;
        loop {
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(lock),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if Instant::now() < end => {
                    // flock(2) knows no deadline, and no descriptor tells when somebody gives the lock back.
                    link::rest(cancel, BETWEEN_LOOKS)?;
                }
                Err(Errno::WOULDBLOCK) => {
                    let text = format!(
                        "another program has locked {} for {patience:?}; lslocks(8) names it",
                        self.shown(".")
                    );
                    return Err(Error::new(ErrorKind::WrongState, text).at(FIELD));
                }
                Err(errno) => return Err(errno).call(|| format!("flock({})", self.shown("."))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Any directory can be locked.
    fn locked(held: bool, cancel: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
        let folder = tempfile::tempdir().unwrap();
        let open = || file::open_dir(rustix::fs::CWD, folder.path().to_str().unwrap()).unwrap();
        let other = held.then(open);
        if let Some(other) = &other {
            rustix::fs::flock(other, FlockOperation::LockShared).unwrap();
        }
        let resctrl = Resctrl { root: open(), path: folder.path().into() };
        resctrl.lock_within(Duration::from_millis(20), cancel)
    }

    #[test]
    fn the_wait_for_the_lock_has_an_end_and_is_called_off() {
        let (readable, silent) = (ends(true), ends(false));
        assert!(locked(false, None).is_ok());
        for cancel in [None, Some(silent.0.as_fd())] {
            let error = locked(true, cancel).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongState, "{error}");
            assert!(error.to_string().contains("has locked"), "{error}");
        }
        let error = locked(true, Some(readable.0.as_fd())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }

    fn ends(readable: bool) -> (UnixStream, UnixStream) {
        let (read, write) = UnixStream::pair().unwrap();
        if readable {
            file::write_to(&write, "x").unwrap();
        }
        (read, write)
    }
}
