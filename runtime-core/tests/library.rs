//! The library in a program with threads: many containers at once, and nothing of the program changes.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use procfs::process::Process;
use runtime_core::rootfs::LayeredRoot;
use runtime_core::{
    ContainerId, CreateOptions, DeleteOptions, ErrorKind, Exit, KillTarget, Runtime, Status, Stdio,
};
use serde_json::{Value, json};

/// A bundle whose workload is busybox.
fn bundle(folder: &Path, name: &str, args: &[&str]) -> (PathBuf, Value) {
    let path = folder.join(name);
    let bin = path.join("rootfs/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    for applet in ["sh", "true", "sleep"] {
        std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
    }
    let config = json!({
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/", "env": ["PATH=/bin"]},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "cgroupsPath": format!("/teu-test-{}/{name}", std::process::id()),
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                           {"type": "mount"}, {"type": "cgroup"}]
        }
    });
    fs::write(path.join("config.json"), config.to_string()).unwrap();
    (path, config)
}

fn options(bundle: PathBuf) -> CreateOptions {
    CreateOptions { bundle, stdio: Stdio::Null, ..CreateOptions::default() }
}

/// What a library must leave alone in the program that calls it.
#[derive(Debug, PartialEq)]
struct Surroundings {
    cwd: PathBuf,
    root: PathBuf,
    umask: Option<u32>,
    oom_score_adj: i16,
    ignored: u64,
    blocked: u64,
    namespaces: BTreeSet<u64>,
    mounts: usize,
}

impl Surroundings {
    fn now() -> Self {
        let this = Process::myself().unwrap();
        let status = this.status().unwrap();
        Self {
            cwd: this.cwd().unwrap(),
            root: this.root().unwrap(),
            umask: status.umask,
            oom_score_adj: this.oom_score_adj().unwrap(),
            ignored: status.sigign,
            blocked: status.sigblk,
            namespaces: this
                .namespaces()
                .unwrap()
                .0
                .into_values()
                .map(|ns| ns.identifier)
                .collect(),
            mounts: this.mountinfo().unwrap().0.len(),
        }
    }
}

fn remove_parent_cgroups() {
    let parent = format!("teu-test-{}", std::process::id());
    for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        // Absent where the layout has no such hierarchy.
        fs::remove_dir(hierarchy.path().join(&parent)).unwrap_or_default();
    }
    fs::remove_dir(Path::new("/sys/fs/cgroup").join(&parent)).unwrap_or_default();
}

/// One after the other in one process: the figures are of the whole process.
#[test]
fn a_program_with_threads_runs_containers_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::open(folder.path().join("state")).unwrap();
    many_at_once(&runtime, folder.path());
    life(&runtime, folder.path());
    taken_id(&runtime, folder.path());
    layers(&runtime, folder.path());
    refused(&runtime, folder.path());
    remove_parent_cgroups();
}

fn many_at_once(runtime: &Runtime, folder: &Path) {
    const THREADS: usize = 6;
    const EACH: usize = 5;
    let bundles: Vec<PathBuf> =
        (0..THREADS).map(|n| bundle(folder, &format!("many{n}"), &["true"]).0).collect();
    let before = Surroundings::now();
    let descriptors = Process::myself().unwrap().fd_count().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A lock or an allocation between clone and execve would meet these sooner or later.
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let blocks: Vec<Vec<u8>> = (1..64).map(|n| vec![0; n * 37]).collect();
                    assert_eq!(blocks.len(), 63);
                }
            });
        }
        let workers: Vec<_> = bundles
            .iter()
            .enumerate()
            .map(|(n, bundle)| {
                scope.spawn(move || {
                    for round in 0..EACH {
                        let id = ContainerId::new(&format!("many-{n}-{round}")).unwrap();
                        let running = runtime.run(&id, &options(bundle.clone())).unwrap();
                        assert_eq!(running.wait().unwrap(), Exit::Code(0));
                        runtime.delete(&id, DeleteOptions::default()).unwrap();
                    }
                })
            })
            .collect();
        let results: Vec<_> =
            workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(results.into_iter().all(|result| result.is_ok()));
    });
    assert_eq!(Surroundings::now(), before);
    // The sealed init program is kept for the next container.
    assert!(Process::myself().unwrap().fd_count().unwrap() <= descriptors + 1);
    assert!(runtime.list().unwrap().0.is_empty());
}

