//! bpf(2), as far as the device rules of cgroup2 need it: load one program, attach it to a cgroup.
#![allow(unsafe_code)]

use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::Errno;

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of ancestors and descendants run too, and all of them must allow.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The members of `union bpf_attr` for BPF_PROG_LOAD up to the program's name; the kernel takes what is
/// missing at the end for zero.
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The members of `union bpf_attr` for BPF_PROG_ATTACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Loads a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`; an instruction is a `struct bpf_insn`.
pub(crate) fn load_device_program(instructions: &[[u8; 8]]) -> Result<OwnedFd, Errno> {
    let load = Load {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(instructions.len()).map_err(|_| Errno(libc::E2BIG))?,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"teu_devices\0\0\0\0\0",
    };
    // SAFETY: bpf(2) reads `size_of::<Load>()` bytes of `load`, the instructions and the licence that it
    // points to; all three outlive the call, and the kernel keeps no pointer to them.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) };
    if result < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: the call above has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(result as libc::c_int) })
}

/// Attaches a device program to a cgroup2 directory; the attachment lives as long as the cgroup.
pub(crate) fn attach_device_program(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let attach = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: bpf(2) reads `size_of::<Attach>()` bytes of `attach`, which outlives the call; both
    // descriptors are borrowed and stay open.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of::<Attach>())
    };
    if result < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
}
