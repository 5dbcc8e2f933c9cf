//! What `conformance/vm/vm` promises to whoever runs something in it. Needs root, and Debian's packages for the kernel.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const VM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vm/vm");

fn vm(options: &[&str]) -> Command {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    INSTALLED.call_once(|| {
        assert!(Command::new(VM).arg("install").status().unwrap().success(), "vm install");
    });
    let mut command = Command::new(VM);
    command.arg("run").args(options).arg("--").stdin(Stdio::null());
    command
}

fn output(options: &[&str], words: &[&str]) -> Output {
    vm(options).args(words).output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_command_gets_its_arguments_and_its_status_comes_back() {
    let shell = r#"printf '<%s>' "$@"; uname -s; echo wrong >&2; cat; exit 7"#;
    let output = output(&[], &["sh", "-c", shell, "sh", "two words", "", "line\nand 'quote'"]);
    assert_eq!(said(&output.stdout), "<two words><><line\nand 'quote'>Linux\n");
    assert_eq!(said(&output.stderr), "wrong\n");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn what_it_changes_vanishes_but_for_shared_directories() {
    let shared = tempfile::tempdir_in("/var/tmp").unwrap();
    let kept = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = |directory: &Path| directory.join("file").to_str().unwrap().to_owned();
    let output = output(
        &["--share", shared.path().to_str().unwrap()],
        &[
            "sh",
            "-c",
            r#"echo new >"$1"; echo new >"$2""#,
            "sh",
            &file(shared.path()),
            &file(kept.path()),
        ],
    );
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(std::fs::read_to_string(file(shared.path())).unwrap(), "new\n");
    assert!(!Path::new(&file(kept.path())).exists());
}

#[test]
fn output_comes_while_the_command_runs() {
    let shared = tempfile::tempdir_in("/var/tmp").unwrap();
    let go = shared.path().join("go");
    let mut child = vm(&["--share", shared.path().to_str().unwrap(), "--timeout", "60"])
        .args(["sh", "-c", r#"echo first; until [ -e "$1" ]; do sleep 0.1; done"#, "sh"])
        .arg(&go)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    std::fs::write(&go, "").unwrap();
    assert!(child.wait().unwrap().success());
}

/// The processes whose command line has this word.
fn processes(word: &str) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path().join("cmdline")).ok())
        .filter(|line| said(line).contains(word))
        .count()
}

#[test]
fn the_deadline_ends_all_of_it() {
    let begun = Instant::now();
    let output = output(&["--timeout", "8"], &["sleep", "123456"]);
    assert_eq!(output.status.code(), Some(124));
    assert!(said(&output.stderr).ends_with("vm: the command did not end within 8 s\n"));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_signal_ends_all_of_it() {
    let shared = tempfile::tempdir_in("/var/tmp").unwrap();
    let directory = shared.path().to_str().unwrap();
    let mut child: Child = vm(&["--share", directory])
        .args(["sh", "-c", "echo up; sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(processes(directory) > 0);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(processes(directory), 0);
}

#[test]
fn a_machine_that_ends_too_early_is_an_error_of_its_own() {
    let output = output(&[], &["sh", "-c", "echo o >/proc/sysrq-trigger; sleep 100"]);
    assert_eq!(output.status.code(), Some(125));
    let last = "vm: the machine ended before the command did, with exit status 0\n";
    assert!(said(&output.stderr).ends_with(last), "{}", said(&output.stderr));
}

#[test]
fn systemd_runs_and_a_user_has_cgroups_of_its_own() {
    let shell = "systemctl is-system-running; systemctl list-units --failed --no-legend; \
        as-user systemd-run --user --scope --quiet -p Delegate=yes cat /proc/self/cgroup";
    let output = output(&["--profile", "systemd", "--timeout", "120"], &["sh", "-c", shell]);
    let text = said(&output.stdout);
    assert!(text.starts_with("running\n0::/user.slice/"), "{text}{}", said(&output.stderr));
    assert!(text.ends_with(".scope\n"), "{text}");
}

#[test]
fn iptables_translates_addresses() {
    // The modules of the machine's kernel, though the host's iptables may speak to another part of a kernel.
    let rule = "iptables -w -t nat -A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE && iptables -w -t nat -S POSTROUTING";
    let output = output(&[], &["sh", "-c", rule]);
    let text = said(&output.stdout);
    assert!(text.ends_with("-s 10.9.0.0/16 -j MASQUERADE\n"), "{text}{}", said(&output.stderr));
}

#[test]
fn wrong_options_say_so() {
    for (options, error) in [
        (&["--profile", "huge"][..], "vm: --profile huge: neither minimal nor systemd\n"),
        (&["--share", "/nowhere"], "vm: --share /nowhere: no such directory\n"),
        (
            &["--kernel", "no-such"],
            "vm: there is no such kernel yet: vm install --machine uml --kernel no-such\n",
        ),
        (&["--timeout"], "vm: --timeout needs a value\n"),
    ] {
        let mut command = Command::new(VM);
        let output = command.arg("run").args(options);
        if options.len() == 2 {
            output.args(["--", "true"]);
        }
        let output = output.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert_eq!(said(&output.stderr), error, "{options:?}");
    }
}
