//! One connection to a bus, with a deadline for everything that is waited for.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::address::{self, Socket};
use super::wire::{self, Call, Message};
use crate::error::{Error, ErrorKind, Result};

/// How long the answer to one call may take. A bus under load answers in milliseconds; sd-bus waits for 25 s, and
/// runc for ever, which has hung whole nodes.
const CALL: Duration = Duration::from_secs(10);

/// How long a connection is used: the end of all waiting of one operation, the end of a job of systemd among it.
const OPERATION: Duration = Duration::from_secs(30);

/// "" as the identity: the bus takes the user that the kernel says is at the other end (SO_PEERCRED). A number
/// would have to be the one outside of our user namespace, which we may not know. Everything goes out in one write
/// together with the first calls: the answers come in order.
const HANDSHAKE: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

/// What a peer without a bus between listens on: systemd's own socket, for root when the bus is not up.
const PRIVATE: &str = "/run/systemd/private";

/// A call that was answered by an error.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Its name, `org.freedesktop.systemd1.UnitExists`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    /// What is behind it, for messages.
    name: String,
    /// A bus, and not systemd itself.
    is_bus: bool,
    end: Instant,
    serial: u32,
    output: Vec<u8>,
    input: Vec<u8>,
    authenticated: bool,
    signals: VecDeque<Message>,
}

impl Connection {
    /// Connects to the first bus of an address list that can be reached, or to systemd itself where `or_private`
    /// and there is none.
    ///
    /// # Errors
    /// Nobody is there, or nobody answers.
    pub(crate) fn open(addresses: &str, or_private: bool) -> Result<Self> {
        let mut sockets: Vec<_> =
            address::sockets(addresses).into_iter().map(|socket| (socket, true)).collect();
        if or_private {
            sockets.push((Socket::Path(PRIVATE.into()), false));
        }
        let end = Instant::now() + OPERATION;
        let mut first: Option<Error> = None;
        for (socket, is_bus) in sockets {
            let name = match &socket {
                Socket::Path(path) => path.clone(),
                Socket::Abstract(name) => format!("@{}", String::from_utf8_lossy(name)),
            };
            match connect(&socket) {
                Ok(socket) => return Self::new(socket, name, is_bus, end),
                Err(Errno::AGAIN) => return Err(silent(&name, CALL)),
                Err(errno) => {
                    first.get_or_insert_with(|| Error::os(format!("connect({name})"), errno));
                }
            }
        }
        Err(first.unwrap_or_else(|| {
            let text = format!("D-Bus address {addresses:?} has no unix socket");
            Error::new(ErrorKind::Unsupported, text)
        }))
    }

    fn new(socket: OwnedFd, name: String, is_bus: bool, end: Instant) -> Result<Self> {
        let mut connection = Self {
            socket,
            name,
            is_bus,
            end,
            serial: 0,
            output: HANDSHAKE.to_vec(),
            input: Vec::new(),
            authenticated: false,
            signals: VecDeque::new(),
        };
        if is_bus {
            // Its answer, our name, is of no use.
            connection.send(&bus_call("Hello", "", wire::Body::default()));
        } else {
            // systemd does not look at what came together with the handshake before more comes.
            let end = end.min(Instant::now() + CALL);
            connection.flush(end)?;
            while !connection.authenticate()? {
                connection.read(end, CALL)?;
            }
        }
        Ok(connection)
    }

    /// A bus, where services have names and signals have to be asked for.
    pub(crate) fn is_bus(&self) -> bool {
        self.is_bus
    }

    /// Asks for the signals that match a rule. A peer without a bus sends all.
    pub(crate) fn subscribe(&mut self, rule: &str) {
        if self.is_bus {
            let mut body = wire::Body::default();
            body.text(rule);
            self.send(&bus_call("AddMatch", "s", body));
        }
    }

    /// Puts a call behind those that go out with the next [`Connection::reply`]; returns its number.
    pub(crate) fn send(&mut self, call: &Call<'_>) -> u32 {
        self.serial += 1;
        self.output.extend(call.encode(self.serial));
        self.serial
    }

