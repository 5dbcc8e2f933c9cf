//! What passes between a caller and a process that is made for it: descriptors, streams, the terminal, the pid
//! file.

use std::io::{IoSliceMut, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
};

use super::{Console, Stdio, connect_stream, send_descriptor};
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::undo::Undo;

/// A descriptor that is not there would be taken by one of the runtime's own. What passes is few enough to be
/// added up.
pub(crate) fn check_preserved(listening: u32, others: u32) -> Result<()> {
    let count = listening.saturating_add(others);
    for number in (3..).take(count as usize) {
        if std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "unable to preserve descriptor {number}: it is not open (--preserve-fds and LISTEN_FDS ask for {count})"
                ),
            ));
        }
    }
    Ok(())
}

/// The standard streams for the process; none where it has the caller's.
pub(crate) fn stdio(stdio: &Stdio) -> Result<Option<[OwnedFd; 3]>> {
    let copy = |fd: &OwnedFd| fd.try_clone().call(|| "dup(stdio)");
    match stdio {
        Stdio::Inherit => Ok(None),
        Stdio::Descriptors([input, output, error]) => {
            Ok(Some([copy(input)?, copy(output)?, copy(error)?]))
        }
        Stdio::Null => {
            let null: OwnedFd = std::fs::File::options()
                .read(true)
                .write(true)
                .open("/dev/null")
                .call(|| "open(/dev/null)")?
                .into();
            Ok(Some([copy(&null)?, copy(&null)?, null]))
        }
    }
}

/// Those of the standard streams that are pipes, as /proc/PID/fd names them (`pipe:[4026]`); an empty name for one
/// that is something else, or closed.
pub(crate) fn pipes(stdio: &Stdio) -> Vec<String> {
    let streams = match stdio {
        Stdio::Inherit => {
            [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()]
        }
        Stdio::Descriptors(given) => given.each_ref().map(AsFd::as_fd),
        Stdio::Null => return Vec::new(),
    };
    let name = |stream: BorrowedFd<'_>| match rustix::fs::fstat(stream) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo => {
            format!("pipe:[{}]", stat.st_ino)
        }
        _ => String::new(),
    };
    let names = streams.map(name);
    if names.iter().all(String::is_empty) { Vec::new() } else { names.into() }
}

/// The socket that the master of a terminal is sent over.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// Init's end.
    socket: OwnedFd,
    /// The caller's, where the master comes back to it.
    ours: Option<OwnedFd>,
}

impl Terminal {
    /// Who has a terminal has somebody to give it to; none without a terminal.
    ///
    /// # Errors
    /// Nobody is there to take it, or the other way round, in runc's words; connect(2) failed.
    pub(crate) fn open(
        wanted: bool,
        console: Option<&Console>,
        detached: bool,
    ) -> Result<Option<Self>> {
        let error = |text: &str| Err(Error::new(ErrorKind::InvalidArgument, text));
        match (wanted, console) {
            (true, None) if detached => {
                error("cannot allocate tty if runc will detach without setting console socket")
            }
            (true, None) => error("process.terminal: nobody was named to take the terminal"),
            (true, Some(Console::Socket(path))) if detached => {
                Ok(Some(Self { socket: connect_stream(path)?, ours: None }))
            }
            (_, Some(Console::Socket(_))) => {
                error("cannot use console socket if runc will not detach or allocate tty")
            }
            (true, Some(Console::Returned(_))) => {
                let (ours, socket) = rustix::net::socketpair(
                    AddressFamily::UNIX,
                    SocketType::STREAM,
                    SocketFlags::CLOEXEC,
                    None,
                )
                .call(|| "socketpair(terminal)")?;
                Ok(Some(Self { socket, ours: Some(ours) }))
            }
            (false, None | Some(Console::Returned(_))) => Ok(None),
        }
    }

    /// Sends the master of a terminal that somebody else has opened.
    ///
    /// # Errors
    /// Nobody is there any more.
    pub(crate) fn send(&self, name: &[u8], master: &OwnedFd) -> Result<()> {
        send_descriptor(&self.socket, name, master.as_fd())
    }

    /// The master, once init has said that it is ready: it has been sent by then.
    ///
    /// # Errors
    /// recvmsg(2) failed.
    pub(crate) fn master(&self) -> Result<Option<OwnedFd>> {
        let Some(ours) = &self.ours else { return Ok(None) };
        let mut name = [0_u8; 64];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(
                ours,
                &mut [IoSliceMut::new(&mut name)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
            )
        })
        .call(|| "recvmsg(terminal)")?;
        let master = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        master
            .map(Some)
            .ok_or_else(|| Error::new(ErrorKind::Os, "the master of the terminal did not come"))
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Tells those who wait for it of a process whose success is certain: first the pidfd, last the pid file, which
/// `undo` takes back.
pub(crate) fn announce(
    (pid, pidfd): (i32, &OwnedFd),
    pidfd_socket: Option<&Path>,
    pid_file: Option<&PathBuf>,
    undo: &mut Undo<'_>,
) -> Result<()> {
    if let Some(path) = pidfd_socket {
        let socket = connect_stream(path)?;
        send_descriptor(&socket, b"pidfd", pidfd.as_fd())?;
    }
    if let Some(path) = pid_file.cloned() {
        write_pid_file(&path, pid)?;
        undo.push(move || match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).call(|| format!("unlink({})", path.display()))
            }
            _ => Ok(()),
        });
    }
    Ok(())
}

/// Appears whole or not at all: callers read it the moment it is there.
fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.teu"));
    // A new file, and nothing that somebody has put there: the directory may be one of many users, and a link in it
    // lead to a file of the caller's. What is there is left of a call that was killed.
    drop(std::fs::remove_file(&temporary));
    let written = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .and_then(|mut file| file.write_all(pid.to_string().as_bytes()))
        .call(|| format!("write({})", temporary.display()))
        .and_then(|()| {
            std::fs::rename(&temporary, path).call(|| format!("rename({})", path.display()))
        });
    if written.is_err() {
        drop(std::fs::remove_file(&temporary));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_follows_no_link_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("other"), "untouched").unwrap();
        for name in [".pid.teu", "pid"] {
            std::os::unix::fs::symlink(at("other"), at(name)).unwrap();
        }
        write_pid_file(&at("pid"), 7).unwrap();
        assert_eq!(std::fs::read_to_string(at("other")).unwrap(), "untouched");
        assert_eq!(std::fs::read_to_string(at("pid")).unwrap(), "7");
        assert!(at("pid").symlink_metadata().unwrap().is_file());
        std::fs::create_dir(at("taken")).unwrap();
        write_pid_file(&at("taken"), 7).unwrap_err();
        assert!(!at(".taken.teu").exists());
    }
}
