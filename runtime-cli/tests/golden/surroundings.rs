//! Odd surroundings that the conformance cases `cli/*` do not have: a relative bundle, the bare
//! environment of Podman's clean-up, and the end of a workload by the OOM killer.

use std::path::Path;

use serde_json::json;

use crate::stage::{self, End, Runtime, Stage, Status};

#[test]
fn a_relative_bundle() {
    if !stage::can_run() {
        return;
    }
    let stage = Stage::new(Runtime::Teu);
    let id = stage.id();
    let bundle = stage.bundle(&id, &["sleep", "1000"], |_| {});
    let name = Path::new(&bundle).file_name().unwrap().to_str().unwrap();
    let words = ["create", "--bundle", name, "--pid-file", "pid", &id];
    stage.ran(stage.command(&words).current_dir(stage.folder.path())).ok();
    assert_eq!(
        std::fs::read_to_string(stage.path("pid")).unwrap(),
        stage.pid(&id).to_string(),
        "a relative pid file is beside the caller"
    );
    let state = stage.call(&["state", &id]).ok().stdout;
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["bundle"], bundle, "state shows it absolute");
}

/// Podman's clean-up process passes XDG_RUNTIME_DIR and nothing else; that may not change where root's state is.
#[test]
fn the_environment_of_podmans_clean_up() {
    if !stage::can_run() {
        return;
    }
    let stage = Stage::new(Runtime::Teu);
    let id = stage.container(Status::Running);
    let end = End::of(stage.pid(&id));
    for words in [
        &["pause", &id][..],
        &["resume", &id],
        &["state", &id],
        &["kill", &id, "9"],
        &["delete", "--force", &id],
        &["delete", "--force", &id],
        &["kill", "--all", &stage.container(Status::Stopped), "9"],
    ] {
        let mut command = stage.command(words);
        command.env_clear().env("XDG_RUNTIME_DIR", "/nowhere");
        let ran = stage.ran(&mut command).ok();
        assert_eq!(ran.stderr, "", "{words:?}");
        assert_eq!(ran.stdout.is_empty(), words[0] != "state", "{words:?}: {}", ran.stdout);
        if words[0] == "kill" {
            assert!(end.has_come(), "{words:?}");
        }
    }
}

#[test]
fn the_oom_killer_ends_a_workload_as_kill_does() {
    if !stage::can_run() {
        return;
    }
    for runtime in [Runtime::Teu, Runtime::Runc] {
        if runtime == Runtime::Runc && !stage::can_compare() {
            return;
        }
        let stage = Stage::new(runtime);
        let id = stage.id();
        // tail keeps what may be the end of its input.
        let bundle = stage.bundle(&id, &["tail", "/dev/zero"], |config| {
            let limit = 16 << 20;
            config["linux"]["resources"] = json!({ "memory": { "limit": limit, "swap": limit } });
        });
        assert_eq!(stage.call(&["run", "--bundle", &bundle, &id]).code, Some(137), "{runtime:?}");
    }
}
