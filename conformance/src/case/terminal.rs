//! Terminals that are handed to a console socket, and pidfds to a pidfd socket, to the letter of what containerd
//! and conmon accept: one message, one SCM_RIGHTS, one descriptor.

use std::io::{ErrorKind, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde_json::json;

use super::Case;
use crate::harness::{Lab, Result, Stop, ensure, ensure_eq};

const SOCKET: &str = "runc docs/terminals.md, detached new terminal";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "terminal/console-socket",
        "a terminal of process.consoleSize arrives at the console socket and is /dev/console",
        SOCKET,
        console_socket,
    ),
    Case::new(
        "terminal/needs-socket",
        "a terminal without somebody to give it to is refused, and a socket without a terminal",
        SOCKET,
        needs_socket,
    ),
    Case::new(
        "terminal/console-link",
        "/dev/console is never reached through a link of the image",
        "CVE-2025-52565",
        console_link,
    )
    .known("runc 1.1 follows the link inside the root"),
    Case::new(
        "terminal/pidfd-socket",
        "init's pidfd arrives at the pidfd socket",
        SOCKET,
        pidfd_socket,
    )
    .known("runc 1.1 has no --pidfd-socket"),
];

/// What one message carried.
pub(super) fn receive(stream: &UnixStream) -> Result<(String, OwnedFd)> {
    let mut bytes = [0_u8; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(rights) => descriptors.extend(rights),
            _ => return Err(Stop::Fail("another control message than SCM_RIGHTS".into())),
        }
    }
    ensure_eq!(descriptors.len(), 1, "descriptors in the message");
    ensure!(got.bytes > 0 && got.bytes < 4096, "{} bytes of data", got.bytes);
    // go-runc and conmon read one message: another would be lost, or be taken for the next one's.
    ensure_eq!(rustix::io::read(stream, &mut [0_u8; 1])?, 0, "bytes after the message");
    let name = bytes.get(..got.bytes).unwrap_or_default();
    let descriptor = descriptors.pop().ok_or_else(|| Stop::Fail("no descriptor".into()))?;
    Ok((String::from_utf8_lossy(name).into_owned(), descriptor))
}

/// All that is written to a terminal until its last user is gone, which reads as EIO.
pub(super) fn read_all(terminal: OwnedFd) -> Result<String> {
    let mut file = std::fs::File::from(terminal);
    let mut text = Vec::new();
    let mut buffer = [0_u8; 512];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => text.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

const LOOK: &str = "busybox tty; busybox stty size; test -c /dev/console && echo console; echo >/dev/console; \
                    busybox ls -l /proc/self/fd/0 >/dev/tty && echo controlling";

fn console_socket(lab: &Lab) -> Result {
    let container = lab.container(lab.bundle(|config| {
        config["process"]["terminal"] = true.into();
        config["process"]["consoleSize"] = json!({ "height": 33, "width": 101 });
        config["process"]["args"] = json!(["/bin/sh", "-c", LOOK]);
    })?);
    let path = lab.folder.join("console");
    let listener = UnixListener::bind(&path)?;
    let word = path.to_string_lossy().into_owned();
    let done = container.launch("create", &["--console-socket", &word]).run()?;
    container.adopt_if(done)?.ok()?;
    // The runtime has sent it before it said that the container is created.
    listener.set_nonblocking(true)?;
    let (stream, _) = listener.accept()?;
    let (name, terminal) = receive(&stream)?;
    ensure!(!name.is_empty(), "the terminal has a name");
    container.start()?.ok()?;
    let text = read_all(terminal)?;
    container.wait_ended()?;
    for expected in ["/dev/pts/0", "33 101", "console", "controlling"] {
        ensure!(text.contains(expected), "{expected:?} is missing in {text:?}");
    }
    ensure!(text.contains("console\r\n"), "the modes are the kernel's defaults: {text:?}");
    Ok(())
}

fn needs_socket(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| config["process"]["terminal"] = true.into())?;
    lab.container(bundle)
        .try_create()?
        .fails(1, "cannot allocate tty if runc will detach without setting console socket")?;
    let path = lab.folder.join("unused");
    let _listener = UnixListener::bind(&path)?;
    let word = path.to_string_lossy().into_owned();
    let container = lab.container(lab.bundle(|_| {})?);
    container
        .launch("create", &["--console-socket", &word])
        .run()?
        .fails(1, "cannot use console socket if runc will not detach or allocate tty")?;
    Ok(())
}

fn console_link(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        config["process"]["terminal"] = true.into();
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.retain(|mount| mount["destination"] != "/dev");
        }
    })?;
    let dev = bundle.rootfs().join("dev");
    std::fs::create_dir_all(&dev)?;
    std::fs::write(bundle.rootfs().join("target"), "untouched")?;
    std::os::unix::fs::symlink("/target", dev.join("console"))?;
    let path = lab.folder.join("console");
    let _listener = UnixListener::bind(&path)?;
    let word = path.to_string_lossy().into_owned();
    let container = lab.container(bundle);
    let done = container.launch("create", &["--console-socket", &word]).run()?;
    container.adopt_if(done)?.fails(1, "symbolic link")?;
    Ok(())
}

fn pidfd_socket(lab: &Lab) -> Result {
    let container = lab.container(lab.bundle(|_| {})?);
    let path = lab.folder.join("pidfd");
    let listener = UnixListener::bind(&path)?;
    let word = path.to_string_lossy().into_owned();
    let done = container.launch("create", &["--pidfd-socket", &word]).run()?;
    container.adopt_if(done)?.ok()?;
    listener.set_nonblocking(true)?;
    let (stream, _) = listener.accept()?;
    let (_, pidfd) = receive(&stream)?;
    let info = std::fs::read_to_string(format!(
        "/proc/self/fdinfo/{}",
        std::os::fd::AsRawFd::as_raw_fd(&pidfd)
    ))?;
    let expected = format!("Pid:\t{}", container.pid()?);
    ensure!(info.contains(&expected), "{expected:?} is missing in {info:?}");
    Ok(())
}
