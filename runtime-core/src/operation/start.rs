//! `start`: opens the gate and waits until init is the workload.

use teu_wire::ToInit;

use super::{serve, state_json};
use crate::error::{Error, ErrorKind, Result};
use crate::hook;
use crate::id::ContainerId;
use crate::store::record::Record;
use crate::store::status::{self, Status};
use crate::store::{Store, gate};

/// Starts a created container.
///
/// # Errors
/// It is not in status created; a hook failed; or execve was refused, which other runtimes cannot tell.
pub(crate) fn start(store: &Store, id: &ContainerId) -> Result<()> {
    let (entry, record) = store.lock(id)?;
    let (status, _) = status::of(&entry, record.as_ref())?;
    let refused = |text: &str| Err(Error::new(ErrorKind::WrongState, text));
    let (Some(record), Status::Created) = (record, status) else {
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
    link.send(ToInit::Start)?;
    if let Err(mut error) = serve::until_started(&link, &record, id, pid) {
        // Init may have gone on: a container whose start has failed does not run.
        if let Err(failure) = super::kill::end(&record) {
            error.attach(failure);
        }
        return Err(error);
    }
    gate::remove(&entry)?;
    poststart(&record, id, pid)
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
    hook::run("poststart", &record.poststart, &format!("{head}{pid}{tail}"), &record.bundle)
        .map_err(|mut error| {
            if let Err(failure) = super::kill::end(record) {
                error.attach(failure);
            }
            error
        })
}
