//! A failure of init, told to people.
//!
//! Managers turn libc's sentences about a missing or forbidden program into exit codes 127 and 126, so they
//! stand here word for word for the user's program, and nowhere else.

use teu_wire::{Failure, FailureView, Step, decode};

use crate::error::{Errno, Error, ErrorKind};

/// The error of a failure message's body.
pub(crate) fn error(body: &[u8]) -> Error {
    let Ok(failure) = decode::<Failure>(body) else {
        return Error::new(ErrorKind::Os, "init failed, and its report cannot be read");
    };
    let Some(step) = Step::from_number(failure.step) else {
        return Error::new(ErrorKind::Os, format!("init failed in unknown step {}", failure.step));
    };
    let detail = failure.detail.to_string_lossy();
    match step {
        Step::Program => program(&detail, failure.errno),
        Step::Exec => exec(&detail, failure.errno),
        Step::CreateContainerHook | Step::StartContainerHook => {
            general(&failure, step, &named(&detail)).with_kind(ErrorKind::Hook)
        }
        Step::Cwd => cwd(&failure, &detail),
        _ => general(&failure, step, &detail),
    }
}

/// The text with a name for the number that it ends with: init has no table of the names.
fn named(text: &str) -> String {
    let ended = text.rsplit_once("cannot be executed: errno ");
    match ended.and_then(|(before, number)| Some((before, number.parse().ok()?))) {
        Some((before, number)) => format!("{before}cannot be executed: {}", Errno(number)),
        None => text.to_owned(),
    }
}

/// libc's sentence for an error number, in lower case as runc writes it.
fn sentence(errno: i32) -> String {
    let text = nix::errno::Errno::from_raw(errno).desc();
    text.chars().next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(text.chars().skip(1)).collect()
    })
}

fn program(name: &str, errno: i32) -> Error {
    let line = match errno {
        libc::ENOENT if !name.contains('/') => {
            format!("exec: {name:?}: executable file not found in $PATH")
        }
        libc::ENOENT => format!("exec: {name:?}: stat {name}: no such file or directory"),
        // Docker before 24 and Podman know only the second half as their exit code 126.
        libc::EISDIR => format!("exec: {name:?}: is a directory: permission denied"),
        _ => format!("exec: {name:?}: {}", sentence(errno)),
    };
    Error::new(ErrorKind::Command, line)
}

fn exec(path: &str, errno: i32) -> Error {
    Error::new(ErrorKind::Command, format!("exec {path}: {}", sentence(errno)))
}

fn cwd(failure: &FailureView<'_>, detail: &str) -> Error {
    let why = match failure.errno {
        0 => failure.call.to_string_lossy().into_owned(),
        // Docker takes libc's words for a volume on the wrong kind of mount point, and explains that.
        libc::ENOTDIR => format!("{}: a part of it is a file", Errno(libc::ENOTDIR)),
        errno => sentence(errno),
    };
    Error::new(
        ErrorKind::Command,
        format!("chdir to cwd ({detail:?}) set in config.json failed: {why}"),
    )
}

/// The list of the configuration that a step walks.
fn list(step: Step) -> Option<&'static str> {
    Some(match step {
        Step::Join => "linux.namespaces",
        Step::Mount => "mounts",
        Step::Device => "linux.devices",
        Step::Sysctl => "linux.sysctl",
        Step::Mask => "linux.maskedPaths",
        Step::ReadOnly => "linux.readonlyPaths",
        Step::Rlimit => "process.rlimits",
        Step::AppArmorProfile => "process.apparmorProfile",
        Step::SelinuxLabel => "process.selinuxLabel",
        Step::CreateContainerHook => "hooks.createContainer",
        Step::StartContainerHook => "hooks.startContainer",
        _ => return None,
    })
}

