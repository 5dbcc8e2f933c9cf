//! `exec`: a further process in a container.

use std::path::PathBuf;

use runtime_core::oci::{LinuxCapabilities, Process};
use runtime_core::{Console, ContainerId, ExecOptions, Runtime, spec};

use super::create::{self, CONSOLE_SOCKET, NO_SUBREAPER, PIDFD_SOCKET, PRESERVE_FDS};
use super::{Call, Command};
use crate::args::{Flag, Matches, Syntax};
use crate::exit::Failure;
use crate::foreground::Signals;
use crate::terminal::Window;

pub(super) const COMMAND: Command = Command {
    syntax: Syntax {
        name: "exec",
        operands: "<container-id> <command> [argument...]",
        count: 1..=usize::MAX,
        about: "run a further process in a container",
        description: "The process is the one of the container's configuration with another command, as the\n\
                      flags change it, or with --process the one that FILE describes. What follows the\n\
                      container's id belongs to the command. Without --detach, passes signals on to the\n\
                      process and exits with its code, or with 128 and the number of the signal that ended\n\
                      it; 255 says that there was no process.",
        flags: &[
            CONSOLE_SOCKET,
            PIDFD_SOCKET,
            Flag::with("cwd", "DIR", "working directory"),
            Flag::with("env", "NAME=VALUE", "set an environment variable (may be repeated)")
                .short('e'),
            Flag::switch("tty", "give it a terminal").short('t'),
            Flag::with("user", "UID[:GID]", "user id, and group id").short('u'),
            Flag::with("additional-gids", "GID", "a supplementary group (may be repeated)")
                .short('g'),
            Flag::with(
                "process",
                "FILE",
                "take the process from FILE, the `process` of a config.json",
            )
            .short('p'),
            Flag::switch("detach", "do not wait for the process").short('d'),
            Flag::with("pid-file", "FILE", "write the pid of the process to FILE"),
            Flag::with("process-label", "LABEL", "SELinux label of the process"),
            Flag::with("apparmor", "PROFILE", "AppArmor profile of the process"),
            Flag::switch("no-new-privs", "no further privileges by execve"),
            Flag::with("cap", "NAME", "a further capability (may be repeated)").short('c'),
            PRESERVE_FDS,
            Flag::with(
                "cgroup",
                "[CONTROLLER:]PATH",
                "put it in a cgroup below the container's (may be repeated)",
            ),
            Flag::switch(
                "ignore-paused",
                "start it in a paused container, to run when that is resumed",
            ),
            NO_SUBREAPER,
        ],
    },
    run,
};

fn run(call: &Call<'_>) -> Result<u8, Failure> {
    let id = call.id()?;
    let mut options = options(call.given)?;
    // Before any file is opened: it could pass for a descriptor that is missing.
    options.check_descriptors()?;
    let runtime = call.runtime()?;
    let file = call.given.value("process").map(PathBuf::from);
    let (process, source) = match &file {
        Some(path) => (from_file(call, path)?, path.display().to_string()),
        None => (from_flags(call.given, &runtime, &id)?, "exec".to_owned()),
    };
    let start = |options: &ExecOptions| {
        let workload = runtime.exec(&id, &process, options).map_err(|error| error.of(&source))?;
        call.warn(&workload.warnings);
        Ok::<_, runtime_core::Error>(workload)
    };
    if options.detach {
        return Ok(start(&options).map(|_| 0)?);
    }
    let signals = Signals::block()?;
    let window = Window::find();
    options.console.get_or_insert_with(|| Console::Returned(window.size()));
    options.cancel = Some(signals.cancel()?);
    let mut workload = start(&options).map_err(|error| signals.blame(error))?;
    signals.attend(&mut workload, window, None)
}

fn options(given: &Matches) -> Result<ExecOptions, Failure> {
    let path = |flag| given.value(flag).filter(|path| !path.is_empty()).map(PathBuf::from);
    let detach = given.on("detach");
    Ok(ExecOptions {
        pid_file: path("pid-file"),
        console: path("console-socket").map(Console::Socket),
        pidfd_socket: path("pidfd-socket"),
        preserve_fds: create::preserve_fds(given)?,
        listen_fds: create::listen_fds(),
        detach,
        ignore_paused: given.on("ignore-paused"),
        cgroups: given.texts("cgroup")?,
        ..ExecOptions::default()
    })
}

/// The process that a manager describes.
fn from_file(call: &Call<'_>, path: &std::path::Path) -> Result<Process, Failure> {
    let json = std::fs::read(path)
        .map_err(|error| Failure::os(format!("--process {}", path.display()), error))?;
    let name = path.display().to_string();
    let (process, warnings) = spec::parse_process(&json).map_err(|error| error.of(&name))?;
    call.warn(&warnings);
    Ok(process)
}

