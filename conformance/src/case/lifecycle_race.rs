//! A container between two statuses: while it is made, when two calls want the same, when the program cannot run.

use std::fs;
use std::mem::MaybeUninit;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use super::Case;
use crate::harness::{Lab, Result, ensure, ensure_eq, event};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "lifecycle/creating",
        "while create waits for a hook the status is creating, and the id is in use",
        "OCI runtime-spec runtime.md#state (creating)",
        creating,
    )
    .known("runc 1.1 writes the state when the container is made: until then there is none"),
    Case::new(
        "lifecycle/pid-file-atomic",
        "the pid file is never there without its number",
        "containerd and conmon read it as soon as it is there; rename(2)",
        pid_file_atomic,
    ),
    Case::new(
        "lifecycle/start-race",
        "of two calls of start one succeeds",
        "OCI runtime-spec runtime.md#start (MUST generate an error unless created)",
        start_race,
    )
    .known_at_times("in runc 1.1 the call that comes second may wait at the fifo without end"),
    Case::new(
        "lifecycle/start-cannot-execute",
        "a program that the kernel cannot execute is an error of start",
        "OCI runtime-spec runtime.md#start (MUST run the program), #errors; execve(2)",
        cannot_execute,
    )
    .known("runc 1.1 has said that start succeeded by then"),
];

fn creating(lab: &Lab) -> Result {
    let (begun, go) = (lab.folder.join("begun"), lab.folder.join("go"));
    for pipe in [&begun, &go] {
        mknodat(CWD, pipe, FileType::Fifo, Mode::RWXU, 0)?;
    }
    let script = format!("echo yes >{}; read word <{}", begun.display(), go.display());
    let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"] });
    let container = lab.container(lab.bundle(|config| {
        config["hooks"] = json!({ "createRuntime": [hook] });
    })?);
    // Held open at both ends, so that no open of them waits.
    let open = |path| fs::OpenOptions::new().read(true).write(true).open(path);
    let (begun, mut go) = (open(&begun)?, open(&go)?);
    let call = container.launch("create", &[]).spawn()?;
    ensure!(event::readable(&begun, Duration::from_secs(20))?, "the hook has not begun");

    let looked = look_while_creating(&container);
    std::io::Write::write_all(&mut go, b"go\n")?;
    container.adopt_if(call.finish()?)?.ok()?;
    looked?;
    ensure_eq!(container.status()?, "created", "status afterwards");
    Ok(())
}

fn look_while_creating(container: &crate::harness::Container<'_>) -> Result {
    ensure_eq!(container.status()?, "creating", "status while the hook runs");
    container.launch("create", &[]).run()?.refused()?;
    ensure_eq!(container.status()?, "creating", "status after another create was refused");
    Ok(())
}

fn pid_file_atomic(lab: &Lab) -> Result {
    let folder = lab.new_folder("pid")?;
    let file = folder.join("file");
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let events = WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, &folder, events)?;
    let container = lab.container(lab.bundle(|_| {})?);
    let words = ["create", "--bundle", &container.bundle.word(), "--pid-file"];
    let path = file.to_string_lossy().into_owned();
    lab.call(words.into_iter().chain([path.as_str(), container.id.as_str()])).run()?.ok()?;

    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(&watch, &mut buffer);
    let mut seen = Vec::new();
    // All of it has happened, so nothing is waited for.
    while seen.is_empty() || !reader.is_buffer_empty() {
        let event = reader.next()?;
        if event.file_name().is_some_and(|name| name.to_bytes() == b"file") {
            seen.push(event.events());
        }
    }
    ensure_eq!(seen, [ReadFlags::MOVED_TO], "what has happened to the pid file");
    Ok(())
}

fn start_race(lab: &Lab) -> Result {
    for _ in 0..4 {
        let container = lab.with_args(&["/probe", "sleep"])?;
        container.create()?;
        let calls = [container.call("start").spawn()?, container.call("start").spawn()?];
        let [first, second] = calls.map(crate::harness::call::Running::finish);
        let codes = [first?.code, second?.code];
        ensure!(
            codes.iter().filter(|code| **code == Some(0)).count() == 1,
            "exit statuses of two calls of start: {codes:?}"
        );
        container.wait_output("ready")?;
        ensure_eq!(container.status()?, "running", "status");
    }
    Ok(())
}

fn cannot_execute(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| config["process"]["args"] = json!(["/bin/broken"]))?;
    let program = bundle.rootfs().join("bin/broken");
    fs::write(&program, "#!/no/such/interpreter\n")?;
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let container = lab.container(bundle);
    container.create()?;
    let done = container.call("start").run()?;
    container.wait()?;
    ensure_eq!(container.status()?, "stopped", "status");
    done.refused()?.fails(1, "/bin/broken").map(drop)
}
