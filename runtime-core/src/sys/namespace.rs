//! ioctl_ns(2) and entering namespaces from a thread that then ends.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};

use crate::error::Errno;

/// The CLONE_NEW* flag of a namespace descriptor; none when it is not one (NS_GET_NSTYPE).
pub(crate) fn kind(fd: impl AsFd) -> Option<u32> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: NS_GET_NSTYPE takes no argument and writes nothing; other files answer ENOTTY.
    let kind = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_NSTYPE) };
    u32::try_from(kind).ok()
}

/// setns(2) for the calling thread.
pub(crate) fn enter(fd: impl AsFd, flag: u32) -> Result<(), Errno> {
    // SAFETY: setns(2) touches no memory of this process.
    let result = unsafe { libc::setns(fd.as_fd().as_raw_fd(), flag.cast_signed()) };
    if result < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
}

/// Gives the calling thread a mount namespace of its own, and with it a root and working directory.
pub(crate) fn unshare_mounts() -> Result<(), Errno> {
    // SAFETY: unshare(2) touches no memory of this process.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    if result < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
}

/// Gives the calling thread a root and working directory of its own, so that it may enter a mount namespace.
pub(crate) fn unshare_fs() -> Result<(), Errno> {
    // SAFETY: unshare(2) touches no memory of this process.
    let result = unsafe { libc::unshare(libc::CLONE_FS) };
    if result < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
}
