//! The open descriptors of a process between clone and execve, for kernels without close_range(2).
//!
//! Raw system calls on the stack only: the process may share its memory with a caller of many threads.
#![allow(unsafe_code)]

use super::clone::raw;

const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// Calls `act` with every descriptor from 3 on that is open, and perhaps with some that are not. They are those of
/// /proc/self/fd where /proc is the host's (`trusted`); elsewhere, whatever the number, up to the hard limit.
pub(super) fn each_open(trusted: bool, mut act: impl FnMut(usize)) {
    if trusted && listed(&mut act) {
        return;
    }
    for number in 3..limit() {
        act(number);
    }
}

/// False when there is no procfs on /proc.
fn listed(act: &mut impl FnMut(usize)) -> bool {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a NUL-terminated path.
    let list =
        unsafe { raw(libc::SYS_open, c"/proc/self/fd".as_ptr() as usize, flags as usize, 0, 0, 0) };
    let Ok(list) = usize::try_from(list) else { return false };
    let found = is_procfs(list);
    if found {
        walk(list, act);
    }
    // SAFETY: opened above, and nobody else knows of it.
    unsafe { raw(libc::SYS_close, list, 0, 0, 0, 0) };
    found
}

fn is_procfs(fd: usize) -> bool {
    // struct statfs has 120 bytes on x86-64; its first word is the type.
    let mut stat = [0_u64; 16];
    // SAFETY: the kernel writes one struct statfs, which the array has room for.
    let result = unsafe { raw(libc::SYS_fstatfs, fd, stat.as_mut_ptr() as usize, 0, 0, 0) };
    result == 0 && stat[0] == PROC_SUPER_MAGIC
}

/// Reads the directory; its position is a number, so what `act` closes on the way shifts nothing.
fn walk(list: usize, act: &mut impl FnMut(usize)) {
    /// struct linux_dirent64: inode and offset, length of the entry, type, name.
    const LENGTH: usize = 16;
    const NAME: usize = 19;
    let mut buffer = [0_u64; 128];
    loop {
        let (at, size) = (buffer.as_mut_ptr() as usize, size_of_val(&buffer));
        // SAFETY: the kernel writes at most the size of the buffer.
        let got = unsafe { raw(libc::SYS_getdents64, list, at, size, 0, 0) };
        let Ok(got @ 1..) = usize::try_from(got) else { return };
        let byte = |place: usize| buffer[place / 8].to_ne_bytes()[place % 8];
        let mut entry = 0;
        while entry + NAME < got {
            let length =
                usize::from(u16::from_ne_bytes([byte(entry + LENGTH), byte(entry + LENGTH + 1)]));
            let mut number = 0_usize;
            let mut place = entry + NAME;
            while place < entry + length && byte(place).is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(usize::from(byte(place) - b'0'));
                place += 1;
            }
            // `.` and `..` are no numbers, and come out as 0.
            if number > 2 && number != list {
                act(number);
            }
            if length == 0 {
                return;
            }
            entry += length;
        }
    }
}

/// The hard limit of open files (getrlimit(2), RLIMIT_NOFILE).
fn limit() -> usize {
    let mut limit = [0_u64; 2];
    let resource = libc::RLIMIT_NOFILE as usize;
    // SAFETY: the kernel writes one struct rlimit64.
    unsafe { raw(libc::SYS_prlimit64, 0, resource, 0, limit.as_mut_ptr() as usize, 0) };
    usize::try_from(limit[1].min(1 << 24)).unwrap_or(1 << 24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn every_open_descriptor_is_told_of() {
        let files: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        for trusted in [true, false] {
            let mut told = std::collections::BTreeSet::new();
            each_open(trusted, |number| {
                told.insert(number);
            });
            for file in &files {
                let number = usize::try_from(file.as_raw_fd()).unwrap();
                assert!(told.contains(&number), "{number} of {told:?}, trusted: {trusted}");
            }
            assert!(!told.contains(&2));
        }
    }
}