    /// Waits for the answer to the call of that number.
    ///
    /// # Errors
    /// The bus has gone or does not answer; an error as the answer is none of ours.
    pub(crate) fn reply(&mut self, serial: u32) -> Result<Result<Message, Refusal>> {
        let end = self.end.min(Instant::now() + CALL);
        self.flush(end)?;
        loop {
            let message = self.next(end, CALL)?;
            match message.kind {
                wire::METHOD_RETURN if message.reply_to == serial => return Ok(Ok(message)),
                wire::ERROR if message.reply_to == serial => {
                    let text = message.arguments("s").unwrap_or_default().concat();
                    return Ok(Err(Refusal { name: message.error, text }));
                }
                // Who only ever hears of something else does not get an answer either.
                _ if Instant::now() > end => return Err(silent(&self.name, CALL)),
                wire::SIGNAL => self.signals.push_back(message),
                _ => {}
            }
        }
    }

    /// The next signal that came or comes.
    ///
    /// # Errors
    /// The bus has gone, or the time of the operation is over.
    pub(crate) fn signal(&mut self) -> Result<Message> {
        loop {
            if Instant::now() > self.end {
                return Err(silent(&self.name, OPERATION));
            }
            if let Some(signal) = self.signals.pop_front() {
                return Ok(signal);
            }
            let message = self.next(self.end, OPERATION)?;
            if message.kind == wire::SIGNAL {
                self.signals.push_back(message);
            }
        }
    }

    fn flush(&mut self, end: Instant) -> Result<()> {
        let output = std::mem::take(&mut self.output);
        let mut rest = output.as_slice();
        while !rest.is_empty() {
            match rustix::net::send(&self.socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, end, CALL)?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::os(format!("send({})", self.name), errno)),
            }
        }
        Ok(())
    }

    fn next(&mut self, end: Instant, patience: Duration) -> Result<Message> {
        loop {
            if self.authenticate()? {
                match wire::decode(&self.input) {
                    Ok(Some((message, length))) => {
                        self.input.drain(..length);
                        return Ok(message);
                    }
                    Ok(None) => {}
                    Err(wire::Malformed) => return Err(self.broken("sent what is no message")),
                }
            }
            self.read(end, patience)?;
        }
    }

    /// Waits for more input.
    fn read(&mut self, end: Instant, patience: Duration) -> Result<()> {
        self.wait(PollFlags::IN, end, patience)?;
        let mut buffer = [0; 4096];
        // A signal ends the wait before there is anything: what blocks here would know no deadline.
        match rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok((0, _)) if self.authenticated => Err(self.broken("hung up")),
            Ok((0, _)) => Err(self.broken("refused this user")),
            Ok((count, _)) => {
                self.input.extend(buffer.iter().take(count));
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::os(format!("read({})", self.name), errno)),
        }
    }

    /// Takes the lines of the handshake off the input; whether all is said.
    fn authenticate(&mut self) -> Result<bool> {
        while !self.authenticated {
            let Some(length) = self.input.windows(2).position(|two| two == b"\r\n") else {
                return Ok(false);
            };
            let line: Vec<u8> = self.input.drain(..length + 2).collect();
            if line.starts_with(b"OK") {
                self.authenticated = true;
            } else if !line.starts_with(b"DATA") {
                return Err(self.broken("refused this user"));
            }
        }
        Ok(true)
    }

    fn broken(&self, what: &str) -> Error {
        Error::new(ErrorKind::Os, format!("D-Bus at {}: the bus {what}", self.name))
    }

    fn wait(&self, event: PollFlags, end: Instant, patience: Duration) -> Result<()> {
        let left = end.saturating_duration_since(Instant::now());
        let time =
            Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::from_borrowed_fd(self.socket.as_fd(), event)], Some(&time)) {
            Ok(0) => Err(silent(&self.name, patience)),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::os("poll(D-Bus)", errno)),
        }
    }
}

fn silent(name: &str, patience: Duration) -> Error {
    let text = format!(
        "no answer on D-Bus at {name} within {patience:?}: is the bus or systemd overloaded or stopped?"
    );
    Error::new(ErrorKind::Os, text)
}

fn bus_call<'a>(member: &'a str, signature: &'a str, body: wire::Body) -> Call<'a> {
    Call {
        destination: Some("org.freedesktop.DBus"),
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member,
        signature,
        body,
    }
}

/// A bus that accepts nobody lets connect(2) wait as soon as its queue is full: that too has an end.
fn connect(socket: &Socket) -> Result<OwnedFd, Errno> {
    let address = match socket {
        Socket::Path(path) => SocketAddrUnix::new(path.as_str())?,
        Socket::Abstract(name) => SocketAddrUnix::new_abstract_name(name)?,
    };
    let fd = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_timeout(&fd, Timeout::Send, Some(CALL))?;
    rustix::io::retry_on_intr(|| rustix::net::connect(&fd, &address))?;
    Ok(fd)
}
