//! `delete`: idempotent, and content with whatever a killed `create` has left: every step succeeds when its
//! object is gone already.

use super::{DeleteOptions, kill, state_json};
use crate::cgroup::rdt::RdtRecord;
use crate::error::{Error, ErrorKind, Result};
use crate::hook;
use crate::id::ContainerId;
use crate::store::Store;
use crate::store::record::{Process, Record};
use crate::store::status::{self, Status};

/// Removes a container; returns what poststop hooks failed with.
///
/// With `only`, a container of another init is left alone: somebody has deleted the one that is meant, and made
/// another of its name.
///
/// # Errors
/// No such container (with `force` that is fine), it runs (without `force`), or the kernel keeps something.
pub(crate) fn delete(
    store: &Store,
    id: &ContainerId,
    options: DeleteOptions,
    only: Option<Process>,
) -> Result<Vec<String>> {
    let (entry, record) = match store.lock(id) {
        Err(error) if options.force && error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if options.force && error.to_string().starts_with("record ") => {
            return remove_unreadable(store, id, error);
        }
        other => other?,
    };
    if only.is_some() && record.as_ref().and_then(|record| record.init) != only {
        return Ok(Vec::new());
    }
    let Some(record) = record else {
        // Its creator died before it wrote down what it was about to make: so it had made nothing.
        return entry.remove().map(|()| Vec::new());
    };
    let (status, _) = status::of(&entry, Some(&record))?;
    // runc's callers delete what was created and never started; only what runs needs force.
    if !options.force && !matches!(status, Status::Created | Status::Stopped) {
        return Err(Error::new(
            ErrorKind::WrongState,
            format!("cannot delete container {id} that is not stopped: {status}"),
        ));
    }
    kill::end(&record)?;
    record.cgroup.destroy()?;
    record.rdt.as_ref().map_or(Ok(()), RdtRecord::destroy)?;
    // They run once: without a record nobody will find them again. And for a container whose creator died as well,
    // since a hook of create may have made something by then.
    let warnings = poststop(&record, id);
    entry.remove()?;
    Ok(warnings)
}

/// Runs the poststop hooks of a container that is gone, and returns what they failed with.
pub(crate) fn poststop(record: &Record, id: &ContainerId) -> Vec<String> {
    if record.poststop.is_empty() {
        return Vec::new();
    }
    let (head, tail) = state_json(
        &record.oci_version,
        id.as_str(),
        &record.bundle,
        &record.annotations,
        "stopped",
    );
    hook::run_all("poststop", &record.poststop, &format!("{head}0{tail}"), &record.bundle)
}

/// A record that nobody can read names nothing that could be given back, only its own directory.
fn remove_unreadable(store: &Store, id: &ContainerId, error: Error) -> Result<Vec<String>> {
    let path = store.root().join(id.as_str());
    std::fs::remove_dir_all(&path).map_err(|_| error)?;
    Ok(vec![format!("{}: its record could not be read: cgroups may be left", path.display())])
}
