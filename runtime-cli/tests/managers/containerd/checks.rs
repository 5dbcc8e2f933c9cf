//! The checks, each a short story of a user of `ctr`.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::Signal;

pub(crate) use super::checkpoint::checkpoint_and_restore;
use super::ctr::{Ended, Events};
use super::daemon::Daemon;
use super::leftovers;
pub(crate) use super::running::exec_pause_metrics;
pub(crate) use super::units::what_systemctl_does;
use crate::support::process::{DEADLINE, wait_readable};
use crate::support::{Runtime, cgroup};

/// A FIFO that a container writes to when it is ready.
struct Ready {
    fifo: File,
    option: String,
}

impl Ready {
    fn new(daemon: &Daemon, name: &str) -> Self {
        let path = daemon.path(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("mkfifo");
        // Open for writing too, so that neither side waits for the other and no end of file is seen.
        let fifo = open(&path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
            .expect("open the FIFO");
        let option = format!("type=bind,src={},dst=/ready,options=bind:rw", path.display());
        Self { fifo: File::from(fifo), option }
    }

    fn wait(&self) {
        assert!(
            wait_readable(&[self.fifo.as_fd()], Instant::now() + DEADLINE),
            "the container never said it was ready"
        );
    }
}

pub(super) fn status(daemon: &Daemon, id: &str) -> Option<String> {
    let listing = daemon.ctr(["task", "list"]).succeeds();
    let line = listing.lines().find(|line| line.split_whitespace().next() == Some(id))?;
    line.split_whitespace().nth(2).map(str::to_owned)
}

pub(super) fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
    Ended { code: Some(code), stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

/// `ctr task delete` exits with the status of the task and says so when it is not 0.
pub(super) fn delete(daemon: &Daemon, id: &str, code: i32) {
    let deleted = daemon.ctr(["task", "delete", id]).ends();
    assert_eq!(status(daemon, id), None, "the task is deleted: {deleted:?}");
    assert!(
        deleted.stderr.contains(&format!("non-zero exit code {code}")),
        "the exit code of {id} is {code}: {deleted:?}"
    );
    daemon.ctr(["container", "delete", id]).succeeds();
}

pub(crate) fn output_and_exit_code(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    let run = |id: &str, script: &str| daemon.run(&["--rm"], id, &["sh", "-c", script]).ends();
    assert_eq!(run("seven", "echo out; echo err >&2; exit 7"), ended(7, "out\n", "err\n"));
    assert_eq!(run("zero", "echo $$"), ended(0, "1\n", ""));
    leftovers::none(&daemon);
}

pub(crate) fn detached_output_kill_delete(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    let events = Events::subscribe(&daemon);
    let ready = Ready::new(&daemon, "ready");
    let log = daemon.path("output");
    let uri = format!("file://{}", log.display());
    daemon
        .run(
            &["--detach", "--log-uri", &uri, "--mount", &ready.option],
            "box",
            &["sh", "-c", "echo out; echo err >&2; echo x >/ready; exec sleep 1000"],
        )
        .succeeds();
    let started = events.wait_for("/tasks/start", "box");
    ready.wait();
    assert_eq!(status(&daemon, "box").as_deref(), Some("RUNNING"));

    let running = daemon.ctr(["task", "delete", "box"]).ends();
    assert_ne!(running.code, Some(0), "a running task is not deleted");
    assert_eq!(status(&daemon, "box").as_deref(), Some("RUNNING"));

    daemon.ctr(["task", "kill", "--signal", "SIGKILL", "box"]).succeeds();
    let exit = events.wait_for("/tasks/exit", "box");
    assert_eq!(exit["exit_status"], 137);
    assert_eq!(exit["pid"], started["pid"], "the process that was started is the one that ended");
    assert_eq!(status(&daemon, "box").as_deref(), Some("STOPPED"));
    delete(&daemon, "box", 137);

    // Both streams are copied by tasks of their own, so the order of the two lines is not defined.
    let output = fs::read_to_string(&log).expect("the log file");
    let mut lines: Vec<_> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err", "out"]);
    leftovers::none(&daemon);
}

pub(crate) fn signal_reaches_the_workload(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    let events = Events::subscribe(&daemon);
    let ready = Ready::new(&daemon, "ready");
    let script = "trap 'exit 9' TERM; sleep 1000 & echo x >/ready; wait";
    daemon
        .run(&["--detach", "--null-io", "--mount", &ready.option], "box", &["sh", "-c", script])
        .succeeds();
    ready.wait();
    daemon.ctr(["task", "kill", "--signal", "SIGTERM", "box"]).succeeds();
    assert_eq!(events.wait_for("/tasks/exit", "box")["exit_status"], 9);
    delete(&daemon, "box", 9);
    leftovers::none(&daemon);
}

pub(crate) fn options_of_run_take_effect(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    let events = Events::subscribe(&daemon);
    let shared = daemon.path("shared");
    fs::create_dir(&shared).expect("a directory to share");
    fs::write(shared.join("file"), "from the host\n").expect("a file to share");
    let mount = |dst: &str, mode: &str| {
        format!("type=bind,src={},dst={dst},options=rbind:{mode}", shared.display())
    };
    let (readable, writable) = (mount("/ro", "ro"), mount("/rw", "rw"));
    let options = [
        "--rm",
        "--read-only",
        "--cwd",
        "/tmp",
        "--env",
        "COLOUR=blue",
        "--mount",
        &readable,
        "--mount",
        &writable,
    ];
    let script = "pwd; echo $COLOUR; cat /ro/file; touch /ro/new 2>/dev/null || echo ro refuses; \
                  touch /new 2>/dev/null || echo root refuses; echo from the container >/rw/answer";
    let done = daemon.run(&options, "options", &["sh", "-c", script]).ends();
    assert_eq!(done, ended(0, "/tmp\nblue\nfrom the host\nro refuses\nroot refuses\n", ""));
    assert_eq!(
        fs::read_to_string(shared.join("answer")).expect("the answer"),
        "from the container\n"
    );
    assert!(!Path::exists(&shared.join("new")), "the read-only mount was written to");

    let limit = (64 << 20).to_string();
    daemon
        .run(
            &["--detach", "--null-io", "--memory-limit", &limit, "--cpu-shares", "512"],
            "limits",
            &["sleep", "1000"],
        )
        .succeeds();
    let memory =
        leftovers::cgroup_file(&daemon, "limits", &["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(memory, limit);
    let cpu = leftovers::cgroup_file(&daemon, "limits", &["cpu.shares", "cpu.weight"]);
    assert!(cgroup::has_shares(&cpu, 512), "cpu shares or weight: {cpu}");
    daemon.ctr(["task", "kill", "--signal", "SIGKILL", "limits"]).succeeds();
    events.wait_for("/tasks/exit", "limits");
    delete(&daemon, "limits", 137);
    leftovers::none(&daemon);
}

pub(crate) fn missing_program_is_named(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    let failed = daemon.run(&["--rm"], "missing", &["no-such-program"]).ends();
    assert_ne!(failed.code, Some(0), "{failed:?}");
    // containerd shows the message only if it finds it in the runtime's log; managers look for this text.
    for part in ["no-such-program", "executable file not found in $PATH"] {
        assert!(failed.stderr.contains(part), "{part:?} in {failed:?}");
    }
    leftovers::none(&daemon);
}

pub(crate) fn twenty_in_a_row(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    for number in 0..20 {
        let script = format!("echo number {number}; exit {number}");
        let done = daemon.run(&["--rm"], &format!("row-{number}"), &["sh", "-c", &script]).ends();
        assert_eq!(done, ended(number, &format!("number {number}\n"), ""));
    }
    leftovers::none(&daemon);
}

pub(crate) fn ten_at_once(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    let ids: Vec<String> = (0..10).map(|number| format!("crowd-{number}")).collect();
    let each = |action: &(dyn Fn(&str) + Sync)| {
        std::thread::scope(|scope| {
            for id in &ids {
                scope.spawn(move || action(id));
            }
        });
    };
    each(&|id| {
        let log = daemon.path(id);
        let uri = format!("file://{}", log.display());
        let ready = Ready::new(&daemon, &format!("ready-{id}"));
        let script = format!("echo I am {id}; echo x >/ready; exec sleep 1000");
        daemon
            .run(
                &["--detach", "--log-uri", &uri, "--mount", &ready.option],
                id,
                &["sh", "-c", &script],
            )
            .succeeds();
        ready.wait();
    });
    for id in &ids {
        assert_eq!(status(&daemon, id).as_deref(), Some("RUNNING"), "{id} runs beside the others");
    }
    each(&|id| {
        daemon.ctr(["task", "kill", "--signal", "SIGKILL", id]).succeeds();
        // Asked, not waited for by event: with ten subscribers at once containerd has been seen to lose one.
        let until = Instant::now() + DEADLINE;
        while status(&daemon, id).as_deref() != Some("STOPPED") {
            assert!(Instant::now() < until, "{id} still runs after SIGKILL");
        }
        delete(&daemon, id, 137);
        assert_eq!(
            fs::read_to_string(daemon.path(id)).expect("the log file"),
            format!("I am {id}\n")
        );
    });
    leftovers::none(&daemon);
}

pub(crate) fn killed_shim_leaves_nothing(runtime: Runtime) {
    let daemon = Daemon::start(runtime);
    let events = Events::subscribe(&daemon);
    daemon.run(&["--detach", "--null-io"], "orphan", &["sleep", "1000"]).succeeds();
    let socket =
        leftovers::shim_socket(&daemon.bundles().join("orphan")).expect("the shim listens");
    // containerd then calls the runtime's `delete --force` from a new shim, on a container that runs.
    leftovers::shim(&daemon, "orphan").signal(Signal::KILL);
    events.wait_for("/tasks/delete", "orphan");
    daemon.ctr(["container", "delete", "orphan"]).succeeds();
    // Only the shim itself removes its socket, which is outside the directory of the test.
    fs::remove_file(&socket).expect("the socket of the killed shim");
    leftovers::none(&daemon);
}
