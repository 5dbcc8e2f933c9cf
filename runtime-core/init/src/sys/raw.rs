//! The kernel's calling convention (syscall(2)).
#![allow(unsafe_code)]

use rustix::io::Errno;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("init is written for x86-64: sys/raw.rs and sys/start.rs hold what depends on it");

/// A system call with up to six arguments.
///
/// # Safety
/// As the call itself: what its arguments point to has to be valid for what it does with them.
#[inline]
pub unsafe fn syscall(number: u32, args: [usize; 6]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: rcx and r11 are all that the kernel changes besides rax; memory is the caller's promise.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    match result {
        -4095..=-1 => Err(Errno::from_raw_os_error(-result as i32)),
        other => Ok(other as usize),
    }
}
