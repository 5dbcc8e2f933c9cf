//! The memory functions that compiled code calls and libc would bring.
#![allow(unsafe_code)]

use core::arch::asm;

// SAFETY: the name is the one the compiler calls, and nothing else in the program has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller gives ranges that are valid and apart, as C's memcpy wants.
    unsafe {
        asm!(
            "rep movsb",
            inlateout("rcx") length => _,
            inlateout("rdi") to => _,
            inlateout("rsi") from => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

// SAFETY: the name is the one the compiler calls, and nothing else in the program has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    // SAFETY: the caller gives a valid range, as C's memset wants.
    unsafe {
        asm!(
            "rep stosb",
            inlateout("rcx") length => _,
            inlateout("rdi") to => _,
            in("al") byte as u8,
            options(nostack, preserves_flags),
        );
    }
    to
}

// SAFETY: the name is the one the compiler calls, and nothing else in the program has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    for at in 0..length {
        // SAFETY: the caller gives ranges of this length.
        let a = unsafe { left.add(at).read_volatile() };
        // SAFETY: the caller gives ranges of this length.
        let b = unsafe { right.add(at).read_volatile() };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

// SAFETY: the name is the one the compiler calls, and nothing else in the program has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    // SAFETY: the contract is memcmp's.
    unsafe { memcmp(left, right, length) }
}

// SAFETY: the name is the one the compiler calls, and nothing else in the program has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller gives a text that ends in NUL, and no byte after that is read.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
