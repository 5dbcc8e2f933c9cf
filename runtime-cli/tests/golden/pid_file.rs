//! The pid file: conmon and go-runc watch for it, take the whole of it for a number, and its absence for failure.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::failure::failure;
use crate::stage::{self, Runtime, Stage, Status};

/// What happens to the names in a directory.
struct Watch(OwnedFd);

impl Watch {
    fn on(folder: &Path) -> Self {
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, folder, WatchFlags::ALL_EVENTS).unwrap();
        Self(watch)
    }

    /// What has happened to `name` since the last look.
    fn of(&self, name: &str) -> Vec<ReadFlags> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut events = Vec::new();
        while let Ok(event) = reader.next() {
            if event.file_name().is_some_and(|file| file.to_bytes() == name.as_bytes()) {
                events.push(event.events());
            }
        }
        events
    }
}

#[test]
fn appears_whole_by_a_rename_and_only_with_a_process() {
    if !stage::can_run() {
        return;
    }
    let stage = Stage::new(Runtime::Teu);
    let folder = stage.path("pids");
    std::fs::create_dir(&folder).unwrap();
    let file = stage.word("pids/pid");
    let watch = Watch::on(&folder);
    let appeared = |what: &str| {
        assert_eq!(watch.of("pid"), [ReadFlags::MOVED_TO], "{what}");
        let text = std::fs::read_to_string(&file).unwrap();
        let pid: i32 = text.parse().expect("a number and nothing else");
        std::fs::remove_file(&file).unwrap();
        watch.of("pid");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "{what}: left over");
        pid
    };

    let id = stage.id();
    let bundle = stage.bundle(&id, &["sleep", "1000"], |_| {});
    stage.call(&["create", "--bundle", &bundle, "--pid-file", &file, &id]).ok();
    assert_eq!(appeared("create"), stage.pid(&id));
    stage.call(&["start", &id]).ok();
    let detached = ["exec", "--detach", "--pid-file", &file, &id, "sleep", "1000"];
    stage.call(&detached).ok();
    let pid = appeared("exec");
    let listed = stage.call(&["ps", "--format=json", &id]).ok().stdout;
    let listed: Vec<i32> = serde_json::from_str(&listed).unwrap();
    assert!(listed.contains(&pid), "{pid} in {listed:?}");
    let other = stage.id();
    let bundle = stage.bundle(&other, &["sleep", "1000"], |_| {});
    stage.call(&["run", "--detach", "--bundle", &bundle, "--pid-file", &file, &other]).ok();
    assert_eq!(appeared("run"), stage.pid(&other));

    // Not even for a moment.
    failure(&stage, &["exec", "--detach", "--pid-file", &file, &id, "nope"], 255);
    failure(&stage, &["create", "--bundle", &bundle, "--pid-file", &file, &other], 1);
    let stopped = stage.container(Status::Stopped);
    failure(&stage, &["exec", "--detach", "--pid-file", &file, &stopped, "true"], 255);
    assert_eq!(watch.of("pid"), []);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn an_older_file_of_that_name_does_not_outlive_a_failure() {
    if !stage::can_run() {
        return;
    }
    let stage = Stage::new(Runtime::Teu);
    let file = stage.word("pid");
    std::fs::write(&file, "1").unwrap();
    let id = stage.id();
    let bundle = stage.bundle(&id, &["sleep", "1000"], |_| {});
    stage.call(&["create", "--bundle", &bundle, "--pid-file", &file, &id]).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), stage.pid(&id).to_string());
}
