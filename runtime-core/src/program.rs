//! Programs of the host that are run to their end: hooks, newuidmap(1).
//!
//! Each gets the environment that is given and nothing else of the caller's, and time. What it says is kept in memory
//! instead of a pipe: nobody waits for a program that does not read, or for a grandchild that keeps the other end open.

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::fs::MemfdFlags;

use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::link;
use crate::operation::child::{Exit, reap};
use crate::sys::exec;

/// How much of what a program said before it failed is told.
const SHOWN: i64 = 512;

/// What is run.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// Its arguments, argv[0] first; where there are none, its path is argv[0].
    pub argv: Vec<CString>,
    /// Its whole environment.
    pub envp: Vec<CString>,
    /// Its working directory.
    pub cwd: &'a Path,
    /// What it reads on standard input.
    pub input: &'a str,
    /// How long it may take; it is killed then.
    pub timeout: Option<Duration>,
}

/// Why a program that was started has not done its work: what it ended with, and what it said.
#[derive(Debug)]
pub(crate) struct Failure {
    /// None when its time ran out.
    end: Option<Exit>,
    timeout: Option<Duration>,
    said: String,
}

impl Failure {
    /// Whether its time ran out.
    pub(crate) fn is_late(&self) -> bool {
        self.end.is_none()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            Some(Exit::Code(code)) => write!(out, "exit status {code}")?,
            Some(Exit::Signal(signal)) => write!(out, "killed by signal {signal}")?,
            None => {
                let seconds = self.timeout.unwrap_or_default().as_secs();
                write!(out, "still running after {seconds} s, killed")?;
            }
        }
        if self.said.is_empty() { Ok(()) } else { write!(out, ", saying: {}", self.said) }
    }
}

/// Runs it to its end.
///
/// # Errors
/// It cannot be started, or `cancel` is readable: the caller does not want to wait any longer; the program is killed
/// then. Within: it failed.
pub(crate) fn run(
    program: &Program<'_>,
    cancel: Option<BorrowedFd<'_>>,
) -> Result<Result<(), Failure>> {
    let input = memory("teu-program-input", program.input)?;
    let mut output = memory("teu-program-output", "")?;
    let path = c_string(program.path)?;
    let own = std::slice::from_ref(&path);
    let pidfd = exec::start(&exec::Program {
        path: &path,
        argv: if program.argv.is_empty() { own } else { &program.argv },
        envp: &program.envp,
        stdio: [input.as_fd(), output.as_fd(), output.as_fd()],
        cwd: &c_string(program.cwd)?,
        keep: &[],
    })?;
    let end = wait(&pidfd, program.timeout, cancel)?;
    Ok(match end {
        Some(Exit::Code(0)) => Ok(()),
        end => Err(Failure { end, timeout: program.timeout, said: said(&mut output) }),
    })
}

fn c_string(path: &Path) -> Result<CString> {
    let nul = |_| Error::new(ErrorKind::InvalidArgument, "contains a NUL byte");
    CString::new(path.as_os_str().as_bytes()).map_err(nul)
}

fn memory(name: &str, content: &str) -> Result<File> {
    let mut file = File::from(
        rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)
            .call(|| format!("memfd_create({name})"))?,
    );
    file.write_all(content.as_bytes())
        .and_then(|()| file.rewind())
        .call(|| format!("write({name})"))?;
    Ok(file)
}

/// The end of what it said, in one line.
fn said(output: &mut File) -> String {
    let mut bytes = Vec::new();
    let length = output.seek(SeekFrom::End(0)).unwrap_or(0).cast_signed();
    if output.seek(SeekFrom::Start((length - SHOWN).max(0).cast_unsigned())).is_ok()
        && output.read_to_end(&mut bytes).is_err()
    {
        bytes.clear();
    }
    String::from_utf8_lossy(&bytes).trim().replace('\n', "; ")
}

/// Waits for the end; none when time ran out and the program was killed.
fn wait(
    pidfd: &OwnedFd,
    timeout: Option<Duration>,
    cancel: Option<BorrowedFd<'_>>,
) -> Result<Option<Exit>> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut in_time = true;
    while !crate::store::status::has_ended(pidfd)? {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        let kill =
            || crate::sys::process::signal(pidfd.as_fd(), libc::SIGKILL).call(|| "kill(program)");
        match link::wait(pidfd.as_fd(), cancel, left.as_ref()) {
            Ok(true) => (),
            Ok(false) => {
                kill()?;
                in_time = false;
                break;
            }
            Err(error) => {
                kill()?;
                reap(pidfd)?;
                return Err(error);
            }
        }
    }
    let exit = reap(pidfd)?;
    if !in_time {
        return Ok(None);
    }
    // Where SIGCHLD is ignored the kernel throws the status away (wait(2)).
    let unknown =
        || Error::new(ErrorKind::Os, "its exit status is lost: does the caller ignore SIGCHLD?");
    exit.ok_or_else(unknown).map(Some)
}
