//! Waiting for events with an upper bound: the end of a process, a line in a file.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use super::{Result, fail};

/// Waits until the descriptor is readable (a pidfd: until the process ended); false on timeout.
pub(crate) fn readable(fd: impl AsFd, at_most: Duration) -> Result<bool> {
    let end = Instant::now() + at_most;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until the file contains `needle`; fails after `at_most`.
pub(crate) fn file_contains(path: &Path, needle: &str, at_most: Duration) -> Result<String> {
    file_has(path, needle, 1, at_most)
}

/// Waits until the file contains `needle` so many times; fails after `at_most`.
pub(crate) fn file_has(
    path: &Path,
    needle: &str,
    times: usize,
    at_most: Duration,
) -> Result<String> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    // The watch is set before the first look, so that no write is missed in between.
    inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY)?;
    let end = Instant::now() + at_most;
    loop {
        let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        if text.matches(needle).count() >= times {
            return Ok(text);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || !readable(&watch, left)? {
            return fail(format!("waited {at_most:?} for {needle:?}, but the output is {text:?}"));
        }
        let mut buffer = [0_u8; 4096];
        rustix::io::read(&watch, &mut buffer)?;
    }
}
