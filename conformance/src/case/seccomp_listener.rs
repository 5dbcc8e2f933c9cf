//! SCMP_ACT_NOTIFY: what the agent at `listenerPath` gets.

use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::{Value, json};

use super::Case;
use super::terminal::receive;
use crate::harness::{Container, Exit, Lab, Result, ensure, ensure_eq, event};

const SPEC: &str = "OCI runtime-spec config-linux.md#seccomp listenerPath, #containerprocessstate";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "seccomp/listener",
        "the agent gets one message with seccompFd, the pid, the metadata and the state",
        SPEC,
        listener,
    ),
    Case::new(
        "seccomp/listener-gone",
        "a call that is to be notified is ENOSYS once nobody has the descriptor",
        "seccomp_unotify(2)",
        listener_gone,
    ),
    Case::new(
        "seccomp/listener-missing",
        "a listener that is not there is an error",
        SPEC,
        missing,
    ),
    Case::new(
        "seccomp/listener-own-calls",
        "asking for a call that the runtime itself needs to hand the descriptor on is an error",
        "runc: SCMP_ACT_NOTIFY cannot be used for the write syscall; it would wait for itself",
        own_calls,
    ),
    Case::new(
        "seccomp/listener-unused",
        "listenerPath without SCMP_ACT_NOTIFY is ignored",
        SPEC,
        unused,
    ),
];

/// A container whose getsid(2) has this action and whose agent is at `path`.
fn container<'l>(lab: &'l Lab, path: &Path, action: &str) -> Result<Container<'l>> {
    Ok(lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "syscall", "getsid", "0"]);
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": path,
            "listenerMetadata": "some words",
            "syscalls": [{ "names": ["getsid"], "action": action }]
        });
        config["annotations"] = json!({ "org.example.key": "a value" });
    })?))
}

fn listener(lab: &Lab) -> Result {
    let path = lab.folder.join("agent.sock");
    let socket = UnixListener::bind(&path)?;
    let c = container(lab, &path, "SCMP_ACT_NOTIFY")?;
    c.up()?;
    let (text, descriptor) = receive(&socket.accept()?.0)?;
    let state: Value = serde_json::from_str(&text)?;
    ensure_eq!(state["fds"], json!(["seccompFd"]), "fds");
    ensure_eq!(state["pid"], c.pid()?, "pid");
    ensure_eq!(state["metadata"], "some words", "metadata");
    ensure!(state["ociVersion"].is_string(), "ociVersion must be a string: {state}");
    ensure_eq!(state["state"]["id"], c.id.as_str(), "state.id");
    ensure_eq!(state["state"]["pid"], c.pid()?, "state.pid");
    ensure_eq!(state["state"]["bundle"], c.bundle.word().as_str(), "state.bundle");
    ensure_eq!(state["state"]["annotations"]["org.example.key"], "a value", "state.annotations");
    let status = state["state"]["status"].as_str().unwrap_or_default();
    ensure!(["creating", "created", "running"].contains(&status), "state.status is {status:?}");
    // The kernel says that somebody waits for the agent: the probe's call has arrived.
    ensure!(
        event::readable(&descriptor, crate::harness::container::PATIENCE)?,
        "no call arrived at the descriptor"
    );
    Ok(())
}

fn listener_gone(lab: &Lab) -> Result {
    let path = lab.folder.join("agent.sock");
    let socket = UnixListener::bind(&path)?;
    let c = container(lab, &path, "SCMP_ACT_NOTIFY")?;
    c.up()?;
    drop(receive(&socket.accept()?.0)?);
    ensure_eq!(c.wait()?, Exit::Code(0), "end of the workload");
    ensure_eq!(c.output()?, format!("errno {}\n", libc::ENOSYS), "what getsid(2) returned");
    Ok(())
}

fn missing(lab: &Lab) -> Result {
    let c = container(lab, &lab.folder.join("nobody.sock"), "SCMP_ACT_NOTIFY")?;
    let done = c.run()?;
    ensure!(done.code != Some(0), "a run without an agent must fail, but it {}", done.ended());
    ensure!(!done.stdout.contains("result"), "the workload ran: {}", done.stdout);
    Ok(())
}

fn own_calls(lab: &Lab) -> Result {
    let path = lab.folder.join("agent.sock");
    let _socket = UnixListener::bind(&path)?;
    let c = lab.container(lab.bundle(|config| {
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": path,
            "syscalls": [{ "names": ["write"], "action": "SCMP_ACT_NOTIFY" }]
        });
    })?);
    c.run()?.refused()?.fails(1, "SCMP_ACT_NOTIFY").map(drop)
}

fn unused(lab: &Lab) -> Result {
    let c = container(lab, &lab.folder.join("nobody.sock"), "SCMP_ACT_ALLOW")?;
    let text = c.run()?.ok()?.stdout;
    ensure!(text.starts_with("result "), "getsid(2) must work: {text}");
    Ok(())
}
