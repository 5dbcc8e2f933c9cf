//! A program of the host's, started with the descriptors that it is given and no other.
//!
//! std::process cannot be used for hooks: it sorts the environment, and hands down whatever the caller has open
//! without close-on-exec. As in `clone`, the child shares the caller's memory and makes raw calls on prepared
//! data only; here the caller waits for its execve (CLONE_VFORK), so the data is simply on its stack.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::clone::{block_signals, raw, restore_signals};
use super::descriptor;
use crate::error::{Errno, OsResult, Result};

const STACK: usize = 16 << 10;

/// What is started.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    /// Its path.
    pub path: &'a CStr,
    /// Its arguments, argv[0] first.
    pub argv: &'a [CString],
    /// Its whole environment.
    pub envp: &'a [CString],
    /// Standard input, output and error.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Its working directory.
    pub cwd: &'a CStr,
    /// Further descriptors that it gets, under the numbers that they have here.
    pub keep: &'a [i32],
}

/// What the child reads, and where it leaves word.
struct Prepared {
    path: usize,
    argv: Vec<usize>,
    envp: Vec<usize>,
    stdio: [i32; 3],
    cwd: usize,
    keep: Vec<i32>,
    errno: i32,
}

fn pointers(texts: &[CString]) -> Vec<usize> {
    texts.iter().map(|text| text.as_ptr() as usize).chain([0]).collect()
}

/// Starts it; comes back when it runs, with its pidfd.
///
/// # Errors
/// clone(2), chdir(2) or execve(2) failed.
pub(crate) fn start(program: &Program<'_>) -> Result<OwnedFd> {
    let mut prepared = Prepared {
        path: program.path.as_ptr() as usize,
        argv: pointers(program.argv),
        envp: pointers(program.envp),
        stdio: program.stdio.map(|fd| fd.as_raw_fd()),
        cwd: program.cwd.as_ptr() as usize,
        keep: program.keep.to_vec(),
        errno: 0,
    };
    let mut stack = vec![0_u8; STACK];
    // The end of the stack, aligned as a call expects it.
    let top = (stack.as_mut_ptr() as usize + STACK) & !15;
    let mut pidfd: i32 = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mask = block_signals();
    // SAFETY: the child runs `run` on its own stack with data that stays, since this thread is suspended until
    // the child has left this memory (CLONE_VFORK); signals are blocked, so no handler runs in it.
    let pid = unsafe {
        libc::clone(
            enter,
            top as *mut libc::c_void,
            flags,
            (&raw mut prepared).cast(),
            &raw mut pidfd,
        )
    };
    let failed = std::io::Error::last_os_error();
    restore_signals(mask);
    if pid < 0 {
        return Err(failed).call(|| "clone");
    }
    // SAFETY: clone succeeded with CLONE_PIDFD: a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    if prepared.errno == 0 {
        return Ok(pidfd);
    }
    let wait = rustix::process::WaitIdOptions::EXITED;
    let id = rustix::process::WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd));
    rustix::io::retry_on_intr(|| rustix::process::waitid(id.clone(), wait)).call(|| "waitid")?;
    Err(Errno(prepared.errno)).call(|| "execve")
}

/// The child's first and last function.
extern "C" fn enter(prepared: *mut libc::c_void) -> i32 {
    // SAFETY: `start` passes its own `Prepared` and waits.
    let prepared = unsafe { &mut *prepared.cast::<Prepared>() };
    prepared.errno = run(prepared);
    // clone(2) ends the process with this status, by a raw call.
    127
}

fn run(prepared: &Prepared) -> i32 {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    const SIG_SETMASK: usize = 2;
    const F_SETFD: usize = 2;
    const FD_CLOEXEC: usize = 1;
    const AT_FDCWD: isize = -100;
    let (none, default) = (0_u64, [0_u64; 4]);
    for (number, fd) in prepared.stdio.iter().enumerate() {
        // SAFETY: the descriptor table is the child's own copy.
        let result = unsafe { raw(libc::SYS_dup3, *fd as usize, number, 0, 0, 0) };
        if result < 0 {
            return -result as i32;
        }
    }
    // SAFETY: as above.
    let marked =
        unsafe { raw(libc::SYS_close_range, 3, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0) };
    if marked < 0 {
        // Before Linux 5.11. The namespaces are the caller's, whose /proc is as good as itself.
        descriptor::each_open(true, |number| {
            // SAFETY: changes one flag of a descriptor of this process.
            unsafe { raw(libc::SYS_fcntl, number, F_SETFD, FD_CLOEXEC, 0, 0) };
        });
    }
    for fd in &prepared.keep {
        // SAFETY: as above.
        unsafe { raw(libc::SYS_fcntl, *fd as usize, F_SETFD, 0, 0, 0) };
    }
    // SAFETY: a NUL-terminated path that `start` keeps.
    let moved = unsafe { raw(libc::SYS_chdir, prepared.cwd, 0, 0, 0, 0) };
    if moved < 0 {
        return -moved as i32;
    }
    // What the caller ignores is not ignored by a hook.
    for signal in (1..=64).filter(|signal| !matches!(signal, 9 | 19)) {
        // SAFETY: a zeroed struct sigaction: SIG_DFL; the handlers are the child's own copy.
        unsafe { raw(libc::SYS_rt_sigaction, signal, default.as_ptr() as usize, 0, 8, 0) };
    }
    // SAFETY: one empty set of 8 bytes.
    unsafe { raw(libc::SYS_rt_sigprocmask, SIG_SETMASK, &raw const none as usize, 0, 8, 0) };
    // SAFETY: path, argv and envp are NUL- and null-terminated, and `start` keeps them.
    let result = unsafe {
        raw(
            libc::SYS_execveat,
            AT_FDCWD as usize,
            prepared.path,
            prepared.argv.as_ptr() as usize,
            prepared.envp.as_ptr() as usize,
            0,
        )
    };
    -result as i32
}
