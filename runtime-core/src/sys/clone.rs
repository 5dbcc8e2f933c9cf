//! clone3(2) into the stub: the few raw system calls between the new process and its program.
//!
//! The child shares the caller's memory (CLONE_VM) until execveat replaces it, so a large caller costs
//! nothing, and what it runs until then touches only what [`Stub`] holds: no allocation, no lock, no thread
//! local storage, no libc. That makes it sound in a process with any number of threads.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::error::{OsResult, Result};

// libc has these as 0 or not at all on the gnu target; see sched.h of the kernel.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_VM: u64 = 0x100;
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const STACK: usize = 16 << 10;

/// struct clone_args (clone3(2)).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Where the stub was when it gave up.
const AT_MAPS: i32 = 1;
const AT_BECOME_ROOT: i32 = 2;
const AT_EXEC: i32 = 3;

/// All that the stub reads and writes; it lives until the child has left this memory.
struct Stub {
    link: i32,
    program: i32,
    wait_for_maps: bool,
    keep: Vec<i32>,
    /// Everything else, as ranges.
    close: Vec<(u32, u32)>,
    /// Owned here: `argv` points to it.
    argument: CString,
    /// Addresses, as execveat reads them.
    argv: [usize; 3],
    envp: [usize; 1],
    failed_at: AtomicI32,
    errno: AtomicI32,
    /// Cleared, with a futex wake, by the kernel when the child no longer uses this memory
    /// (CLONE_CHILD_CLEARTID).
    alive: AtomicU32,
}

/// What the new process is to be.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// CLONE_NEW* flags.
    pub namespaces: u64,
    /// The cgroup2 directory to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Init's end of the link.
    pub link: BorrowedFd<'a>,
    /// The program, in an executable descriptor.
    pub program: BorrowedFd<'a>,
    /// Its only argument.
    pub argument: CString,
    /// A new user namespace: wait for a byte on the link before anything needs an identity.
    pub wait_for_maps: bool,
    /// The descriptors that the program gets; all others from 3 up are closed by execve.
    pub keep: Vec<i32>,
}

/// A process between clone3 and its program.
pub(crate) struct Stubbed {
    /// Its id in the caller's pid namespace.
    pub pid: i32,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    memory: Memory,
}

impl std::fmt::Debug for Stubbed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stubbed").field("pid", &self.pid).field("pidfd", &self.pidfd).finish()
    }
}

/// The stack and the data of the stub. Dropping it waits until the child has left them.
struct Memory {
    stub: Box<Stub>,
    /// The address of the mapping.
    stack: usize,
}

impl Memory {
    /// Waits until the child runs its program or is dead.
    fn wait(&self) {
        loop {
            let tid = self.stub.alive.load(Ordering::Acquire);
            if tid == 0 {
                return;
            }
            // SAFETY: futex(2) reads one aligned word that outlives the call; the wake of
            // CLONE_CHILD_CLEARTID is not a private one, so this wait is not either.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.stub.alive.as_ptr(),
                    libc::FUTEX_WAIT,
                    tid,
                    std::ptr::null::<libc::timespec>(),
                )
            };
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.wait();
        // SAFETY: the mapping was made by `spawn` with this address and length, and the child, its only
        // user, has left it.
        unsafe { libc::munmap(self.stack as *mut libc::c_void, STACK) };
    }
}

impl Stubbed {
    /// Waits until the program runs, and tells where the stub failed if it did not get that far.
    ///
    /// # Errors
    /// The stub's failed call.
    pub(crate) fn wait_for_program(&self) -> Result<()> {
        self.memory.wait();
        let errno = self.memory.stub.errno.load(Ordering::Acquire);
        match self.memory.stub.failed_at.load(Ordering::Acquire) {
            AT_MAPS => Err(errno).call(|| "reading the link in the new process"),
            AT_BECOME_ROOT => Err(errno).call(|| {
                "setresuid(0) in the new user namespace (do uidMappings and gidMappings map container id 0?)"
            }),
            AT_EXEC => Err(errno).call(|| "execveat(the embedded init program)"),
            _ => Ok(()),
        }
    }
}

