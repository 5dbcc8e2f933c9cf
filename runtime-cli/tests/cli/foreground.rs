//! `run` in the foreground, on real containers: exit codes, signals, and what is left.
//!
//! Needs root and a static busybox; without them each test says that it is skipped.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{copy, directory, ran, rooted, teu};

/// A bundle that runs `script`, and a state root beside it.
pub(crate) fn bundle(dir: &Path, script: &str) -> Option<PathBuf> {
    let busybox = Path::new("/bin/busybox");
    if !rustix::process::geteuid().is_root() || !busybox.exists() {
        eprintln!("skipped: needs root and /bin/busybox");
        return None;
    }
    let bin = dir.join("rootfs/bin");
    std::fs::create_dir_all(&bin).unwrap();
    copy(busybox, &bin.join("busybox"));
    for name in ["sh", "sleep", "cat"] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
    }
    let made = ran(&mut teu(&["spec", "--bundle", dir.to_str().unwrap()]));
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let path = dir.join("config.json");
    let mut spec: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = json!(["sh", "-c", script]);
    std::fs::write(&path, spec.to_string()).unwrap();
    Some(dir.to_owned())
}

/// A container id that no other test run on this machine has: it names a cgroup, too.
pub(crate) fn id(name: &str) -> String {
    format!("teu-cli-{}-{name}", std::process::id())
}

fn run(bundle: &Path, more: &[&str]) -> crate::Ran {
    let args = ["run", "--bundle", bundle.to_str().unwrap()];
    rooted(bundle, &[&args[..], more].concat())
}

/// Starts `run` and returns when the workload has written its first line.
fn started(bundle: &Path, id: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let root = bundle.join("state");
    let mut child = teu(&["--root", root.to_str().unwrap(), "run", "--bundle"])
        .args([bundle.to_str().unwrap(), id])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, stdout)
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn exit_codes() {
    let dir = directory();
    for code in [0, 1, 42, 255] {
        std::fs::remove_dir_all(dir.path().join("rootfs")).unwrap_or_default();
        std::fs::remove_file(dir.path().join("config.json")).unwrap_or_default();
        let Some(bundle) = bundle(dir.path(), &format!("exit {code}")) else { return };
        let out = run(&bundle, &[&id("code")]);
        assert_eq!((out.code, out.stderr.as_str()), (Some(code), ""));
        assert_eq!(rooted(&bundle, &["list", "-q"]).stdout, "", "deleted after the end");
    }
}

#[test]
fn a_missing_program_is_one_object_in_the_log() {
    let dir = directory();
    let Some(bundle) = bundle(dir.path(), "") else { return };
    let path = bundle.join("config.json");
    let mut spec: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    spec["process"]["args"] = json!(["nope"]);
    std::fs::write(&path, spec.to_string()).unwrap();
    let log = bundle.join("log");
    let pid_file = bundle.join("pid");
    let out = rooted(
        &bundle,
        &[
            &["--log", log.to_str().unwrap(), "--log-format", "json", "create"][..],
            &["--pid-file", pid_file.to_str().unwrap()],
            &["--bundle", bundle.to_str().unwrap(), &id("nope")],
        ]
        .concat(),
    );
    assert_eq!(out.code, Some(1));
    let object: Value = serde_json::from_slice(&std::fs::read(log).unwrap()).unwrap();
    let said = object["msg"].as_str().unwrap();
    assert!(said.contains("exec: \"nope\": executable file not found in $PATH"), "{said}");
    assert!(!pid_file.exists());
    assert_eq!(rooted(&bundle, &["list", "-q"]).stdout, "");
}

#[test]
fn signals_reach_init() {
    let dir = directory();
    let script = "trap 'echo term; exit 3' TERM; trap 'echo hup' HUP; echo ready; \
                  while :; do sleep 1 & wait $!; done";
    let Some(bundle) = bundle(dir.path(), script) else { return };
    let (mut child, mut stdout) = started(&bundle, &id("signals"));
    let mut line = String::new();
    // These two are the runtime's own affair.
    signal(&child, Signal::CHILD);
    signal(&child, Signal::WINCH);
    signal(&child, Signal::HUP);
    stdout.read_line(&mut line).unwrap();
    signal(&child, Signal::TERM);
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "hup\nterm\n");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn killed_is_128_and_the_signal() {
    let dir = directory();
    let Some(bundle) = bundle(dir.path(), "echo ready; sleep 1000") else { return };
    let id = id("killed");
    let (mut child, _stdout) = started(&bundle, &id);
    let killed = rooted(&bundle, &["kill", &id, "KILL"]);
    assert_eq!((killed.code, killed.stderr.as_str()), (Some(0), ""));
    assert_eq!(child.wait().unwrap().code(), Some(137));
    assert_eq!(rooted(&bundle, &["state", &id]).code, Some(1));
}

