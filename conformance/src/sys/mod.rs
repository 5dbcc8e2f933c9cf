//! The few system calls that no safe wrapper offers. Only the probe and the runner's helpers use them.
#![allow(unsafe_code)]

pub(crate) mod bpf;
pub(crate) mod foreign;

use std::io;

/// Makes the raw system call `number` with up to six integer arguments.
///
/// Only for calls whose arguments are plain numbers: no pointer is passed here, so the kernel has
/// no memory of ours to write to.
pub(crate) fn number_call(number: i64, arguments: [i64; 6]) -> io::Result<i64> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: syscall(2) itself is sound for any number; every caller in this crate passes only
    // integers or null where the call wants a pointer, so the kernel touches no memory of ours.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// The security label of the session keyring (keyctl_get_security(3)).
pub(crate) fn session_keyring_label() -> io::Result<String> {
    const KEYCTL_GET_SECURITY: i64 = 17;
    const KEY_SPEC_SESSION_KEYRING: i64 = -3;
    let mut label = [0_u8; 1024];
    let (key, size) = (KEY_SPEC_SESSION_KEYRING, label.len());
    // SAFETY: the kernel writes at most `size` bytes to the buffer, which outlives the call.
    let length = unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_GET_SECURITY, key, label.as_mut_ptr(), size)
    };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let label = String::from_utf8_lossy(label.get(..length).unwrap_or_default());
    Ok(label.trim_end_matches('\0').to_owned())
}

/// Runtime, deadline and period of this process under SCHED_DEADLINE, in nanoseconds (sched_getattr(2)).
pub(crate) fn deadline() -> io::Result<[u64; 3]> {
    // The kernel's struct sched_attr: size, policy, flags, nice, priority, then these three.
    let mut attributes = [0_u64; 6];
    let size = std::mem::size_of_val(&attributes);
    // SAFETY: sched_getattr(2) writes at most `size` bytes, which `attributes` has.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attributes.as_mut_ptr(), size, 0) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let [.., runtime, deadline, period] = attributes;
    Ok([runtime, deadline, period])
}

/// Marks every descriptor from `first` on as close-on-exec.
pub(crate) fn close_on_exec_from(first: i64) -> io::Result<()> {
    let all = [first, i64::from(u32::MAX), libc::CLOSE_RANGE_CLOEXEC.into(), 0, 0, 0];
    if number_call(libc::SYS_close_range, all).is_ok() {
        return Ok(());
    }
    // Before Linux 5.11.
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_string_lossy().parse().unwrap_or(-1);
        if number >= first {
            let mark = [number, libc::F_SETFD.into(), libc::FD_CLOEXEC.into(), 0, 0, 0];
            number_call(libc::SYS_fcntl, mark)?;
        }
    }
    Ok(())
}
