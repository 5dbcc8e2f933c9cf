//! Which namespaces of a running container a further process has to enter.

use super::Kind;
use crate::error::{OsResult, Result};

/// CLONE_NEW* of every kind in which a process is elsewhere than the calling thread: setns(2) refuses to enter
/// a user namespace twice, and what is the caller's already needs no entering.
///
/// # Errors
/// The process has ended, or may not be looked at.
pub(crate) fn others(pid: i32) -> Result<u32> {
    let mut flags = 0;
    for kind in Kind::ALL {
        let name = kind.file();
        let identity = |path: &str| match rustix::fs::stat(path) {
            Ok(stat) => Ok(Some((stat.st_dev, stat.st_ino))),
            // A kernel that does not know the kind.
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        };
        let ours = format!("/proc/thread-self/ns/{name}");
        let theirs = format!("/proc/{pid}/ns/{name}");
        let ours = identity(&ours).call(|| format!("stat({ours})"))?;
        let theirs = identity(&theirs).call(|| format!("stat({theirs})"))?;
        if ours != theirs {
            flags |= kind.flag();
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_enters_nothing_to_be_with_itself() {
        assert_eq!(super::others(std::process::id().cast_signed()).unwrap(), 0);
        // Nobody has this number (proc_sys_kernel(5), pid_max).
        assert_ne!(super::others(1 << 30).unwrap(), 0);
    }
}
