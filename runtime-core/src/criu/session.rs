//! One request to criu: a process of its own at the other end of a socket (`criu swrk`).

use std::ffi::CString;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use prost::Message as _;
use rustix::event::{PollFd, PollFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendFlags, SocketFlags, SocketType,
};

use super::message::{Kind, Request, Response};
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::operation::child::{self, Exit};
use crate::sys::exec;

/// An answer is a few hundred bytes.
const LONGEST: usize = 64 << 10;

/// Where criu is in its work.
#[derive(Debug)]
pub(crate) struct Notice {
    /// The name of the script that it would call.
    pub script: String,
    /// The first process of the container.
    pub pid: i32,
    /// For `orphan-pts-master`: the master of a terminal.
    pub fd: Option<OwnedFd>,
}

/// A criu that waits for its request.
#[derive(Debug)]
pub(crate) struct Session {
    socket: OwnedFd,
    pidfd: OwnedFd,
}

impl Session {
    /// Starts it in the namespaces of the calling thread. It gets `keep` under the numbers that they have here,
    /// and of the environment only where programs are: the container has no say in either.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) fn start(program: &Path, stdio: [BorrowedFd<'_>; 3], keep: &[i32]) -> Result<Self> {
        // criu finds the directories that requests name by number in /proc/PID/fd of whoever made the socket.
        let (socket, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .call(|| "socketpair(criu)")?;
        // Out of the way of what become its standard streams.
        let theirs = theirs.try_clone().call(|| "dup(criu)")?;
        let path = text(program.as_os_str().as_bytes())?;
        let number = text(theirs.as_raw_fd().to_string().as_bytes())?;
        let search = text(&[b"PATH=", search_path()?.as_bytes()].concat())?;
        let pidfd = exec::start(&exec::Program {
            path: &path,
            argv: &[path.clone(), c"swrk".into(), number],
            envp: &[search],
            stdio,
            cwd: c"/",
            keep: &[keep, &[theirs.as_raw_fd()]].concat(),
        })
        .map_err(|error| error.context(program.display()))?;
        Ok(Self { socket, pidfd })
    }

    /// Its pid in the caller's pid namespace.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn pid(&self) -> Result<i32> {
        child::pid_of(&self.pidfd)
    }

    /// Asks it, serves its notices until it has answered, and waits for its end.
    ///
    /// # Errors
    /// It refused or failed; or `serve` failed, upon which it has taken back what it had done.
    pub(crate) fn ask(
        self,
        request: &Request,
        mut serve: impl FnMut(Notice) -> Result<()>,
    ) -> Result<Response> {
        self.send(request)?;
        let mut refused = None;
        let answer = loop {
            let Some((response, fd)) = self.receive()? else { break Err(self.died()?) };
            let Some(notify) =
                response.notify.clone().filter(|_| response.kind == Kind::Notify as i32)
            else {
                break if response.success { Ok(response) } else { Err(failure(&response)) };
            };
            let script = notify.script.unwrap_or_default();
            let done = serve(Notice { script, pid: notify.pid.unwrap_or(0), fd });
            self.send(&Request {
                kind: Kind::Notify as i32,
                notify_success: Some(done.is_ok()),
                ..Request::default()
            })?;
            refused = refused.or(done.err());
        };
        // It ends by itself when nobody asks any more.
        if answer.is_ok() {
            rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both)
                .call(|| "shutdown(criu)")?;
            child::reap(&self.pidfd)?;
        }
        match refused {
            Some(error) => Err(error),
            None => answer,
        }
    }

    /// It is gone: how.
    fn died(&self) -> Result<Error> {
        let how = match child::reap(&self.pidfd)? {
            Some(Exit::Code(code)) => format!("it ended without an answer, with status {code}"),
            Some(Exit::Signal(signal)) => format!("it was killed by signal {signal}"),
            None => "it ended without an answer".to_owned(),
        };
        Ok(Error::new(ErrorKind::Os, format!("{}: {how}", super::FAILED)))
    }

    fn send(&self, request: &Request) -> Result<()> {
        let bytes = request.encode_to_vec();
        let mut nothing = SendAncillaryBuffer::default();
        rustix::net::sendmsg(
            &self.socket,
            &[IoSlice::new(&bytes)],
            &mut nothing,
            SendFlags::NOSIGNAL,
        )
        .map(drop)
        .or_else(|error| match error {
            // One that ended before it was asked has a status that says more.
            rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET => Err(self.died()?),
            other => Err(other).call(|| format!("{}: sendmsg", super::FAILED)),
        })
    }

    /// The next message; none when criu has ended. Its end of the socket may live on, in a process that it has made.
    fn receive(&self) -> Result<Option<(Response, Option<OwnedFd>)>> {
        let mut ready =
            [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.pidfd, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut ready, None))
            .call(|| "poll(criu)")?;
        if ready[0].revents().is_empty() {
            return Ok(None);
        }
        let mut bytes = vec![0_u8; LONGEST];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        });
        let length = match received {
            Err(rustix::io::Errno::CONNRESET) => 0,
            other => other.call(|| "recvmsg(criu)")?.bytes,
        };
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        if length == 0 {
            return Ok(None);
        }
        let message = bytes.get(..length).unwrap_or_default();
        let response = Response::decode(message).map_err(|error| {
            Error::new(
                ErrorKind::Os,
                format!("{}: its answer cannot be read: {error}", super::FAILED),
            )
        })?;
        Ok(Some((response, fd)))
    }
}

impl Drop for Session {
    /// A criu that nobody listens to is of no use, and nobody else waits for it.
    fn drop(&mut self) {
        if let Err(error) = child::end(&self.pidfd) {
            tracing::debug!(%error, "criu could not be ended");
        }
    }
}

/// Where criu looks for the programs that it calls, iptables-restore(8) and the like, which are not where every
/// user's are. Only absolute directories: it works in that of the images, which may hold anything.
fn search_path() -> Result<std::ffi::OsString> {
    const DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let given = std::env::var_os("PATH").unwrap_or_default();
    let given: Vec<PathBuf> = std::env::split_paths(&given).collect();
    let all = given.into_iter().chain(std::env::split_paths(DEFAULT));
    std::env::join_paths(all.filter(|directory| directory.is_absolute())).map_err(|_| {
        Error::new(ErrorKind::InvalidArgument, "a directory of $PATH has a colon in its name")
    })
}

fn text(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::new(ErrorKind::InvalidArgument, "contains a NUL byte"))
}

fn failure(response: &Response) -> Error {
    let mut text = super::FAILED.to_owned();
    if let Some(errno) = response.cr_errno.filter(|errno| *errno != 0) {
        let errno = std::io::Error::from_raw_os_error(errno);
        text.push_str(&format!(" ({errno})"));
    }
    if let Some(said) = response.cr_errmsg.as_deref().map(str::trim).filter(|said| !said.is_empty())
    {
        text.push_str(&format!(": {}", said.replace('\n', "; ")));
    }
    Error::new(ErrorKind::Os, text)
}
