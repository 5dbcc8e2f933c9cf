//! Hooks in the runtime's namespaces (config.md, "POSIX-platform Hooks"): prestart, createRuntime, poststart,
//! poststop. Those in the container's namespaces are run by init.
//!
//! A hook gets the state on standard input, the environment of its own entry and nothing else
//! (CVE-2025-23266 came from what a hook inherited), the bundle as working directory, and time.

use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use oci_spec::runtime::Hook;

use crate::error::{Error, ErrorKind, Result};
use crate::program::{self, Program};

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

fn texts<'a>(values: impl Iterator<Item = &'a String>) -> Result<Vec<CString>> {
    let nul = |_| Error::new(ErrorKind::Hook, "contains a NUL byte");
    values.map(|value| CString::new(value.as_str()).map_err(nul)).collect()
}

fn run_one(hook: &Hook, state: &str, bundle: &Path, cancel: Option<BorrowedFd<'_>>) -> Result<()> {
    let seconds = hook.timeout().and_then(|seconds| u64::try_from(seconds).ok());
    let program = Program {
        path: hook.path(),
        argv: texts(hook.args().iter().flatten())?,
        envp: texts(hook.env().iter().flatten())?,
        cwd: bundle,
        input: state,
        timeout: seconds.map(Duration::from_secs),
    };
    match program::run(&program, cancel)? {
        Ok(()) => Ok(()),
        Err(failure) => Err(Error::new(ErrorKind::Hook, failure.to_string())),
    }
}
