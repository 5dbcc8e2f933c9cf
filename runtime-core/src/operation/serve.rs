//! Listening to init: what it needs from the caller between its birth and its workload.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use teu_wire::{ToCaller, ToInit};

use super::child::{Child, Exit, pid_of, reap};
use super::state_json;
use crate::bundle::Bundle;
use crate::cgroup::CgroupRecord;
use crate::error::{Error, ErrorKind, Result};
use crate::hook;
use crate::id::ContainerId;
use crate::link::{self, Link, Message, report};
use crate::namespace::device;
use crate::plan::CreatePlan;
use crate::store::record::Record;
use crate::store::status::has_ended;
use crate::undo::Undo;

/// Hears a process that may be cloned a second time: the new one may speak before the first has told of it, and what
/// it says is its own only when it is known.
struct Ears {
    /// The second clone is still to be told of.
    waiting: bool,
    early: VecDeque<Message>,
}

impl Ears {
    fn new(second_clone: bool) -> Self {
        Self { waiting: second_clone, early: VecDeque::new() }
    }

    fn next(&mut self, link: &Link) -> Result<Message> {
        while self.waiting {
            let message = link.receive()?;
            match message.kind {
                Some(ToCaller::Joined) => {
                    self.waiting = false;
                    return Ok(message);
                }
                // Whoever was to tell of it has ended.
                None => self.waiting = false,
                Some(_) => {}
            }
            self.early.push_back(message);
        }
        self.early.pop_front().map_or_else(|| link.receive(), Ok)
    }
}

/// Serves init until it has done all that `create` promises.
pub(crate) fn until_ready<'a>(
    child: &mut Child,
    plan: &CreatePlan,
    bundle: &Bundle,
    record: &Record,
    undo: &mut Undo<'a>,
) -> Result<()> {
    let mut ears = Ears::new(plan.init.namespaces.second_clone.is_some());
    loop {
        let message = ears.next(&child.link)?;
        match (message.kind, message.fd) {
            (Some(ToCaller::Joined), Some(pidfd)) => {
                adopt(child, pidfd, undo)?;
            }
            (Some(ToCaller::RootReady), _) => {
                let annotations = &record.annotations;
                let (head, tail) = state_json(
                    &record.oci_version,
                    &plan.id,
                    &bundle.path,
                    annotations,
                    "creating",
                );
                let state = format!("{head}{}{tail}", child.pid);
                // Before the hooks, which may configure them further.
                device::give(&plan.namespaces.devices, child.pid, |moved| {
                    undo.push(move || moved.take_back());
                })?;
                let (path, cancel) = (&bundle.path, child.link.cancel());
                hook::run("prestart", &plan.hooks.prestart, &state, path, cancel)?;
                hook::run("createRuntime", &plan.hooks.create_runtime, &state, path, cancel)?;
                tell(child, record, ToInit::Continue)?;
            }
            (Some(ToCaller::Ready), _) => return Ok(()),
            (Some(ToCaller::Failed), _) => return Err(report::error(&message.body)),
            (None, _) => return Err(died(&child.pidfd, record)),
            (Some(other), _) => {
                return Err(Error::new(ErrorKind::Os, format!("init said {other:?} out of turn")));
            }
        }
    }
}

/// Says one thing to init; where init has ended meanwhile, the error is what it died of.
pub(crate) fn tell(child: &Child, record: &Record, word: ToInit) -> Result<()> {
    let Err(error) = child.link.send(word) else { return Ok(()) };
    if error.errno() != Some(rustix::io::Errno::PIPE.raw_os_error()) {
        return Err(error);
    }
    Err(match child.link.receive() {
        Ok(Message { kind: Some(ToCaller::Failed), body, .. }) => report::error(&body),
        _ => died(&child.pidfd, record),
    })
}

/// The joiner has made a sibling, a child of the caller as itself is (CLONE_PARENT), and ends.
fn adopt(child: &mut Child, pidfd: OwnedFd, undo: &mut Undo<'_>) -> Result<()> {
    let joiner = std::mem::replace(&mut child.pidfd, pidfd);
    undo.push(child.end()?);
    child.pid = pid_of(&child.pidfd)?;
    // In a container that is paused at this moment it ends with the resume.
    while !has_ended(&joiner)? {
        link::wait(joiner.as_fd(), child.link.cancel(), None)?;
    }
    reap(&joiner).map(drop)
}

/// Init is gone without a word: its wait status, or the OOM killer's count, says why.
fn died(pidfd: &OwnedFd, record: &Record) -> Error {
    oom_killed(&record.cgroup).unwrap_or_else(|| {
        let (error, killed) = ended("container init", pidfd);
        // systemd removes the cgroup with its last process, and with it the count of what the OOM killer ended.
        if killed && record.cgroup.has_unit() {
            let maybe =
                "perhaps by the OOM killer (memory limit too low?): systemd has removed its cgroup";
            return Error::new(error.kind(), format!("{error}, {maybe}"));
        }
        error
    })
}

