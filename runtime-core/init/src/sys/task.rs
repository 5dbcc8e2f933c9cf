//! Calls that change or make processes.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_int};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use super::file::take;
use super::raw::syscall;

type Result<T> = core::result::Result<T, Errno>;

// Numbers of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
const CLONE: u32 = 56;
const FORK: u32 = 57;
const EXECVE: u32 = 59;
const SETFSUID: u32 = 122;
const SETFSGID: u32 = 123;
const PERSONALITY: u32 = 135;
const PRCTL: u32 = 157;
const SETGROUPS: u32 = 116;
const RT_SIGACTION: u32 = 13;
const RT_SIGPROCMASK: u32 = 14;
const SET_MEMPOLICY: u32 = 238;
const KEYCTL: u32 = 250;
const SCHED_SETAFFINITY: u32 = 203;
const IOPRIO_SET: u32 = 251;
const UNSHARE: u32 = 272;
const PRLIMIT64: u32 = 302;
const SETNS: u32 = 308;
const SCHED_SETATTR: u32 = 314;
const SECCOMP: u32 = 317;
const CLONE3: u32 = 435;

fn fd(fd: impl AsFd) -> usize {
    fd.as_fd().as_raw_fd() as usize
}

/// Empties the signal mask and lets every signal do what it does by default: what the caller ignores would stay
/// so across execve, SIGPIPE, or SIGHUP below nohup(1), and with SIGCHLD no hook could be waited for.
pub fn default_signals() -> Result<()> {
    let none = 0_u64;
    let default = [0_u64; 4];
    // SIGKILL and SIGSTOP have nothing but a default.
    for signal in (1..=64_usize).filter(|signal| !matches!(signal, 9 | 19)) {
        // SAFETY: the kernel reads a zeroed struct sigaction: SIG_DFL.
        unsafe { syscall(RT_SIGACTION, [signal, default.as_ptr() as usize, 0, 8, 0, 0]) }?;
    }
    const SIG_SETMASK: usize = 2;
    // SAFETY: the kernel reads one 8-byte set.
    unsafe { syscall(RT_SIGPROCMASK, [SIG_SETMASK, &raw const none as usize, 0, 8, 0, 0]) }
        .map(drop)
}

/// PR_SET_DUMPABLE 0.
pub fn close_to_others() -> Result<()> {
    const PR_SET_DUMPABLE: usize = 4;
    // SAFETY: a flag of this process.
    unsafe { syscall(PRCTL, [PR_SET_DUMPABLE, 0, 0, 0, 0, 0]) }.map(drop)
}

/// setns(2).
pub fn setns(namespace: BorrowedFd<'_>, flag: u32) -> Result<()> {
    // SAFETY: this process has one thread and no state that depends on a namespace.
    unsafe { syscall(SETNS, [fd(namespace), flag as usize, 0, 0, 0, 0]) }.map(drop)
}

/// unshare(2) of namespaces.
pub fn unshare(flags: u32) -> Result<()> {
    // SAFETY: as `setns`.
    unsafe { syscall(UNSHARE, [flags as usize, 0, 0, 0, 0, 0]) }.map(drop)
}

/// struct clone_args (clone3(2)), as far as it is used here.
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
}

