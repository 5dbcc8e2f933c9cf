//! Hooks in the runtime's namespaces (config.md, "POSIX-platform Hooks"): prestart, createRuntime, poststart,
//! poststop. Those in the container's namespaces are run by init.
//!
//! A hook gets the state on standard input, the environment of its own entry and nothing else
//! (CVE-2025-23266 came from what a hook inherited), the bundle as working directory, and time.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use oci_spec::runtime::Hook;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;

use crate::error::{Error, ErrorKind, OsResult, Result};

/// How much of what a failed hook said goes into the error.
const SHOWN: i64 = 512;

/// Runs hooks in order; the first failure ends it.
///
/// # Errors
/// A hook cannot be started, fails, or takes too long; the error names it and ends with what it said.
pub(crate) fn run(stage: &str, hooks: &[Hook], state: &str, bundle: &Path) -> Result<()> {
    for (index, hook) in hooks.iter().enumerate() {
        run_one(hook, state, bundle).map_err(|error| {
            error
                .context(format_args!("hooks.{stage}[{index}]: {}", hook.path().display()))
                .with_kind(ErrorKind::Hook)
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
            let error = run_one(hook, state, bundle).err()?;
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

fn run_one(hook: &Hook, state: &str, bundle: &Path) -> Result<()> {
    let input = memory("teu-hook-state", state)?;
    let mut output = memory("teu-hook-output", "")?;
    let share = |file: &File| file.try_clone().map(OwnedFd::from).call(|| "dup(hook output)");
    let args = hook.args().as_deref().unwrap_or_default();
    let mut command = Command::new(hook.path());
    command
        .env_clear()
        .envs(hook.env().iter().flatten().map(|entry| entry.split_once('=').unwrap_or((entry, ""))))
        .current_dir(bundle)
        .args(args.get(1..).unwrap_or_default())
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(share(&output)?))
        .stderr(Stdio::from(share(&output)?));
    if let Some(name) = args.first() {
        command.arg0(name);
    }
    let mut child = command.spawn().call(|| "execve")?;
    let timeout = hook.timeout().and_then(|seconds| u64::try_from(seconds).ok());
    let ended = wait(&mut child, timeout.map(Duration::from_secs))?;
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) => {
            Err(Error::new(ErrorKind::Hook, format!("{}{}", ending(status), said(&mut output))))
        }
        None => Err(Error::new(
            ErrorKind::Hook,
            format!("still running after {} s, killed{}", timeout.unwrap_or(0), said(&mut output)),
        )),
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (_, Some(signal)) => format!("killed by signal {signal}"),
        _ => status.to_string(),
    }
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
fn wait(child: &mut Child, timeout: Option<Duration>) -> Result<Option<ExitStatus>> {
    let Some(timeout) = timeout else {
        return child.wait().map(Some).call(|| "waitpid(hook)");
    };
    let pid = rustix::process::Pid::from_child(child);
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        .call(|| "pidfd_open(hook)")?;
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match rustix::event::poll(
            &mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)],
            Some(&left),
        ) {
            Ok(0) => break,
            Ok(_) => return child.wait().map(Some).call(|| "waitpid(hook)"),
            Err(rustix::io::Errno::INTR) => (),
            Err(errno) => return Err(errno).call(|| "poll(hook)"),
        }
    }
    child.kill().call(|| "kill(hook)")?;
    child.wait().call(|| "waitpid(hook)")?;
    Ok(None)
}
