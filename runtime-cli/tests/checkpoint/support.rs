//! A container that counts what it reads, so that one can see whether it is the same one that goes on.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::{Value, json};

use crate::ran::Ran;

/// Reads lines, and answers each with the number of lines so far.
const COUNT: &str = "exec 3<>/vol/in 4<>/vol/out; n=0; \
                     while read x <&3; do n=$((n+1)); [ $x = end ] && exit 7; echo $n; echo $n >&4; done";

/// A runtime with a state root, a bundle and image files in a directory of their own.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
    runtime: PathBuf,
    pub(crate) id: String,
    path: String,
    /// Its input and its output, open from the start: what is written to a FIFO is lost when the last one who has
    /// it open closes it.
    fifos: Option<(File, File)>,
}

impl Lab {
    /// None where the host lacks what the tests need; says so.
    pub(crate) fn new(runtime: &Path, name: &str) -> Option<Self> {
        let criu = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/criu");
        let needs = [Path::new("/bin/busybox"), runtime, &criu.join("criu")];
        if let Some(missing) = needs.iter().find(|path| !path.exists()) {
            eprintln!("skipped: {} is not there", missing.display());
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        let which = runtime.file_name().unwrap().to_str().unwrap();
        let mut lab = Self {
            dir: tempfile::tempdir().unwrap(),
            runtime: runtime.to_owned(),
            id: format!("teu-criu-{}-{which}-{name}", std::process::id()),
            path: format!(
                "{}:/usr/sbin:/usr/bin:/sbin:/bin",
                criu.canonicalize().unwrap().display()
            ),
            fifos: None,
        };
        lab.make_bundle();
        // For reading and writing, so that opening waits for nobody.
        let open = |name| File::options().read(true).write(true).open(lab.file(name)).unwrap();
        lab.fifos = Some((open("vol/in"), open("vol/out")));
        Some(lab)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn make_bundle(&self) {
        let bin = self.file("bundle/rootfs/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir(self.file("vol")).unwrap();
        // By another process: a descriptor open for writing here could be inherited elsewhere (ETXTBSY).
        let copy = [Path::new("/bin/busybox"), &bin.join("busybox")];
        assert!(Command::new("cp").args(copy).status().unwrap().success());
        for name in ["sh", "sleep", "cat", "stty"] {
            std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
        }
        for fifo in ["vol/in", "vol/out"] {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, self.file(fifo), kind, mode, 0).unwrap();
        }
        self.run(&["spec", "--bundle", self.file("bundle").to_str().unwrap()]).ok();
        self.edit(|spec| {
            spec["process"]["terminal"] = false.into();
            spec["process"]["args"] = json!(["sh", "-c", COUNT]);
            spec["linux"]["resources"]["pids"] = json!({"limit": 50});
            let volume = json!({"destination": "/vol", "type": "bind", "options": ["bind"],
                                "source": self.file("vol")});
            spec["mounts"].as_array_mut().unwrap().push(volume);
        });
    }

    /// Changes config.json.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.file("bundle/config.json");
        let mut spec: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut spec);
        std::fs::write(&path, spec.to_string()).unwrap();
    }

    /// A command of the runtime, with criu where it looks for it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.runtime);
        command.arg("--root").arg(self.file("state")).args(args);
        command.env_clear().env("PATH", &self.path).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let out = self.command(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: out.status.code(), stdout: text(out.stdout), stderr: text(out.stderr) }
    }

    /// As [`Lab::run`], for what leaves processes that keep its streams: they get none of ours.
    pub(crate) fn detach(&self, args: &[&str]) -> Ran {
        let errors = self.file("errors");
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(File::create(&errors).unwrap());
        // Only the command itself may write there, not the container: so a container gets what -d gives it.
        let code = command.status().unwrap().code();
        let stderr = std::fs::read_to_string(&errors).unwrap();
        Ran { code, stdout: String::new(), stderr }
    }

    /// Starts the container, all its streams /dev/null.
    pub(crate) fn start(&self) {
        let bundle = self.file("bundle");
        let mut command =
            self.command(&["run", "-d", "--bundle", bundle.to_str().unwrap(), &self.id]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(0));
    }

    pub(crate) fn checkpoint(&self, more: &[&str]) -> Ran {
        let images = self.file("images");
        let args = ["checkpoint", "--image-path", images.to_str().unwrap()];
        self.run(&[&args[..], more, &[&self.id]].concat())
    }

    pub(crate) fn restore_args<'a>(&'a self, more: &[&'a str]) -> Vec<String> {
        let (images, bundle) = (self.file("images"), self.file("bundle"));
        let args = ["restore", "--image-path", images.to_str().unwrap(), "--bundle"];
        let all = [&args[..], &[bundle.to_str().unwrap()], more, &[&self.id]].concat();
        all.into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn restore(&self, more: &[&str]) -> Ran {
        let args = self.restore_args(more);
        self.detach(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.run(&["state", &self.id]).ok().stdout).unwrap()
    }

    pub(crate) fn exists(&self) -> bool {
        self.run(&["list", "-q"]).ok().stdout.lines().any(|line| line == self.id)
    }

    /// Writes a line to the container.
    pub(crate) fn tell(&self, line: &str) {
        writeln!(&self.fifos.as_ref().unwrap().0, "{line}").unwrap();
    }

    /// Writes a line to the container and reads its answer.
    #[track_caller]
    pub(crate) fn ask(&self, line: &str) -> String {
        self.tell(line);
        self.answer()
    }

    /// The next line that comes back.
    #[track_caller]
    pub(crate) fn answer(&self) -> String {
        let (_, answers) = self.fifos.as_ref().unwrap();
        wait_for(answers);
        let mut answer = String::new();
        BufReader::new(answers).read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    /// Whether the kernel has a cgroup of the container's anywhere.
    pub(crate) fn has_cgroup(&self) -> bool {
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
        let names = [self.id.clone(), format!("teu-{}", self.id), format!("teu/{}", self.id)];
        let mut places: Vec<PathBuf> = hierarchies.map(|entry| entry.path()).collect();
        places.push("/sys/fs/cgroup".into());
        places.iter().any(|place| names.iter().any(|name| place.join(name).exists()))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let done = self.run(&["delete", "--force", &self.id]);
        if done.code != Some(0) {
            eprintln!("{}", done.stderr);
        }
    }
}

/// Waits until something can be read.
#[track_caller]
pub(crate) fn wait_for(file: impl std::os::fd::AsFd) {
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    let mut ready = [PollFd::new(&file, PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut ready, Some(&patience)).unwrap(), 1, "no answer");
}
