//! The command line as its callers see it, as far as it works without a container: streams, exit codes,
//! the log file, and files that `spec` writes. Where Debian's runc is installed, it is the oracle.

// A helper that cannot go on ends the test.
#![allow(clippy::unwrap_used)]

mod bus;
mod completion;
mod foreground;
mod host;
mod output;
mod page;
#[path = "../support/screen.rs"]
mod screen;
mod terminal;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const RUNC: &str = "/usr/sbin/runc";

fn teu(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teu"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ran {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Runs teu with a state root of its own in `dir`.
fn rooted(dir: &Path, args: &[&str]) -> Ran {
    ran(teu(&["--root", dir.join("state").to_str().unwrap()]).args(args))
}

/// The `msg` of the one line in logrus's text form that stderr must be.
fn message(stderr: &str) -> String {
    assert_eq!(stderr.matches('\n').count(), 1, "one line: {stderr:?}");
    let rest = stderr.strip_prefix("time=\"").unwrap();
    let (time, rest) = rest.split_once('"').unwrap();
    assert!(time.len() == 20 && time.ends_with('Z'), "{time}");
    let rest = rest.strip_prefix(" level=error msg=\"").unwrap();
    rest.strip_suffix("\"\n").unwrap().to_owned()
}

/// Copies a program by another process: a descriptor open for writing in this one could be inherited by
/// what another test starts at that moment, and the copy then not be executed (ETXTBSY).
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").args([from, to]).status().unwrap().success());
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn version() {
    let out = ran(&mut teu(&["--version"]));
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.stdout.lines().collect();
    assert!(lines[0].starts_with("teu version "), "{lines:?}");
    assert!(lines[1].starts_with("commit: "));
    assert_eq!(lines[2], "spec: 1.3.0");
    assert!(lines[3].starts_with("libseccomp: 2."));
    assert_eq!(ran(&mut teu(&["-v"])).stdout, out.stdout);
    let as_runc = ran(teu(&["--version"]).arg0("/opt/bin/runc"));
    assert!(as_runc.stdout.starts_with("runc version "), "{}", as_runc.stdout);
}

#[test]
fn help_of_every_command_succeeds() {
    let program = ran(&mut teu(&["--help"]));
    assert_eq!((program.code, program.stderr.as_str()), (Some(0), ""));
    let commands = [
        "create",
        "run",
        "start",
        "exec",
        "pause",
        "resume",
        "ps",
        "update",
        "events",
        "state",
        "kill",
        "delete",
        "list",
        "spec",
        "features",
        "plan",
        "checkpoint",
        "restore",
    ];
    for name in commands {
        assert!(program.stdout.contains(&format!("\n  {name} ")), "{name}");
        for args in [&[name, "--help"][..], &[name, "-h"], &["help", name]] {
            let out = ran(&mut teu(args));
            assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{args:?}");
            assert!(out.stdout.starts_with(&format!("teu {name} - ")), "{args:?}");
            assert!(out.stdout.contains("--help"), "{args:?}");
        }
    }
    for args in [&[][..], &["-h"], &["help"]] {
        assert_eq!(ran(&mut teu(args)).stdout, program.stdout, "{args:?}");
    }
    // Podman decides by this whether it can checkpoint.
    assert_eq!(ran(&mut teu(&["checkpoint", "--help"])).code, Some(0));
}

#[test]
fn mistakes_are_one_line_and_a_usage() {
    let out = ran(&mut teu(&["crate", "x"]));
    assert_eq!(out.code, Some(1));
    assert_eq!(message(&out.stderr), "unknown command \\\"crate\\\", did you mean \\\"create\\\"?");
    assert_eq!(out.stdout, "");

    let out = ran(&mut teu(&["--rot", "/x", "list"]));
    assert_eq!(out.code, Some(1));
    assert_eq!(message(&out.stderr), "unknown flag --rot, did you mean --root?");

    let out = ran(&mut teu(&["delete", "--forse", "x"]));
    assert_eq!(out.code, Some(1));
    let (first, usage) = out.stderr.split_once('\n').unwrap();
    assert!(first.ends_with("msg=\"unknown flag --forse, did you mean --force?\""), "{first}");
    assert_eq!(usage, "Usage: teu [global flags] delete [flags] <container-id>\n");

    let out = ran(&mut teu(&["state"]));
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("\\\"state\\\" requires exactly 1 argument(s)"), "{}", out.stderr);
}

