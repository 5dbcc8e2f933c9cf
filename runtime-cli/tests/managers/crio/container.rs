//! A container under conmon, with the arguments, pipes and files of CRI-O (`internal/oci/runtime_oci.go`).

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::Instant;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketType};
use serde::Deserialize;
use serde_json::{Value, json};

use super::node::Node;
use crate::support::process::{DEADLINE, Handle, wait_readable};

/// A bundle, and its conmon once there is one.
#[derive(Debug)]
pub(crate) struct Container<'a> {
    node: &'a Node,
    pub(crate) id: String,
    config: Value,
    monitor: Option<Handle>,
}

/// A conmon that was started, with our ends of its pipes.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) process: Child,
    sync: UnixStream,
    start: UnixStream,
    attach: UnixStream,
}

/// What a synchronous exec gave.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i64,
    pub(crate) message: String,
    /// Lines of the log without their times.
    pub(crate) log: String,
}

impl<'a> Container<'a> {
    pub(crate) fn new(node: &'a Node, id: &str, config: Value) -> Self {
        Self { node, id: id.into(), config, monitor: None }
    }

    /// CreateContainer; the process id, or conmon's message.
    pub(crate) fn create(&mut self, more: &[&str]) -> Result<u32, String> {
        let d = self.node.place.directory().display();
        let id = &self.id;
        let words = format!(
            "-b {d}/{id} -c {id} --exit-dir {d}/exits -l {d}/{id}.log --log-level info -n k8s_{id} \
             -P {d}/{id}/conmon-pidfile -p {d}/{id}/pidfile --persist-dir {d}/{id} -r {} \
             --runtime-arg --root={d}/root --socket-dir-path {d}/attach --syslog -u {id} --log-size-max 16777216",
            self.node.runtime.display(),
        );
        let mut conmon = Monitor::start(self.node, id, &words, more);
        conmon.go();
        let detached = conmon.process.wait().expect("conmon");
        assert!(detached.success(), "{}", self.node.conmon_said());
        let said = conmon.message();
        let Ok(pid) = u32::try_from(said["pid"].as_i64().expect("a pid")) else {
            return Err(said["message"].as_str().unwrap_or_default().into());
        };
        let file = |name| std::fs::read_to_string(self.node.place.path(&format!("{id}/{name}")));
        assert_eq!(file("pidfile").expect("a pid file"), pid.to_string());
        let monitor = file("conmon-pidfile").expect("a pid file").parse().expect("a number");
        self.monitor = Some(Handle::open(monitor).expect("conmon lives as long as its container"));
        Ok(pid)
    }

    /// ExecSync.
    pub(crate) fn exec(&self, program: &[&str], more: &[&str]) -> Done {
        let log = self.node.place.path("exec.log");
        std::fs::write(&log, "").expect("an empty file");
        let mut conmon = self.start_exec(program, more);
        conmon.go();
        let status = conmon.process.wait().expect("conmon");
        let said = conmon.message();
        let text = std::fs::read_to_string(log).expect("the log");
        let rest = |line: &str| line.split_once(' ').map(|(_, rest)| format!("{rest}\n"));
        Done {
            code: said["exit_code"].as_i64().unwrap_or_else(|| panic!("{status}: {said}")),
            message: said["message"].as_str().unwrap_or_default().into(),
            log: text.lines().filter_map(rest).collect(),
        }
    }

    /// A conmon for a further process, which waits for [`Monitor::go`].
    pub(crate) fn start_exec(&self, program: &[&str], more: &[&str]) -> Monitor {
        let d = self.node.place.directory().display();
        let id = &self.id;
        // An empty one, as CRI-O makes it: there must be a number in it only of a process that has come to be.
        self.node.place.write("exec.pid", "");
        let mut process = self.config["process"].clone();
        process["args"] = json!(program);
        process["terminal"] = json!(more.contains(&"-t"));
        self.node.place.write("process.json", &process.to_string());
        let words = format!(
            "-c {id} -n k8s_{id} -r {} -p {d}/exec.pid -e -l {d}/exec.log --socket-dir-path {d}/attach \
             --log-level info --exec-process-spec {d}/process.json --runtime-arg --root={d}/root",
            self.node.runtime.display(),
        );
        Monitor::start(self.node, id, &words, more)
    }

    pub(crate) fn start(&self) {
        assert_eq!(self.node.call(&["start", &self.id], "").succeeds(), "");
    }

    /// `state` as CRI-O decodes it.
    pub(crate) fn state(&self) -> Value {
        let said = self.node.call(&["state", &self.id], "").succeeds();
        serde_json::from_str(&said).expect("state is JSON")
    }