/// The container's own process with another command, and what the flags change.
fn from_flags(given: &Matches, runtime: &Runtime, id: &ContainerId) -> Result<Process, Failure> {
    let command = given.operands.get(1..).unwrap_or_default();
    if command.is_empty() {
        return Err(Failure::usage_of(
            "exec needs a command after the container's id, or --process FILE",
            &COMMAND.syntax,
        ));
    }
    let args = command.iter().map(|argument| {
        let text = argument.to_str().map(str::to_owned);
        text.ok_or_else(|| Failure::usage(format!("argument {argument:?} is not UTF-8")))
    });
    let args = args.collect::<Result<Vec<_>, _>>()?;
    let mut process = runtime.process(id)?;
    process.set_args(Some(args));
    // The container's first process may have a terminal; this one has one if it is asked for.
    process.set_terminal(Some(given.on("tty")));
    if let Some(cwd) = given.value("cwd") {
        process.set_cwd(cwd.into());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(given.texts("env")?);
    process.set_env(Some(env));
    if given.on("no-new-privs") {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(profile) = given.text("apparmor")? {
        process.set_apparmor_profile(Some(profile.into()));
    }
    if let Some(label) = given.text("process-label")? {
        process.set_selinux_label(Some(label.into()));
    }
    user(given, &mut process)?;
    capabilities(given, &mut process)?;
    Ok(process)
}

/// `--user` and `--additional-gids`. Whatever is not a number is refused: a user that is taken for another, and
/// be it for root, is worse than none (CVE-2026-30892).
fn user(given: &Matches, process: &mut Process) -> Result<(), Failure> {
    let user = process.user_mut();
    if let Some(text) = given.text("user")? {
        let (uid, gid) = match text.split_once(':') {
            Some((uid, gid)) => (uid, Some(gid)),
            None => (text, None),
        };
        user.set_uid(id_number("user", uid)?);
        if let Some(gid) = gid {
            user.set_gid(id_number("user", gid)?);
        }
    }
    let mut groups = user.additional_gids().clone().unwrap_or_default();
    for gid in given.texts("additional-gids")? {
        groups.push(id_number("additional-gids", &gid)?);
    }
    user.set_additional_gids(Some(groups));
    Ok(())
}

/// A user or group id: decimal digits and nothing else. The largest number stands for "no id" (setresuid(2)).
fn id_number(flag: &str, text: &str) -> Result<u32, Failure> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten().filter(|id| *id != u32::MAX);
    number.ok_or_else(|| {
        Failure::usage(format!(
            "--{flag}: {text:?} is not an id: use a number from 0 to 4294967294"
        ))
    })
}

/// `--cap`: added to what the process has; not inheritable, and ambient only where others are inheritable (the
/// kernel takes no other, capabilities(7)), as runc has it.
fn capabilities(given: &Matches, process: &mut Process) -> Result<(), Failure> {
    let names = given.texts("cap")?;
    if names.is_empty() {
        return Ok(());
    }
    let mut sets = process.capabilities().clone().unwrap_or_else(no_capabilities);
    for name in names {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let capability = bare
            .parse()
            .map_err(|_| Failure::usage(format!("--cap: {name:?} is not a capability")))?;
        let with = |set: &Option<std::collections::HashSet<_>>| {
            let mut set = set.clone().unwrap_or_default();
            set.insert(capability);
            Some(set)
        };
        sets.set_bounding(with(sets.bounding()));
        sets.set_effective(with(sets.effective()));
        sets.set_permitted(with(sets.permitted()));
        if sets.inheritable().as_ref().is_some_and(|set| set.contains(&capability)) {
            sets.set_ambient(with(sets.ambient()));
        }
    }
    process.set_capabilities(Some(sets));
    Ok(())
}

/// The defaults of the type are those of an ordinary container.
fn no_capabilities() -> LinuxCapabilities {
    let mut sets = LinuxCapabilities::default();
    sets.set_bounding(None)
        .set_effective(None)
        .set_permitted(None)
        .set_inheritable(None)
        .set_ambient(None);
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_ids() {
        assert_eq!(id_number("user", "1").ok(), Some(1));
        assert_eq!(id_number("user", "4294967294").ok(), Some(4_294_967_294));
        for bad in ["", " 1", "+1", "-1", "1x", "x", "0x1", "4294967295", "4294967296", "1 "] {
            assert!(id_number("user", bad).is_err(), "{bad:?}");
        }
    }
}
