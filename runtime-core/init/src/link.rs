//! Talking to the runtime: over the link from birth, over the gate's connection from the start.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use teu_wire::{Step, ToCaller, ToInit};

use crate::fail::{At, Fail, Result};
use crate::sys::call;

/// The runtime is gone: there is nobody to tell, and nothing to go on for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Says one thing.
///
/// # Errors
/// send(2) failed.
pub fn say(link: BorrowedFd<'_>, message: ToCaller) -> Result<()> {
    rustix::io::retry_on_intr(|| rustix::net::send(link, &[message as u8], SendFlags::NOSIGNAL))
        .at(Step::Link, c"send", b"")
        .map(drop)
}

/// Says one thing with a descriptor.
///
/// # Errors
/// sendmsg(2) failed.
pub fn give(link: BorrowedFd<'_>, message: ToCaller, passed: BorrowedFd<'_>) -> Result<()> {
    call::send_with_descriptor(link, &[message as u8], passed).at(Step::Link, c"sendmsg", b"")
}

/// Waits for one of two words; `Gone` when the other end is closed.
///
/// # Errors
/// recv(2) failed or something else was said.
pub fn hear(link: BorrowedFd<'_>) -> Result<core::result::Result<u8, Gone>> {
    let mut byte = [0_u8; 1];
    let got = rustix::io::retry_on_intr(|| rustix::net::recv(link, &mut byte, RecvFlags::empty()));
    match got {
        Ok((0, _)) | Err(Errno::CONNRESET) => Ok(Err(Gone)),
        Ok(_) => Ok(Ok(byte[0])),
        Err(errno) => Err(errno).at(Step::Link, c"recv", b""),
    }
}

/// Reports a failure: fixed fields and two texts, as teu-wire's `Failure` is read.
pub fn report(link: BorrowedFd<'_>, fail: &Fail) {
    let mut message = [0_u8; 1024];
    let mut length = 0;
    let mut put = |bytes: &[u8]| {
        message[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    };
    put(&[ToCaller::Failed as u8]);
    put(&(fail.step as u16).to_le_bytes());
    put(&fail.index.to_le_bytes());
    put(&fail.errno.map_or(0, Errno::raw_os_error).to_le_bytes());
    let call = fail.call.to_bytes_with_nul();
    put(&(call.len() as u32).to_le_bytes());
    put(call);
    // A NUL in the middle would end the text for its reader.
    let detail = fail.detail.as_bytes();
    let detail = &detail[..detail.iter().position(|byte| *byte == 0).unwrap_or(detail.len())];
    put(&(detail.len() as u32 + 1).to_le_bytes());
    put(detail);
    put(&[0]);
    // Nobody to tell means nothing to do.
    let _told = rustix::net::send(link, &message[..length], SendFlags::NOSIGNAL);
}

/// Waits until somebody connects to the gate and says so. A connection that says nothing was a look at whether
/// this container still waits.
///
/// # Errors
/// accept4(2) failed.
pub fn wait_at_gate(gate: BorrowedFd<'_>) -> Result<OwnedFd> {
    loop {
        let connection =
            rustix::io::retry_on_intr(|| rustix::net::accept_with(gate, SocketFlags::CLOEXEC)).at(
                Step::Gate,
                c"accept4",
                b"",
            )?;
        if let Ok(word) = hear(connection.as_fd())?
            && word == ToInit::Start as u8
        {
            return Ok(connection);
        }
    }
}