#[test]
fn unknown_id_is_what_managers_search_for() {
    let dir = directory();
    for args in
        [&["state", "nope"][..], &["start", "nope"], &["kill", "nope", "9"], &["delete", "nope"]]
    {
        let out = rooted(dir.path(), args);
        assert_eq!((out.code, out.stdout.as_str()), (Some(1), ""), "{args:?}");
        let said = message(&out.stderr);
        assert!(said.contains("container does not exist"), "{args:?}: {said}");
    }
    let out = rooted(dir.path(), &["delete", "--force", "nope"]);
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (Some(0), "", ""));
    let out = rooted(dir.path(), &["delete", "nope", "-force"]);
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    for id in ["a/b", "", "..", "a b"] {
        let out = rooted(dir.path(), &["state", id]);
        assert_eq!(out.code, Some(1));
        assert!(message(&out.stderr).starts_with("invalid container ID format"));
    }
}

#[test]
fn unknown_id_fails_as_in_runc() {
    if !Path::new(RUNC).exists() {
        eprintln!("skipped: {RUNC} is not installed");
        return;
    }
    let dir = directory();
    let root = dir.path().join("runc");
    for args in [
        &["state", "nope"][..],
        &["kill", "nope", "9"],
        &["delete", "nope"],
        &["delete", "--force", "nope"],
        &["list", "--format", "json"],
        &["list", "--quiet"],
        &["list"],
    ] {
        let runc = ran(Command::new(RUNC).arg("--root").arg(&root).args(args));
        let ours = rooted(dir.path(), args);
        assert_eq!(ours.code, runc.code, "{args:?}");
        assert_eq!(ours.stdout, runc.stdout, "{args:?}");
        assert_eq!(ours.stderr.is_empty(), runc.stderr.is_empty(), "{args:?}");
        if !runc.stderr.is_empty() {
            let said = message(&ours.stderr);
            let phrase = runc.stderr.split_once("msg=\"").unwrap().1.trim_end_matches("\"\n");
            assert!(said.contains(phrase), "{args:?}: {said:?} has not {phrase:?}");
        }
    }
}

#[test]
fn empty_lists() {
    let dir = directory();
    let out = |args: &[&str]| {
        let out = rooted(dir.path(), args);
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{args:?}");
        out.stdout
    };
    assert_eq!(
        out(&["list"]),
        "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
    );
    assert_eq!(out(&["list", "-f", "json"]), "null\n");
    assert_eq!(out(&["list", "--format=json"]), "null\n");
    assert_eq!(out(&["list", "-q"]), "");
    let state = dir.path().join("state");
    assert_eq!(state.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(rooted(dir.path(), &["list", "-f", "xml"]).code, Some(1));
}

#[test]
fn what_is_not_there_yet_is_refused() {
    let dir = directory();
    let out = rooted(dir.path(), &["--rootless=maybe", "create", "x"]);
    assert_eq!(out.code, Some(1));
    assert!(message(&out.stderr).starts_with("--rootless: "), "{}", out.stderr);
    // Managers pass the flags to every command: cleaning up must work all the same.
    for flag in ["--rootless=true", "--systemd-cgroup"] {
        assert_eq!(rooted(dir.path(), &[flag, "delete", "--force", "x"]).code, Some(0));
    }
    assert_eq!(rooted(dir.path(), &["--systemd-cgroup=false", "list"]).code, Some(0));
}

#[test]
fn signals() {
    let dir = directory();
    for signal in ["15", "SIGTERM", "term", "0", "64", "SIGRTMIN+3"] {
        let out = rooted(dir.path(), &["kill", "nope", signal]);
        assert!(out.stderr.contains("container does not exist"), "{signal}: {}", out.stderr);
    }
    for signal in ["-1", "abc", "65", ""] {
        let out = rooted(dir.path(), &["kill", "nope", signal]);
        assert_eq!(out.code, Some(1), "{signal}");
        assert!(message(&out.stderr).starts_with("unknown signal"), "{signal}: {}", out.stderr);
    }
}
