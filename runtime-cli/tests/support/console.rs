//! The other end of `--console-socket`; a part of several tests.

use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

/// How long a runtime may take to connect.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// The terminal that a runtime hands over.
pub(crate) fn master(listener: &UnixListener) -> OwnedFd {
    let mut ready = [PollFd::new(listener, PollFlags::IN)];
    assert_eq!(poll(&mut ready, Some(&PATIENCE)).unwrap(), 1, "nobody connects");
    let (stream, _) = listener.accept().unwrap();
    let mut name = [0; 64];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let buffers = &mut [IoSliceMut::new(&mut name)];
    rustix::net::recvmsg(&stream, buffers, &mut control, RecvFlags::empty()).unwrap();
    let found = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    found.unwrap()
}
