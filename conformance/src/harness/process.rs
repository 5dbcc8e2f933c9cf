//! What the kernel says about processes: ends, descendants, status files.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid,
};

use super::{Result, Stop, event};

/// A handle of the process; stays valid when the number is given to another process.
pub(crate) fn handle(pid: i32) -> Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or_else(|| Stop::Fail(format!("{pid} is no process id")))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Parent and state letter of every process that can be read.
pub(crate) fn table() -> Vec<(i32, i32, char)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            // The name may be no text, and contain blanks and parentheses; the last ')' ends it.
            let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
            let stat = String::from_utf8_lossy(&stat);
            let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
            let state = fields.next()?.chars().next()?;
            Some((pid, fields.next()?.parse().ok()?, state))
        })
        .collect()
}

/// All descendants of `root`, which is not among them; zombies included.
pub(crate) fn descendants(root: i32) -> Vec<i32> {
    let table = table();
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(table.iter().filter(|row| row.1 == parent).map(|row| row.0));
        next += 1;
    }
    found.remove(0);
    found
}

/// Sends SIGKILL; a process that is already gone is fine.
pub(crate) fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // The only other error is EPERM, and the deadline of the case reports that better.
        kill_process(pid, Signal::KILL).unwrap_or_default();
    }
}

/// Kills one process and waits for its end; reaps it when it is a child of ours. Nobody else's
/// children are touched, so threads that supervise other processes do not lose them.
pub(crate) fn end(pid: i32, at_most: Duration) {
    let Ok(handle) = handle(pid) else { return };
    kill(pid);
    // A process that does not end is found by whoever looks for leaks.
    event::readable(&handle, at_most).unwrap_or_default();
    waitid(WaitId::PidFd(handle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok();
}

/// Reaps every child that has already ended.
pub(crate) fn reap_ended() {
    while let Ok(Some(_)) = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {}
}

/// Waits at most `at_most` for all descendants of this process to end, and reaps them.
/// Returns those that are still there, with their names.
pub(crate) fn settle(at_most: Duration) -> Vec<(i32, String)> {
    settle_but(0, at_most)
}

/// As [`settle`], for all but one process.
pub(crate) fn settle_but(stays: i32, at_most: Duration) -> Vec<(i32, String)> {
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let end = std::time::Instant::now() + at_most;
    loop {
        reap_ended();
        let left: Vec<i32> = descendants(me).into_iter().filter(|pid| *pid != stays).collect();
        let Some(first) = left.first() else { return Vec::new() };
        let remaining = end.saturating_duration_since(std::time::Instant::now());
        if remaining.is_zero() {
            return left.into_iter().map(|pid| (pid, name(pid))).collect();
        }
        if let Ok(fd) = handle(*first) {
            // Any outcome leads to another look at the table.
            event::readable(fd, remaining).unwrap_or_default();
        }
    }
}

/// The command line of a process, or its short name.
pub(crate) fn name(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    if line.trim().is_empty() {
        return fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().into();
    }
    line.trim().to_owned()
}

/// One field of `/proc/PID/status`.
pub(crate) fn status_field(pid: i32, field: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
        .ok_or_else(|| Stop::Fail(format!("/proc/{pid}/status has no field {field}")))
}
