//! The link: the SOCK_SEQPACKET pair between caller and init. One message is one packet, so nothing has to be
//! framed; the end of the peer is an empty read.

pub(crate) mod report;

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags,
    SocketType,
};
use teu_wire::{ToCaller, ToInit};

use crate::error::{Error, ErrorKind, OsResult, Result};

/// A message is never longer: init cuts the detail of a failure.
const LONGEST: usize = 4096;

/// One message of init.
#[derive(Debug)]
pub(crate) struct Message {
    /// What it says; nothing when init is gone.
    pub kind: Option<ToCaller>,
    /// The bytes after the kind.
    pub body: Vec<u8>,
    /// A descriptor that came with it.
    pub fd: Option<OwnedFd>,
}

/// The caller's end.
#[derive(Debug)]
pub(crate) struct Link {
    socket: OwnedFd,
    /// Readable when the caller does not want to wait any longer.
    cancel: Option<OwnedFd>,
}

/// Waits for one of them: an error where only `cancel` is ready, false where `timeout` has passed.
///
/// # Errors
/// The caller has called it off.
pub(crate) fn wait(
    fd: BorrowedFd<'_>,
    cancel: Option<BorrowedFd<'_>>,
    timeout: Option<&Timespec>,
) -> Result<bool> {
    // Interrupted: for the caller to look at its clock again.
    look(fd, cancel, timeout).map(|ready| ready.unwrap_or(true))
}

/// Waits for so long, where nothing else tells when to look again.
///
/// # Errors
/// The caller has called it off.
pub(crate) fn rest(cancel: Option<BorrowedFd<'_>>, time: Duration) -> Result<()> {
    let time =
        Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
    let mut fds = cancel.map(|cancel| PollFd::from_borrowed_fd(cancel, PollFlags::IN));
    match rustix::event::poll(fds.as_mut_slice(), Some(&time)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(()),
        other => other.call(|| "poll").and_then(|_| Err(called_off())),
    }
}

fn called_off() -> Error {
    Error::new(ErrorKind::Cancelled, "called off before the container ran")
}

/// As [`wait`]; none where a signal has come first.
fn look(
    fd: BorrowedFd<'_>,
    cancel: Option<BorrowedFd<'_>>,
    timeout: Option<&Timespec>,
) -> Result<Option<bool>> {
    let mut fds = vec![PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    fds.extend(cancel.map(|cancel| PollFd::from_borrowed_fd(cancel, PollFlags::IN)));
    let ready = match rustix::event::poll(&mut fds, timeout) {
        Err(rustix::io::Errno::INTR) => return Ok(None),
        other => other.call(|| "poll")?,
    };
    let is_called_off = fds.get(1).is_some_and(|cancel| !cancel.revents().is_empty());
    if is_called_off && fds.first().is_some_and(|fd| fd.revents().is_empty()) {
        return Err(called_off());
    }
    Ok(Some(ready > 0))
}

impl Link {
    /// Takes a connected packet socket: one end of [`pair`], or the connection to the gate.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, cancel: None }
    }

    /// Readable when the caller does not want to wait any longer.
    pub(crate) fn cancel(&self) -> Option<BorrowedFd<'_>> {
        self.cancel.as_ref().map(AsFd::as_fd)
    }

    /// Waits until there is a message, or init has ended; not where nobody can call it off.
    ///
    /// # Errors
    /// The caller has called it off.
    pub(crate) fn wait(&self) -> Result<()> {
        while self.cancel.is_some() && look(self.socket.as_fd(), self.cancel(), None)?.is_none() {}
        Ok(())
    }

    /// The next message; an empty one when init has ended or become the workload.
    ///
    /// # Errors
    /// recvmsg(2) failed or the message is unknown; or the caller has called it off.
    pub(crate) fn receive(&self) -> Result<Message> {
        if self.cancel.is_some() {
            wait(self.socket.as_fd(), self.cancel(), None)?;
        }
        let mut bytes = [0_u8; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(
                &self.socket,
                &mut [std::io::IoSliceMut::new(&mut bytes)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        });
        let length = match got {
            // A peer that is killed with unread data in its queue resets instead of ending.
            Err(rustix::io::Errno::CONNRESET) => 0,
            other => other.call(|| "recvmsg(link)")?.bytes,
        };
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let Some((first, body)) = bytes.get(..length).and_then(|read| read.split_first()) else {
            return Ok(Message { kind: None, body: Vec::new(), fd });
        };
        match ToCaller::from_byte(*first) {
            Some(kind) => Ok(Message { kind: Some(kind), body: body.to_vec(), fd }),
            None => {
                Err(Error::new(ErrorKind::Os, format!("init sent an unknown message ({first:#x})")))
            }
        }
    }

    /// Says one thing to init.
    ///
    /// # Errors
    /// Init is gone (EPIPE).
    pub(crate) fn send(&self, message: ToInit) -> Result<()> {
        rustix::net::send(&self.socket, &[message as u8], SendFlags::NOSIGNAL)
            .call(|| "send(link)")
            .map(drop)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Makes both ends: the caller's, which heeds `cancel`, and init's.
///
/// # Errors
/// A call failed.
pub(crate) fn pair(cancel: Option<&OwnedFd>) -> Result<(Link, OwnedFd)> {
    let cancel = cancel.map(|fd| fd.try_clone().call(|| "dup(cancel)")).transpose()?;
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .call(|| "socketpair(link)")?;
    Ok((Link { socket: ours, cancel }, theirs))
}
