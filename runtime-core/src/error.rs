//! The one public error of the library: opaque, with a kind to match on and one line to read.
//!
//! A system call renders like strace (`openat2(/srv/x): ENOENT`): managers search messages for libc's
//! sentences ("no such file or directory", "permission denied") and map them to exit codes of the
//! user's command, so those sentences may appear only where the user's command is at fault.
//! Nothing here logs: an error is returned, and whoever ends the operation prints it once.

use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What class of thing went wrong; the only part of an [`Error`] to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// config.json breaks the specification or asks for what makes no sense; see [`Error::path`].
    InvalidSpec,
    /// An argument of the caller (an id, an option, a path) is not valid.
    InvalidArgument,
    /// No container of that id.
    NotFound,
    /// A container of that id is there already.
    AlreadyExists,
    /// The container is not in the state that the operation needs.
    WrongState,
    /// The host or its kernel cannot give what is asked.
    Unsupported,
    /// The program of the container is missing, not executable, or execve refused it.
    Command,
    /// A hook failed.
    Hook,
    /// The container's init ended without a report.
    InitDied,
    /// Something in the root file system tried to lead the runtime astray.
    SafetyViolation,
    /// The caller has called it off.
    Cancelled,
    /// A system call failed for another reason.
    Os,
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Inner {
    kind: ErrorKind,
    path: Option<String>,
    message: String,
    errno: Option<i32>,
    clean_up: Vec<Error>,
}

/// An error of this library: a kind, and one line that says what failed, on what, and why.
pub struct Error(Box<Inner>);

impl Error {
    /// An error of `kind` with its line.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner { kind, path: None, message, errno: None, clean_up: Vec::new() }))
    }

    /// A broken config.json: `path` is the JSON path of the field (`mounts[3].options[1]`).
    pub fn spec(path: impl Into<String>, message: impl fmt::Display) -> Self {
        let path = path.into();
        let mut error =
            Self::new(ErrorKind::InvalidSpec, format!("config.json: {path}: {message}"));
        error.0.path = Some(path);
        error
    }

    /// The host cannot give what the field at `path` asks for.
    pub fn unsupported(path: impl Into<String>, message: impl fmt::Display) -> Self {
        let mut error = Self::spec(path, message);
        error.0.kind = ErrorKind::Unsupported;
        error
    }

    /// A failed system call, written like strace: `call` is the name with its argument that matters. One that the
    /// kernel does not know is [`ErrorKind::Unsupported`], and the line says which Linux does.
    pub fn os(call: impl fmt::Display, errno: impl Into<Errno>) -> Self {
        let errno = errno.into();
        let mut error = match errno.0 {
            libc::ENOSYS => Self::missing(&call.to_string()),
            _ => Self::new(ErrorKind::Os, format!("{call}: {errno}")),
        };
        error.0.errno = Some(errno.0);
        error
    }

    fn missing(call: &str) -> Self {
        let needs = match crate::kernel::since(call) {
            Some(since) => format!("needs Linux {since}, or a sandbox that lets it through"),
            None => "ENOSYS".to_owned(),
        };
        Self::new(ErrorKind::Unsupported, format!("{call}: not on this kernel ({needs})"))
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The JSON path in config.json of the field at fault, where there is one.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The number of the failed system call's error, where one is the cause.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// What failed while cleaning up after this error; never empties or replaces the error itself.
    pub fn clean_up(&self) -> &[Error] {
        &self.0.clean_up
    }

    /// The same error as another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The same error with the JSON path of the field that asked for what failed.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.0.message = format!("config.json: {path}: {}", self.0.message);
        self.0.path = Some(path);
        self
    }

    /// The same error of a configuration that came from elsewhere than config.json.
    #[must_use]
    pub fn of(mut self, source: &str) -> Self {
        if let Some(rest) = self.0.message.strip_prefix("config.json: ") {
            self.0.message = format!("{source}: {rest}");
        }
        self
    }

    /// Puts what was being done in front of the line.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// Attaches the failure of a clean-up step.
    pub fn attach(&mut self, clean_up: Error) {
        self.0.clean_up.push(clean_up);
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for failure in &self.0.clean_up {
            write!(f, " (and while cleaning up: {failure})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {}

/// An error number that prints as its name in errno(3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::errno::Errno::from_raw(self.0) {
            nix::errno::Errno::UnknownErrno => write!(f, "errno {}", self.0),
            known => fmt::Debug::fmt(&known, f),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Self {
        Self(errno as i32)
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(0))
    }
}

impl From<i32> for Errno {
    fn from(errno: i32) -> Self {
        Self(errno)
    }
}

/// Turns the error of a system call into an [`Error`] where it happened.
pub trait OsResult<T> {
    /// Names the call; the closure runs only on failure.
    ///
    /// # Errors
    /// The failed call.
    fn call<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Errno>> OsResult<T> for std::result::Result<T, E> {
    fn call<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|errno| Error::os(what(), errno))
    }
}

/// Adds context to an [`Error`] that passes a boundary between two domains.
pub trait Context<T> {
    /// Puts what was being done in front; the closure runs only on failure.
    ///
    /// # Errors
    /// The same error.
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;

    /// Names the field of config.json that asked for what failed.
    ///
    /// # Errors
    /// The same error.
    fn at<S: Into<String>>(self, path: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn context<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.context(what()))
    }

    fn at<S: Into<String>>(self, path: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.at(path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_path_call_and_clean_up() {
        let mut error = Error::os("open_tree(/srv/x)", 2).at("mounts[3].source");
        error.attach(Error::os("rmdir(/sys/fs/cgroup/pids/x)", 16));
        assert_eq!(
            error.to_string(),
            "config.json: mounts[3].source: open_tree(/srv/x): ENOENT \
             (and while cleaning up: rmdir(/sys/fs/cgroup/pids/x): EBUSY)"
        );
        assert_eq!(error.kind(), ErrorKind::Os);
        assert_eq!(error.errno(), Some(2));
        assert_eq!(error.path(), Some("mounts[3].source"));
    }

    #[test]
    fn a_missing_call_names_the_kernel_that_has_it() {
        let error = Error::os("openat2(/etc)", libc::ENOSYS);
        assert_eq!(
            error.to_string(),
            "openat2(/etc): not on this kernel (needs Linux 5.6, or a sandbox that lets it through)"
        );
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Unsupported, Some(libc::ENOSYS)));
        assert_eq!(Error::os("x", libc::ENOSYS).to_string(), "x: not on this kernel (ENOSYS)");
    }
}
