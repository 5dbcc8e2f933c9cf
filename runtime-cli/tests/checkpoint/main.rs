//! `checkpoint` and `restore`, with a real criu, on real containers; what both runtimes have to do runs with
//! Debian's runc as well, as a control.
//!
//! Needs root, a static busybox, and criu where `scripts/install-criu` puts it; without them each test says that
//! it is skipped.

// A helper that cannot go on ends the test.
#![allow(clippy::unwrap_used)]

#[path = "../support/console.rs"]
mod console;
mod failure;
#[path = "../support/ran.rs"]
mod ran;
mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use console::master;
use serde_json::json;
use support::{Lab, wait_for};

const TEU: &str = env!("CARGO_BIN_EXE_teu");
const RUNC: &str = "/usr/sbin/runc";

fn labs(name: &str) -> impl Iterator<Item = Lab> {
    [TEU, RUNC].into_iter().filter_map(move |runtime| Lab::new(Path::new(runtime), name))
}

fn teu(name: &str) -> Option<Lab> {
    Lab::new(Path::new(TEU), name)
}

/// A round trip: what it had counted is what it goes on from.
fn round_trip(lab: &Lab) {
    lab.start();
    assert_eq!((lab.ask("x"), lab.ask("x")), ("1".into(), "2".into()));
    lab.checkpoint(&[]).ok();
    assert!(!lab.exists() && !lab.has_cgroup());
    lab.restore(&["--detach"]).ok();
    assert_eq!(lab.state()["status"], "running");
    assert_eq!(lab.ask("x"), "3");
}

#[test]
fn a_container_goes_on_where_it_was() {
    for lab in labs("on") {
        lab.start();
        assert_eq!((lab.ask("x"), lab.ask("x")), ("1".into(), "2".into()));
        lab.checkpoint(&[]).ok();
        assert!(!lab.exists() && !lab.has_cgroup(), "{}", lab.id);
        let pid_file = lab.file("pid");
        lab.restore(&["--detach", "--pid-file", pid_file.to_str().unwrap()]).ok();
        let state = lab.state();
        assert_eq!(state["status"], "running");
        assert_eq!(std::fs::read_to_string(pid_file).unwrap(), state["pid"].to_string());
        assert_eq!(lab.ask("x"), "3");
        // The cgroup has its limit, the masks are there, and further processes can come.
        let pid = &state["pid"];
        let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let pids = cgroups.lines().find_map(|line| line.split_once(":pids:")).unwrap().1;
        let limit = format!("/sys/fs/cgroup/pids{pids}/pids.max");
        assert!(pids.contains(&lab.id), "{pids}");
        assert_eq!(std::fs::read_to_string(limit).unwrap().trim(), "50");
        let seen = lab.run(&["exec", &lab.id, "cat", "/proc/timer_list"]).ok();
        assert_eq!(seen.stdout, "");
        lab.run(&["kill", &lab.id, "KILL"]).ok();
    }
}

#[test]
fn again_and_again() {
    let Some(lab) = teu("again") else { return };
    round_trip(&lab);
    for count in 4..6 {
        lab.checkpoint(&[]).ok();
        lab.restore(&["--detach"]).ok();
        assert_eq!(lab.ask("x"), count.to_string());
    }
}

#[test]
fn left_running() {
    for lab in labs("left") {
        lab.start();
        assert_eq!(lab.ask("x"), "1");
        lab.checkpoint(&["--leave-running"]).ok();
        assert_eq!(lab.state()["status"], "running");
        assert_eq!(lab.ask("x"), "2");
        lab.run(&["delete", "--force", &lab.id]).ok();
        lab.restore(&["--detach"]).ok();
        assert_eq!(lab.ask("x"), "2", "as it was when it was written");
    }
}

#[test]
fn on_another_root_without_mount_points() {
    let Some(lab) = teu("fresh") else { return };
    lab.start();
    assert_eq!(lab.ask("x"), "1");
    lab.checkpoint(&[]).ok();
    std::fs::remove_dir(lab.file("bundle/rootfs/vol")).unwrap();
    std::fs::remove_dir(lab.file("bundle/rootfs/proc")).unwrap();
    lab.restore(&["--detach"]).ok();
    assert_eq!(lab.ask("x"), "2");
}

#[test]
fn in_namespaces_of_every_shape() {
    if let Some(lab) = teu("cgroupns") {
        lab.edit(|spec| {
            let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "cgroup");
            namespaces.push(json!({"type": "cgroup"}));
        });
        round_trip(&lab);
    }
    if let Some(lab) = teu("no-cgroupns") {
        lab.edit(|spec| {
            let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "cgroup");
        });
        round_trip(&lab);
    }
    if let Some(lab) = teu("hostnet") {
        lab.edit(|spec| {
            let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "network");
        });
        round_trip(&lab);
    }
}

#[test]
fn in_a_user_namespace() {
    // Without the control: runc's restore fails there now and then.
    if let Some(lab) = teu("user") {
        lab.edit(|spec| {
            let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
            spec["linux"]["uidMappings"] = map.clone();
            spec["linux"]["gidMappings"] = map;
            let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.push(json!({"type": "user"}));
        });
        round_trip(&lab);
    }
}

