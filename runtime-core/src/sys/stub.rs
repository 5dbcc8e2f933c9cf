//! The life of a new process between clone and execveat: raw system calls on prepared data.
//!
//! It shares the caller's memory, so it touches only what [`Stub`] holds: no allocation, no lock, no thread local
//! storage, no libc.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::descriptor;

/// Where the stub was when it gave up.
pub(super) const AT_WAIT: i32 = 1;
pub(super) const AT_BECOME_ROOT: i32 = 2;
pub(super) const AT_EXEC: i32 = 3;
pub(super) const AT_CGROUP: i32 = 4;

/// The value of [`Stub::alive`] once the process is in its cgroup.
pub(super) const JOINED: u32 = 1;

/// All that the stub reads and writes; it lives until the child has left this memory.
pub(super) struct Stub {
    pub(super) link: i32,
    pub(super) program: i32,
    pub(super) wait: bool,
    pub(super) become_root: bool,
    /// `cgroup.procs` to join, where the clone could not; else -1.
    pub(super) cgroup: AtomicI32,
    pub(super) keep: Vec<i32>,
    /// Everything else, as ranges.
    pub(super) close: Vec<(u32, u32)>,
    /// /proc is the host's.
    pub(super) trusted_proc: bool,
    /// Owned here: `argv` points to it.
    pub(super) argument: CString,
    /// Addresses, as execveat reads them.
    pub(super) argv: [usize; 3],
    pub(super) envp: [usize; 1],
    pub(super) failed_at: AtomicI32,
    pub(super) errno: AtomicI32,
    /// Cleared, with a futex wake, by the kernel when the child no longer uses this memory
    /// (CLONE_CHILD_CLEARTID).
    pub(super) alive: AtomicU32,
}

/// The ranges from 3 up between the descriptors that stay.
pub(super) fn gaps(keep: &[i32], more: [i32; 2]) -> Vec<(u32, u32)> {
    let numbers = keep.iter().chain(&more).filter_map(|fd| u32::try_from(*fd).ok());
    let mut stay: Vec<u32> = numbers.filter(|fd| *fd > 2).collect();
    stay.sort_unstable();
    stay.dedup();
    let mut next = 3;
    let mut gaps = Vec::new();
    for fd in stay {
        if fd > next {
            gaps.push((next, fd - 1));
        }
        next = fd + 1;
    }
    gaps.push((next, u32::MAX));
    gaps
}

/// A system call without errno, which is thread local and therefore the caller's.
///
/// # Safety
/// As the call itself.
#[inline(always)]
pub(super) unsafe fn raw(number: i64, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention of x86-64 (syscall(2)); what the call does to memory is the
    // caller's business.
    unsafe {
        std::arch::asm!(
            "syscall",
            inout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result
}

/// The life of the new process until it is init: raw system calls on prepared data.
///
/// # Safety
/// Called only by [`clone3_call`] in the child, with memory that stays until the child has left it.
pub(super) unsafe extern "C" fn run_stub(stub: *const Stub) -> ! {
    // SAFETY: `spawn` keeps the stub in place until the kernel has cleared `alive`.
    let stub = unsafe { &*stub };
    let cgroup = stub.cgroup.load(Ordering::Relaxed);
    if cgroup >= 0 {
        join(stub, cgroup);
    }
    // Before anything that takes time, and closed, not marked: whatever the caller has open must not reach the container
    // (CVE-2024-21626), and while this process waits it would hold the caller's end of its own link and of
    // others', and the lock of the container, so that nobody would notice the caller's death.
    for (first, last) in &stub.close {
        // SAFETY: the descriptor table is this process's own copy.
        let result =
            unsafe { raw(libc::SYS_close_range, *first as usize, *last as usize, 0, 0, 0) };
        if result < 0 {
            close_one_by_one(stub);
            break;
        }
    }
    if stub.wait {
        // Until the maps are written a process of a new user namespace has no identity: execve would take its
        // capabilities (user_namespaces(7)), so it waits, becomes root of the namespace, and only then goes on.
        // Others wait to be put into their cgroup.
        let mut byte = 0_u8;
        // SAFETY: recvfrom(2) writes at most the one byte that it is given.
        let got =
            unsafe { raw(libc::SYS_recvfrom, stub.link as usize, &raw mut byte as usize, 1, 0, 0) };
        if got != 1 {
            fail(stub, AT_WAIT, got);
        }
    }
    if stub.become_root {
        // SAFETY: no memory is read or written. The kernel marks the memory that both share as not dumpable
        // (commit_creds), which `KeepDumpable` takes back.
        let gid = unsafe { raw(libc::SYS_setresgid, 0, 0, 0, 0, 0) };
        if gid < 0 {
            fail(stub, AT_BECOME_ROOT, gid);
        }
        // SAFETY: as above.
        let uid = unsafe { raw(libc::SYS_setresuid, 0, 0, 0, 0, 0) };
        if uid < 0 {
            fail(stub, AT_BECOME_ROOT, uid);
        }
    }
    for fd in &stub.keep {
        // SAFETY: changes one flag of a descriptor of this process.
        unsafe { raw(libc::SYS_fcntl, *fd as usize, libc::F_SETFD as usize, 0, 0, 0) };
    }
    // SAFETY: path, argv and envp are NUL-terminated and live as long as the stub.
    let errno = unsafe {
        raw(
            libc::SYS_execveat,
            stub.program as usize,
            c"".as_ptr() as usize,
            stub.argv.as_ptr() as usize,
            stub.envp.as_ptr() as usize,
            libc::AT_EMPTY_PATH as usize,
        )
    };
    fail(stub, AT_EXEC, errno)
}

/// Before Linux 5.9. By /proc before anything is entered or mounted, so that no list can be a false one.
fn close_one_by_one(stub: &Stub) {
    let to_close = |number: usize| {
        stub.close.iter().any(|(first, last)| (*first as usize..=*last as usize).contains(&number))
    };
    descriptor::each_open(stub.trusted_proc, |number| {
        if to_close(number) {
            // SAFETY: the descriptor table is this process's own copy.
            unsafe { raw(libc::SYS_close, number, 0, 0, 0, 0) };
        }
    });
}

/// Before Linux 5.7 nobody is born in a cgroup: this process moves itself, while it is still the caller's user, as
/// which those kernels judge the write, and before anything else. The caller waits to hear of it.
fn join(stub: &Stub, procs: i32) {
    // SAFETY: writes one byte of a constant.
    let result = unsafe { raw(libc::SYS_write, procs as usize, c"0".as_ptr() as usize, 1, 0, 0) };
    if result < 0 {
        fail(stub, AT_CGROUP, result);
    }
    stub.alive.store(JOINED, Ordering::Release);
    let (word, wake) = (stub.alive.as_ptr() as usize, libc::FUTEX_WAKE as usize);
    // SAFETY: futex(2) wakes whoever waits for the word, which the stub owns.
    unsafe { raw(libc::SYS_futex, word, wake, 1, 0, 0) };
}

/// Leaves word in the memory that caller and child still share, and ends.
fn fail(stub: &Stub, at: i32, result: isize) -> ! {
    stub.errno.store(if result < 0 { -result as i32 } else { 0 }, Ordering::Release);
    stub.failed_at.store(at, Ordering::Release);
    loop {
        // SAFETY: ends this process and nothing else.
        unsafe { raw(libc::SYS_exit_group, 1, 0, 0, 0, 0) };
    }
}
