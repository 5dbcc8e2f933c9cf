//! criu(8), which writes the processes of a container to files and makes them again from there.
//!
//! Owns the conversation with it (`criu swrk`, one request a process, in its protocol of remote procedure calls)
//! and what is read from its log. What a container asks of it is put together in `operation/checkpoint.rs` and
//! `operation/restore.rs`.

pub(crate) mod images;
pub(crate) mod message;
mod session;

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::host::Host;

pub(crate) use session::{Notice, Session};

/// Where checkpoint says to restore what the first process had as standard streams.
pub(crate) const DESCRIPTORS: &str = "descriptors.json";

/// How an error of criu itself begins.
const FAILED: &str = "criu failed";

/// What `checkpoint` and `restore` tell criu alike.
#[derive(Clone, Debug, Default)]
// Each is a flag of criu's, and none of them decides what another means.
#[allow(clippy::struct_excessive_bools)]
pub struct CriuOptions {
    /// The directory of the image files; `checkpoint` makes it.
    pub images: PathBuf,
    /// Where criu keeps its log and its temporary files; the images' directory without one.
    pub work: Option<PathBuf>,
    /// criu's program, where it is not the `criu` of $PATH.
    pub program: Option<PathBuf>,
    /// Established TCP connections as well.
    pub tcp_established: bool,
    /// Unix sockets whose other end is outside of the container.
    pub external_unix_sockets: bool,
    /// A terminal that is not the container's.
    pub shell_job: bool,
    /// File locks.
    pub file_locks: bool,
    /// Leave memory where it is until it is asked for (userfaultfd(2)).
    pub lazy_pages: bool,
    /// A network namespace as it is made, without addresses and routes.
    pub empty_network: bool,
    /// Drop pages that a later image has as well.
    pub auto_dedup: bool,
    /// What is done about cgroups.
    pub cgroups: CgroupsMode,
}

/// `--manage-cgroups-mode` (criu(8)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupsMode {
    /// Restore the limits of cgroups that criu makes itself.
    #[default]
    Soft,
    /// Restore all limits.
    Full,
    /// All cgroups have to be new.
    Strict,
    /// Leave cgroups alone.
    Ignore,
}

impl CgroupsMode {
    /// Its number in the protocol.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Ignore => 0,
            Self::Soft => 3,
            Self::Full => 4,
            Self::Strict => 5,
        }
    }
}

/// The program, as a path that means the same from everywhere.
///
/// # Errors
/// The caller is not the host's root, without whom criu can make no namespaces again, or there is no program of that
/// name in $PATH.
pub(crate) fn find(named: Option<&Path>, host: &Host) -> Result<PathBuf> {
    if !host.is_root() {
        let text = "checkpoint and restore need root: criu cannot dump or make the namespaces of a container without it";
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let name = named.unwrap_or(Path::new("criu"));
    let missing = || {
        let name = name.display();
        let text = format!("{name}: not found in $PATH: install criu, or name it with --criu PATH");
        Error::new(ErrorKind::Unsupported, text)
    };
    if name.components().count() > 1 || name.is_absolute() {
        return std::path::absolute(name).map_err(|_| missing());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok())
        .ok_or_else(missing)
}
