//! What a case is made of: a private folder, the runtime's command line, bundles and containers.
//!
//! Owns how a case talks to the runtime and to the kernel; decides nothing about what is right.

pub(crate) mod apparmor;
pub(crate) mod bundle;
pub(crate) mod call;
pub(crate) mod cgroup;
pub(crate) mod container;
pub(crate) mod event;
pub(crate) mod image;
pub(crate) mod lab;
pub(crate) mod leak;
pub(crate) mod privilege;
pub(crate) mod process;
pub(crate) mod resctrl;
pub(crate) mod selinux;
pub(crate) mod systemd;

pub(crate) use bundle::Bundle;
pub(crate) use call::Done;
pub(crate) use container::{Container, Exit};
pub(crate) use lab::Lab;

/// Why a case stopped before its end.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) enum Stop {
    /// The runtime did not do what it must.
    Fail(String),
    /// The host lacks what the case needs.
    Skip(String),
}

/// What every step of a case returns.
pub(crate) type Result<T = (), E = Stop> = std::result::Result<T, E>;

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Fail(format!("the suite's own system call failed: {error}"))
    }
}

impl From<rustix::io::Errno> for Stop {
    fn from(error: rustix::io::Errno) -> Self {
        std::io::Error::from(error).into()
    }
}

impl From<nix::errno::Errno> for Stop {
    fn from(error: nix::errno::Errno) -> Self {
        std::io::Error::from(error).into()
    }
}

impl From<serde_json::Error> for Stop {
    fn from(error: serde_json::Error) -> Self {
        Self::Fail(format!("not the JSON that was expected: {error}"))
    }
}

/// Fails the case with a message when the condition is false.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::harness::Stop::Fail(format!($($message)+)));
        }
    };
}

/// Fails the case when the two values differ, showing both.
macro_rules! ensure_eq {
    ($got:expr, $want:expr, $($what:tt)+) => {
        // A match, because temporaries in the two expressions then live long enough.
        match (&$got, &$want) {
            (got, want) => {
                if got != want {
                    return Err($crate::harness::Stop::Fail(format!(
                        "{}: got {got:?}, want {want:?}",
                        format_args!($($what)+)
                    )));
                }
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq};

/// Ends the case because the host lacks something; `reason` completes "the host lacks …".
pub(crate) fn lacks<T>(reason: &str) -> Result<T> {
    Err(Stop::Skip(format!("the host lacks {reason}")))
}

/// Ends the case as skipped before that version of Linux.
pub(crate) fn needs_linux(major: u32, minor: u32, what: &str) -> Result {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    let found: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found >= (major, minor) { Ok(()) } else { lacks(&format!("{what} (Linux {major}.{minor})")) }
}

/// Ends the case as failed.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(Stop::Fail(message.into()))
}
