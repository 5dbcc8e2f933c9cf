//! The first instructions, and the last ones of a defect.
#![allow(unsafe_code)]

use core::ffi::CStr;

/// The kernel starts here with argc, argv and envp on the stack (execve(2), System V ABI).
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    core::arch::naked_asm!(
        "xor ebp, ebp",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {main}",
        "ud2",
        main = sym main,
    )
}

extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts argc at the top of the stack.
    let argc = unsafe { stack.read() };
    let argument = (argc == 2).then(|| {
        // SAFETY: with two arguments, argv[1] is the third word.
        let text = unsafe { stack.add(2).read() } as *const core::ffi::c_char;
        // SAFETY: the kernel's argument strings end with NUL and live as long as the process.
        unsafe { CStr::from_ptr(text) }
    });
    crate::start::start(argument)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    super::call::write_stderr(b"teu-init: a defect of the runtime: panic\n");
    super::call::exit(127)
}

/// Named by core's precompiled parts; nothing unwinds here (panic=abort).
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// As above.
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    super::call::exit(127)
}
