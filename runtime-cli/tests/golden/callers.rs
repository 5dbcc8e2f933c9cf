//! What callers make of a failure's words: their rules, so that a change of ours shows as what users would see.

use serde_json::Value;

fn has(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// What the Docker daemon makes of a failed start (moby, daemon/errors.go, setExitCodeFromError).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moby {
    /// The container's exit code, which `docker exec` ends with as well.
    pub(crate) code: i32,
    /// What it answers the client.
    pub(crate) answer: String,
}

pub(crate) fn moby(message: &str) -> Moby {
    let text = message.to_lowercase();
    let mut answer = message.to_owned();
    let code = if text.contains("permission denied") {
        126
    } else if text.contains("is a directory") {
        answer.push_str(": permission denied");
        126
    } else if text.contains("not a directory") {
        answer.push_str(": Are you trying to mount a directory onto a file (or vice-versa)?");
        127
    } else if has(
        &text,
        &[
            "executable file not found",
            "no such file or directory",
            "system cannot find the file specified",
            "failed to run runc create/exec call",
        ],
    ) {
        127
    } else {
        128
    };
    Moby { code, answer }
}

/// The exit code of `docker run` (docker/cli, command/container/run.go, toStatusError).
pub(crate) fn docker_run(message: &str) -> i32 {
    let answer = moby(message).answer;
    if has(&answer, &["executable file not found", "no such file or directory"]) {
        127
    } else if has(&answer, &["permission denied", "is a directory"]) {
        126
    } else {
        125
    }
}

/// What Podman takes a failure for (libpod/oci_util.go, getOCIRuntimeError).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Podman {
    PermissionDenied,
    NotFound,
    SecurityAttribute,
    Other,
}

pub(crate) fn podman(message: &str) -> Podman {
    let text = message.to_lowercase();
    // `.*executable file not found in.*`: within one line, as all of these.
    if has(&text, &["permission denied", "operation not permitted"]) {
        Podman::PermissionDenied
    } else if has(&text, &["executable file not found in", "no such file or directory"]) {
        Podman::NotFound
    } else if message.split('`').any(|part| part.starts_with("/proc/") && part.contains("/attr")) {
        Podman::SecurityAttribute
    } else {
        Podman::Other
    }
}

/// The exit code of `podman run` (libpod/define/exec_codes.go, ExitCode).
pub(crate) fn podman_run(message: &str) -> i32 {
    let kind = match podman(message) {
        Podman::PermissionDenied => "oci permission denied",
        Podman::NotFound => "oci runtime attempted to invoke a command that was not found",
        Podman::SecurityAttribute => "unable to assign security attribute",
        Podman::Other => "oci runtime error",
    };
    let text = format!("{}: {kind}", message.to_lowercase());
    if has(&text, &["not found", "executable path is empty", "no such file"]) { 127 } else { 126 }
}

/// The exit code of `podman exec` (the same file, TranslateExecErrorToExitCode).
pub(crate) fn podman_exec(message: &str) -> i32 {
    match podman(message) {
        Podman::PermissionDenied => 126,
        Podman::NotFound => 127,
        Podman::SecurityAttribute | Podman::Other => 125,
    }
}

/// What containerd takes a failed kill for (cmd/containerd-shim-runc-v2/process/utils.go, checkKillError).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Killed {
    Finished,
    NoContainer,
    Failed,
}

pub(crate) fn containerd_kill(message: &str) -> Killed {
    if has(message, &["os: process already finished", "container not running"])
        || message.to_lowercase().contains("no such process")
    {
        Killed::Finished
    } else if message.contains("does not exist") {
        Killed::NoContainer
    } else {
        Killed::Failed
    }
}

/// Whether CRI-O takes a failed kill for "has ended" (internal/oci/runtime_oci.go).
pub(crate) fn crio_has_ended(stderr: &str) -> bool {
    has(stderr, &["no such process", "container not running", "invalid process"])
}

/// The message that containerd finds in a log: the last of level error in a stream of objects
/// (process/utils.go, getLastRuntimeError). A word between them ends the search.
pub(crate) fn containerd_log(log: &str) -> Option<String> {
    let mut last = None;
    for object in serde_json::Deserializer::from_str(log).into_iter::<Value>() {
        let object = object.ok()?;
        humantime::parse_rfc3339(object["time"].as_str()?).ok()?;
        if object["level"] == "error" {
            last = Some(object["msg"].as_str()?.trim().to_owned());
        }
    }
    last
}

/// The message that Podman finds: the whole file is one object (libpod/oci_conmon_common.go, readConmonPipeData).
pub(crate) fn podman_log(log: &str) -> Option<String> {
    let object: Value = serde_json::from_str(log).ok()?;
    object["msg"].as_str().map(str::to_owned)
}

#[test]
fn the_rules_tell_runcs_own_words_apart() {
    let found =
        "unable to start container process: exec: \"x\": executable file not found in $PATH";
    assert_eq!((moby(found).code, docker_run(found), podman_run(found)), (127, 127, 127));
    let denied = "unable to start container process: exec: \"/x\": permission denied";
    assert_eq!((moby(denied).code, docker_run(denied), podman_exec(denied)), (126, 126, 126));
    assert_eq!(docker_run("exec: \"/etc\": is a directory"), 126);
    assert_eq!((moby("x: not a directory").code, docker_run("x: not a directory")), (127, 125));
    assert_eq!(
        (moby("x").code, docker_run("x"), podman_run("x"), podman_exec("x")),
        (128, 125, 126, 125)
    );
    let label = "write to `/proc/thread-self/attr/exec`: EINVAL";
    assert_eq!(podman(label), Podman::SecurityAttribute);
    let line = r#"{"level":"error","msg":" a ","time":"2026-01-02T15:04:05Z"}"#;
    let warning = line.replace("error", "warning");
    assert_eq!(containerd_log(&format!("{line}\n{warning}\n")).as_deref(), Some("a"));
    assert_eq!(podman_log(&format!("{line}\n{warning}\n")), None);
    assert_eq!(containerd_log(&format!("panic\n{line}\n")), None);
    assert_eq!(containerd_kill("process: No such process"), Killed::Finished);
    assert_eq!(containerd_kill("x"), Killed::Failed);
    assert!(crio_has_ended("invalid process") && !crio_has_ended("x"));
}
