//! `ctr` as a test uses it: one command with a deadline, and the stream of events.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::daemon::Daemon;
use crate::support::image;
use crate::support::process::{DEADLINE, Handle};

/// One call of `ctr`, being put together.
#[derive(Debug)]
pub(crate) struct Ctr {
    command: Command,
}

/// How a call of `ctr` ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Daemon {
    /// `ctr` with the address and the namespace of this test.
    pub(crate) fn ctr<const N: usize>(&self, arguments: [&str; N]) -> Ctr {
        let mut command = Command::new("ctr");
        command
            .arg("--address")
            .arg(self.socket())
            .args(["--namespace", &self.namespace])
            .args(arguments);
        Ctr { command }
    }

    /// `ctr run` with the runtime of this test.
    pub(crate) fn run(&self, options: &[&str], id: &str, program: &[&str]) -> Ctr {
        let run = self.ctr(["run", "--runc-binary"]).arg(&self.runtime.binary);
        let run = if self.runtime.systemd {
            run.args(&["--runc-systemd-cgroup", "--cgroup", &format!("{}:ctr:{id}", self.parent)])
        } else {
            run
        };
        run.arg("--runc-root")
            .arg(self.path("runtime"))
            .arg("--fifo-dir")
            .arg(self.path("fifo"))
            .args(options)
            .args(&[image::NAME, id])
            .args(program)
    }

    /// `ctr task exec` in a task of this test.
    pub(crate) fn exec(&self, options: &[&str], id: &str, program: &[&str]) -> Ctr {
        self.ctr(["task", "exec", "--fifo-dir"])
            .arg(self.path("fifo"))
            .args(options)
            .arg(id)
            .args(program)
    }
}

impl Ctr {
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Runs the command to its end. One that passes the deadline is killed and fails the test.
    pub(crate) fn ends(mut self) -> Ended {
        // Files rather than pipes: nothing has to be drained while we wait for the end.
        let stdout = tempfile::NamedTempFile::new().expect("a file for stdout");
        let stderr = tempfile::NamedTempFile::new().expect("a file for stderr");
        let writable =
            |file: &tempfile::NamedTempFile| -> File { file.as_file().try_clone().expect("dup") };
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(writable(&stdout))
            .stderr(writable(&stderr))
            .spawn()
            .expect("ctr starts");
        let handle = Handle::open(child.id()).expect("ctr is our child");
        let in_time = handle.wait(Instant::now() + DEADLINE);
        if !in_time {
            handle.signal(Signal::KILL);
        }
        let status = child.wait().expect("ctr is our child");
        let text = |file: &tempfile::NamedTempFile| {
            std::fs::read_to_string(file.path()).expect("output is text")
        };
        let ended = Ended { code: status.code(), stdout: text(&stdout), stderr: text(&stderr) };
        assert!(in_time, "{:?} did not end: {ended:?}", self.command);
        ended
    }

    /// Runs the command, which has to succeed, and gives its standard output.
    pub(crate) fn succeeds(self) -> String {
        let shown = format!("{:?}", self.command);
        let ended = self.ends();
        assert_eq!(ended.code, Some(0), "{shown}: {ended:?}");
        ended.stdout
    }
}

/// The events that containerd publishes, from the moment of subscription on.
#[derive(Debug)]
pub(crate) struct Events {
    child: Child,
    lines: Receiver<String>,
}

impl Events {
    /// Returns when the subscription is known to work: events published before it are lost, and
    /// nothing else tells that it is in place.
    pub(crate) fn subscribe(daemon: &Daemon) -> Self {
        let mut child = daemon
            .ctr(["events"])
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ctr events starts");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let events = Self { child, lines };
        let until = Instant::now() + DEADLINE;
        for round in 0.. {
            assert!(Instant::now() < until, "ctr events shows nothing");
            daemon.ctr(["image", "label", image::NAME]).arg(format!("round={round}")).succeeds();
            if events.lines.try_recv().is_ok() {
                break;
            }
        }
        events
    }

    /// The next event of the topic for the container; earlier events are dropped.
    pub(crate) fn wait_for(&self, topic: &str, container: &str) -> Value {
        let until = Instant::now() + DEADLINE;
        loop {
            let line =
                match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(line) => line,
                    Err(RecvTimeoutError::Timeout) => {
                        panic!("no event {topic} for container {container}")
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        panic!("ctr events ended before {topic} of {container}")
                    }
                };
            if let Some(event) = parse(&line, topic)
                && event["container_id"] == container
            {
                return event;
            }
        }
    }
}

/// A line is the time, the namespace, the topic and a JSON object.
fn parse(line: &str, topic: &str) -> Option<Value> {
    let (_, object) = line.split_once(&format!(" {topic} "))?;
    serde_json::from_str(object).ok()
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("ctr events was not stopped: {error}");
        }
    }
}
