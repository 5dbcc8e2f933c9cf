//! The entry of 32 bit programs into the kernel, which a 64 bit program may use too.
#![allow(unsafe_code)]

use std::io;

/// Makes the i386 system call `number`, which must be one without arguments.
///
/// On another machine than x86_64 there is no such door, and the answer is ENOSYS.
pub(crate) fn int80(number: i32) -> io::Result<i64> {
    let mut result = i64::from(number);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: callers ask only for calls without arguments, so the kernel reads no pointer of ours;
    // every register that the kernel may change is named.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("rax") result,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    if cfg!(not(target_arch = "x86_64")) {
        result = -i64::from(libc::ENOSYS);
    }
    // The door returns 32 bits; the sign says whether it is an error.
    let result = i64::from(result as i32);
    match i32::try_from(-result) {
        Ok(errno) if errno > 0 => Err(io::Error::from_raw_os_error(errno)),
        _ => Ok(result),
    }
}
