//! The system calls that no safe wrapper of ours offers.
#![allow(unsafe_code)]

use std::io;

/// Gives this process a mount namespace of its own. It must still have a single thread.
pub(crate) fn unshare_mounts() -> io::Result<()> {
    // SAFETY: the call takes no pointer; files stay shared with nobody, as in every new process.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How a process ended and what it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) user_us: i64,
    pub(crate) system_us: i64,
    pub(crate) peak_kib: i64,
    pub(crate) minor_faults: i64,
}

/// Waits for a child, or for an orphan that this process adopted.
pub(crate) fn wait4(pid: i32) -> io::Result<Ended> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live values of the types that wait4(2) fills.
    let result = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was zeroed, which is a valid rusage, and then filled by the kernel.
    let usage = unsafe { usage.assume_init() };
    let micros = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
    Ok(Ended {
        status,
        user_us: micros(usage.ru_utime),
        system_us: micros(usage.ru_stime),
        peak_kib: usage.ru_maxrss,
        minor_faults: usage.ru_minflt,
    })
}