#[test]
fn keep_leaves_a_stopped_container() {
    let dir = directory();
    let Some(bundle) = bundle(dir.path(), "exit 5") else { return };
    let id = id("keep");
    assert_eq!(run(&bundle, &["--keep", &id]).code, Some(5));
    let state: Value = serde_json::from_str(&rooted(&bundle, &["state", &id]).stdout).unwrap();
    assert_eq!((&state["status"], &state["pid"]), (&json!("stopped"), &json!(0)));
    let kill = rooted(&bundle, &["kill", &id]);
    assert_eq!(kill.code, Some(1));
    assert!(kill.stderr.contains("container not running"), "{}", kill.stderr);
    assert_eq!(rooted(&bundle, &["kill", "--all", &id, "9"]).code, Some(0));
    let deleted = rooted(&bundle, &["delete", &id]);
    assert_eq!((deleted.code, deleted.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_workload_gets_no_mask_and_a_working_sigpipe() {
    let dir = directory();
    let Some(bundle) = bundle(dir.path(), "cat /proc/self/status") else { return };
    let out = run(&bundle, &[&id("mask")]);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    let set = |field: &str| {
        let line = out.stdout.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    // The command blocks signals to pass them on, and Rust's standard library ignores SIGPIPE.
    assert_eq!(set("SigBlk:"), 0);
    assert_eq!(set("SigIgn:") & 1 << (Signal::PIPE.as_raw() - 1), 0);
}

#[test]
fn plan_makes_nothing() {
    let dir = directory();
    let Some(bundle) = bundle(dir.path(), "true") else { return };
    let path = bundle.to_str().unwrap();
    let id = id("plan");
    let text = rooted(&bundle, &["plan", "--bundle", path, &id]);
    assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""));
    let mut last = 0;
    for section in [
        "\nCgroup ",
        "\nNamespaces\n",
        "\nRoot file system ",
        "\nDevices\n",
        "\nNew root\n",
        "\nProcess\n",
    ] {
        let at =
            text.stdout.find(section).unwrap_or_else(|| panic!("{section:?}: {}", text.stdout));
        assert!(at > last, "{section:?} is in its place");
        last = at;
    }
    assert!(text.stdout.contains("/proc: mount proc proc"), "{}", text.stdout);
    let json = rooted(&bundle, &["plan", "--bundle", path, "--format", "json", &id]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["id"], id.as_str());
    assert!(!bundle.join("state").exists());
    assert!(!Path::new("/sys/fs/cgroup/pids").join(format!("teu-{id}")).exists());
}

#[test]
fn the_null_device_of_the_streams_is_the_container_s() {
    let dir = directory();
    let script = "busybox stat -L -c %d:%i /proc/self/fd/0 /dev/null";
    let Some(bundle) = bundle(dir.path(), script) else { return };
    let out = run(&bundle, &[&id("null")]);
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.stdout.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1], "{lines:?}");
}

#[test]
fn a_signal_while_a_hook_hangs_calls_it_off() {
    let dir = directory();
    let Some(bundle) = bundle(dir.path(), "echo never") else { return };
    let fifo = dir.path().join("fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let path = bundle.join("config.json");
    let mut spec: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let script = format!("echo $$ >{}; exec sleep 1000", fifo.display());
    spec["hooks"]["createRuntime"] = json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
    std::fs::write(&path, spec.to_string()).unwrap();
    let (root, pid_file) = (bundle.join("state"), bundle.join("pid"));
    let mut child = teu(&["--root", root.to_str().unwrap(), "run", "--pid-file"]);
    let child = child.arg(&pid_file).arg("--bundle").arg(&bundle).arg(id("hook"));
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let hook = std::fs::read_to_string(&fifo).unwrap();
    signal(&child, Signal::TERM);
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!((out.status.code(), out.stdout.as_slice()), (Some(143), &b""[..]), "{said}");
    assert!(crate::message(&said).contains("called off by signal 15"), "{said}");
    assert!(!Path::new("/proc").join(hook.trim()).exists(), "the hook goes on");
    assert!(!pid_file.exists());
    assert_eq!(rooted(&bundle, &["list", "-q"]).stdout, "");
}
