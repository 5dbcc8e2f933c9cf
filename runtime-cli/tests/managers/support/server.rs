//! A manager's daemon in the private place of a test: started, waited for, ended.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::private::Private;
use super::process::{DEADLINE, Handle};

/// A running daemon. Dropping it ends it, and whatever a failed test has left of its containers.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) place: Private,
    /// The cgroup that its containers are made in.
    pub(crate) parent: String,
    command: Command,
    socket: PathBuf,
    child: Child,
}

impl Server {
    /// Starts `command` and waits until somebody listens on `socket`.
    pub(crate) fn start(
        place: Private,
        parent: String,
        mut command: Command,
        socket: PathBuf,
    ) -> Self {
        let log = File::create(place.path("log")).expect("log file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("log file")).stderr(log);
        let child = command.spawn().expect("the daemon starts");
        let server = Self { place, parent, command, socket, child };
        server.wait();
        server
    }

    /// Waits until somebody listens on the socket.
    fn wait(&self) {
        let until = Instant::now() + DEADLINE;
        let process = Handle::open(self.child.id()).expect("the daemon is our child");
        // It listens when it is ready; until then nobody does, which connect(2) says at once.
        while UnixStream::connect(&self.socket).is_err() {
            // Also the pause between two tries: the end of the daemon is what may come instead.
            let ended = process.wait(Instant::now() + Duration::from_millis(50));
            assert!(!ended && Instant::now() < until, "nobody listens:\n{}", self.log());
        }
    }

    /// Ends it, runs `meanwhile`, and starts it anew.
    pub(crate) fn restart(&mut self, meanwhile: impl FnOnce()) {
        self.stop();
        meanwhile();
        self.child = self.command.spawn().expect("the daemon starts again");
        self.wait();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.place.path("log")).unwrap_or_default()
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        if let Some(handle) = Handle::open(self.child.id()) {
            handle.signal(Signal::TERM);
            if !handle.wait(Instant::now() + DEADLINE) {
                handle.signal(Signal::KILL);
            }
        }
        self.child.wait().expect("the daemon is our child");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- end of the daemon's log, last line first ---\n{}", tail.join("\n"));
        }
        self.stop();
        self.place.sweep(&self.parent);
    }
}
