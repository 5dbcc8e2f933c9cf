//! newuidmap(1) and newgidmap(1) that do not do their work.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::support::{Lab, ran};

/// A shell of root's with mounts of its own.
const PRIVATE: [&str; 4] = ["unshare", "--mount", "--kill-child", "sh"];

/// The whole of what runs a container on a host whose newgidmap is that script.
fn with_helper(lab: &Lab, script: &str) -> String {
    let helper = lab.file("helper");
    std::fs::write(&helper, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&helper, Permissions::from_mode(0o755)).unwrap();
    format!("mount --bind {} /usr/bin/newgidmap", helper.display())
}

#[test]
fn a_helper_that_is_missing_is_named() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    lab.directory("bin");
    let (from, to) = ("/usr/bin", lab.word("bin"));
    let script = format!("cp {from}/setpriv {from}/rm {to} && mount --bind {to} {from}");
    let run = ["run", "--bundle", &lab.word("bundle"), "c1"];
    let said = ran(lab.after(&PRIVATE, &script, &run)).refused();
    assert!(said.contains("newgidmap is not installed") && said.contains("uidmap"), "{said}");
    lab.nothing_left();
}

#[test]
fn a_helper_that_hangs_is_ended() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    let pid_file = lab.file("runtime/helper.pid");
    let script = format!("echo $$ >{}; exec sleep 1000", pid_file.display());
    let script = with_helper(&lab, &script);
    let run = ["run", "--bundle", &lab.word("bundle"), "c1"];
    let begin = Instant::now();
    let said = ran(lab.after(&PRIVATE, &script, &run)).refused();
    let took = begin.elapsed();
    for part in ["linux.uidMappings", "newgidmap", "still running after 10 s, killed", "subid"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(took < Duration::from_secs(20), "{took:?}");
    let pid = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    let left = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty());
    assert!(left.is_err(), "the helper is still there");
    lab.nothing_left();
}

/// Whoever is tired of waiting is not made to wait for the deadline.
#[test]
fn a_signal_ends_the_wait_for_a_helper() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    let pid_file = lab.file("runtime/helper.pid");
    let script = format!("echo $$ >{0}.new; mv {0}.new {0}; exec sleep 1000", pid_file.display());
    let script = with_helper(&lab, &script);
    let run = ["run", "--bundle", &lab.word("bundle"), "c1"];
    let begin = Instant::now();
    // No process between: the signal is for teu.
    let mut call = lab.after(&["unshare", "--mount", "sh"], &script, &run).spawn().unwrap();
    while !pid_file.exists() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the helper does not start");
        assert!(call.try_wait().unwrap().is_none(), "it has ended before the helper ran");
    }
    kill_process(Pid::from_child(&call), Signal::TERM).unwrap();
    let status = call.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
    assert_eq!(status.code(), Some(128 + 15));
    lab.nothing_left();
}

#[test]
fn what_a_helper_says_is_passed_on() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    let script = with_helper(&lab, "echo no such luck >&2; exit 3");
    let run = ["run", "--bundle", &lab.word("bundle"), "c1"];
    let said = ran(lab.after(&PRIVATE, &script, &run)).refused();
    for part in ["newgidmap: exit status 3", "no such luck", "/etc/subgid"] {
        assert!(said.contains(part), "{said}");
    }
    lab.nothing_left();
}