/// Ends a process that the test has started.
struct Holder(std::process::Child);

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn in_a_network_namespace_that_was_there() {
    for lab in labs("net") {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sh", "-c", "echo; exec sleep 1000"]).stdout(Stdio::piped());
        let mut holder = Holder(holder.spawn().unwrap());
        holder.0.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let path = format!("/proc/{}/ns/net", holder.0.id());
        lab.edit(|spec| {
            for namespace in spec["linux"]["namespaces"].as_array_mut().unwrap() {
                if namespace["type"] == "network" {
                    namespace["path"] = path.as_str().into();
                }
            }
        });
        round_trip(&lab);
        let its = std::fs::read_link(format!("/proc/{}/ns/net", lab.state()["pid"])).unwrap();
        assert_eq!(its, std::fs::read_link(&path).unwrap());
    }
}

#[test]
fn in_the_foreground() {
    for lab in labs("fore") {
        goes_on_in_the_foreground(&lab);
    }
}

/// A shell has its own streams elsewhere while it does something with those of others.
#[test]
fn in_the_foreground_with_streams_elsewhere() {
    for lab in labs("moved") {
        lab.edit(|spec| {
            let script = spec["process"]["args"][2].as_str().unwrap();
            let script = script.replace("echo $n;", "echo $n >&5;");
            spec["process"]["args"][2] = format!("exec 5>&1 >/dev/null; {script}").into();
        });
        goes_on_in_the_foreground(&lab);
    }
}

fn goes_on_in_the_foreground(lab: &Lab) {
    let bundle = lab.file("bundle");
    let mut run = lab.command(&["run", "--bundle", bundle.to_str().unwrap(), &lab.id]);
    let run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    let mut stdout = BufReader::new(run.stdout.take().unwrap());
    let mut line = String::new();
    assert_eq!(lab.ask("x"), "1");
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "1\n");
    lab.checkpoint(&[]).ok();
    run.wait().unwrap();

    let args = lab.restore_args(&[]);
    let mut restore = lab.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let restore = restore.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let restore = restore.spawn().unwrap();
    assert_eq!(lab.ask("x"), "2");
    lab.tell("end");
    let out = restore.wait_with_output().unwrap();
    // Its pipes are those of this command, and so is its exit code.
    assert_eq!(
        (out.status.code(), out.stdout.as_slice()),
        (Some(7), &b"2\n"[..]),
        "{} {out:?}",
        lab.id
    );
    assert!(!lab.exists() && !lab.has_cgroup());
}

#[test]
fn with_a_terminal() {
    for lab in labs("tty") {
        lab.edit(|spec| {
            spec["process"]["terminal"] = true.into();
            spec["process"]["args"] =
                json!(["sh", "-c", "n=0; while read x; do n=$((n+1)); echo count=$n; done"]);
        });
        let socket = lab.file("console");
        let listener = UnixListener::bind(&socket).unwrap();
        let console = ["--console-socket", socket.to_str().unwrap()];
        let bundle = lab.file("bundle");
        let run = ["run", "-d", "--bundle", bundle.to_str().unwrap()];
        lab.detach(&[&run[..], &console, &[&lab.id]].concat()).ok();
        let says = |master: &OwnedFd, wanted: &str| {
            let mut master = std::fs::File::from(master.try_clone().unwrap());
            master.write_all(b"x\n").unwrap();
            let mut seen = String::new();
            while !seen.contains(wanted) {
                wait_for(&master);
                let mut bytes = [0; 256];
                let length = master.read(&mut bytes).unwrap();
                seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        };
        // As long as it is open: its end would hang the container up.
        let first = master(&listener);
        says(&first, "count=1");
        lab.checkpoint(&[]).ok();
        lab.restore(&[&["--detach"][..], &console].concat()).ok();
        says(&master(&listener), "count=2");
    }
}

#[test]
fn hooks_set_up_what_is_new() {
    for lab in labs("hooks") {
        let seen = lab.file("hooks");
        let hook = |stage: &str| {
            let script = format!("cat >/dev/null; echo {stage} >>{}", seen.display());
            json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
        };
        let stages = ["prestart", "createRuntime"];
        lab.edit(|spec| stages.iter().for_each(|stage| spec["hooks"][stage] = hook(stage)));
        lab.start();
        lab.checkpoint(&[]).ok();
        std::fs::remove_file(&seen).unwrap();
        lab.restore(&["--detach"]).ok();
        assert_eq!(std::fs::read_to_string(&seen).unwrap(), "prestart\ncreateRuntime\n");
        lab.run(&["delete", "--force", &lab.id]).ok();
        lab.edit(|spec| spec["hooks"]["createRuntime"] = json!([{"path": "/bin/false"}]));
        let said = lab.restore(&["--detach"]);
        assert_eq!(said.code, Some(1));
        assert!(!lab.exists() && !lab.has_cgroup(), "{said:?}");
    }
}

#[test]
fn whatever_is_done_about_cgroups_the_limits_hold() {
    let Some(lab) = teu("cgroups") else { return };
    lab.start();
    lab.checkpoint(&[]).ok();
    for mode in ["soft", "full", "ignore"] {
        lab.restore(&["--detach", "--manage-cgroups-mode", mode]).ok();
        let cgroups =
            std::fs::read_to_string(format!("/proc/{}/cgroup", lab.state()["pid"])).unwrap();
        let pids = cgroups.lines().find_map(|line| line.split_once(":pids:")).unwrap().1;
        assert!(pids.contains(&lab.id), "{mode}: {cgroups}");
        let limit = std::fs::read_to_string(format!("/sys/fs/cgroup/pids{pids}/pids.max")).unwrap();
        assert_eq!(limit.trim(), "50", "{mode}");
        lab.run(&["delete", "--force", &lab.id]).ok();
    }
}
