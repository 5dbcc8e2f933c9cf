//! NOTIFY_SOCKET: a workload that tells a service manager that it is ready, and one that tells it other things.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde_json::{Value, json};

use super::Case;
use crate::harness::container::PATIENCE;
use crate::harness::{Exit, Lab, Result, Stop, ensure, ensure_eq, event};

const NOTIFY: &str = "sd_notify(3), sd_notify_barrier(3); runc notify_socket.go";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "notify/mount",
        "with NOTIFY_SOCKET, the workload has a socket in a read-only directory, and without, none",
        NOTIFY,
        mount,
    ),
    Case::new(
        "notify/start",
        "start returns when READY=1 was said and the manager has read it, with init's pid",
        NOTIFY,
        start,
    )
    .known("runc 1.1 sends no barrier"),
    Case::new(
        "notify/foreground",
        "run in the foreground passes READY=1 on while the workload goes on",
        NOTIFY,
        foreground,
    )
    .known("runc 1.1 names itself as the main process, and sends no barrier"),
    Case::new(
        "notify/never-ready",
        "start does not wait for the readiness of a workload that has ended",
        NOTIFY,
        never_ready,
    ),
    Case::new(
        "notify/user",
        "a workload that is not root can tell that it is ready, whatever the umask of the runtime's caller",
        NOTIFY,
        user,
    )
    .known("in runc 1.1 the umask closes the directory"),
    Case::new(
        "notify/other-words",
        "nothing but READY=1 reaches the manager, and it does wherever it stands in the message",
        NOTIFY,
        other_words,
    )
    .known("runc 1.1 takes what only begins with READY=, and sends no barrier"),
];

/// The service manager's end.
struct Manager {
    socket: UnixDatagram,
    address: String,
}

impl Manager {
    fn new(lab: &Lab) -> Result<Self> {
        let path = lab.folder.join("manager");
        let socket = UnixDatagram::bind(&path)?;
        Ok(Self { socket, address: path.to_string_lossy().into_owned() })
    }

    /// The next message, with what came with it.
    fn receive(&self) -> Result<(String, Vec<OwnedFd>)> {
        ensure!(event::readable(&self.socket, PATIENCE)?, "the manager is told nothing");
        let mut bytes = [0_u8; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let vector = &mut [IoSliceMut::new(&mut bytes)];
        let got = rustix::net::recvmsg(&self.socket, vector, &mut control, RecvFlags::empty())?;
        let mut descriptors = Vec::new();
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmRights(rights) => descriptors.extend(rights),
                _ => return Err(Stop::Fail("another control message than SCM_RIGHTS".into())),
            }
        }
        let text = bytes.get(..got.bytes).unwrap_or_default();
        Ok((String::from_utf8_lossy(text).into_owned(), descriptors))
    }

    /// All that is said up to the barrier, line by line, and the descriptor of the barrier.
    fn until_barrier(&self) -> Result<(Vec<String>, OwnedFd)> {
        let mut lines = Vec::new();
        loop {
            let (text, mut descriptors) = self.receive()?;
            if text.trim_end() == "BARRIER=1" {
                ensure_eq!(descriptors.len(), 1, "descriptors with the barrier");
                let last = descriptors.pop().ok_or_else(|| Stop::Fail("no descriptor".into()))?;
                return Ok((lines, last));
            }
            ensure_eq!(descriptors.len(), 0, "descriptors with {text:?}");
            lines.extend(text.lines().map(str::to_owned));
        }
    }

    fn expect_ready(&self, pid: i32) -> Result<OwnedFd> {
        let (mut lines, barrier) = self.until_barrier()?;
        lines.sort_unstable();
        ensure_eq!(lines, [format!("MAINPID={pid}"), "READY=1".into()], "what the manager is told");
        Ok(barrier)
    }
}

fn shell(script: &str) -> impl FnOnce(&mut Value) {
    let args = json!(["/bin/sh", "-c", script]);
    move |config| config["process"]["args"] = args
}

fn mount(lab: &Lab) -> Result {
    let look = "echo [$NOTIFY_SOCKET]; busybox ls -A /run/notify; \
                busybox grep ' /run/notify ' /proc/self/mountinfo";
    let manager = Manager::new(lab)?;
    let c = lab.container(lab.bundle(shell(look))?);
    let done = c.launch("create", &[]).env("NOTIFY_SOCKET", &manager.address).run()?.ok()?;
    c.adopt_if(done)?;
    let start = c.call("start").env("NOTIFY_SOCKET", &manager.address).spawn()?;
    c.wait()?;
    start.finish()?.ok()?;
    let output = c.output()?;
    let lines: Vec<&str> = output.lines().collect();
    ensure_eq!(lines.get(..2), Some(&["[/run/notify/notify.sock]", "notify.sock"][..]), "told");
    let options = lines.get(2).and_then(|line| line.split(' ').nth(5)).unwrap_or_default();
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        ensure!(options.split(',').any(|given| given == option), "{option} is not in {options:?}");
    }
    let c = lab.container(lab.bundle(shell(look))?);
    let done = c.run()?;
    ensure!(done.stdout.starts_with("[]\n"), "no socket, but {:?}", done.stdout);
    ensure!(!done.stdout.contains("notify.sock"), "no directory, but {:?}", done.stdout);
    Ok(())
}

