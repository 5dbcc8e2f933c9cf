//! `state` and `list`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::error::Result;
use crate::id::ContainerId;
use crate::store::record::Record;
use crate::store::status::{self, Status};
use crate::store::{Entry, Store};

/// The state of a container: runtime.md's fields, and runc's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct State {
    /// The version of the specification that config.json follows.
    #[serde(rename = "ociVersion")]
    pub oci_version: String,
    /// The id.
    pub id: String,
    /// Init's pid in the runtime's pid namespace; 0 when it has ended.
    pub pid: i32,
    /// The status.
    pub status: Status,
    /// The bundle.
    pub bundle: PathBuf,
    /// root.path, absolute.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339.
    pub created: String,
    /// annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The user that made it.
    pub owner: String,
}

/// The state of one container.
///
/// # Errors
/// No such container.
pub(crate) fn state(store: &Store, id: &ContainerId) -> Result<State> {
    let (entry, record) = store.peek(id)?;
    of(&entry, record)
}

fn of(entry: &Entry, record: Option<Record>) -> Result<State> {
    let (status, pidfd) = status::of(entry, record.as_ref())?;
    let id = entry.id().as_str().to_owned();
    let Some(record) = record else {
        return Ok(State {
            oci_version: String::new(),
            id,
            pid: 0,
            status,
            bundle: PathBuf::new(),
            rootfs: PathBuf::new(),
            created: String::new(),
            annotations: BTreeMap::new(),
            owner: String::new(),
        });
    };
    let pid = record.init.filter(|_| pidfd.is_some()).map_or(0, |init| init.pid);
    Ok(State {
        oci_version: record.oci_version,
        id,
        pid,
        status,
        bundle: record.bundle,
        rootfs: record.rootfs,
        created: record.created,
        annotations: record.annotations,
        owner: owner(record.owner),
    })
}

/// The name of a user by /etc/passwd, else the number. Not by getpwuid(3): a static program would need the
/// host's shared libraries for it.
fn owner(uid: u32) -> String {
    if uid == 0 {
        return "root".into();
    }
    let number = uid.to_string();
    std::fs::read_to_string("/etc/passwd")
        .ok()
        .and_then(|passwd| {
            passwd.lines().find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                (fields.nth(1)? == number).then(|| name.to_owned())
            })
        })
        .unwrap_or(number)
}

/// The states of all containers, and what is wrong with those that have none.
///
/// # Errors
/// The state root cannot be read.
pub(crate) fn list(store: &Store) -> Result<(Vec<State>, Vec<String>)> {
    let mut states = Vec::new();
    let mut warnings = Vec::new();
    for id in store.ids()? {
        match state(store, &id) {
            Ok(state) => states.push(state),
            // It went away between the listing and the look.
            Err(error) if error.kind() == crate::error::ErrorKind::NotFound => (),
            Err(error) => warnings.push(format!("container {id}: {error}")),
        }
    }
    Ok((states, warnings))
}
