//! Faults of `exec`: what its file says, and what its flags do.

use std::io::Write;

use rustix::fs::{Mode, OFlags};
use serde_json::Value;

use crate::call::{Call, Result};
use crate::fault::{Fault, Way};

const fn file(
    name: &'static str,
    what: &'static str,
    cases: &'static [&'static str],
    edit: fn(&mut Value),
) -> Fault {
    Fault { name, what, cases, way: Way::Process(edit) }
}

const fn of(
    name: &'static str,
    what: &'static str,
    cases: &'static [&'static str],
    edit: fn(&mut Call) -> Result<()>,
) -> Fault {
    Fault { name, what, cases, way: Way::Words(edit) }
}

/// Makes the call with an edited copy of the file of `exec --process`.
pub(crate) fn call(call: &Call, edit: fn(&mut Value)) -> Result<u8> {
    let Some(path) = call.value("--process").filter(|_| call.verb == "exec") else {
        return call.make();
    };
    let mut process = serde_json::from_slice(&std::fs::read(path)?)?;
    edit(&mut process);
    let mut copy = tempfile::NamedTempFile::new()?;
    copy.write_all(&serde_json::to_vec(&process)?)?;
    let mut directed = call.clone();
    directed.set_value("--process", &copy.path().to_string_lossy());
    directed.make()
}

fn without(process: &mut Value, property: &str) {
    process.as_object_mut().map(|process| process.remove(property));
}

fn without_flag(call: &mut Call, flag: &str) -> Result<()> {
    if call.verb == "exec" {
        call.drop_flag(flag);
    }
    Ok(())
}

/// The faults of this kind.
pub(crate) const FAULTS: &[&[Fault]] = &[&[
    of(
        "exec-apparmor",
        "--apparmor of exec is ignored",
        &["apparmor/exec-own", "apparmor/unconfined", "apparmor/exec-unknown", "apparmor/absent"],
        |call| without_flag(call, "--apparmor"),
    ),
    of(
        "exec-process-label",
        "--process-label of exec is ignored",
        &["selinux/exec-own", "selinux/exec-unknown", "selinux/absent"],
        |call| without_flag(call, "--process-label"),
    ),
    file(
        "exec-file-labels",
        "the labels of exec's file are ignored",
        &["apparmor/exec-own", "selinux/exec-own"],
        |process| {
            without(process, "apparmorProfile");
            without(process, "selinuxLabel");
        },
    ),
    file("exec-umask", "the umask of exec's file is ignored", &["exec/umask"], |process| {
        process["user"].as_object_mut().map(|user| user.remove("umask"));
    }),
    file(
        "exec-groups",
        "the groups of exec's file are ignored",
        &["exec/process-file"],
        |process| {
            process["user"].as_object_mut().map(|user| user.remove("additionalGids"));
        },
    ),
    file(
        "exec-rlimits",
        "the limits of exec's file are ignored",
        &["exec/process-file"],
        |process| {
            without(process, "rlimits");
        },
    ),
    file(
        "exec-cpu-affinity",
        "the CPUs of exec's file are ignored",
        &["exec/cpu-affinity-own"],
        |process| without(process, "execCPUAffinity"),
    ),
    file("exec-inheritable", "exec keeps nothing inheritable", &["exec/process-file"], |process| {
        for set in ["inheritable", "ambient"] {
            process["capabilities"].as_object_mut().map(|sets| sets.remove(set));
        }
    }),
    file("exec-more", "exec has a capability more to inherit", &["exec/process-file"], |process| {
        if let Some(set) = process["capabilities"]["inheritable"].as_array_mut() {
            set.push("CAP_CHOWN".into());
        }
    }),
    file(
        "exec-oom-score",
        "oomScoreAdj of exec's file is ignored",
        &["exec/own-oom-score-adj"],
        |process| {
            without(process, "oomScoreAdj");
        },
    ),
    file("exec-environment", "exec's file has no environment", &["exec/process-file"], |process| {
        without(process, "env");
    }),
    of("exec-pid-file", "exec ignores --pid-file", &["exec/detach"], |call| {
        without_flag(call, "--pid-file")
    }),
    of("exec-cap", "exec ignores --cap", &["exec/flags"], |call| without_flag(call, "--cap")),
    of("exec-env", "exec ignores -e", &["exec/flags"], |call| without_flag(call, "-e")),
    of("exec-sub-cgroup", "exec ignores --cgroup", &["exec/sub-cgroup"], |call| {
        without_flag(call, "--cgroup")
    }),
    of(
        "exec-leak",
        "a descriptor of the runtime's is open in what exec runs",
        &["exec/descriptors"],
        |call| {
            if call.verb == "exec" && call.value("--preserve-fds").is_none() {
                // What the caller has open as descriptor 3 is good for it, too.
                if let Ok(file) = rustix::fs::open("/etc/passwd", OFlags::RDONLY, Mode::empty()) {
                    std::mem::forget(file);
                }
                call.words.splice(0..0, ["--preserve-fds".to_owned(), "1".to_owned()]);
            }
            Ok(())
        },
    ),
]];
