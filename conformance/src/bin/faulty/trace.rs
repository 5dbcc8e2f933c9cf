//! Faults of what is left behind, done too early, or done otherwise.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount, umount};
use serde_json::Value;

use crate::call::{Call, Result};
use crate::fault::{Fault, Way};

const fn of(
    name: &'static str,
    what: &'static str,
    cases: &'static [&'static str],
    way: Way,
) -> Fault {
    Fault { name, what, cases, way }
}

/// The faults of this kind.
pub(crate) const FAULTS: &[&[Fault]] = &[&[
    of(
        "pid-file-newline",
        "the pid file ends with a newline",
        &["lifecycle/pid-file"],
        Way::After(newline),
    ),
    of(
        "pid-file-written-in-place",
        "the pid file is emptied and written in its place",
        &["lifecycle/pid-file-atomic"],
        Way::After(|call, code| {
            if code == 0
                && let Some(path) = call.value("--pid-file")
            {
                fs::write(path, fs::read(path)?)?;
            }
            Ok(())
        }),
    ),
    of(
        "state-left",
        "delete leaves the state directory",
        &["lifecycle/delete-created"],
        Way::After(|call, code| {
            if call.verb == "delete" && code == 0 {
                fs::create_dir(call.state_directory()).ok();
            }
            Ok(())
        }),
    ),
    of(
        "failed-state-left",
        "a failed create leaves its state",
        &["rollback/failed-create", "rollback/no-descriptor", "rollback/pid-file"],
        Way::After(|call, code| {
            if call.makes() && code != 0 {
                fs::create_dir(call.state_directory()).ok();
            }
            Ok(())
        }),
    ),
    of(
        "failed-pid-file-left",
        "a failed create leaves a file beside the pid file",
        &["rollback/pid-file"],
        Way::After(|call, code| {
            if code != 0
                && let Some(path) = call.value("--pid-file")
            {
                fs::write(format!("{path}.new"), "").ok();
            }
            Ok(())
        }),
    ),
    of(
        "cgroup-left",
        "delete leaves the cgroups",
        &["cgroup/removed"],
        Way::Instead(leave_cgroups),
    ),
    of(
        "mount-left",
        "a mount stays on the host",
        &["lifecycle/delete-created"],
        Way::After(leave_mount),
    ),
    of(
        "mount-for-a-moment",
        "create mounts something on the host for a moment",
        &["cli/no-host-mounts"],
        Way::After(|call, code| {
            if call.makes() && code == 0 {
                let place = call.state_directory();
                mount(Some("faulty"), &place, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
                umount(&place)?;
            }
            Ok(())
        }),
    ),
    of(
        "process-left",
        "a process of the runtime's stays",
        &["lifecycle/delete-created"],
        Way::After(|call, code| {
            if call.verb == "delete" && code == 0 {
                // Its end is the suite's business, as that of everything that a case starts.
                let mut left = Command::new("sleep");
                left.arg("60")
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()?;
            }
            Ok(())
        }),
    ),
    of(
        "log-twice",
        "an error is written to the log twice",
        &["cli/log-json"],
        Way::After(|call, code| {
            if code != 0
                && let Some(log) = call.value("--log")
            {
                let text = fs::read(log)?;
                fs::OpenOptions::new().append(true).open(log)?.write_all(&text)?;
            }
            Ok(())
        }),
    ),
    of(
        "create-starts",
        "create starts the workload, too",
        &["lifecycle/statuses"],
        Way::After(|call, code| {
            if call.verb == "create" && code == 0 {
                call.other("start", &[call.id()]).make()?;
            }
            Ok(())
        }),
    ),
    of(
        "pause",
        "pause does nothing",
        &["cli/pause-resume"],
        Way::Instead(|call| if call.verb == "pause" { Ok(0) } else { call.make() }),
    ),
    of(
        "resume",
        "resume does nothing",
        &["cli/pause-resume"],
        Way::Instead(|call| if call.verb == "resume" { Ok(0) } else { call.make() }),
    ),
    of(
        "notify-socket",
        "NOTIFY_SOCKET is ignored",
        &["notify/mount"],
        Way::Instead(|call| without(call, "NOTIFY_SOCKET")),
    ),
    of(
        "listen-fds",
        "LISTEN_FDS is ignored",
        &["cli/listen-fds"],
        Way::Instead(|call| without(call, "LISTEN_FDS")),
    ),
    of(
        "root-mode",
        "the state root can be written by all",
        &["cli/state-root"],
        Way::After(|call, _| {
            if call.verb == "create"
                && let Some(root) = call.value("--root")
            {
                fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
            }
            Ok(())
        }),
    ),
    of(
        "create-noise",
        "create writes to standard error",
        &["lifecycle/statuses"],
        Way::After(|call, code| {
            if call.verb == "create" && code == 0 {
                eprintln!("created");
            }
            Ok(())
        }),
    ),
    of(
        "stdin",
        "the workload has no standard input",
        &["cli/stdio"],
        Way::Instead(|call| Ok(crate::call::code(call.command().stdin(Stdio::null()).status()?))),
    ),
    of(
        "stdout",
        "the workload has no standard output",
        &["cli/stdio"],
        Way::Instead(|call| {
            if call.makes() {
                return Ok(crate::call::code(call.command().stdout(Stdio::null()).status()?));
            }
            call.make()
        }),
    ),
    of(
        "run-signals",
        "run does not pass signals on",
        &["lifecycle/run-signals"],
        // This process dies of the signal, and what it started never hears of it.
        Way::Instead(Call::make),
    ),
    of(
        "exec-crude",
        "exec joins the namespaces and nothing else",
        &["exec/seccomp", "exec/cgroup"],
        Way::Instead(crate::crude::exec),
    ),
    of(
        "console-twice",
        "the console socket gets the terminal twice in one message",
        &["terminal/console-socket"],
        Way::Instead(crate::console::send_twice),
    ),
]];

fn newline(call: &Call, code: u8) -> Result<()> {
    if code == 0
        && let Some(path) = call.value("--pid-file")
    {
        let mut file = fs::OpenOptions::new().append(true).open(path)?;
        file.write_all(b"\n")?;
    }
    Ok(())
}

fn leave_mount(call: &Call, code: u8) -> Result<()> {
    if call.verb == "create" && code == 0 {
        let config = call.config();
        let bundle = config.parent().unwrap_or(Path::new("."));
        mount(Some(bundle), bundle, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    }
    Ok(())
}

fn without(call: &Call, variable: &str) -> Result<u8> {
    // By exec, because LISTEN_PID says which process the descriptors are for.
    Err(call.command().env_remove(variable).exec().into())
}

/// `delete`, and makes the cgroups again that it removed.
fn leave_cgroups(call: &Call) -> Result<u8> {
    if call.verb != "delete" {
        return call.make();
    }
    // Only while the container is known does the runtime say what its bundle is.
    let state: Value = serde_json::from_slice(&call.other("state", &[call.id()]).catch()?.stdout)
        .unwrap_or_default();
    let bundle = PathBuf::from(state["bundle"].as_str().unwrap_or_default());
    let config: Value =
        serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap_or_default())
            .unwrap_or_default();
    let code = call.make()?;
    let Some(path) = config["linux"]["cgroupsPath"].as_str() else { return Ok(code) };
    for hierarchy in ["/sys/fs/cgroup", "/sys/fs/cgroup/pids"].map(Path::new) {
        if code == 0 && hierarchy.join("cgroup.procs").exists() {
            // The suite removes what bears the name of its case.
            fs::create_dir_all(hierarchy.join(path.trim_start_matches('/')))?;
        }
    }
    Ok(code)
}
