//! Tells the service manager that the workload is ready (sd_notify(3)), as runc does: of what the container says
//! only READY=1 goes on, with the pid of its first process, by a service that has the socket itself out of the
//! container's sight.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};

use crate::exit::Failure;
use crate::log::Log;

/// How long the service manager may take to read what it was told, as sd_notify_barrier(3) is used by runc.
const BARRIER: Duration = Duration::from_secs(30);
/// The longest message that systemd reads (NOTIFY_BUFFER_MAX).
const LONGEST: usize = 4096;

/// Whether the environment names a service manager.
///
/// # Errors
/// NOTIFY_SOCKET is not the address of a unix socket.
pub(crate) fn is_wanted() -> Result<bool, Failure> {
    Ok(address()?.is_some())
}

fn address() -> Result<Option<std::ffi::OsString>, Failure> {
    match std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) {
        Some(address) if !matches!(address.as_bytes(), [b'/' | b'@', _, ..]) => {
            Err(Failure::Other(format!(
                "NOTIFY_SOCKET: {address:?} is neither an absolute path nor an abstract name: \
                 unset it, or see sd_notify(3)"
            )))
        }
        other => Ok(other),
    }
}

/// The service manager that waits for this service.
#[derive(Debug)]
pub(crate) struct Manager(OwnedFd);

impl Manager {
    /// Connects to it, before there is anything to tell: who cannot be reached is an error while it changes
    /// nothing. None when nobody waits.
    ///
    /// # Errors
    /// NOTIFY_SOCKET names nobody who listens.
    pub(crate) fn connect() -> Result<Option<Self>, Failure> {
        let Some(name) = address()? else { return Ok(None) };
        let failed = |error: Errno| Failure::os(format!("NOTIFY_SOCKET {}", name.display()), error);
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
            .map_err(failed)?;
        let connect = |address| rustix::net::connect(&socket, &address);
        match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddrUnix::new_abstract_name(name).and_then(connect),
            None => match SocketAddrUnix::new(name.as_os_str()) {
                Ok(address) => connect(address),
                // sun_path holds 108 bytes: a descriptor of the socket file has a short name.
                Err(_) => rustix::fs::open(&name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                    .and_then(|file| {
                        SocketAddrUnix::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
                            .and_then(connect)
                    }),
            },
        }
        .map_err(failed)?;
        Ok(Some(Self(socket)))
    }

    /// Waits for the word of the container that `socket` gets.
    pub(crate) fn wait_for<'a>(self, socket: OwnedFd, pid: i32, log: &'a Log) -> Readiness<'a> {
        Readiness { manager: self, pid, log, step: Step::Listen(socket) }
    }
}

/// A workload that is expected to be ready some time.
#[derive(Debug)]
pub(crate) struct Readiness<'a> {
    manager: Manager,
    pid: i32,
    log: &'a Log,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// To the container.
    Listen(OwnedFd),
    /// The manager that it is ready, and which process it is.
    Tell,
    /// The manager to close a pipe once it has read that.
    Barrier,
    /// Until it has.
    Wait(OwnedFd, Instant),
    Done,
}

impl Readiness<'_> {
    /// What the next step waits for; none after the last.
    pub(crate) fn watch(&self) -> Option<PollFd<'_>> {
        match &self.step {
            Step::Listen(socket) => Some(PollFd::new(socket, PollFlags::IN)),
            Step::Tell | Step::Barrier => Some(PollFd::new(&self.manager.0, PollFlags::OUT)),
            Step::Wait(pipe, _) => Some(PollFd::new(pipe, PollFlags::IN)),
            Step::Done => None,
        }
    }

    /// Takes the step that can be taken now. A failure is the manager's and not the container's: it is only
    /// logged.
    pub(crate) fn serve(&mut self) {
        let step = std::mem::replace(&mut self.step, Step::Done);
        let next = match step {
            // Who sends later is told that nobody listens, instead of filling a queue that nobody empties.
            Step::Listen(socket) if hear(&socket) => Ok(Step::Tell),
            Step::Tell => self.tell(),
            Step::Barrier => self.barrier(),
            Step::Listen(socket) => Ok(Step::Listen(socket)),
            // End of file.
            Step::Wait(..) | Step::Done => Ok(Step::Done),
        };
        self.step = next.unwrap_or_else(|error| {
            let error = Failure::os("telling NOTIFY_SOCKET that the container is ready", error);
            self.log.warning(&error.to_string());
            Step::Done
        });
    }

    fn tell(&self) -> Result<Step, Errno> {
        // In one message: a manager that learnt only half of it would watch the wrong process.
        let message = format!("READY=1\nMAINPID={}\n", self.pid);
        match rustix::net::send(&self.manager.0, message.as_bytes(), flags()) {
            Ok(_) => Ok(Step::Barrier),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Step::Tell),
            Err(error) => Err(error),
        }
    }

    /// sd_notify_barrier(3): the manager closes the descriptor when it has read all that came before it.
    fn barrier(&self) -> Result<Step, Errno> {
        let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [theirs.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let text = [IoSlice::new(b"BARRIER=1")];
        match rustix::net::sendmsg(&self.manager.0, &text, &mut control, flags()) {
            Ok(_) => Ok(Step::Wait(ours, Instant::now() + BARRIER)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Step::Barrier),
            Err(error) => Err(error),
        }
    }

    /// After the end of the container: takes the steps that need not be waited for. Who was ready is told of,
    /// even if it has ended by now.
    pub(crate) fn finish(mut self) {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        while let Some(next) = self.watch() {
            let ready = poll(&mut [next], Some(&now)).is_ok_and(|count| count > 0);
            if !ready {
                break;
            }
            self.serve();
        }
    }

    /// Takes all steps, or those until the container has ended.
    pub(crate) fn wait(mut self, pidfd: &OwnedFd) -> Result<(), Failure> {
        while let Some(watched) = self.watch() {
            let deadline = match &self.step {
                Step::Wait(_, deadline) => Some(*deadline),
                _ => None,
            };
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut ready = vec![watched];
            if matches!(self.step, Step::Listen(_)) {
                ready.push(PollFd::new(pidfd, PollFlags::IN));
            }
            match poll(&mut ready, timeout.as_ref()) {
                Ok(0) => {
                    let text = "NOTIFY_SOCKET has not answered BARRIER=1 for 30 seconds; going on";
                    self.log.warning(text);
                    return Ok(());
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::os("poll", error)),
            }
            let ready: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
            match ready.as_slice() {
                [true, ..] => self.serve(),
                [false, true] => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }
}

fn flags() -> SendFlags {
    SendFlags::NOSIGNAL | SendFlags::DONTWAIT
}

/// One message of the container's; whether it says that it is ready. Descriptors that come with it are dropped
/// by the kernel, since no room is given for them.
fn hear(socket: &OwnedFd) -> bool {
    let mut bytes = [0; LONGEST];
    match rustix::net::recv(socket, &mut bytes, RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
        Ok((_, whole)) if whole <= LONGEST => {
            bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').any(is_ready)
        }
        _ => false,
    }
}

fn is_ready(line: &[u8]) -> bool {
    line == b"READY=1"
}
