//! clone3(2) into the stub: the few raw system calls between the new process and its program.
//!
//! The child shares the caller's memory (CLONE_VM) until execveat replaces it, so a large caller costs
//! nothing, and what it runs until then touches only what [`Stub`] holds: no allocation, no lock, no thread
//! local storage, no libc. That makes it sound in a process with any number of threads.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions};

use super::stub::{AT_BECOME_ROOT, AT_CGROUP, AT_EXEC, AT_WAIT, JOINED, Stub, gaps, run_stub};
use crate::error::{OsResult, Result};

pub(super) use super::stub::raw;

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
    /// Wait for a byte on the link before anything else: the caller has something to do with the process first.
    pub wait: bool,
    /// Become root of a new user namespace, then.
    pub become_root: bool,
    /// The descriptors that the program gets; all others from 3 up are closed by execve.
    pub keep: Vec<i32>,
    /// /proc is the host's where the process is born, in no mount namespace of somebody else's.
    pub trusted_proc: bool,
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
        self.wait_while(|alive| alive != 0);
    }

    /// Waits until the word that the child and its end change is another one.
    fn wait_while(&self, still: impl Fn(u32) -> bool) {
        loop {
            let tid = self.stub.alive.load(Ordering::Acquire);
            if !still(tid) {
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
        self.memory.failure()
    }
}

impl Memory {
    fn failure(&self) -> Result<()> {
        let errno = self.stub.errno.load(Ordering::Acquire);
        match self.stub.failed_at.load(Ordering::Acquire) {
            AT_CGROUP => Err(errno).call(|| "write(cgroup.procs, \"0\") in the new process"),
            AT_WAIT => Err(errno).call(|| "reading the link in the new process"),
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
        wait: start.wait,
        become_root: start.become_root,
        cgroup: AtomicI32::new(-1),
        close: gaps(&start.keep, [start.link.as_raw_fd(), start.program.as_raw_fd()]),
        trusted_proc: start.trusted_proc,
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
    let pid = if OLDER.load(Ordering::Relaxed) {
        -i64::from(libc::ENOSYS)
    } else {
        // SAFETY: the child runs `run_stub` on its own stack with data that `memory` keeps until the kernel says
        // that the child has left; signals are blocked, so no handler of the caller runs in the child.
        unsafe { clone3_call(&args, &raw const *memory.stub) }
    };
    restore_signals(mask);
    if pid < 0 {
        let errno = i32::try_from(-pid).unwrap_or(libc::EINVAL);
        if is_missing(errno, &args) {
            return spawn_older(start.cgroup, &args, &raw const pidfd, memory);
        }
        memory.stub.alive.store(0, Ordering::Release);
        return Err(errno).call(|| format!("clone3(flags {:#x})", args.flags));
    }
    // SAFETY: clone3 succeeded with CLONE_PIDFD, so the kernel has put a new descriptor there that nobody
    // else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Stubbed { pid: i32::try_from(pid).unwrap_or(-1), pidfd, memory })
}

/// clone3 or one of its flags is not there: the next process is made by clone(2) at once.
static OLDER: AtomicBool = AtomicBool::new(false);

/// Whether clone(2) may do what clone3(2) has refused: before Linux 5.3 there is none, before 5.7 its argument is too
/// long for a kernel that bears nobody into a cgroup (E2BIG), and filters from before it answer EPERM; where that is
/// the kernel's word, clone(2) gets the same.
fn is_missing(errno: i32, args: &CloneArgs) -> bool {
    /// The signal of clone(2), in the way of CLONE_NEWTIME.
    const CSIGNAL: u64 = 0xff;
    let missing = matches!(errno, libc::ENOSYS | libc::EPERM)
        || errno == libc::E2BIG && args.flags & CLONE_INTO_CGROUP != 0;
    missing && args.flags & CSIGNAL == 0
}

/// The same by clone(2): the process joins its cgroup itself, and is there when this comes back.
fn spawn_older(
    cgroup: Option<BorrowedFd<'_>>,
    args: &CloneArgs,
    pidfd: *const i32,
    memory: Memory,
) -> Result<Stubbed> {
    // Nobody is waited for until there is somebody.
    memory.stub.alive.store(0, Ordering::Release);
    // Before Linux 5.2 clone(2) makes a process, but no descriptor of it.
    rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
        .call(|| "pidfd_open")?;
    let procs = cgroup.map(open_procs).transpose()?;
    if let Some(procs) = &procs {
        memory.stub.cgroup.store(procs.as_raw_fd(), Ordering::Relaxed);
    }
    let flags = args.flags & !CLONE_INTO_CGROUP | args.exit_signal;
    let words = [flags, args.stack + args.stack_size, args.pidfd, args.child_tid];
    memory.stub.alive.store(u32::MAX, Ordering::Release);
    let mask = block_signals();
    // SAFETY: as for clone3 in `spawn`; clone(2) takes the end of the stack.
    let pid = unsafe { clone_call(libc::SYS_clone, words, &raw const *memory.stub) };
    restore_signals(mask);
    if pid < 0 {
        memory.stub.alive.store(0, Ordering::Release);
        let errno = i32::try_from(-pid).unwrap_or(libc::EINVAL);
        return Err(errno).call(|| format!("clone(flags {flags:#x})"));
    }
    OLDER.store(true, Ordering::Relaxed);
    // SAFETY: `pidfd` is the variable of `spawn` that the kernel has written to.
    let pidfd = unsafe { pidfd.read_volatile() };
    // SAFETY: clone succeeded with CLONE_PIDFD: a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let stubbed = Stubbed { pid: i32::try_from(pid).unwrap_or(-1), pidfd, memory };
    if procs.is_some() {
        stubbed.memory.wait_while(|alive| alive != 0 && alive != JOINED);
        if let Err(error) = stubbed.memory.failure() {
            let wait = || {
                let id = WaitId::PidFd(stubbed.pidfd.as_fd());
                rustix::process::waitid(id, WaitIdOptions::EXITED)
            };
            rustix::io::retry_on_intr(wait).call(|| "waitid")?;
            return Err(error);
        }
    }
    Ok(stubbed)
}

fn open_procs(cgroup: BorrowedFd<'_>) -> Result<OwnedFd> {
    rustix::fs::openat(cgroup, c"cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| "open(cgroup.procs)")
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
    let words = [std::ptr::from_ref(args) as u64, size_of::<CloneArgs>() as u64, 0, 0];
    // SAFETY: the caller's promise; the kernel reads `args` for its size.
    unsafe { clone_call(libc::SYS_clone3, words, stub) }
}

/// clone3(2) or clone(2) with its first four arguments.
///
/// # Safety
/// As [`clone3_call`].
unsafe fn clone_call(number: i64, [a, b, c, d]: [u64; 4], stub: *const Stub) -> i64 {
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
            inout("rax") number => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r12") stub,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}
