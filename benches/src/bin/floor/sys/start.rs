//! The start of the program and its arguments.
//!
//! Built bare, the program is entered by the kernel itself. Built by cargo as an ordinary program,
//! which is how it is linted, the standard library starts it.
#![allow(unsafe_code)]

use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// The arguments and, after a null pointer, the environment, as the kernel lays them out.
static VECTOR: AtomicPtr<*const u8> = AtomicPtr::new(core::ptr::null_mut());

const MOST: usize = 64;

/// Pointers to the arguments from `first` on and to the environment, each ended by a null pointer.
pub(super) struct Vectors {
    pub(super) arguments: *const *const u8,
    pub(super) environment: *const *const u8,
}

/// What `launch` hands to the program that it launches.
pub(crate) struct Program(pub(super) Vectors);

/// The arguments from number `first` on, of which there has to be one.
pub(crate) fn arguments_after(first: usize) -> Program {
    let vector = VECTOR.load(Ordering::Relaxed).cast_const();
    let mut end = 0;
    loop {
        // SAFETY: the vector ends in a null pointer, and the loop ends there.
        let entry = unsafe { vector.add(end) };
        // SAFETY: the entry is in the vector.
        if unsafe { entry.read() }.is_null() {
            break;
        }
        end += 1;
    }
    // SAFETY: the caller checked that there are more arguments than `first`.
    let arguments = unsafe { vector.add(first) };
    // SAFETY: the environment follows the null pointer that ends the arguments.
    let environment = unsafe { vector.add(end + 1) };
    Program(Vectors { arguments, environment })
}

/// The arguments as texts; those beyond the 64th are not seen.
///
/// # Safety
/// `vector` is what the kernel gave the program: C strings that live for ever, ended by a null pointer.
unsafe fn texts(
    vector: *const *const u8,
    store: &'static mut [&'static CStr; MOST],
) -> crate::Args {
    VECTOR.store(vector.cast_mut(), Ordering::Relaxed);
    let mut count = 0;
    for (at, slot) in store.iter_mut().enumerate() {
        // SAFETY: no entry after the null pointer is asked for.
        let entry = unsafe { vector.add(at) };
        // SAFETY: the entry is in the vector.
        let text = unsafe { entry.read() };
        if text.is_null() {
            break;
        }
        // SAFETY: the caller's contract.
        *slot = unsafe { CStr::from_ptr(text.cast()) };
        count = at + 1;
    }
    &store[..count]
}

#[cfg(bare)]
mod bare {
    use core::ffi::CStr;
    use core::ptr::addr_of_mut;

    use super::super::call;
    use super::{MOST, texts};

    core::arch::global_asm!(
        ".globl _start",
        "_start:",
        "xor ebp, ebp",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {begin}",
        "ud2",
        begin = sym begin,
    );

    static mut STORE: [&CStr; MOST] = [c""; MOST];

    /// `stack` is what the kernel built: the number of arguments, the arguments, the environment.
    unsafe extern "C" fn begin(stack: *const usize) -> ! {
        // SAFETY: the arguments follow their number.
        let vector = unsafe { stack.add(1) };
        // SAFETY: this function runs once and nothing else names the store.
        let store = unsafe { &mut *addr_of_mut!(STORE) };
        // SAFETY: the vector is the kernel's.
        let args = unsafe { texts(vector.cast(), store) };
        call::exit(crate::entry(args))
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        call::complain(c"floor: panic");
        call::exit(125)
    }
}

/// The arguments when the standard library started the program.
#[cfg(not(bare))]
pub(crate) fn arguments_of_std() -> crate::Args {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStringExt;
    let leak = |bytes: Vec<u8>| {
        CString::new(bytes).map_or(core::ptr::null(), |text| text.into_raw().cast_const().cast())
    };
    let arguments = std::env::args_os().map(|argument| leak(argument.into_vec()));
    let environment = std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        leak(name.into_vec())
    });
    let end = || std::iter::once(core::ptr::null());
    let vector: Vec<*const u8> = arguments.chain(end()).chain(environment).chain(end()).collect();
    // SAFETY: the vector has the form of the kernel's, and it and its texts are leaked.
    unsafe { texts(vector.leak().as_ptr(), Box::leak(Box::new([c""; MOST]))) }
}