fn start(lab: &Lab) -> Result {
    let manager = Manager::new(lab)?;
    let script = "read word </go; /probe notify READY=1; exec /probe sleep";
    let bundle = lab.bundle(shell(script))?;
    let go = bundle.rootfs().join("go");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &go,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )?;
    let c = lab.container(bundle);
    let done = c.launch("create", &[]).env("NOTIFY_SOCKET", &manager.address).run()?.ok()?;
    c.adopt_if(done)?;
    let mut start = c.call("start").env("NOTIFY_SOCKET", &manager.address).spawn()?;
    // Its opening waits for the workload's, which is there by then.
    std::fs::write(&go, "go\n")?;
    let barrier = manager.expect_ready(c.pid()?)?;
    // The manager has not confirmed it yet.
    ensure!(start.is_running()?, "start has not waited for the barrier");
    drop(barrier);
    start.finish()?.ok()?.silent()?;
    ensure_eq!(c.status()?, "running", "status");
    Ok(())
}

fn foreground(lab: &Lab) -> Result {
    let manager = Manager::new(lab)?;
    let c = lab.container(lab.bundle(shell("/probe notify READY=1; exec /probe sleep"))?);
    let run = c.launch("run", &[]).env("NOTIFY_SOCKET", &manager.address).spawn()?;
    let (lines, barrier) = manager.until_barrier()?;
    drop(barrier);
    let pid = std::fs::read_to_string(c.pid_file())?;
    ensure!(lines.contains(&"READY=1".to_owned()), "READY=1 is not in {lines:?}");
    ensure!(lines.contains(&format!("MAINPID={pid}")), "pid {pid} is not in {lines:?}");
    // Until it has said so, it is a shell, and as the first process of its namespace ignores the signal.
    event::file_contains(&run.output(), "ready", PATIENCE)?;
    c.kill("TERM")?;
    // What `probe sleep` ends with.
    run.finish()?.fails(128 + 15, "")?;
    Ok(())
}

fn never_ready(lab: &Lab) -> Result {
    let manager = Manager::new(lab)?;
    let c = lab.container(lab.bundle(shell("/probe notify STATUS=soon; exit 3"))?);
    let done = c.launch("create", &[]).env("NOTIFY_SOCKET", &manager.address).run()?.ok()?;
    c.adopt_if(done)?;
    let start = c.call("start").env("NOTIFY_SOCKET", &manager.address).spawn()?;
    // Reaped here: runc looks for the process itself.
    ensure_eq!(c.wait()?, Exit::Code(3), "end of the workload");
    start.finish()?.ok()?;
    Ok(())
}

fn user(lab: &Lab) -> Result {
    let manager = Manager::new(lab)?;
    let c = lab.container(lab.bundle(|config| {
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        config["process"]["args"] = json!(["/probe", "notify", "READY=1"]);
    })?);
    let busybox = lab.image.join("busybox").to_string_lossy().into_owned();
    let umask = [&busybox, "sh", "-c", "umask 077; exec \"$0\" \"$@\""];
    let create = c.launch("create", &[]).env("NOTIFY_SOCKET", &manager.address).wrap(umask);
    c.adopt_if(create.run()?.ok()?)?;
    let start = c.call("start").env("NOTIFY_SOCKET", &manager.address).wrap(umask).spawn()?;
    ensure_eq!(c.wait()?, Exit::Code(0), "end of the workload");
    drop(manager.expect_ready(c.pid()?)?);
    start.finish()?.ok()?;
    Ok(())
}

fn other_words(lab: &Lab) -> Result {
    let manager = Manager::new(lab)?;
    let long = "X".repeat(5000);
    let c = lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!([
            "/probe",
            "notify",
            "XREADY=1",
            "READY=0",
            "READY=1x",
            "MAINPID=1",
            "",
            long,
            "FDSTORE=1\nMAINPID=1\nREADY=1\nSTATUS=odd"
        ]);
    })?);
    let run = c.launch("run", &["--keep"]).env("NOTIFY_SOCKET", &manager.address).spawn()?;
    let (lines, _barrier) = manager.until_barrier()?;
    run.finish()?.ok()?;
    let pid = std::fs::read_to_string(c.pid_file())?;
    ensure_eq!(lines, ["READY=1".to_owned(), format!("MAINPID={pid}")], "what the manager is told");
    Ok(())
}