/// The error of a container whose init, its only process yet, the OOM killer has ended; none where it has not.
pub(crate) fn oom_killed(cgroup: &CgroupRecord) -> Option<Error> {
    cgroup.oom_kills().filter(|kills| *kills > 0)?;
    // Managers know the first words (runc's).
    let message =
        format!("container init was OOM-killed (memory limit too low?){}", memory_of(cgroup));
    Some(Error::new(ErrorKind::InitDied, message))
}

/// The limit and what is used of it, as the end of a sentence; nothing where there is no limit of the container's.
fn memory_of(cgroup: &CgroupRecord) -> String {
    let Some(limit) = cgroup.memory_limit() else { return String::new() };
    // What was in use when it died is the most that was; kernels before 5.19 have no such file for cgroup2.
    let used = cgroup.memory_peak().or_else(|| cgroup.memory_usage());
    let used = used.map_or(String::new(), |used| format!(", {used} bytes were in use"));
    format!(": the limit is {limit} bytes{used}")
}

/// The error of a further process that ended before it was the workload.
fn process_died(pidfd: &OwnedFd, cgroup: &CgroupRecord) -> Error {
    let (error, killed) = ended("the process", pidfd);
    match cgroup.oom_kills() {
        // Which of its processes were ended the kernel does not tell.
        Some(kills @ 1..) if killed => Error::new(
            error.kind(),
            format!(
                "{error}; the OOM killer has ended {kills} of the container's processes{}",
                memory_of(cgroup)
            ),
        ),
        _ => error,
    }
}

/// The error of a process that ended without a word, and whether SIGKILL ended it.
fn ended(who: &str, pidfd: &OwnedFd) -> (Error, bool) {
    let exit = reap(pidfd);
    let killed = matches!(exit, Ok(Some(Exit::Signal(libc::SIGKILL))));
    let how = match exit {
        Ok(Some(Exit::Code(code))) => format!("exited with status {code}"),
        Ok(Some(Exit::Signal(signal))) => format!("was killed by signal {signal}"),
        Ok(None) | Err(_) => "is gone".to_owned(),
    };
    (Error::new(ErrorKind::InitDied, format!("{who} {how} without a report")), killed)
}

/// Serves init from its start until it is the workload: then execve has closed its end.
pub(crate) fn until_started(
    link: &Link,
    record: &Record,
    id: &ContainerId,
    pid: i32,
) -> Result<()> {
    loop {
        let message = link.receive()?;
        match (message.kind, message.fd) {
            (None, _) => return Ok(()),
            (Some(ToCaller::Failed), _) => return Err(report::error(&message.body)),
            (Some(ToCaller::SeccompListener), Some(listener)) => {
                send_listener(record, id, (pid, "creating"), &listener)?;
            }
            (Some(other), _) => {
                return Err(Error::new(ErrorKind::Os, format!("init said {other:?} out of turn")));
            }
        }
    }
}

/// Serves a further process until it is the workload. The end of the link says so only when it was told to go on:
/// before, it is the end of the process.
pub(crate) fn until_executed(
    child: &mut Child,
    record: &Record,
    id: &ContainerId,
    second_clone: bool,
    undo: &mut Undo<'_>,
) -> Result<()> {
    let mut told = false;
    let mut ears = Ears::new(second_clone);
    loop {
        let message = ears.next(&child.link)?;
        match (message.kind, message.fd) {
            (Some(ToCaller::Joined), Some(pidfd)) => adopt(child, pidfd, undo)?,
            (Some(ToCaller::Ready), _) => {
                child.link.send(ToInit::Start)?;
                told = true;
            }
            (Some(ToCaller::SeccompListener), Some(listener)) => {
                send_listener(record, id, (child.pid, "running"), &listener)?;
            }
            (Some(ToCaller::Failed), _) => return Err(report::error(&message.body)),
            (None, _) if told => return Ok(()),
            (None, _) => return Err(process_died(&child.pidfd, &record.cgroup)),
            (Some(other), _) => {
                return Err(Error::new(ErrorKind::Os, format!("init said {other:?} out of turn")));
            }
        }
    }
}

/// Hands the listener of a seccomp filter to the agent (config-linux.md, "The Container Process State").
fn send_listener(
    record: &Record,
    id: &ContainerId,
    (pid, status): (i32, &str),
    listener: &OwnedFd,
) -> Result<()> {
    let Some(agent) = &record.seccomp_listener else {
        return Err(Error::new(ErrorKind::Os, "a seccomp listener, but nobody to give it to"));
    };
    let (head, tail) =
        state_json(&record.oci_version, id.as_str(), &record.bundle, &record.annotations, status);
    let state = format!(
        "{{\"ociVersion\":{},\"fds\":[\"seccompFd\"],\"pid\":{pid},\"metadata\":{},\"state\":{head}{pid}{tail}}}",
        serde_json::Value::from(record.oci_version.as_str()),
        serde_json::Value::from(agent.metadata.as_str()),
    );
    let socket = super::connect_stream(&agent.path)
        .map_err(|error| error.at("linux.seccomp.listenerPath"))?;
    super::send_descriptor(&socket, state.as_bytes(), listener.as_fd())
}
