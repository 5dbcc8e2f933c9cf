//! The two ways into the kernel.
#![allow(unsafe_code)]

use core::arch::asm;

/// Any system call.
///
/// # Safety
/// The arguments have to be what the call takes: pointers valid for what the kernel reads and writes.
pub(super) unsafe fn syscall(number: usize, arguments: [usize; 6]) -> isize {
    let result;
    // SAFETY: the x86-64 convention; the kernel keeps all registers but rax, rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result
}

const CLONE: usize = 56;
/// CLONE_VM | CLONE_VFORK | SIGCHLD
const VFORK: usize = 0x100 | 0x4000 | 17;

/// A new process that executes a program at once; the caller sleeps until then.
///
/// # Safety
/// `arguments` and `environment` are arrays of C strings that end in a null pointer, and the first
/// argument is the path of the program.
pub(super) unsafe fn vfork_execve(
    arguments: *const *const u8,
    environment: *const *const u8,
) -> isize {
    let result;
    // SAFETY: the child shares the memory and the stack pointer but only uses registers, and leaves
    // by execve or exit.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, [r12]",
            "mov rsi, r12",
            "mov rdx, r13",
            "mov eax, 59",
            "syscall",
            "mov edi, 127",
            "mov eax, 60",
            "syscall",
            "2:",
            inlateout("rax") CLONE => result,
            inlateout("rdi") VFORK => _,
            inlateout("rsi") 0_usize => _,
            inlateout("rdx") 0_usize => _,
            in("r10") 0_usize,
            in("r8") 0_usize,
            in("r12") arguments,
            in("r13") environment,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}