/// Makes the process.
///
/// # Errors
/// mmap(2) or clone3(2) failed; there is no process then.
pub(crate) fn spawn(start: Start<'_>) -> Result<Stubbed> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
    let stack = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            STACK,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
            -1,
            0,
        )
    };
    if stack == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error()).call(|| "mmap(stack)");
    }
    let mut stub = Box::new(Stub {
        link: start.link.as_raw_fd(),
        program: start.program.as_raw_fd(),
        wait_for_maps: start.wait_for_maps,
        close: gaps(&start.keep, [start.link.as_raw_fd(), start.program.as_raw_fd()]),
        keep: start.keep,
        argument: start.argument,
        argv: [c"teu-init".as_ptr() as usize, 0, 0],
        envp: [0],
        failed_at: AtomicI32::new(0),
        errno: AtomicI32::new(0),
        alive: AtomicU32::new(0),
    });
    stub.argv[1] = stub.argument.as_ptr() as usize;
    let memory = Memory { stub, stack: stack as usize };
    let mut pidfd: i32 = -1;
    let args = CloneArgs {
        flags: CLONE_VM
            | CLONE_PIDFD
            | CLONE_CHILD_CLEARTID
            | start.namespaces
            | if start.cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 },
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        child_tid: memory.stub.alive.as_ptr() as u64,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: stack as u64,
        stack_size: STACK as u64,
        cgroup: start.cgroup.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned())),
        ..CloneArgs::default()
    };
    // Marked alive before the child can be: were it set afterwards, the kernel's clearing could be lost.
    memory.stub.alive.store(u32::MAX, Ordering::Release);
    let mask = block_signals();
    // SAFETY: the child runs `run_stub` on its own stack with data that `memory` keeps until the kernel says
    // that the child has left; signals are blocked, so no handler of the caller runs in the child.
    let pid = unsafe { clone3_call(&args, &raw const *memory.stub) };
    restore_signals(mask);
    if pid < 0 {
        memory.stub.alive.store(0, Ordering::Release);
        let errno = i32::try_from(-pid).unwrap_or(libc::EINVAL);
        return Err(errno).call(|| format!("clone3(flags {:#x})", args.flags));
    }
    // SAFETY: clone3 succeeded with CLONE_PIDFD, so the kernel has put a new descriptor there that nobody
    // else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Stubbed { pid: i32::try_from(pid).unwrap_or(-1), pidfd, memory })
}

/// The ranges from 3 up between the descriptors that stay.
fn gaps(keep: &[i32], more: [i32; 2]) -> Vec<(u32, u32)> {
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

/// Blocks every signal of this thread, those of glibc's own too: the raw call, since libc leaves them out.
pub(super) fn block_signals() -> u64 {
    let all = u64::MAX;
    let mut old = 0_u64;
    // SAFETY: rt_sigprocmask(2) reads one and writes the other 8-byte set.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, &raw mut old, 8)
    };
    old
}

pub(super) fn restore_signals(mask: u64) {
    // SAFETY: rt_sigprocmask(2) reads one 8-byte set.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            std::ptr::null::<u64>(),
            8,
        )
    };
}

/// clone3(2); the child calls [`run_stub`] and never comes back.
///
/// # Safety
/// `args` names a stack of the child's own, and `stub` outlives the child's use of this memory.
unsafe fn clone3_call(args: &CloneArgs, stub: *const Stub) -> i64 {
    let result: i64;
    // SAFETY: the parent's registers come back as declared. The child starts on an empty 16-byte aligned
    // stack and enters a function that does not return.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call {run}",
            "ud2",
            "2:",
            run = sym run_stub,
            inout("rax") libc::SYS_clone3 => result,
            in("rdi") std::ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            in("r12") stub,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
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
unsafe extern "C" fn run_stub(stub: *const Stub) -> ! {
    // SAFETY: `spawn` keeps the stub in place until the kernel has cleared `alive`.
    let stub = unsafe { &*stub };
    // First of all, and closed, not marked: whatever the caller has open must not reach the container
    // (CVE-2024-21626), and while this process waits it would hold the caller's end of its own link and of
    // others', and the lock of the container, so that nobody would notice the caller's death.
    for (first, last) in &stub.close {
        // SAFETY: the descriptor table is this process's own copy.
        unsafe { raw(libc::SYS_close_range, *first as usize, *last as usize, 0, 0, 0) };
    }
    if stub.wait_for_maps {
        // Until the maps are written this process has no identity: execve would take its capabilities
        // (user_namespaces(7)), so it waits, becomes root of the namespace, and only then goes on.
        let mut byte = 0_u8;
        // SAFETY: recvfrom(2) writes at most the one byte that it is given.
        let got =
            unsafe { raw(libc::SYS_recvfrom, stub.link as usize, &raw mut byte as usize, 1, 0, 0) };
        if got != 1 {
            fail(stub, AT_MAPS, got);
        }
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

/// Leaves word in the memory that caller and child still share, and ends.
fn fail(stub: &Stub, at: i32, result: isize) -> ! {
    stub.errno.store(if result < 0 { -result as i32 } else { 0 }, Ordering::Release);
    stub.failed_at.store(at, Ordering::Release);
    loop {
        // SAFETY: ends this process and nothing else.
        unsafe { raw(libc::SYS_exit_group, 1, 0, 0, 0, 0) };
    }
}