fn life(runtime: &Runtime, folder: &Path) {
    let (path, _) = bundle(folder, "life", &["sleep", "1000"]);
    let id = ContainerId::new("life").unwrap();
    let created = runtime.create(&id, &options(path.clone())).unwrap();
    assert_eq!(runtime.state(&id).unwrap().status, Status::Created);
    assert_eq!(runtime.create(&id, &options(path)).unwrap_err().kind(), ErrorKind::AlreadyExists);
    runtime.start(&id).unwrap();
    let state = runtime.state(&id).unwrap();
    assert_eq!((state.status, state.pid), (Status::Running, created.pid));
    assert_eq!(runtime.start(&id).unwrap_err().kind(), ErrorKind::WrongState);
    assert_eq!(
        runtime.delete(&id, DeleteOptions::default()).unwrap_err().kind(),
        ErrorKind::WrongState
    );
    runtime.kill(&id, 9, KillTarget::Init).unwrap();
    runtime.delete(&id, DeleteOptions { force: true }).unwrap();
    assert_eq!(runtime.state(&id).unwrap_err().kind(), ErrorKind::NotFound);
}

/// Who deletes what it has run does not delete what somebody else has made of the same name meanwhile.
fn taken_id(runtime: &Runtime, folder: &Path) {
    let (first, _) = bundle(folder, "taken", &["true"]);
    let (second, _) = bundle(folder, "taken-again", &["sleep", "1000"]);
    let id = ContainerId::new("taken").unwrap();
    let running = runtime.run(&id, &options(first)).unwrap();
    running.wait().unwrap();
    runtime.delete(&id, DeleteOptions::default()).unwrap();
    let other = runtime.run(&id, &options(second)).unwrap();
    runtime.delete_run(&id, &running).unwrap();
    let state = runtime.state(&id).unwrap();
    assert_eq!((state.status, state.pid), (Status::Running, other.workload.pid));
    runtime.delete_run(&id, &other).unwrap();
    assert_eq!(runtime.state(&id).unwrap_err().kind(), ErrorKind::NotFound);
}

fn layers(runtime: &Runtime, folder: &Path) {
    let (path, mut config) = bundle(folder, "layers", &["sh", "-c", "echo new >/bin/added"]);
    fs::rename(path.join("rootfs"), path.join("base")).unwrap();
    for name in ["rootfs", "init/etc", "upper", "work"] {
        fs::create_dir_all(path.join(name)).unwrap();
    }
    let root = LayeredRoot {
        layers: vec!["base".into()],
        init: Some("init".into()),
        upper: Some("upper".into()),
        work: Some("work".into()),
    };
    let mount = serde_json::to_value(root.into_mount().unwrap()).unwrap();
    config["mounts"].as_array_mut().unwrap().insert(0, mount);
    fs::write(path.join("config.json"), config.to_string()).unwrap();
    let id = ContainerId::new("layers").unwrap();
    let running = runtime.run(&id, &options(path.clone())).unwrap();
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
    runtime.delete(&id, DeleteOptions::default()).unwrap();
    assert_eq!(fs::read_to_string(path.join("upper/bin/added")).unwrap(), "new\n");
    assert!(!path.join("base/bin/added").exists());
}

fn refused(runtime: &Runtime, folder: &Path) {
    let (path, mut config) = bundle(folder, "refused", &["not-there"]);
    let id = ContainerId::new("refused").unwrap();
    assert_eq!(runtime.create(&id, &options(path.clone())).unwrap_err().kind(), ErrorKind::Command);
    config["process"]["cwd"] = "relative".into();
    fs::write(path.join("config.json"), config.to_string()).unwrap();
    let error = runtime.create(&id, &options(path)).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::InvalidSpec, Some("process.cwd")));
    assert!(runtime.list().unwrap().0.is_empty());
}
