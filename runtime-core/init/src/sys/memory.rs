//! Memory without an allocator: mapped once, kept for as long as the process lives.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

type Result<T> = core::result::Result<T, Errno>;

/// The bytes of a memory file, mapped for as long as the process lives.
pub fn map(file: BorrowedFd<'_>, length: usize) -> Result<&'static [u8]> {
    use rustix::mm::{MapFlags, ProtFlags};
    // SAFETY: a new private mapping at an address of the kernel's choice.
    let at = unsafe {
        rustix::mm::mmap(
            core::ptr::null_mut(),
            length,
            ProtFlags::READ,
            MapFlags::PRIVATE,
            file,
            0,
        )?
    };
    // SAFETY: the mapping has that length and is never unmapped; nobody else has the file.
    Ok(unsafe { core::slice::from_raw_parts(at.cast(), length) })
}

/// Fresh zeroed words, for as long as the process lives.
pub fn words(count: usize) -> Result<&'static mut [usize]> {
    use rustix::mm::{MapFlags, ProtFlags};
    let bytes = count.max(1) * size_of::<usize>();
    // SAFETY: a new anonymous mapping at an address of the kernel's choice.
    let at = unsafe {
        rustix::mm::mmap_anonymous(
            core::ptr::null_mut(),
            bytes,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )?
    };
    // SAFETY: zeroed, aligned to a page, of that length, never unmapped, handed out once.
    Ok(unsafe { core::slice::from_raw_parts_mut(at.cast(), count) })
}

/// The words of an argument array: pointers to strings of the plan, which lives as long as the process.
pub fn pointer(text: &'static CStr) -> usize {
    let at: *const c_char = text.as_ptr();
    at as usize
}

/// Uninitialised bytes for a buffer that the kernel fills.
pub fn buffer<const N: usize>() -> [MaybeUninit<u8>; N] {
    [const { MaybeUninit::uninit() }; N]
}

/// Keeps a NUL-terminated text in words that live as long as the process.
pub fn keep(space: &'static mut [usize], text: &[u8]) -> &'static CStr {
    let length = text.len().min(size_of_val(space));
    // SAFETY: a slice of words is as many bytes, borrowed for ever.
    let bytes = unsafe {
        core::slice::from_raw_parts_mut(space.as_mut_ptr().cast::<u8>(), size_of_val(space))
    };
    bytes[..length].copy_from_slice(&text[..length]);
    CStr::from_bytes_until_nul(bytes).unwrap_or(c"")
}
