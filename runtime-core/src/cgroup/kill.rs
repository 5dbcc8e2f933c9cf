//! Signals to everything in a container's cgroup, by pidfd and never by a bare process id.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{CgroupRecord, Version, file};
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::sys::process;

/// How long a kill may chase processes that keep making new ones.
const PATIENCE: Duration = Duration::from_secs(10);

/// A fork bomb outruns a loop of signals: after so many rounds it is frozen first.
const ROUNDS_BEFORE_FREEZING: u32 = 3;

impl CgroupRecord {
    /// Sends SIGKILL to every process of the cgroup and of those below it, also to frozen ones. When it
    /// returns, none is left that has not been killed; they may still be ending.
    ///
    /// # Errors
    /// A signal cannot be sent, or processes keep appearing.
    pub fn kill_all(&self) -> Result<()> {
        let root = self.open()?;
        self.own(&root).kill_members(&root)
    }

    fn kill_members(&self, root: &OwnedFd) -> Result<()> {
        let unified = self.bases().find(|(_, version)| *version == Version::V2);
        if let Some((base, _)) = unified {
            // One write, and nothing that forks meanwhile escapes (Linux 5.14).
            let name = format!("{base}/cgroup.kill");
            match file::write(root, &name, "1") {
                Ok(()) | Err(Errno::NOENT | Errno::NODEV) => {}
                Err(errno) => return Err(Error::os(format!("write({name}, \"1\")"), errno)),
            }
        }
        let result = self.chase(root);
        // A task frozen by v1 meets its signal only when it thaws, whatever the chase has met.
        self.thaw_v1(root)?;
        result
    }

    /// Signals until a round finds nobody new.
    fn chase(&self, root: &OwnedFd) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut killed: HashMap<i32, OwnedFd> = HashMap::new();
        for round in 0.. {
            let pids = self.members(root)?;
            // An id whose process has ended may belong to another one by now.
            killed.retain(|_, process| !ended(process));
            let new: Vec<i32> = pids.into_iter().filter(|p| !killed.contains_key(p)).collect();
            if new.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let message = format!("processes keep appearing in the cgroup {}", self.path());
                return Err(Error::new(ErrorKind::Os, message));
            }
            if round == ROUNDS_BEFORE_FREEZING {
                self.freeze_v1(root)?;
            }
            killed.extend(self.signal(root, &new, libc::SIGKILL)?);
        }
        Ok(())
    }

    /// Sends a signal to every process of the cgroup and of those below it.
    ///
    /// # Errors
    /// The number is no signal, or it cannot be sent.
    pub fn signal_all(&self, signal: i32) -> Result<()> {
        if signal == libc::SIGKILL {
            return self.kill_all();
        }
        if !(1..=64).contains(&signal) {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("{signal} is no signal")));
        }
        let root = self.open()?;
        let own = self.own(&root);
        let pids = own.members(&root)?;
        own.signal(&root, &pids, signal).map(|_| ())
    }

    /// Signals those of `pids` that are still members once they are held by a pidfd: an id that was
    /// reused between the list and the pidfd belongs to a process elsewhere.
    fn signal(&self, root: &OwnedFd, pids: &[i32], signal: i32) -> Result<HashMap<i32, OwnedFd>> {
        let mut held = open_all(pids)?;
        let still = self.members(root)?;
        held.retain(|pid, _| still.binary_search(pid).is_ok());
        for (pid, process) in &held {
            match process::signal(process.as_fd(), signal) {
                // It has ended meanwhile, which is as good.
                Ok(()) | Err(crate::error::Errno(libc::ESRCH)) => {}
                Err(errno) => {
                    return Err(Error::os(format!("pidfd_send_signal({pid}, {signal})"), errno));
                }
            }
        }
        Ok(held)
    }

    fn freeze_v1(&self, root: &OwnedFd) -> Result<()> {
        for (name, _) in self.freezers(root) {
            file::write(root, &name, "FROZEN").call(|| format!("write({name}, \"FROZEN\")"))?;
        }
        Ok(())
    }

    fn thaw_v1(&self, root: &OwnedFd) -> Result<()> {
        for (name, state) in self.freezers(root) {
            if state.trim() == "THAWED" {
                continue;
            }
            match file::write(root, &name, "THAWED") {
                Ok(()) | Err(Errno::NOENT | Errno::NODEV) => {}
                Err(errno) => return Err(Error::os(format!("write({name}, \"THAWED\")"), errno)),
            }
        }
        Ok(())
    }

    /// The v1 freezer files of the cgroup (at most one) with their state.
    fn freezers(&self, root: &OwnedFd) -> Vec<(String, String)> {
        let v1 = self.bases().filter(|(_, version)| *version == Version::V1);
        v1.filter_map(|(base, _)| {
            let name = format!("{base}/freezer.state");
            file::read(root, &name).ok().map(|state| (name, state))
        })
        .collect()
    }
}

/// A pidfd for each process that is still there.
pub(super) fn open_all(pids: &[i32]) -> Result<HashMap<i32, OwnedFd>> {
    let mut held = HashMap::with_capacity(pids.len());
    // 0 stands for a process outside of the caller's pid namespace, which no id can reach.
    for pid in pids.iter().copied() {
        let Some(id) = Pid::from_raw(pid) else { continue };
        match pidfd_open(id, PidfdFlags::empty()) {
            Ok(process) => {
                held.insert(pid, process);
            }
            Err(Errno::SRCH | Errno::INVAL) => {}
            Err(errno) => return Err(Error::os(format!("pidfd_open({pid})"), errno)),
        }
    }
    Ok(held)
}

fn ended(process: &OwnedFd) -> bool {
    let mut wanted = [PollFd::new(process, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut wanted, Some(&now)), Ok(ready) if ready > 0)
}
