//! Faults of what the command line and the surroundings of a call mean.

use std::fs;

use rustix::fs::{Mode, OFlags};

use crate::call::{Call, Result};
use crate::fault::{Fault, Way};

const fn of(
    name: &'static str,
    what: &'static str,
    cases: &'static [&'static str],
    edit: fn(&mut Call) -> Result<()>,
) -> Fault {
    Fault { name, what, cases, way: Way::Words(edit) }
}

/// The faults of this kind.
pub(crate) const FAULTS: &[&[Fault]] = &[&[
    of("pid-file", "--pid-file is ignored", &["lifecycle/pid-file"], |call| {
        call.drop_flag("--pid-file");
        Ok(())
    }),
    of(
        "leak",
        "a descriptor of the runtime's is open in the workload",
        &["process/no-descriptors"],
        leak,
    ),
    of("preserve-fds", "--preserve-fds is ignored", &["cli/preserve-fds"], |call| {
        call.drop_flag("--preserve-fds");
        Ok(())
    }),
    of(
        "kill-signal",
        "every signal becomes KILL",
        &["lifecycle/kill-default", "lifecycle/kill-names"],
        |call| {
            if call.verb == "kill"
                && let Some(at) = call.id_at()
            {
                call.words.truncate(at + 1);
                call.words.push("KILL".into());
            }
            Ok(())
        },
    ),
    of(
        "delete-running",
        "delete ends a running container",
        &["lifecycle/delete-running"],
        |call| {
            if call.verb == "delete" {
                call.words.insert(0, "--force".into());
            }
            Ok(())
        },
    ),
    of("exec-user", "exec runs as the container's user", &["exec/flags"], |call| {
        if call.verb == "exec" {
            call.drop_flag("--user");
        }
        Ok(())
    }),
    of("exec-cwd", "exec ignores --cwd", &["exec/flags"], |call| {
        call.drop_flag("--cwd");
        Ok(())
    }),
    of("unknown-flag", "a flag that does not exist is ignored", &["cli/unknown-flag"], |call| {
        call.globals.retain(|word| word != "--no-such-flag");
        call.words.retain(|word| word != "--no-such-flag");
        Ok(())
    }),
    of(
        "invalid-id",
        "what an id may not have in it is replaced",
        &["lifecycle/invalid-ids"],
        |call| {
            if call.makes()
                && let Some(at) = call.id_at()
            {
                let plain = |letter: char| if letter.is_alphanumeric() { letter } else { '-' };
                call.words[at] = call.words[at].chars().map(plain).collect();
            }
            Ok(())
        },
    ),
    of("log-truncated", "the log is begun anew", &["cli/log-appends"], |call| {
        if let Some(log) = call.value("--log") {
            fs::write(log, "")?;
        }
        Ok(())
    }),
    of("spec-overwrites", "spec overwrites a config.json", &["cli/spec"], |call| {
        if call.verb == "spec" {
            fs::remove_file(call.config()).ok();
        }
        Ok(())
    }),
    of("update", "update ignores all flags but --pids-limit", &["update/flags"], |call| {
        if call.verb == "update" {
            let flags =
                ["--memory", "--cpu-shares", "--cpu-quota", "--cpu-period", "--memory-reservation"];
            flags.iter().for_each(|flag| call.drop_flag(flag));
        }
        Ok(())
    }),
    of("kill-all", "kill --all is kill", &["lifecycle/kill-all"], |call| {
        call.words.retain(|word| call.verb != "kill" || (word != "--all" && word != "-a"));
        Ok(())
    }),
    of("keep", "run --keep deletes the container", &["lifecycle/run-removes"], |call| {
        call.words.retain(|word| word != "--keep");
        Ok(())
    }),
    of("no-new-keyring", "--no-new-keyring is ignored", &["process/no-new-keyring"], |call| {
        call.words.retain(|word| word != "--no-new-keyring");
        Ok(())
    }),
    of("pidfd-socket", "--pidfd-socket is ignored", &["terminal/pidfd-socket"], |call| {
        call.drop_flag("--pidfd-socket");
        Ok(())
    }),
]];

/// Descriptor 3, which a case that looks for leaks leaves free.
fn leak(call: &mut Call) -> Result<()> {
    if call.makes() && call.value("--preserve-fds").is_none() {
        let file = rustix::fs::open("/etc/passwd", OFlags::RDONLY, Mode::empty())?;
        std::mem::forget(file);
        call.words.splice(0..0, ["--preserve-fds".to_owned(), "1".to_owned()]);
    }
    Ok(())
}