/// Makes a sibling with the given namespaces: in it, None comes back; here, its pidfd.
pub fn clone_sibling(namespaces: u64) -> Result<Option<OwnedFd>> {
    const CLONE_PIDFD: u64 = 0x1000;
    const CLONE_PARENT: u64 = 0x8000;
    let mut pidfd: c_int = -1;
    let args = CloneArgs {
        flags: namespaces | CLONE_PIDFD | CLONE_PARENT,
        pidfd: &raw mut pidfd as u64,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM the child has a copy of everything, this stack too.
    let cloned =
        unsafe { syscall(CLONE3, [&raw const args as usize, size_of::<CloneArgs>(), 0, 0, 0, 0]) };
    let pid = match cloned {
        // Before Linux 5.3, or behind a filter from before it (see runtime-core's sys/clone.rs).
        Err(Errno::NOSYS | Errno::PERM) => {
            let (flags, pidfd) = (args.flags as usize, args.pidfd as usize);
            // SAFETY: as above; the descriptor goes where clone(2) has the parent's thread id.
            unsafe { syscall(CLONE, [flags, 0, pidfd, 0, 0, 0]) }
        }
        other => other,
    }?;
    Ok((pid != 0).then(|| take(pidfd)))
}

/// fork(2): in the child, None comes back; here, its pid.
pub fn fork() -> Result<Option<i32>> {
    // SAFETY: one thread, and the child has a copy of everything.
    let pid = unsafe { syscall(FORK, [0; 6]) }?;
    Ok((pid != 0).then_some(pid as i32))
}

/// execve(2) with arrays of pointers that end with a null one; comes back only to say why not.
pub fn execve(path: &CStr, argv: &[usize], envp: &[usize]) -> Errno {
    let ended = |array: &[usize]| array.last() == Some(&0);
    if !ended(argv) || !ended(envp) {
        return Errno::INVAL;
    }
    // SAFETY: both arrays end with null; their other words are made from `&CStr` by the callers.
    match unsafe {
        syscall(
            EXECVE,
            [path.as_ptr() as usize, argv.as_ptr() as usize, envp.as_ptr() as usize, 0, 0, 0],
        )
    } {
        Err(errno) => errno,
        Ok(_) => Errno::INVAL,
    }
}

/// seccomp(2), SECCOMP_SET_MODE_FILTER; with SECCOMP_FILTER_FLAG_NEW_LISTENER the listener comes back.
pub fn seccomp(flags: u32, program: &[u8]) -> Result<Option<OwnedFd>> {
    const SET_MODE_FILTER: usize = 1;
    const NEW_LISTENER: u32 = 8;
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const u8,
    }
    let length = u16::try_from(program.len() / 8).map_err(|_| Errno::INVAL)?;
    let program = Program { length, filter: program.as_ptr() };
    // SAFETY: the kernel copies `length` instructions of 8 bytes.
    let got = unsafe {
        syscall(SECCOMP, [SET_MODE_FILTER, flags as usize, &raw const program as usize, 0, 0, 0])
    }?;
    Ok((flags & NEW_LISTENER != 0).then(|| take(got as i32)))
}

/// KEYCTL_JOIN_SESSION_KEYRING (keyctl(2)): the new keyring's number.
pub fn join_session_keyring(name: &CStr) -> Result<i32> {
    const JOIN_SESSION_KEYRING: usize = 1;
    // SAFETY: the kernel reads a NUL-terminated name.
    unsafe { syscall(KEYCTL, [JOIN_SESSION_KEYRING, name.as_ptr() as usize, 0, 0, 0, 0]) }
        .map(|key| key as i32)
}

/// KEYCTL_SETPERM.
pub fn set_key_permissions(key: i32, permissions: u32) -> Result<()> {
    const SETPERM: usize = 5;
    // SAFETY: numbers only.
    unsafe { syscall(KEYCTL, [SETPERM, key as usize, permissions as usize, 0, 0, 0]) }.map(drop)
}

/// setfsuid(2) and setfsgid(2): whose rights decide over files.
pub fn set_fs_ids(uid: u32, gid: u32) {
    // SAFETY: numbers only; these calls report nothing.
    let _before = unsafe { syscall(SETFSGID, [gid as usize, 0, 0, 0, 0, 0]) };
    // SAFETY: as above. The user comes last: with it go the capabilities over files.
    let _before = unsafe { syscall(SETFSUID, [uid as usize, 0, 0, 0, 0, 0]) };
}

