//! The system calls that the floor makes, as safe functions with the errors of the kernel.
#![allow(unsafe_code)]

use core::ffi::CStr;

use super::raw;
use super::start::Program;

/// A system call that failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    call: &'static CStr,
    pub(crate) errno: i32,
}

/// A file descriptor. Never closed by being dropped: the program ends soon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fd(usize);

pub(crate) const STDIN: Fd = Fd(0);
pub(crate) const STDOUT: Fd = Fd(1);

pub(crate) const ENOENT: i32 = 2;
pub(crate) const EBUSY: i32 = 16;
pub(crate) const ENOTDIR: i32 = 20;

pub(crate) const MS_RDONLY: u64 = 1;
pub(crate) const MS_NOSUID: u64 = 2;
pub(crate) const MS_NODEV: u64 = 4;
pub(crate) const MS_NOEXEC: u64 = 8;
pub(crate) const MS_REMOUNT: u64 = 32;
pub(crate) const MS_BIND: u64 = 4096;
pub(crate) const MS_REC: u64 = 16384;
pub(crate) const MS_PRIVATE: u64 = 1 << 18;
pub(crate) const MS_STRICTATIME: u64 = 1 << 24;

const O_CLOEXEC: usize = 0o2_000_000;
pub(crate) const READ: usize = O_CLOEXEC;
pub(crate) const WRITE: usize = 1 | O_CLOEXEC;
pub(crate) const READ_WRITE: usize = 2 | O_CLOEXEC;
const O_CREAT_EXCL: usize = 0o300;

const SIGCHLD: u64 = 17;

/// Makes a call. Only used with pointers to live Rust values of the size that the call expects.
fn make(call: &'static CStr, number: usize, arguments: [usize; 6]) -> Result<usize, Failure> {
    // SAFETY: every caller in this file passes numbers and addresses of values that it borrows.
    let result = unsafe { raw::syscall(number, arguments) };
    usize::try_from(result).map_err(|_| Failure { call, errno: -(result as i32) })
}

/// The result of a call that has no way to fail.
fn cannot_fail(result: Result<usize, Failure>) {
    debug_assert!(result.is_ok(), "the kernel refused what it cannot refuse");
}

fn at(text: &CStr) -> usize {
    text.as_ptr() as usize
}

pub(crate) fn read(fd: Fd, into: &mut [u8]) -> Result<usize, Failure> {
    make(c"read", 0, [fd.0, into.as_mut_ptr() as usize, into.len(), 0, 0, 0])
}

pub(crate) fn write(fd: Fd, bytes: &[u8]) -> Result<(), Failure> {
    make(c"write", 1, [fd.0, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]).map(drop)
}

pub(crate) fn open(path: &CStr, flags: usize) -> Result<Fd, Failure> {
    make(c"open", 2, [at(path), flags, 0, 0, 0, 0]).map(Fd)
}

