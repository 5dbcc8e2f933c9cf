//! Hooks in the runtime's namespaces (config.md, "POSIX-platform Hooks"): prestart, createRuntime, poststart,
//! poststop. Those in the container's namespaces are run by init.
//!
//! A hook gets the state on standard input, the environment of its own entry and nothing else
//! (CVE-2025-23266 came from what a hook inherited), the bundle as working directory, and time.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use oci_spec::runtime::Hook;
use rustix::event::Timespec;
use rustix::fs::MemfdFlags;

use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::link;
use crate::operation::child::{Exit, reap};
use crate::sys::exec;

/// How much of what a failed hook said goes into the error.
const SHOWN: i64 = 512;

/// Runs hooks in order; the first failure ends it.
///
/// # Errors
/// A hook cannot be started, fails, or takes too long; the error names it and ends with what it said. Or `cancel` is
/// readable: the caller does not want to wait any longer.
pub(crate) fn run(
    stage: &str,
    hooks: &[Hook],
    state: &str,
    bundle: &Path,
    cancel: Option<BorrowedFd<'_>>,
) -> Result<()> {
    for (index, hook) in hooks.iter().enumerate() {
        run_one(hook, state, bundle, cancel).map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::Cancelled => ErrorKind::Cancelled,
                _ => ErrorKind::Hook,
            };
            error
                .context(format_args!("hooks.{stage}[{index}]: {}", hook.path().display()))
                .with_kind(kind)
        })?;
    }
    Ok(())
}

/// Runs all hooks; failures are warnings (runtime.md, "Lifecycle" 13: poststop).
pub(crate) fn run_all(stage: &str, hooks: &[Hook], state: &str, bundle: &Path) -> Vec<String> {
    hooks
        .iter()
        .enumerate()
        .filter_map(|(index, hook)| {
            let error = run_one(hook, state, bundle, None).err()?;
            Some(format!("hooks.{stage}[{index}]: {}: {error}", hook.path().display()))
        })
        .collect()
}

/// Memory instead of pipes: nobody waits for a hook that does not read, or for a grandchild that keeps the
/// other end open.
fn memory(name: &str, content: &str) -> Result<File> {
    let mut file = File::from(
        rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC).call(|| "memfd_create(hook)")?,
    );
    file.write_all(content.as_bytes()).and_then(|()| file.rewind()).call(|| "write(hook state)")?;
    Ok(file)
}

fn texts<'a>(values: impl Iterator<Item = &'a String>) -> Result<Vec<CString>> {
    let text = |value: &String| CString::new(value.as_str()).map_err(|_| nul());
    values.map(text).collect()
}

fn nul() -> Error {
    Error::new(ErrorKind::Hook, "contains a NUL byte")
}

fn run_one(hook: &Hook, state: &str, bundle: &Path, cancel: Option<BorrowedFd<'_>>) -> Result<()> {
    let input = memory("teu-hook-state", state)?;
    let mut output = memory("teu-hook-output", "")?;
    let c_string = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| nul());
    let path = c_string(hook.path())?;
    let mut argv = texts(hook.args().iter().flatten())?;
    if argv.is_empty() {
        argv.push(path.clone());
    }
    let pidfd = exec::start(&exec::Program {
        path: &path,
        argv: &argv,
        envp: &texts(hook.env().iter().flatten())?,
        stdio: [input.as_fd(), output.as_fd(), output.as_fd()],
        cwd: &c_string(bundle)?,
        keep: &[],
    })?;
    let timeout = hook.timeout().and_then(|seconds| u64::try_from(seconds).ok());
    let how = match wait(&pidfd, timeout.map(Duration::from_secs), cancel)? {
        Some(Exit::Code(0)) => return Ok(()),
        Some(Exit::Code(code)) => format!("exit status {code}"),
        Some(Exit::Signal(signal)) => format!("killed by signal {signal}"),
        None => format!("still running after {} s, killed", timeout.unwrap_or(0)),
    };
    Err(Error::new(ErrorKind::Hook, format!("{how}{}", said(&mut output))))
}

fn said(output: &mut File) -> String {
    let mut text = String::new();
    let length = output.seek(SeekFrom::End(0)).unwrap_or(0).cast_signed();
    if output.seek(SeekFrom::Start((length - SHOWN).max(0).cast_unsigned())).is_ok() {
        let mut bytes = Vec::new();
        if output.read_to_end(&mut bytes).is_ok() {
            text = String::from_utf8_lossy(&bytes).trim().replace('\n', "; ");
        }
    }
    if text.is_empty() { text } else { format!(", saying: {text}") }
}

/// Waits for the end; none when time ran out and the hook was killed.
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
            || crate::sys::process::signal(pidfd.as_fd(), libc::SIGKILL).call(|| "kill(hook)");
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
        || Error::new(ErrorKind::Hook, "its exit status is lost: does the caller ignore SIGCHLD?");
    exit.ok_or_else(unknown).map(Some)
}
