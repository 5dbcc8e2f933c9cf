//! The gate: a listening packet socket in the container's directory, held by init until it is started.
//!
//! `start` connects and says so; init then reports a failure on that connection or closes it with execve, so
//! `start` knows whether the workload runs. A connection that says nothing is a probe: whoever listens is a
//! created container, and once init has become the workload nobody does.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::Entry;
use crate::error::{OsResult, Result};
use crate::link::Link;

/// The socket's name.
pub(crate) const FILE: &str = "gate";

/// An address that fits sockaddr_un whatever the length of the state root.
fn address(entry: &Entry) -> Result<SocketAddrUnix> {
    let path = format!("/proc/self/fd/{}/{FILE}", entry.as_fd().as_raw_fd());
    SocketAddrUnix::new(path).call(|| "the gate's address")
}

fn socket(flags: SocketFlags) -> Result<OwnedFd> {
    rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags | SocketFlags::CLOEXEC,
        None,
    )
    .call(|| "socket(gate)")
}

/// Makes the gate; the socket is for init.
pub(crate) fn make(entry: &Entry) -> Result<OwnedFd> {
    let socket = socket(SocketFlags::empty())?;
    rustix::net::bind(&socket, &address(entry)?)
        .call(|| format!("bind({}/{FILE})", entry.path().display()))?;
    rustix::net::listen(&socket, 16).call(|| "listen(gate)")?;
    Ok(socket)
}

/// Connects; none when nobody listens any more.
pub(crate) fn connect(entry: &Entry) -> Result<Option<Link>> {
    let socket = socket(SocketFlags::empty())?;
    match rustix::io::retry_on_intr(|| {
        rustix::net::connect(&socket, &address(entry).map_err(|_| Errno::INVAL)?)
    }) {
        Ok(()) => Ok(Some(Link::new(socket))),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
        Err(errno) => Err(errno).call(|| format!("connect({}/{FILE})", entry.path().display())),
    }
}

/// Whether init still waits.
pub(crate) fn is_closed(entry: &Entry) -> Result<bool> {
    // One call where the container was started: the name is gone then.
    if rustix::fs::accessat(entry, FILE, rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty())
        .is_err()
    {
        return Ok(false);
    }
    let socket = socket(SocketFlags::NONBLOCK)?;
    match rustix::net::connect(&socket, &address(entry)?) {
        // A full queue belongs to a listener.
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(false),
        Err(errno) => Err(errno).call(|| format!("connect({}/{FILE})", entry.path().display())),
    }
}

/// Removes the name once the container is started.
pub(crate) fn remove(entry: &Entry) -> Result<()> {
    match rustix::fs::unlinkat(entry, FILE, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno).call(|| format!("unlink({}/{FILE})", entry.path().display())),
    }
}
