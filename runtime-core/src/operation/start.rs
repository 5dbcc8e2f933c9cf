//! `start`: opens the gate and waits until init is the workload.

use std::os::fd::OwnedFd;

use teu_wire::ToInit;

use super::{notify, serve, state_json};
use crate::error::{Error, ErrorKind, Result};
use crate::hook;
use crate::id::ContainerId;
use crate::store::record::Record;
use crate::store::status::{self, Status};
use crate::store::{Store, gate};

/// A started container that will tell when it is ready.
#[derive(Debug)]
pub struct Notified {
    /// Init's pid in the caller's pid namespace.
    pub pid: i32,
    /// Init's descriptor: readable when it has ended.
    pub pidfd: OwnedFd,
    /// A datagram socket with the words of the container (sd_notify(3)), which nobody has vouched for.
    pub socket: OwnedFd,
}

/// Starts a created container; where `notified`, what it needs to be heard, if it was made for that.
///
/// # Errors
/// It is not in status created; a hook failed; or execve was refused, which other runtimes cannot tell.
pub(crate) fn start(store: &Store, id: &ContainerId, notified: bool) -> Result<Option<Notified>> {
    let (entry, record) = store.lock(id)?;
    let (status, pidfd) = status::of(&entry, record.as_ref())?;
    let refused = |text: &str| Err(Error::new(ErrorKind::WrongState, text));
    let (Some(record), Some(pidfd), Status::Created) = (record, pidfd, status) else {
        return match status {
            Status::Creating => refused("cannot start a container that is still being created"),
            Status::Stopped => refused("cannot start a container that has stopped"),
            Status::Paused => refused("cannot start a paused container"),
            Status::Created | Status::Running => {
                refused("cannot start an already running container")
            }
        };
    };
    let pid = record.init.map_or(0, |init| init.pid);
    let Some(link) = gate::connect(&entry)? else {
        return refused("cannot start an already running container");
    };
    // Before the workload runs, which must find it.
    let socket = if notified { notify::listen(&entry)? } else { None };
    link.send(ToInit::Start)?;
    if let Err(mut error) = serve::until_started(&link, &record, id, pid) {
        // Init may have gone on: a container whose start has failed does not run.
        if let Err(failure) = super::kill::end(&record) {
            error.attach(failure);
        }
        return Err(error);
    }
    gate::remove(&entry)?;
    poststart(&record, id, pid)?;
    Ok(socket.map(|socket| Notified { pid, pidfd, socket }))
}

/// hooks.poststart: a failure ends the container (runtime.md, "Lifecycle" 9).
pub(crate) fn poststart(record: &Record, id: &ContainerId, pid: i32) -> Result<()> {
    if record.poststart.is_empty() {
        return Ok(());
    }
    let (head, tail) = state_json(
        &record.oci_version,
        id.as_str(),
        &record.bundle,
        &record.annotations,
        "running",
    );
    hook::run("poststart", &record.poststart, &format!("{head}{pid}{tail}"), &record.bundle, None)
        .map_err(|mut error| {
            if let Err(failure) = super::kill::end(record) {
                error.attach(failure);
            }
            error
        })
}
