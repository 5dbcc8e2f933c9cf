//! `ctr containers checkpoint` and `restore`, on a container that counts.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::checks::status;
use super::daemon::Daemon;
use super::leftovers;
use crate::support::Runtime;
use crate::support::lines::path_with_criu;
use crate::support::process::{DEADLINE, wait_readable};

const COUNT: &str =
    "exec 3<>/vol/in 4<>/vol/out; n=0; while read x <&3; do n=$((n+1)); echo $n >&4; done";

/// Its FIFOs, open from the start: what is in one is lost when the last one who has it open closes it.
struct Counter {
    input: File,
    output: File,
}

impl Counter {
    fn new(daemon: &Daemon) -> Self {
        let folder = daemon.path("vol");
        std::fs::create_dir(&folder).expect("vol");
        let [input, output] = ["in", "out"].map(|name| {
            let path = folder.join(name);
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("mkfifo");
            File::options().read(true).write(true).open(path).expect("open the FIFO")
        });
        Self { input, output }
    }

    fn ask(&mut self) -> String {
        writeln!(self.input, "x").expect("the FIFO");
        let until = Instant::now() + DEADLINE;
        assert!(wait_readable(&[self.output.as_fd()], until), "the container does not answer");
        let mut line = String::new();
        BufReader::new(&self.output).read_line(&mut line).expect("the FIFO");
        line.trim().to_owned()
    }
}

pub(crate) fn checkpoint_and_restore(runtime: Runtime) {
    if path_with_criu().is_none() {
        return;
    }
    let daemon = Daemon::start(runtime);
    let mut counter = Counter::new(&daemon);
    let volume =
        format!("type=bind,src={},dst=/vol,options=rbind:rw", daemon.path("vol").display());
    let options = ["--detach", "--null-io", "--mount", &volume];
    daemon.run(&options, "box", &["sh", "-c", COUNT]).succeeds();
    assert_eq!(counter.ask(), "1");

    let image = "localhost/checkpoint:test";
    daemon.ctr(["containers", "checkpoint", "--rw", "--image", "--task", "box", image]).succeeds();
    assert_eq!(counter.ask(), "2", "it goes on");
    daemon.ctr(["task", "kill", "--signal", "SIGKILL", "box"]).succeeds();
    daemon.ctr(["task", "delete", "--force", "box"]).ends();
    daemon.ctr(["container", "delete", "box"]).succeeds();

    daemon.ctr(["containers", "restore", "--rw", "--live", "again", image]).succeeds();
    assert_eq!(status(&daemon, "again").as_deref(), Some("RUNNING"));
    assert_eq!(counter.ask(), "2", "as it was when it was written");
    daemon.ctr(["task", "delete", "--force", "again"]).ends();
    daemon.ctr(["container", "delete", "again"]).succeeds();
    leftovers::none(&daemon);
}
