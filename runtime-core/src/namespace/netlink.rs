//! rtnetlink(7): one request, and all that is answered.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;

use crate::error::{OsResult, Result};

/// What is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// That it is done, with what was asked for.
    Nothing,
    /// The same, for what may be new.
    Created,
    /// A list.
    Everything,
}

/// A socket in the network namespace that it was opened in.
pub(super) struct Netlink(Socket);

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Netlink")
    }
}

impl Netlink {
    /// Opens it where the calling thread is.
    ///
    /// # Errors
    /// socket(2) failed.
    pub(super) fn open() -> Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE).call(|| "socket(NETLINK_ROUTE)")?;
        socket.bind_auto().call(|| "bind(NETLINK_ROUTE)")?;
        socket.connect(&SocketAddr::new(0, 0)).call(|| "connect(NETLINK_ROUTE)")?;
        Ok(Self(socket))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The kernel's, or that of a call.
    pub(super) fn ask(
        &self,
        message: RouteNetlinkMessage,
        reply: Reply,
    ) -> Result<Vec<RouteNetlinkMessage>, Errno> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST
            | match reply {
                Reply::Nothing => NLM_F_ACK,
                Reply::Created => NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
                Reply::Everything => NLM_F_DUMP,
            };
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.0.send(&bytes, 0).map_err(errno)?;
        let mut answers = Vec::new();
        loop {
            let (bytes, _) = self.0.recv_from_full().map_err(errno)?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let packet = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|_| Errno::BADMSG)?;
                // Messages stand at multiples of four.
                let length = (packet.header.length as usize).max(1).next_multiple_of(4);
                rest = rest.get(length..).unwrap_or_default();
                match packet.payload {
                    NetlinkPayload::InnerMessage(message) => answers.push(message),
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) => {
                        return match error.code {
                            None => Ok(answers),
                            Some(code) => Err(Errno::from_raw_os_error(code.get().abs())),
                        };
                    }
                    _ => {}
                }
            }
        }
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
