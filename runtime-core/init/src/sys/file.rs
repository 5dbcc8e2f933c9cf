//! Calls on descriptors, and the end.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_int};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

use super::raw::syscall;

type Result<T> = core::result::Result<T, Errno>;

// Numbers of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
const SENDMSG: u32 = 46;
const EXIT: u32 = 60;
const GETCWD: u32 = 79;
const IOCTL: u32 = 16;
const EXIT_GROUP: u32 = 231;
const CLOSE_RANGE: u32 = 436;
const FACCESSAT2: u32 = 439;
const MOUNT_SETATTR: u32 = 442;

fn fd(fd: impl AsFd) -> usize {
    fd.as_fd().as_raw_fd() as usize
}

/// A descriptor that init was born with.
///
/// The numbers come from the plan and are open by the caller's promise; they stay open until execve.
pub fn inherited(number: i32) -> BorrowedFd<'static> {
    // SAFETY: init closes none of the planned descriptors but through `take`, so they stay open for as long
    // as it lives.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// A descriptor that init was born with, to be closed when it has served.
pub fn take(number: i32) -> OwnedFd {
    // SAFETY: each planned descriptor is taken in one place only.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// _exit(2).
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: ends the process.
        let _gone = unsafe { syscall(EXIT_GROUP, [status as usize, 0, 0, 0, 0, 0]) };
        // SAFETY: ends the thread, should the former not exist.
        let _gone = unsafe { syscall(EXIT, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Says something where somebody may read it, and cannot fail.
pub fn write_stderr(text: &[u8]) {
    let _said = rustix::io::write(inherited(2), text);
}

/// close_range(2) with CLOSE_RANGE_CLOEXEC.
pub fn cloexec_from(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    // SAFETY: changes flags of this process's descriptors.
    unsafe {
        syscall(CLOSE_RANGE, [first as usize, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0])
    }
    .map(drop)
}

/// struct mount_attr (mount_setattr(2)).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MountAttr {
    /// MOUNT_ATTR_* to set.
    pub set: u64,
    /// MOUNT_ATTR_* to clear.
    pub clear: u64,
    /// MS_* propagation.
    pub propagation: u64,
    /// A user namespace for an idmapped mount.
    pub userns: u64,
}

/// mount_setattr(2) on a mount by descriptor; `rootfs::change` is what does without where it is missing.
pub fn mount_setattr(mount: BorrowedFd<'_>, recursive: bool, attr: MountAttr) -> Result<()> {
    const AT_EMPTY_PATH: usize = 0x1000;
    const AT_RECURSIVE: usize = 0x8000;
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the kernel reads an empty path and `attr`.
    unsafe {
        syscall(
            MOUNT_SETATTR,
            [
                fd(mount),
                c"".as_ptr() as usize,
                flags,
                &raw const attr as usize,
                size_of::<MountAttr>(),
                0,
            ],
        )
    }
    .map(drop)
}

/// Whether this thread's file ids may execute it (faccessat2(2), X_OK with AT_EACCESS; Linux 5.8).
pub fn may_execute(path: &CStr) -> Result<()> {
    const AT_FDCWD: isize = -100;
    const X_OK: usize = 1;
    const AT_EACCESS: usize = 0x200;
    // SAFETY: the kernel reads a NUL-terminated path.
    unsafe {
        syscall(FACCESSAT2, [AT_FDCWD as usize, path.as_ptr() as usize, X_OK, AT_EACCESS, 0, 0])
    }
    .map(drop)
}

/// getcwd(2): the length with the NUL.
pub fn getcwd(buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most the length of the buffer.
    unsafe { syscall(GETCWD, [buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0, 0]) }
}

/// SIOCSIFFLAGS for the loopback interface: up (netdevice(7)).
pub fn loopback_up(socket: BorrowedFd<'_>) -> Result<()> {
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u16 = 1;
    const IFF_RUNNING: u16 = 0x40;
    let mut request = [0_u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16..18].copy_from_slice(&(IFF_UP | IFF_RUNNING).to_ne_bytes());
    // SAFETY: struct ifreq has 40 bytes.
    unsafe { syscall(IOCTL, [fd(socket), SIOCSIFFLAGS, request.as_ptr() as usize, 0, 0, 0]) }
        .map(drop)
}

/// sendmsg(2) with one descriptor as SCM_RIGHTS: exactly one, as receivers of consoles demand.
pub fn send_with_descriptor(
    socket: BorrowedFd<'_>,
    data: &[u8],
    passed: BorrowedFd<'_>,
) -> Result<()> {
    #[repr(C)]
    struct IoVec(*const u8, usize);
    #[repr(C)]
    struct Control {
        length: usize,
        level: c_int,
        kind: c_int,
        descriptor: c_int,
        padding: c_int,
    }
    #[repr(C)]
    struct Header {
        name: usize,
        name_length: u32,
        vectors: *const IoVec,
        vector_count: usize,
        control: *const Control,
        control_length: usize,
        flags: c_int,
    }
    const SOL_SOCKET: c_int = 1;
    const SCM_RIGHTS: c_int = 1;
    const MSG_NOSIGNAL: usize = 0x4000;
    let vector = IoVec(data.as_ptr(), data.len());
    let control = Control {
        length: 20,
        level: SOL_SOCKET,
        kind: SCM_RIGHTS,
        descriptor: passed.as_raw_fd(),
        padding: 0,
    };
    let header = Header {
        name: 0,
        name_length: 0,
        vectors: &raw const vector,
        vector_count: 1,
        control: &raw const control,
        control_length: size_of::<Control>(),
        flags: 0,
    };
    // SAFETY: header, vector and control are laid out as struct msghdr, iovec and cmsghdr (cmsg(3)).
    unsafe { syscall(SENDMSG, [fd(socket), &raw const header as usize, MSG_NOSIGNAL, 0, 0, 0]) }
        .map(drop)
}

/// TIOCGPTN: which of the devpts it is.
pub fn terminal_number(master: BorrowedFd<'_>) -> Result<u32> {
    const TIOCGPTN: usize = 0x8004_5430;
    let mut number = 0_u32;
    // SAFETY: the kernel writes one unsigned int.
    unsafe { syscall(IOCTL, [fd(master), TIOCGPTN, &raw mut number as usize, 0, 0, 0]) }
        .map(|_| number)
}

/// dup3(2) onto a standard stream.
pub fn duplicate_to(from: BorrowedFd<'_>, number: i32) -> Result<()> {
    const DUP2: u32 = 33;
    // SAFETY: the standard streams are owned by nobody in this program.
    unsafe { syscall(DUP2, [fd(from), number as usize, 0, 0, 0, 0]) }.map(drop)
}