/// What the kernel says by a number alone.
fn hint(failure: &FailureView<'_>, step: Step, detail: &str) -> Option<&'static str> {
    let is_context = failure.call == c"fsetxattr(security.selinux)"
        || failure.call == c"fsconfig(string)" && detail.contains("context=");
    match (step, failure.errno) {
        // What Docker explains to its users as a file on a directory or the reverse.
        (Step::Mount, libc::ENOTDIR | libc::EISDIR) => {
            Some("a file and a directory cannot be mounted on each other (not a directory)")
        }
        (Step::Mount | Step::Mask, libc::EINVAL) if is_context => {
            Some("the SELinux policy does not know the context (linux.mountLabel)")
        }
        (Step::AppArmorProfile, libc::ENOENT) => Some("no such profile is loaded"),
        (Step::SelinuxLabel, libc::EINVAL) => Some("the policy does not know it"),
        _ => None,
    }
}

fn general(failure: &FailureView<'_>, step: Step, detail: &str) -> Error {
    let call = failure.call.to_string_lossy();
    let what = match (call.is_empty(), detail.is_empty()) {
        (_, true) => call.into_owned(),
        (true, false) => detail.to_owned(),
        (false, false) => format!("{call}({detail})"),
    };
    let mut error = if failure.errno == 0 {
        Error::new(ErrorKind::Os, what)
    } else {
        Error::os(what, Errno(failure.errno))
    };
    if let Some(hint) = hint(failure, step, detail) {
        error = error.context(hint);
    }
    error = error.context(step.name());
    match list(step) {
        Some(label @ ("process.apparmorProfile" | "process.selinuxLabel")) => error.at(label),
        Some("linux.sysctl") => error.at("linux.sysctl"),
        Some("linux.devices") if failure.index == u32::MAX => error.at("default devices"),
        // init walks the namespaces in an order of its own.
        Some("linux.namespaces") => error.at("linux.namespaces"),
        Some(list) => error.at(format!("{list}[{}]", failure.index)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use teu_wire::{OwnedText, encode};

    fn line(step: Step, index: u32, errno: i32, call: &str, detail: &str) -> String {
        let failure = Failure {
            step: step as u16,
            index,
            errno,
            call: OwnedText::new(call).unwrap(),
            detail: OwnedText::new(detail).unwrap(),
        };
        error(&encode::<Failure>(&failure)).to_string()
    }

    #[test]
    fn managers_find_their_phrases() {
        assert_eq!(
            line(Step::Program, 0, libc::ENOENT, "", "nope"),
            "exec: \"nope\": executable file not found in $PATH"
        );
        assert_eq!(
            line(Step::Program, 0, libc::ENOENT, "", "/nope"),
            "exec: \"/nope\": stat /nope: no such file or directory"
        );
        assert_eq!(line(Step::Program, 0, libc::EACCES, "", "x"), "exec: \"x\": permission denied");
        assert_eq!(
            line(Step::Program, 0, libc::EISDIR, "", "/etc"),
            "exec: \"/etc\": is a directory: permission denied"
        );
        assert_eq!(
            line(Step::Exec, 0, libc::ENOEXEC, "", "/bin/x"),
            "exec /bin/x: exec format error"
        );
    }

    #[test]
    fn labels_are_told_by_field_and_file() {
        let (exec, keys) =
            ("`/proc/thread-self/attr/exec`, x", "`/proc/thread-self/attr/keycreate`, x");
        for (step, errno, detail, words) in [
            (Step::AppArmorProfile, libc::ENOENT, exec, "no such profile is loaded"),
            (Step::SelinuxLabel, libc::EINVAL, keys, "the policy does not know it"),
            (Step::SelinuxLabel, libc::EACCES, exec, "EACCES"),
        ] {
            let said = line(step, 0, errno, "write", detail);
            assert!(said.starts_with("config.json: process."), "{said}");
            assert!(said.contains(words) && said.contains(detail), "{said}");
        }
        let said = line(Step::Mount, 2, libc::EINVAL, "fsconfig(string)", "tmpfs, context=x");
        assert!(said.contains("mounts[2]") && said.contains("linux.mountLabel"), "{said}");
    }

    #[test]
    fn a_hook_that_cannot_be_executed() {
        let step = Step::CreateContainerHook;
        let detail = "/h: exit status 127, saying: cannot be executed: errno 2";
        let said = line(step, 1, 0, "", detail);
        assert!(said.ends_with("saying: cannot be executed: ENOENT"), "{said}");
        let own = "/h: exit status 1, saying: errno 2";
        assert!(line(step, 1, 0, "", own).ends_with(own));
    }

    #[test]
    fn other_failures_name_field_step_and_call_but_none_of_those_phrases() {
        assert_eq!(
            line(Step::Mount, 3, libc::EACCES, "move_mount", "/data"),
            "config.json: mounts[3]: mounting: move_mount(/data): EACCES"
        );
    }
}
