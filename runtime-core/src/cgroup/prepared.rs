//! Cgroups that were made and wait for init.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::slice;

use rustix::io::Errno;

use super::lower::HINT;
use super::prepare::write_all;
use super::{HierarchyPlan, Setting, file};
use crate::error::{Error, ErrorKind, Result};

/// Cgroups that are ready to be joined: what init needs, opened by the caller, because since Linux 5.16
/// the kernel judges a write by the credentials of the opener and init may be in a user namespace.
#[derive(Debug)]
pub struct Prepared {
    pub(super) tasks: Vec<OwnedFd>,
    pub(super) unified: Option<OwnedFd>,
    /// Limits that wait for init.
    pub(super) late: Vec<Setting>,
    /// Hierarchies in which the caller may make nothing.
    without: Vec<String>,
    pub(super) rights: Rights,
}

/// What the caller may set.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// What it may not is done without.
    optional: bool,
    /// The fields that it might not.
    denied: Vec<String>,
}

impl Prepared {
    /// The v1 `tasks` files in the order in which init, single-threaded, writes `0` to each.
    pub fn tasks(&self) -> &[OwnedFd] {
        &self.tasks
    }

    /// The cgroup2 directory to clone into, where there is one.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Writes the limits that would have kept init out. To be called once init has joined, before it
    /// may go on; costs nothing where there are none.
    ///
    /// # Errors
    /// The kernel refused a limit; the error names its field.
    pub fn joined(&mut self) -> Result<()> {
        match &self.unified {
            Some(dir) => self.rights.write(dir, &self.late),
            None => Ok(()),
        }
    }

    /// What could only be warned of.
    pub fn warnings(&self) -> Vec<String> {
        if self.rights.denied.is_empty() {
            return Vec::new();
        }
        let fields = self.rights.denied.join(", ");
        vec![format!("{fields}: this user has no cgroup where that could be set: {HINT}")]
    }

    /// The directories of the hierarchies in which the container has no cgroup.
    pub fn without(&self) -> &[String] {
        &self.without
    }

    /// The error of a clone into the cgroup, where that is the cgroup's fault.
    pub(crate) fn why_not_inside(&self, error: Error, path: &str) -> Error {
        let Some(dir) = self.unified.as_ref().filter(|_| error.path().is_none()) else {
            return error;
        };
        if error.errno() == Some(libc::EACCES) {
            // cgroups(7), "Cgroups delegation: containment rules".
            let message = format!(
                "cgroup {path}: this user may not put a process there from the cgroup that it is in; call from a \
                 delegated one (systemd-run --user --scope -p Delegate=yes), or give another path"
            );
            return Error::os(message, Errno::ACCESS).at("linux.cgroupsPath");
        }
        if error.errno() != Some(libc::EOPNOTSUPP) {
            return error;
        }
        let kind = file::read(dir, "cgroup.type").unwrap_or_default();
        let message = format!(
            "cgroup {path} is \"{}\": one above it is threaded, and below that no container can be; give another",
            kind.trim()
        );
        Error::os(message, Errno::OPNOTSUPP).at("linux.cgroupsPath")
    }

    /// Whether [`joined`](Self::joined) limits the memory of a process that runs already.
    pub(crate) fn limits_memory_late(&self) -> bool {
        self.late.iter().any(|setting| setting.file.starts_with("memory."))
    }

    pub(super) fn new(tasks: Vec<OwnedFd>, unified: Option<OwnedFd>) -> Self {
        let (late, without, rights) = Default::default();
        Self { tasks, unified, late, without, rights }
    }

    /// Notes that the caller may not make a cgroup in this hierarchy.
    pub(super) fn leave_out(&mut self, hierarchy: &HierarchyPlan) {
        self.without.push(hierarchy.directory.clone());
        for setting in hierarchy.settings.iter().chain(&hierarchy.late) {
            self.rights.deny(&setting.field);
        }
    }
}

impl Rights {
    pub(super) fn new(optional: bool) -> Self {
        Self { optional, denied: Vec::new() }
    }

    /// Writes settings; those of controllers that nobody has delegated are noted, and the others hold. A file that is
    /// missing although its controller is there is an error, as for root: no delegation would make it appear.
    pub(super) fn write(&mut self, dir: &OwnedFd, settings: &[Setting]) -> Result<()> {
        match write_all(dir, settings) {
            Err(error) if self.optional && not_delegated(&error) => {
                let controllers = file::read(dir, "cgroup.controllers").unwrap_or_default();
                settings.iter().try_for_each(|one| {
                    let controller = one.file.split('.').next();
                    let has = controllers.split_whitespace().any(|name| Some(name) == controller);
                    match write_all(dir, slice::from_ref(one)) {
                        Err(error) if has && error.kind() == ErrorKind::Unsupported => Err(error),
                        result => self.tolerate(result),
                    }
                })
            }
            other => other,
        }
    }

    /// Notes the field of a failure that is only a missing delegation.
    pub(super) fn tolerate(&mut self, result: Result<()>) -> Result<()> {
        match result {
            Err(error) if self.optional && not_delegated(&error) => {
                error.path().into_iter().for_each(|field| self.deny(field));
                Ok(())
            }
            other => other,
        }
    }

    fn deny(&mut self, field: &str) {
        if self.denied.iter().all(|known| known != field) {
            self.denied.push(field.to_owned());
        }
    }
}

/// What a caller without privilege is told where nothing was delegated to it.
pub(super) fn is_denied(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EACCES | libc::EPERM | libc::EROFS))
}

/// A controller that was not passed on: its files are missing, or it cannot be passed on from here. A value that the
/// kernel refuses is something else.
fn not_delegated(error: &Error) -> bool {
    let busy = error.errno() == Some(libc::EBUSY);
    is_denied(error) || busy || error.kind() == ErrorKind::Unsupported
}
