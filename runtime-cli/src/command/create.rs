//! `create`, and the options that it shares with `run` and `plan`.

use std::path::{Path, PathBuf};

use runtime_core::{Console, CreateOptions};

use super::{Call, Command};
use crate::args::{Flag, Matches, Syntax};
use crate::exit::Failure;
use crate::notify;

pub(super) const BUNDLE: Flag =
    Flag::with("bundle", "DIR", "the directory with config.json (default: the current one)")
        .short('b');
pub(super) const CONSOLE_SOCKET: Flag = Flag::with(
    "console-socket",
    "SOCKET",
    "a listening unix socket that gets the master of the container's terminal",
);
pub(super) const PIDFD_SOCKET: Flag = Flag::with(
    "pidfd-socket",
    "SOCKET",
    "a listening unix socket that gets a pidfd of the container's first process",
);
pub(super) const PID_FILE: Flag =
    Flag::with("pid-file", "FILE", "write the pid of the container's first process to FILE");
pub(super) const NO_PIVOT: Flag =
    Flag::switch("no-pivot", "do not use pivot_root; for bundles on the initial ramfs");
pub(super) const NO_NEW_KEYRING: Flag =
    Flag::switch("no-new-keyring", "keep the session keyring of the caller");
pub(super) const PRESERVE_FDS: Flag =
    Flag::with("preserve-fds", "N", "pass descriptors 3 to 2+N on to the container (default: 0)");
pub(super) const NO_SUBREAPER: Flag =
    Flag::switch("no-subreaper", "accepted; this runtime is never a subreaper").hidden();

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "create",
        operands: "<container-id>",
        count: 1..=1,
        about: "make a container that waits for `start`",
        description: "Makes a container from a bundle. Everything is done but the execution of its\n\
                      program, which waits for `teu start`.",
        flags: &[
            BUNDLE,
            CONSOLE_SOCKET,
            PIDFD_SOCKET,
            PID_FILE,
            NO_PIVOT,
            NO_NEW_KEYRING,
            PRESERVE_FDS,
            NO_SUBREAPER,
        ],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let options = options(call)?;
    let created = call.runtime()?.create(&id, &options)?;
    call.warn(&created.warnings);
    Ok(0)
}

/// The options that the flags ask for.
pub(super) fn options(call: &Call<'_>) -> Result<CreateOptions, Failure> {
    let given = call.given;
    let path = |flag| given.value(flag).filter(|path| !path.is_empty()).map(PathBuf::from);
    let options = CreateOptions {
        bundle: bundle(path("bundle"))?,
        pid_file: path("pid-file"),
        console: path("console-socket").map(Console::Socket),
        pidfd_socket: path("pidfd-socket"),
        no_pivot: given.on("no-pivot"),
        no_new_keyring: given.on("no-new-keyring"),
        preserve_fds: preserve_fds(given)?,
        listen_fds: listen_fds(),
        systemd_cgroup: call.global.on("systemd-cgroup"),
        detach: given.on("detach"),
        notify: notify::is_wanted()?,
        rootless: rootless(call)?,
        ..CreateOptions::default()
    };
    options.check_descriptors()?;
    Ok(options)
}

/// `--preserve-fds`.
pub(super) fn preserve_fds(given: &Matches) -> Result<u32, Failure> {
    given.text("preserve-fds")?.map_or(Ok(0), |text| {
        text.parse().map_err(|_| {
            Failure::usage(format!("--preserve-fds: {text:?} is not a number of descriptors"))
        })
    })
}

/// How many sockets a socket-activating caller passes on. Only to the process that LISTEN_PID names: an
/// environment that was inherited from a service speaks of descriptors that are not here (sd_listen_fds(3)).
pub(super) fn listen_fds() -> u32 {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("LISTEN_PID") {
        Some(pid) if pid == std::process::id() => number("LISTEN_FDS").unwrap_or(0),
        _ => 0,
    }
}

/// The bundle, absolute. Only a relative one needs a working directory, which may have been deleted.
fn bundle(path: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let path = path.unwrap_or_else(|| PathBuf::from("."));
    if path.is_absolute() {
        return Ok(path);
    }
    // As runc does, which changes into the bundle and asks where it is.
    std::fs::canonicalize(&path).map_err(|error| bundle_error(&path, error))
}

fn bundle_error(path: &Path, error: std::io::Error) -> Failure {
    Failure::os(format!("bundle {}", path.display()), error)
}

/// `--rootless`: none where it is left to the library.
fn rootless(call: &Call<'_>) -> Result<Option<bool>, Failure> {
    match call.global.text("rootless")? {
        None | Some("" | "auto") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => {
            Err(Failure::usage(format!("--rootless: {other:?}: use true, false or auto")))
        }
    }
}
