//! The phrases that callers search for in the failures of each command: exit code, one line on stderr, and one object
//! in the log.

use crate::callers::{self, Killed};
use crate::stage::{self, Runtime, Stage, Status};

/// A failure as its caller finds it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The message, the same on stderr and in the log.
    pub(crate) message: String,
}

/// Calls with a log as managers do, and insists on the form that all of them can read.
pub(crate) fn failure(stage: &Stage, words: &[&str], code: i32) -> Failure {
    let log = stage.word("log.json");
    let ran = stage.call(&[&["--log", &log, "--log-format", "json"], words].concat());
    let said = format!("{words:?}: {ran:?}");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{said}");
    let message = ran.stderr.strip_suffix('\n').expect("a line").to_owned();
    assert!(!message.is_empty() && !message.contains('\n'), "one line: {said}");
    // What conmon reads of it at once.
    assert!(message.len() < 4096, "short: {said}");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    assert_eq!(callers::podman_log(&text).as_deref(), Some(message.as_str()), "{said}: {text}");
    assert_eq!(callers::containerd_log(&text), Some(message.clone()), "{said}: {text}");
    assert!(text.contains("\"level\":\"error\""), "{text}");
    Failure { message }
}

/// Words (ID is the container), exit code, phrase; each leaves the status as it is.
type Row = (Status, &'static [&'static str], i32, &'static str);

const ROWS: &[Row] = &[
    // containerd init.go, rust-extensions common.rs
    (Status::Unknown, &["state", "ID"], 1, "container does not exist"),
    (Status::Unknown, &["start", "ID"], 1, "container does not exist"),
    (Status::Unknown, &["kill", "ID", "9"], 1, "container does not exist"),
    (Status::Unknown, &["kill", "--all", "ID", "9"], 1, "container does not exist"),
    (Status::Unknown, &["delete", "ID"], 1, "container does not exist"),
    (Status::Unknown, &["pause", "ID"], 1, "container does not exist"),
    (Status::Unknown, &["resume", "ID"], 1, "container does not exist"),
    (Status::Unknown, &["ps", "ID"], 1, "container does not exist"),
    (Status::Unknown, &["update", "--pids-limit=9", "ID"], 1, "container does not exist"),
    (Status::Unknown, &["events", "--stats", "ID"], 1, "container does not exist"),
    (Status::Unknown, &["exec", "ID", "true"], 255, "container does not exist"),
    // containerd utils.go, CRI-O runtime_oci.go
    (Status::Stopped, &["kill", "ID", "9"], 1, "container not running"),
    // nerdctl and moby
    (Status::Created, &["create", "-b", "BUNDLE", "ID"], 1, "with given ID already exists"),
    (Status::Running, &["run", "-b", "BUNDLE", "ID"], 1, "with given ID already exists"),
    (Status::Stopped, &["run", "-b", "BUNDLE", "ID"], 1, "with given ID already exists"),
    (
        Status::Paused,
        &["exec", "ID", "true"],
        255,
        "cannot exec in a paused container (use --ignore-paused to override)",
    ),
    (Status::Stopped, &["exec", "ID", "true"], 255, "cannot exec in a stopped container"),
    (Status::Running, &["start", "ID"], 1, "cannot start an already running container"),
    (Status::Stopped, &["start", "ID"], 1, "cannot start a container that has stopped"),
    (
        Status::Running,
        &["delete", "ID"],
        1,
        "cannot delete container <id> that is not stopped: running",
    ),
    (
        Status::Paused,
        &["delete", "ID"],
        1,
        "cannot delete container <id> that is not stopped: paused",
    ),
    (Status::Stopped, &["pause", "ID"], 1, "container not running"),
    (Status::Running, &["resume", "ID"], 1, "container not paused"),
    (Status::Stopped, &["update", "--pids-limit=9", "ID"], 1, "container not running"),
];

#[test]
fn phrases() {
    if !stage::can_run() {
        return;
    }
    for status in
        [Status::Unknown, Status::Created, Status::Running, Status::Paused, Status::Stopped]
    {
        let stage = Stage::new(Runtime::Teu);
        let id = stage.container(status);
        let bundle = stage.word(&format!("bundle-{id}"));
        for (_, words, code, phrase) in ROWS.iter().filter(|row| row.0 == status) {
            let words: Vec<&str> = words
                .iter()
                .map(|word| match *word {
                    "ID" => id.as_str(),
                    "BUNDLE" => bundle.as_str(),
                    word => word,
                })
                .collect();
            let said = failure(&stage, &words, *code).message;
            assert!(said.contains(&phrase.replace("<id>", &id)), "{status:?} {words:?}: {said}");
            assert_eq!(stage.status(&id), status.word(), "after {words:?}");
            if words[0] == "kill" {
                let gone =
                    if status == Status::Unknown { Killed::NoContainer } else { Killed::Finished };
                assert_eq!(callers::containerd_kill(&said), gone, "{said}");
                assert_eq!(callers::crio_has_ended(&said), status == Status::Stopped, "{said}");
            }
        }
    }
}

/// Warnings are for who reads stderr; a manager that reads a log takes the whole of it for one object.
#[test]
fn a_warning_does_not_hide_the_failure() {
    if !stage::can_run() {
        return;
    }
    let stage = Stage::new(Runtime::Teu);
    let warned = |program: &str| {
        let id = stage.id();
        let bundle = stage.bundle(&id, &[program], |config| {
            config["process"]["capabilities"]["ambient"] = ["CAP_KILL"].as_slice().into();
        });
        (bundle, id)
    };
    let (bundle, id) = warned("true");
    let plain = stage.call(&["create", "--bundle", &bundle, &id]).ok();
    assert!(plain.stderr.contains("level=warning"), "there is one: {}", plain.stderr);
    let (bundle, id) = warned("true");
    let log = stage.word("log");
    let logged = stage.call(&["--log", &log, "create", "--bundle", &bundle, &id]).ok();
    assert_eq!((logged.stderr.as_str(), stage.path("log").exists()), ("", false));
    let (bundle, id) = warned("nope");
    let said = failure(&stage, &["create", "--bundle", &bundle, &id], 1).message;
    assert!(said.contains("executable file not found in $PATH"), "{said}");
}

#[test]
fn a_terminal_needs_somebody_to_take_it() {
    if !stage::can_run() {
        return;
    }
    let stage = Stage::new(Runtime::Teu);
    for (terminal, flags, phrase) in [
        (true, &[][..], "cannot allocate tty if runc will detach without setting console socket"),
        (
            false,
            &["--console-socket", "/nowhere"],
            "cannot use console socket if runc will not detach or allocate tty",
        ),
    ] {
        let id = stage.id();
        let bundle = stage.bundle(&id, &["true"], |config| {
            config["process"]["terminal"] = terminal.into();
        });
        let words = [&["create", "--bundle", &bundle], flags, &[&id]].concat();
        let said = failure(&stage, &words, 1).message;
        assert!(said.contains(phrase), "{said}");
        assert_eq!(stage.status(&id), "none");
    }
}
