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

/// sched_setaffinity(2) of this thread: 64 CPUs a word.
pub(crate) fn set_affinity(cpus: &[u64]) -> Result<(), crate::error::Errno> {
    // SAFETY: the kernel reads as many bytes as it is told.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(cpus), cpus.as_ptr()) };
    if result < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
}

/// Raises a hard limit of a process; one that is as high already stays (prlimit(2)).
pub(crate) fn raise_limit(pid: i32, resource: u32, hard: u64) -> Result<(), crate::error::Errno> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one struct, which outlives the call.
    let got = unsafe { libc::prlimit64(pid, resource, std::ptr::null(), &raw mut limit) };
    if got < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    if limit.rlim_max >= hard {
        return Ok(());
    }
    limit.rlim_max = hard;
    // SAFETY: the kernel reads one struct.
    let set = unsafe { libc::prlimit64(pid, resource, &raw const limit, std::ptr::null_mut()) };
    if set < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
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

/// Keeps the process dumpable over a stub that changes its ids in shared memory: the kernel then forbids the
/// caller's own core dumps and takes /proc/self away from it (prctl(2), PR_SET_DUMPABLE), for good.
#[derive(Debug)]
pub(crate) struct KeepDumpable {
    was: libc::c_int,
    // One at a time: who reads while another's stub is at work would keep the wrong value.
    _one: std::sync::MutexGuard<'static, ()>,
}

impl KeepDumpable {
    /// Reads the flag.
    pub(crate) fn new() -> Self {
        static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: PR_GET_DUMPABLE takes nothing and touches no memory.
        let was = unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) };
        Self { was, _one: one }
    }
}

impl Drop for KeepDumpable {
    fn drop(&mut self) {
        // The kernel takes 0 and 1; 2 comes of its own rules and cannot be asked for.
        if matches!(self.was, 0 | 1) {
            // SAFETY: PR_SET_DUMPABLE takes a number and touches no memory.
            unsafe {
                libc::prctl(
                    libc::PR_SET_DUMPABLE,
                    libc::c_ulong::from(self.was.cast_unsigned()),
                    0,
                    0,
                    0,
                )
            };
        }
    }
}