pub(crate) fn close(fd: Fd) -> Result<(), Failure> {
    make(c"close", 3, [fd.0, 0, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn write_file(path: &CStr, bytes: &[u8]) -> Result<(), Failure> {
    let fd = open(path, WRITE)?;
    write(fd, bytes)?;
    close(fd)
}

pub(crate) fn create_file(path: &CStr, bytes: &[u8]) -> Result<(), Failure> {
    let fd = make(c"open", 2, [at(path), WRITE | O_CREAT_EXCL, 0o600, 0, 0, 0]).map(Fd)?;
    write(fd, bytes)?;
    close(fd)
}

pub(crate) fn pipe() -> Result<(Fd, Fd), Failure> {
    let mut ends = [0_i32; 2];
    make(c"pipe2", 293, [ends.as_mut_ptr() as usize, O_CLOEXEC, 0, 0, 0, 0])?;
    Ok((Fd(ends[0] as usize), Fd(ends[1] as usize)))
}

/// A copy of the descriptor that programs started from here do not get.
pub(crate) fn duplicate_above_stdio(fd: Fd) -> Result<Fd, Failure> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    make(c"fcntl", 72, [fd.0, F_DUPFD_CLOEXEC, 3, 0, 0, 0]).map(Fd)
}

/// Makes `fd` the same as `by`.
pub(crate) fn replace(fd: Fd, by: Fd) -> Result<(), Failure> {
    make(c"dup2", 33, [by.0, fd.0, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn mkdir(path: &CStr, mode: usize) -> Result<(), Failure> {
    make(c"mkdir", 83, [at(path), mode, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn rmdir(path: &CStr) -> Result<(), Failure> {
    make(c"rmdir", 84, [at(path), 0, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn unlink(path: &CStr) -> Result<(), Failure> {
    make(c"unlink", 87, [at(path), 0, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn symlink(target: &CStr, path: &CStr) -> Result<(), Failure> {
    make(c"symlink", 88, [at(target), at(path), 0, 0, 0, 0]).map(drop)
}

pub(crate) fn make_fifo(path: &CStr, mode: usize) -> Result<(), Failure> {
    make(c"mknod", 133, [at(path), 0o010_000 | mode, 0, 0, 0, 0]).map(drop)
}

/// A character device with a small number, which all of the specification's are.
pub(crate) fn make_device(path: &CStr, mode: usize, major: u32, minor: u32) -> Result<(), Failure> {
    let device = (major << 8 | minor) as usize;
    make(c"mknod", 133, [at(path), 0o020_000 | mode, device, 0, 0, 0]).map(drop)
}

pub(crate) fn chdir(path: &CStr) -> Result<(), Failure> {
    make(c"chdir", 80, [at(path), 0, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn umask(mask: usize) {
    cannot_fail(make(c"umask", 95, [mask, 0, 0, 0, 0, 0]));
}

pub(crate) fn mount(
    source: &CStr,
    path: &CStr,
    kind: &CStr,
    flags: u64,
    data: &CStr,
) -> Result<(), Failure> {
    make(c"mount", 165, [at(source), at(path), at(kind), flags as usize, at(data), 0]).map(drop)
}

pub(crate) fn unmount_lazily(path: &CStr) -> Result<(), Failure> {
    const MNT_DETACH: usize = 2;
    make(c"umount2", 166, [at(path), MNT_DETACH, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn pivot_root(new: &CStr, old: &CStr) -> Result<(), Failure> {
    make(c"pivot_root", 155, [at(new), at(old), 0, 0, 0, 0]).map(drop)
}

pub(crate) fn unshare(namespaces: u64) -> Result<(), Failure> {
    make(c"unshare", 272, [namespaces as usize, 0, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn setsid() -> Result<(), Failure> {
    make(c"setsid", 112, [0; 6]).map(drop)
}

pub(crate) fn sethostname(name: &[u8]) -> Result<(), Failure> {
    make(c"sethostname", 170, [name.as_ptr() as usize, name.len(), 0, 0, 0, 0]).map(drop)
}

/// Turns on the loopback device of a new network namespace.
pub(crate) fn loopback_up() -> Result<(), Failure> {
    const AF_INET: usize = 2;
    const SOCK_DGRAM_CLOEXEC: usize = 2 | O_CLOEXEC;
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u8 = 1;
    /// struct ifreq: 16 bytes of name, then the flags, in 40 bytes.
    const REQUEST: [u8; 40] = {
        let mut request = [0; 40];
        request[0] = b'l';
        request[1] = b'o';
        request[16] = IFF_UP;
        request
    };
    let request = REQUEST;
    let socket = make(c"socket", 41, [AF_INET, SOCK_DGRAM_CLOEXEC, 0, 0, 0, 0]).map(Fd)?;
    make(c"ioctl", 16, [socket.0, SIOCSIFFLAGS, request.as_ptr() as usize, 0, 0, 0])?;
    close(socket)
}

pub(crate) fn limit_open_files(number: u64) -> Result<(), Failure> {
    const RLIMIT_NOFILE: usize = 7;
    let limit = [number; 2];
    make(c"prlimit64", 302, [0, RLIMIT_NOFILE, limit.as_ptr() as usize, 0, 0, 0]).map(drop)
}

pub(crate) fn close_on_exec_from(first: usize) -> Result<(), Failure> {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    make(c"close_range", 436, [first, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0]).map(drop)
}

fn prctl(option: usize, value: usize) -> Result<(), Failure> {
    make(c"prctl", 157, [option, value, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn drop_from_bounding_set(capability: u32) -> Result<(), Failure> {
    const PR_CAPBSET_DROP: usize = 24;
    prctl(PR_CAPBSET_DROP, capability as usize)
}

pub(crate) fn no_new_privileges() -> Result<(), Failure> {
    const PR_SET_NO_NEW_PRIVS: usize = 38;
    prctl(PR_SET_NO_NEW_PRIVS, 1)
}

/// Makes the set effective and permitted, and nothing inheritable.
pub(crate) fn set_capabilities(set: u64) -> Result<(), Failure> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let (low, high) = (set as u32, (set >> 32) as u32);
    let data = [low, low, 0, high, high, 0];
    make(c"capset", 126, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]).map(drop)
}

/// A child in new namespaces: `None` in the child, its pid in the parent.
pub(crate) fn clone3(namespaces: u64) -> Result<Option<u32>, Failure> {
    // struct clone_args of Linux 5.3: flags, pidfd, two places for the tid, exit signal, stack, tls.
    let arguments = [namespaces, 0, 0, 0, SIGCHLD, 0, 0, 0];
    let pid = make(c"clone3", 435, [arguments.as_ptr() as usize, 64, 0, 0, 0, 0])?;
    Ok(if pid == 0 { None } else { Some(pid as u32) })
}

/// Starts a program with the environment of this one.
pub(crate) fn spawn(program: Program) -> Result<u32, Failure> {
    // SAFETY: a `Program` holds the vectors that this program was started with.
    let result = unsafe { raw::vfork_execve(program.0.arguments, program.0.environment) };
    u32::try_from(result).map_err(|_| Failure { call: c"clone", errno: -(result as i32) })
}

/// Becomes the workload.
pub(crate) fn execute_true() -> Result<i32, Failure> {
    let path = c"/bin/true";
    let search = c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let arguments = [at(path), 0];
    let environment = [at(search), at(c"TERM=xterm"), 0];
    let vectors = [arguments.as_ptr() as usize, environment.as_ptr() as usize];
    make(c"execve", 59, [at(path), vectors[0], vectors[1], 0, 0, 0]).map(|_| 0)
}

/// How a child ended and what it used, with what it waited for.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) user: i64,
    pub(crate) system: i64,
    pub(crate) peak: i64,
    pub(crate) minor_faults: i64,
    pub(crate) major_faults: i64,
    pub(crate) voluntary: i64,
    pub(crate) involuntary: i64,
}

pub(crate) fn wait(child: u32) -> Result<Ended, Failure> {
    let mut status = 0_i32;
    // struct rusage: two times of seconds and microseconds, then fourteen numbers.
    let mut usage = [0_i64; 18];
    let (status_at, usage_at) = (&raw mut status as usize, usage.as_mut_ptr() as usize);
    make(c"wait4", 61, [child as usize, status_at, 0, usage_at, 0, 0])?;
    Ok(Ended {
        status,
        user: usage[0] * 1_000_000 + usage[1],
        system: usage[2] * 1_000_000 + usage[3],
        peak: usage[4],
        minor_faults: usage[8],
        major_faults: usage[9],
        voluntary: usage[16],
        involuntary: usage[17],
    })
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub(crate) fn monotonic() -> i64 {
    let mut now = [0_i64; 2];
    match make(c"clock_gettime", 228, [1, now.as_mut_ptr() as usize, 0, 0, 0, 0]) {
        Ok(_) => now[0] * 1_000_000_000 + now[1],
        Err(_) => 0,
    }
}

pub(crate) fn yield_processor() {
    cannot_fail(make(c"sched_yield", 24, [0; 6]));
}

#[cfg(bare)]
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // exit_group does not return; the loop tells the compiler so.
        cannot_fail(make(c"exit_group", 231, [code as usize, 0, 0, 0, 0, 0]));
    }
}

/// A line on standard error. That it cannot be written cannot be reported either.
pub(crate) fn complain(text: &CStr) {
    for part in [text.to_bytes(), b"\n"] {
        write(Fd(2), part).unwrap_or(());
    }
}

pub(crate) fn complain_of(failure: &Failure) {
    let number = crate::text::Text::number(failure.errno.unsigned_abs());
    let line = [b"floor: ", failure.call.to_bytes(), b": errno ", number.as_bytes()];
    complain(crate::text::Text::of(&line).as_c_str());
}
