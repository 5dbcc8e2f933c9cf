//! How a command ends badly: the exit code and the words.
//!
//! The library's errors say what happened. Managers, however, do not read exit codes but search the
//! text (containerd `process/utils.go`, CRI-O `runtime_oci.go`, Podman `oci_util.go`, moby
//! `daemon/errors.go`), so the phrases that they look for are a contract. It is kept here, in one
//! table: a phrase that the library's text lacks is put in front of it.

use std::fmt;

use runtime_core::{Error, ErrorKind};

use crate::args::Syntax;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong; with the syntax of the command, if it was known by then.
    Usage(String, Option<&'static str>, &'static str),
    /// The operation failed.
    Runtime(Error),
    /// The command itself failed, outside the library.
    Other(String),
    /// This signal came before there was a process to pass it on to.
    Signal(i32),
}

/// The exit code of a failure.
pub(crate) const FAILED: u8 = 1;

/// The exit code of a failed `exec`: its own failures are told from those of the process that it runs.
const EXEC_FAILED: u8 = 255;

impl Failure {
    /// A mistake in the global part of the command line.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into(), None, "")
    }

    /// A mistake in the part of one command.
    pub(crate) fn usage_of(text: impl Into<String>, syntax: &Syntax) -> Self {
        Self::Usage(text.into(), Some(syntax.name), syntax.operands)
    }

    /// A failed system call of the command itself.
    pub(crate) fn os(
        what: impl fmt::Display,
        error: impl Into<runtime_core::error::Errno>,
    ) -> Self {
        Self::Runtime(Error::os(what, error))
    }

    /// The exit code for a failure of `command`.
    pub(crate) fn code(&self, command: Option<&str>) -> u8 {
        match (command, self) {
            // A value that is none is as good as a process that cannot be; only the form of the line is usage.
            (Some("exec"), Self::Runtime(_) | Self::Other(_) | Self::Usage(_, None, _)) => {
                EXEC_FAILED
            }
            // As if it had come a moment later.
            (_, Self::Signal(signal)) => 128 + (signal & 0x7f) as u8,
            _ => FAILED,
        }
    }

    /// The line to report for a failure of `command`.
    pub(crate) fn line(&self, command: Option<&str>) -> String {
        match self {
            Self::Runtime(error) => phrase(command.unwrap_or_default(), error),
            Self::Usage(..) | Self::Other(_) | Self::Signal(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text, ..) | Self::Other(text) => f.write_str(text),
            Self::Runtime(error) => fmt::Display::fmt(error, f),
            Self::Signal(signal) => {
                write!(f, "called off by signal {signal} before the process ran; nothing is left")
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Runtime(error)
    }
}

/// A phrase that somebody searches for, and when it must be there.
struct Phrase {
    /// The commands whose failure it belongs to; none means every command.
    commands: &'static [&'static str],
    kind: ErrorKind,
    text: &'static str,
}

/// The contract, in the order in which phrases are put in front.
const PHRASES: &[Phrase] = &[
    // containerd deletes and kills without complaint when it reads this.
    Phrase { commands: &[], kind: ErrorKind::NotFound, text: "container does not exist" },
    // nerdctl and moby tell a name conflict by it.
    Phrase { commands: &[], kind: ErrorKind::AlreadyExists, text: "already exists" },
    // containerd and CRI-O take it for "has ended", which is what they wanted to reach.
    Phrase { commands: &["kill"], kind: ErrorKind::WrongState, text: "container not running" },
    // What users and documents know from runc; moby and Podman read the rest of the line
    // (`executable file not found in $PATH`, `permission denied`, `is a directory`).
    Phrase {
        commands: &["create", "run"],
        kind: ErrorKind::Command,
        text: "unable to start container process",
    },
    Phrase {
        commands: &["create", "run"],
        kind: ErrorKind::InitDied,
        text: "unable to start container process",
    },
    Phrase {
        commands: &["start"],
        kind: ErrorKind::Command,
        text: "unable to start container process",
    },
    Phrase {
        commands: &["exec"],
        kind: ErrorKind::Command,
        text: "exec failed: unable to start container process",
    },
];

/// The error's line with the phrases that `command` owes its callers.
fn phrase(command: &str, error: &Error) -> String {
    let mut line = error.to_string();
    for phrase in PHRASES {
        let concerned = phrase.commands.is_empty() || phrase.commands.contains(&command);
        if concerned && phrase.kind == error.kind() && !line.contains(phrase.text) {
            line = format!("{}: {line}", phrase.text);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(command: &str, kind: ErrorKind, text: &str) -> String {
        Failure::from(Error::new(kind, text)).line(Some(command))
    }

    #[test]
    fn unknown_id() {
        for command in ["state", "kill", "delete", "start"] {
            assert_eq!(line(command, ErrorKind::NotFound, "x"), "container does not exist: x");
        }
        let said = "container does not exist";
        assert_eq!(line("state", ErrorKind::NotFound, said), said);
    }

    #[test]
    fn existing_id() {
        let said = "container with given ID already exists";
        assert_eq!(line("create", ErrorKind::AlreadyExists, said), said);
        assert_eq!(line("run", ErrorKind::AlreadyExists, "x"), "already exists: x");
    }

    #[test]
    fn kill_of_a_stopped_container() {
        assert_eq!(
            line("kill", ErrorKind::WrongState, "container is stopped"),
            "container not running: container is stopped"
        );
    }

    #[test]
    fn wrong_state_of_other_commands_keeps_the_words_of_the_library() {
        for said in [
            "cannot delete container x that is not stopped: running",
            "cannot start an already running container",
            "cannot start a container that has stopped",
        ] {
            assert_eq!(line("start", ErrorKind::WrongState, said), said);
            assert_eq!(line("delete", ErrorKind::WrongState, said), said);
        }
    }

    #[test]
    fn the_program_of_the_container() {
        for said in [
            "exec: \"x\": executable file not found in $PATH",
            "exec: \"x\": permission denied",
            "exec: \"/tmp\": is a directory",
        ] {
            for command in ["create", "run", "start"] {
                assert_eq!(
                    line(command, ErrorKind::Command, said),
                    format!("unable to start container process: {said}")
                );
            }
        }
    }

    #[test]
    fn out_of_memory() {
        let said = "container init was OOM-killed (memory limit too low?)";
        assert!(line("create", ErrorKind::InitDied, said).ends_with(said));
    }

    /// moby and Podman would blame the user's program for these sentences of libc.
    #[test]
    fn failed_calls_do_not_speak_libc() {
        let error = Failure::os("open(/x)", std::io::Error::from_raw_os_error(2));
        assert_eq!(error.line(Some("create")), "open(/x): ENOENT");
        let error = Failure::os("open(/x)", std::io::Error::from_raw_os_error(13));
        assert_eq!(error.line(Some("create")), "open(/x): EACCES");
    }
}