    /// Waits for conmon's end, which comes after the container's; what it wrote to the exit file.
    pub(crate) fn exit_code(&self) -> String {
        let monitor = self.monitor.as_ref().expect("a container that was created");
        assert!(monitor.wait(Instant::now() + DEADLINE), "conmon does not end");
        let file = self.node.place.path(&format!("exits/{}", self.id));
        std::fs::read_to_string(file).expect("an exit file")
    }

    /// The log without its times.
    pub(crate) fn log(&self) -> String {
        let file = self.node.place.path(&format!("{}.log", self.id));
        let text = std::fs::read_to_string(file).expect("a log");
        let rest = |line: &str| line.split_once(' ').map(|(_, rest)| format!("{rest}\n"));
        text.lines().filter_map(rest).collect()
    }

    /// Changes the size of the terminal.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let path = self.node.place.path(&format!("{}/ctl", self.id));
        let mut control =
            std::fs::OpenOptions::new().write(true).open(path).expect("conmon's fifo");
        writeln!(control, "1 {rows} {columns}").expect("conmon reads it");
    }

    /// A connection to the input and output of the container.
    pub(crate) fn attach(&self) -> Attached {
        let path = self.node.place.path(&format!("attach/{}/attach", self.id));
        Attached::to(&path)
    }

    /// `delete --force`, twice: the second has nothing to do and says nothing.
    pub(crate) fn delete(self) {
        for _ in 0..2 {
            assert_eq!(self.node.call(&["delete", "--force", &self.id], "").succeeds(), "");
        }
        assert_eq!(self.node.call(&["state", &self.id], "").code, Some(1));
    }
}

impl Monitor {
    /// In the bundle, with the pipes as descriptors 3 and 4, and 5 for `--exec-attach`.
    fn start(node: &Node, id: &str, words: &str, more: &[&str]) -> Self {
        let (sync, their_sync) = UnixStream::pair().expect("a pair of sockets");
        let (start, their_start) = UnixStream::pair().expect("a pair of sockets");
        let (attach, their_attach) = UnixStream::pair().expect("a pair of sockets");
        let mut command: Command = node.place.command("sh");
        // The shell moves its own descriptors to where conmon looks for them.
        let script = "cd \"$0\" && exec env -i _OCI_SYNCPIPE=3 _OCI_STARTPIPE=4 _OCI_ATTACHPIPE=5 \
                      /usr/bin/conmon \"$@\" 3<&0 4<&1 5<&2 </dev/null >>../conmon.err 2>&1";
        let process = command
            .args(["-c", script, id])
            .args(node.driver())
            .args(words.split_whitespace())
            .args(more)
            .stdin(OwnedFd::from(their_sync))
            .stdout(OwnedFd::from(their_start))
            .stderr(OwnedFd::from(their_attach))
            .spawn()
            .expect("conmon starts");
        Self { process, sync, start, attach }
    }

    /// conmon is where it has to be (CRI-O moves it to the pod's cgroup) and may begin.
    pub(crate) fn go(&mut self) {
        self.start.write_all(&[0]).expect("conmon reads the byte");
    }

    /// Waits until conmon listens for clients.
    pub(crate) fn listens(&self) {
        drop(read_object(&self.attach));
    }

    /// The next object of the sync pipe.
    pub(crate) fn message(&self) -> Value {
        read_object(&self.sync)
    }
}

fn read_object(from: &UnixStream) -> Value {
    from.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    // An object ends by itself: no end of file is needed, which every holder of the other end would delay.
    let mut stream = serde_json::Deserializer::from_reader(from);
    Value::deserialize(&mut stream).expect("an object from conmon")
}

/// A client of the attach socket.
#[derive(Debug)]
pub(crate) struct Attached(OwnedFd);

impl Attached {
    pub(crate) fn to(path: &std::path::Path) -> Self {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None);
        let socket = socket.expect("a socket");
        let address = SocketAddrUnix::new(path).expect("a short path");
        rustix::net::connect(&socket, &address).expect("conmon listens");
        Self(socket)
    }

    pub(crate) fn send(&self, words: &str) {
        rustix::net::send(&self.0, words.as_bytes(), SendFlags::empty()).expect("conmon reads");
    }

    /// The end of the input.
    pub(crate) fn close_input(&self) {
        rustix::net::shutdown(&self.0, Shutdown::Write).expect("a connected socket");
    }

    /// Reads until `words` have come, or the end; all that came. Each packet begins with a byte that names the pipe.
    pub(crate) fn read_until(&self, words: &str) -> String {
        let until = Instant::now() + DEADLINE;
        let mut said = String::new();
        while !said.contains(words) {
            assert!(wait_readable(&[self.0.as_fd()], until), "only {said:?}, no {words:?}");
            let mut packet = [0; 8193];
            let (read, _) =
                rustix::net::recv(&self.0, &mut packet, RecvFlags::empty()).expect("a packet");
            if read == 0 {
                break;
            }
            said.push_str(&String::from_utf8_lossy(&packet[1..read]));
        }
        said
    }
}
