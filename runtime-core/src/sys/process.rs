//! prctl(2) facts and the status of children that rustix does not give.
#![allow(unsafe_code)]

/// Whether a capability is in the bounding set; none when the kernel does not know it (PR_CAPBSET_READ).
pub(crate) fn has_bounding(capability: u8) -> Option<bool> {
    // SAFETY: PR_CAPBSET_READ takes a number and touches no memory.
    let answer =
        unsafe { libc::prctl(libc::PR_CAPBSET_READ, libc::c_ulong::from(capability), 0, 0, 0) };
    match answer {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// pidfd_send_signal(2) with any number, real-time ones too.
pub(crate) fn signal(
    pidfd: std::os::fd::BorrowedFd<'_>,
    signal: i32,
) -> Result<(), crate::error::Errno> {
    // SAFETY: no memory is involved: the info pointer is null.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            std::os::fd::AsRawFd::as_raw_fd(&pidfd),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
}
