//! mount_setattr(2), which rustix does not have.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::error::Errno;

/// struct mount_attr.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MountAttr {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) userns_fd: u64,
}

/// MOUNT_ATTR_IDMAP.
pub(crate) const IDMAP: u64 = 0x0010_0000;

/// Changes the attributes of a mount, and of all below it if `recursive`.
pub(crate) fn mount_setattr(
    tree: BorrowedFd<'_>,
    recursive: bool,
    attr: MountAttr,
) -> Result<(), Errno> {
    const AT_RECURSIVE: i32 = 0x8000;
    // SAFETY: the kernel reads `attr` for its size and an empty path; nothing is written.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 },
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
}
