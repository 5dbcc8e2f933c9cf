//! `run` and `exec` in the foreground: pass signals on to the process and wait for its end.
//!
//! The signals are blocked before the process is made and read from a signalfd, so that one that
//! arrives in between waits instead of ending the command, and so that no handler runs anywhere. The
//! process gets an empty mask of its own.

use std::os::fd::AsFd as _;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use runtime_core::{Exit, Workload};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::exit::Failure;

/// Signals that mean this process and not the container: a child of its own (a hook), the Go and the
/// socket signals that runc keeps too, and the size of a terminal that the container does not have.
const OWN: [Signal; 4] = [Signal::SIGCHLD, Signal::SIGURG, Signal::SIGPIPE, Signal::SIGWINCH];

/// Signals kept for the container.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks every signal that will be passed on. Called before the container is made.
    pub(crate) fn block() -> Result<Self, Failure> {
        let mut set = SigSet::all();
        for signal in OWN {
            set.remove(signal);
        }
        set.thread_block().map_err(|error| Failure::os("pthread_sigmask", error))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        SignalFd::with_flags(&set, flags).map(Self).map_err(|error| Failure::os("signalfd", error))
    }

    /// Passes signals on until the process ends; its exit code, or 128 and the signal that ended it.
    pub(crate) fn wait(&self, workload: &Workload) -> Result<u8, Failure> {
        loop {
            let mut ready = [
                PollFd::from_borrowed_fd(workload.pidfd.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::os("poll", error)),
            }
            if !ready[0].revents().is_empty() {
                return code(workload);
            }
            self.pass_on(workload)?;
        }
    }

    fn pass_on(&self, workload: &Workload) -> Result<(), Failure> {
        while let Some(signal) =
            self.0.read_signal().map_err(|error| Failure::os("read(signalfd)", error))?
        {
            workload.signal(signal.ssi_signo as i32)?;
        }
        Ok(())
    }
}

fn code(workload: &Workload) -> Result<u8, Failure> {
    Ok(match workload.wait()? {
        Exit::Code(code) => (code & 0xff) as u8,
        Exit::Signal(signal) => 128 + (signal & 0x7f) as u8,
    })
}