/// setgroups(2) of this thread.
pub fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: the kernel reads that many ids.
    unsafe { syscall(SETGROUPS, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

/// prlimit(2) on this process.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = [soft, hard];
    // SAFETY: the kernel reads one struct rlimit64.
    unsafe { syscall(PRLIMIT64, [0, resource as usize, limit.as_ptr() as usize, 0, 0, 0]) }
        .map(drop)
}

/// Raises a hard limit of this process; one that is as high already stays.
pub fn raise_rlimit(resource: u32, hard: u64) -> Result<()> {
    let mut limit = [0_u64; 2];
    // SAFETY: the kernel writes one struct rlimit64.
    unsafe { syscall(PRLIMIT64, [0, resource as usize, 0, limit.as_mut_ptr() as usize, 0, 0]) }?;
    let [soft, was] = limit;
    if was >= hard { Ok(()) } else { set_rlimit(resource, soft, hard) }
}

/// struct sched_attr (sched_setattr(2)).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SchedAttr {
    /// Size of the struct.
    pub size: u32,
    /// SCHED_*.
    pub policy: u32,
    /// SCHED_FLAG_*.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Static priority.
    pub priority: u32,
    /// Nanoseconds.
    pub runtime: u64,
    /// Nanoseconds.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
}

/// sched_setattr(2).
pub fn sched_setattr(attr: SchedAttr) -> Result<()> {
    let attr = SchedAttr { size: size_of::<SchedAttr>() as u32, ..attr };
    // SAFETY: the kernel reads `size` bytes.
    unsafe { syscall(SCHED_SETATTR, [0, &raw const attr as usize, 0, 0, 0, 0]) }.map(drop)
}

/// ioprio_set(2) for this process.
pub fn ioprio_set(value: u32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    // SAFETY: numbers only.
    unsafe { syscall(IOPRIO_SET, [IOPRIO_WHO_PROCESS, 0, value as usize, 0, 0, 0]) }.map(drop)
}

/// sched_setaffinity(2) of this thread.
pub fn sched_setaffinity(cpus: &[u64]) -> Result<()> {
    let arguments = [0, size_of_val(cpus), cpus.as_ptr() as usize, 0, 0, 0];
    // SAFETY: the kernel reads as many bytes as it is told.
    unsafe { syscall(SCHED_SETAFFINITY, arguments) }.map(drop)
}

/// set_mempolicy(2).
pub fn set_mempolicy(mode: u32, nodes: &[u64]) -> Result<()> {
    let bits = nodes.len() * 64;
    let mask = if nodes.is_empty() { 0 } else { nodes.as_ptr() as usize };
    // The kernel reads one bit less than it is told.
    let count = if bits == 0 { 0 } else { bits + 1 };
    // SAFETY: the kernel reads `bits` bits.
    unsafe { syscall(SET_MEMPOLICY, [mode as usize, mask, count, 0, 0, 0]) }.map(drop)
}

/// personality(2).
pub fn personality(persona: u64) -> Result<()> {
    // SAFETY: a number.
    unsafe { syscall(PERSONALITY, [persona as usize, 0, 0, 0, 0, 0]) }.map(drop)
}

/// PR_CAPBSET_DROP.
pub fn drop_bounding(capability: u32) -> Result<()> {
    const PR_CAPBSET_DROP: usize = 24;
    // SAFETY: a number.
    unsafe { syscall(PRCTL, [PR_CAPBSET_DROP, capability as usize, 0, 0, 0, 0]) }.map(drop)
}

/// PR_CAP_AMBIENT: raise one, or with none clear all.
pub fn ambient(capability: Option<u32>) -> Result<()> {
    const PR_CAP_AMBIENT: usize = 47;
    const RAISE: usize = 2;
    const CLEAR_ALL: usize = 4;
    let args = match capability {
        Some(capability) => [PR_CAP_AMBIENT, RAISE, capability as usize, 0, 0, 0],
        None => [PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0, 0],
    };
    // SAFETY: numbers.
    unsafe { syscall(PRCTL, args) }.map(drop)
}

/// capset(2) of this thread.
pub fn capset(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    const CAPSET: u32 = 126;
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let half = |set: u64, at: u32| (set >> (32 * at)) as u32;
    let mut data = [0_u32; 6];
    for at in 0..2 {
        data[at as usize * 3] = half(effective, at);
        data[at as usize * 3 + 1] = half(permitted, at);
        data[at as usize * 3 + 2] = half(inheritable, at);
    }
    // SAFETY: the kernel reads the header and two structs of three words.
    unsafe { syscall(CAPSET, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }
        .map(drop)
}
