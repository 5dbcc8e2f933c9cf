//! A terminal that arrives with a second descriptor, which go-runc and conmon take for a mistake.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::call::{Call, Result};

/// Makes the call with a console socket of our own, and sends what arrives there on, with the descriptor twice.
pub(crate) fn send_twice(call: &Call) -> Result<u8> {
    let Some(socket) = call.value("--console-socket").map(str::to_owned) else {
        return call.make();
    };
    let folder = tempfile::tempdir()?;
    let ours = folder.path().join("socket");
    let listener = UnixListener::bind(&ours)?;
    listener.set_nonblocking(true)?;
    let mut directed = call.clone();
    directed.set_value("--console-socket", &ours.to_string_lossy());
    let code = directed.make()?;
    // A runtime has sent it before it says that the container is created; after a failure there is nothing.
    if let Ok((stream, _)) = listener.accept() {
        let (name, terminal) = receive(&stream)?;
        let stream = UnixStream::connect(socket)?;
        let both = [terminal.as_fd(), terminal.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&both)) {
            return Err("no room for two descriptors".into());
        }
        sendmsg(&stream, &[IoSlice::new(&name)], &mut control, SendFlags::empty())?;
    }
    Ok(code)
}

fn receive(stream: &UnixStream) -> Result<(Vec<u8>, OwnedFd)> {
    let mut bytes = [0_u8; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let buffer = &mut [IoSliceMut::new(&mut bytes)];
    let got = recvmsg(stream, buffer, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let terminal = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    });
    Ok((bytes[..got.bytes].to_vec(), terminal.ok_or("the message has no descriptor")?))
}
