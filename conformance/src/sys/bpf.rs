//! bpf(2) as another manager of cgroups uses it: a device program of its own on a cgroup2 directory.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;

/// `BPF_F_ALLOW_MULTI`: other programs may be attached below, and all have to allow.
pub(crate) const ALLOW_MULTI: u32 = 2;

/// The head of `union bpf_attr` for BPF_PROG_LOAD; the rest is zero.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u32; 2],
    log_buffer: u64,
}

/// Loads a program that denies reading and writing all devices of one major number, and allows the rest.
pub(crate) fn load_deny(major: u8) -> io::Result<OwnedFd> {
    let major = [major, 0, 0, 0];
    let one = [1, 0, 0, 0];
    // code, registers (destination, source << 4), offset, immediate: struct bpf_insn.
    let program = [
        // r0 = 1; unless ctx->major is the one, leave.
        ([0xb7, 0x00], 0_i16, one),
        ([0x61, 0x12], 4, [0; 4]),
        ([0x55, 0x02], 4, major),
        // Unless the upper half of ctx->access_type has 2 (read) or 4 (write), leave.
        ([0x61, 0x12], 0, [0; 4]),
        ([0x57, 0x02], 0, [0, 0, 6, 0]),
        ([0x15, 0x02], 1, [0; 4]),
        // r0 = 0.
        ([0xb7, 0x00], 0, [0; 4]),
        ([0x95, 0x00], 0, [0; 4]),
    ];
    let count = program.len() as u32;
    let mut bytes = Vec::new();
    for (head, offset, immediate) in program {
        bytes.extend(head);
        bytes.extend(offset.to_ne_bytes());
        bytes.extend(immediate);
    }
    let load = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count,
        instructions: bytes.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log: [0; 2],
        log_buffer: 0,
    };
    // SAFETY: bpf(2) reads `load` and the instructions and licence that it points to, which outlive the call.
    let fd =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) };
    let fd = libc::c_int::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches it to a cgroup2 directory, for as long as the cgroup is there.
pub(crate) fn attach(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    flags: u32,
) -> io::Result<()> {
    let attach = [cgroup.as_raw_fd() as u32, program.as_raw_fd() as u32, BPF_CGROUP_DEVICE, flags];
    // SAFETY: bpf(2) reads the four words of `attach`, which outlives the call.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attach, size_of_val(&attach))
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
