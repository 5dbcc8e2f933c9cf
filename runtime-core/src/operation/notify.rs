//! How a workload tells that it is ready (sd_notify(3)): a socket in a directory of the container's own in the
//! state root, which is all of the state root that the container sees.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use oci_spec::runtime::{Mount, Spec};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::id::ContainerId;
use crate::store::{Entry, Store};

/// The directory's name in the container's own.
pub(crate) const DIRECTORY: &str = "notify";
/// Where the container has it, as in runc.
const INSIDE: &str = "/run/notify";
const SOCKET: &str = "notify.sock";

/// Adds the mount and the variable to the configuration.
///
/// # Errors
/// The state root is a relative path, and the working directory has gone.
pub(crate) fn configure(spec: &mut Spec, store: &Store, id: &ContainerId) -> Result<()> {
    let directory = store.root().join(id.as_str()).join(DIRECTORY);
    let directory = std::path::absolute(&directory)
        .call(|| format!("finding the state root {}", store.root().display()))?;
    let mut mount = Mount::default();
    let options = ["bind", "nosuid", "noexec", "nodev", "ro"];
    mount
        .set_destination(INSIDE.into())
        .set_typ(Some("bind".into()))
        .set_source(Some(directory))
        .set_options(Some(options.map(str::to_owned).into()));
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.push(mount);
    spec.set_mounts(Some(mounts));
    if let Some(mut process) = spec.process().clone() {
        let mut env = process.env().clone().unwrap_or_default();
        env.push(format!("NOTIFY_SOCKET={INSIDE}/{SOCKET}"));
        process.set_env(Some(env));
        spec.set_process(Some(process));
    }
    Ok(())
}

/// Makes the directory, if it is `wanted`, which users of the container may look into; and the socket in it, if
/// the workload is to run `at_once`.
///
/// # Errors
/// A call failed.
pub(crate) fn prepare(entry: &Entry, wanted: bool, at_once: bool) -> Result<Option<OwnedFd>> {
    if !wanted {
        return Ok(None);
    }
    let what = || format!("mkdir({}/{DIRECTORY})", entry.path().display());
    rustix::fs::mkdirat(entry, DIRECTORY, Mode::RWXU).call(what)?;
    // The caller's umask is not the container's business.
    let mode = Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
    rustix::fs::fchmod(open(entry).call(what)?, mode).call(what)?;
    if at_once { listen(entry) } else { Ok(None) }
}

fn open(entry: &Entry) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(entry, DIRECTORY, flags, Mode::empty())
}

/// Makes the socket, before the workload runs; none when the container was made without the directory. A socket
/// of a `start` that was killed goes: whoever calls this holds the container's lock.
///
/// # Errors
/// A call failed.
pub(crate) fn listen(entry: &Entry) -> Result<Option<OwnedFd>> {
    let what = |call: &str| format!("{call}({}/{DIRECTORY}/{SOCKET})", entry.path().display());
    let directory = match open(entry) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.call(|| what("open"))?,
    };
    match rustix::fs::unlinkat(&directory, SOCKET, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno).call(|| what("unlink")),
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .call(|| "socket(notify)")?;
    // Short, whatever the length of the state root.
    let address = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    SocketAddrUnix::new(address)
        .and_then(|address| rustix::net::bind(&socket, &address))
        .call(|| what("bind"))?;
    open_to_all(&directory).call(|| what("chmod"))?.then_some(Some(socket)).ok_or_else(|| {
        Error::new(
            ErrorKind::SafetyViolation,
            format!("{}: not the socket just made", what("open")),
        )
    })
}

/// Every user of the container may write to the socket, whatever the caller's umask. By descriptor: a hook may
/// have let somebody into the directory. False when something else is there.
fn open_to_all(directory: &OwnedFd) -> Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory.as_fd(), SOCKET, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::Socket {
        return Ok(false);
    }
    let mode = Mode::RWXU | Mode::RWXG | Mode::RWXO;
    rustix::fs::chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), mode)?;
    Ok(true)
}
