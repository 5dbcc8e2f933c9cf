//! Hooks in the container's namespaces: createContainer before the root is switched, startContainer after.
//!
//! A hook reads the state from memory and writes into memory, so neither one that does not read nor one whose
//! grandchild keeps writing can hold up the container.

use core::ffi::CStr;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SeekFrom};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use teu_wire::{HookView, HooksView, Step};

use crate::fail::{At, Fail, Index, Result, Words, decimal};
use crate::sys::call;

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// hooks.createContainer.
    CreateContainer,
    /// hooks.startContainer.
    StartContainer,
}

/// Runs the hooks of a stage in order; the first failure ends it.
///
/// # Errors
/// A hook failed: how it ended, and the last of what it said.
pub fn run(stage: Stage, hooks: &HooksView<'static>) -> Result<()> {
    let (list, head, step, cwd) = match stage {
        Stage::CreateContainer => {
            (hooks.create_container, hooks.creating_state, Step::CreateContainerHook, hooks.bundle)
        }
        // The bundle is not to be seen any more.
        Stage::StartContainer => {
            (hooks.start_container, hooks.created_state, Step::StartContainerHook, c"/")
        }
    };
    for (index, hook) in list.iter().enumerate() {
        let state = [head.to_bytes(), hooks.state_tail.to_bytes()];
        run_one(step, &hook, state, cwd).index(index as u32)?;
    }
    Ok(())
}

fn run_one(step: Step, hook: &HookView<'static>, state: [&[u8]; 2], cwd: &CStr) -> Result<()> {
    let path = hook.path.to_bytes();
    let memory =
        |name| rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC).at(step, c"memfd_create", path);
    let input = memory(c"teu-hook-state")?;
    let output = memory(c"teu-hook-output")?;
    // The pid as the hook sees it: it lives in this process's pid namespace.
    let mut digits = [0; 20];
    let pid = i64::from(rustix::process::getpid().as_raw_nonzero().get());
    for part in [state[0], decimal(pid, &mut digits), state[1]] {
        write_all(&input, part).at(step, c"write(state)", path)?;
    }
    rustix::fs::seek(&input, SeekFrom::Start(0)).at(step, c"lseek(state)", path)?;

    let argv = call::words(hook.args.len() + 1).at(step, c"mmap", path)?;
    for (word, argument) in argv.iter_mut().zip(hook.args) {
        *word = call::pointer(argument);
    }
    let envp = call::words(hook.env.len() + 1).at(step, c"mmap", path)?;
    for (word, entry) in envp.iter_mut().zip(hook.env) {
        *word = call::pointer(entry);
    }
    let Some(child) = call::fork().at(step, c"fork", path)? else {
        become_hook(hook, &input, &output, cwd, argv, envp)
    };
    let Some(child) = Pid::from_raw(child) else { return Ok(()) };
    wait(step, hook, child, &output)
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> core::result::Result<(), Errno> {
    while !bytes.is_empty() {
        let written = rustix::io::write(to, bytes)?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// The child: everything else that is open is close-on-exec.
fn become_hook(
    hook: &HookView<'_>,
    input: &OwnedFd,
    output: &OwnedFd,
    cwd: &CStr,
    argv: &[usize],
    envp: &[usize],
) -> ! {
    let streams = [input.as_fd(), output.as_fd(), output.as_fd()];
    let mut ready = Ok(());
    for (number, stream) in streams.into_iter().enumerate() {
        ready = ready.and_then(|()| call::duplicate_to(stream, number as i32));
    }
    // Root of a user namespace may have no way to the bundle.
    ready = ready.and_then(|()| match rustix::process::chdir(cwd) {
        Err(Errno::ACCESS) => rustix::process::chdir(c"/"),
        other => other,
    });
    let errno = match ready {
        Ok(()) => call::execve(hook.path, argv, envp),
        Err(errno) => errno,
    };
    let mut digits = [0; 20];
    call::write_stderr(b"cannot be executed: errno ");
    call::write_stderr(decimal(i64::from(errno.raw_os_error()), &mut digits));
    call::exit(127)
}

fn wait(step: Step, hook: &HookView<'_>, child: Pid, output: &OwnedFd) -> Result<()> {
    let path = hook.path.to_bytes();
    let mut killed = false;
    if let Some(seconds) = hook.timeout {
        let pidfd = rustix::process::pidfd_open(child, PidfdFlags::empty()).at(
            step,
            c"pidfd_open",
            path,
        )?;
        let timeout = Timespec { tv_sec: i64::from(seconds), tv_nsec: 0 };
        let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
        // No signal is caught here, so nothing interrupts the wait.
        if rustix::event::poll(&mut fds, Some(&timeout)).at(step, c"poll", path)? == 0 {
            killed = true;
            rustix::process::kill_process(child, Signal::KILL).at(step, c"kill", path)?;
        }
    }
    let status =
        rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(child), WaitOptions::empty()))
            .at(step, c"waitpid", path)?;
    let Some((_, status)) = status else { return Ok(()) };
    if !killed && status.exit_status() == Some(0) {
        return Ok(());
    }
    let mut detail = Words::new();
    detail.push(path);
    match (killed, status.exit_status(), status.terminating_signal()) {
        (true, ..) => {
            detail
                .push(b": still running after ")
                .push_number(i64::from(hook.timeout.unwrap_or(0)));
            detail.push(b" s, killed");
        }
        (_, Some(code), _) => {
            detail.push(b": exit status ").push_number(i64::from(code));
        }
        (_, _, signal) => {
            detail.push(b": killed by signal ").push_number(i64::from(signal.unwrap_or(0)));
        }
    }
    said(output, &mut detail);
    Err(Fail { step, index: 0, errno: None, call: c"", detail })
}

/// The last of what it said, on one line.
fn said(output: &OwnedFd, detail: &mut Words) {
    let mut text = [0_u8; 300];
    let length = rustix::fs::seek(output, SeekFrom::End(0)).unwrap_or(0);
    let from = length.saturating_sub(text.len() as u64);
    let Ok(got) = rustix::io::pread(output, &mut text, from) else { return };
    let text = &mut text[..got];
    text.iter_mut().filter(|byte| **byte < b' ').for_each(|byte| *byte = b' ');
    let text = text.trim_ascii();
    if !text.is_empty() {
        detail.push(b", saying: ").push(text);
    }
}
