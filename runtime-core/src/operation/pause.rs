//! `pause`, `resume` and `ps`: what is asked of a container's cgroup while it runs.

use super::member;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ContainerId;
use crate::store::Store;
use crate::store::record::Record;
use crate::store::status::{self, Status};

/// Freezes a container.
///
/// # Errors
/// No such container, it does not run, or it cannot be frozen: then it goes on.
pub(crate) fn pause(store: &Store, id: &ContainerId) -> Result<()> {
    // Locked, so that what two callers want comes one after the other.
    let (entry, record) = store.lock(id)?;
    match (status::of(&entry, record.as_ref())?.0, record) {
        (Status::Running | Status::Created, Some(record)) => record.cgroup.freeze(),
        (status, _) => Err(wrong(format!("container not running or created: {status}"))),
    }
}

/// Lets a paused container go on.
///
/// # Errors
/// No such container, or it is not paused.
pub(crate) fn resume(store: &Store, id: &ContainerId) -> Result<()> {
    let (entry, record) = store.lock(id)?;
    match (status::of(&entry, record.as_ref())?.0, record) {
        (Status::Paused, Some(record)) => record.cgroup.thaw(),
        (status, _) => Err(wrong(format!("container not paused: {status}"))),
    }
}

/// The ids of a container's processes in the caller's pid namespace, in ascending order.
///
/// # Errors
/// No such container, or its cgroup cannot be read.
pub(crate) fn processes(store: &Store, id: &ContainerId) -> Result<Vec<i32>> {
    let (_, record) = store.peek(id)?;
    let record: Record =
        record.ok_or_else(|| wrong("container not running: it is still being created".into()))?;
    member::all(&record)
}

fn wrong(text: String) -> Error {
    Error::new(ErrorKind::WrongState, text)
}
