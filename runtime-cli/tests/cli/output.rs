//! What commands write: the log file, `features`, and the file of `spec`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{RUNC, directory, message, ran, rooted, teu};

#[test]
fn a_failure_is_one_json_object_in_the_log() {
    let dir = directory();
    for value in ["log", "file:log"] {
        let out = ran(teu(&["--root", "state", "--log", value, "--log-format", "json"])
            .args(["state", "nope"])
            .current_dir(dir.path()));
        assert_eq!(out.code, Some(1));
        // As runc: the bare message on stderr beside a log file.
        assert!(out.stderr.starts_with("container does not exist"), "{}", out.stderr);
        let path = dir.path().join("log");
        let text = std::fs::read_to_string(&path).unwrap();
        // Podman parses the whole file.
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["level"], "error");
        assert_eq!(object["msg"], out.stderr.trim_end());
        assert!(object["time"].as_str().unwrap().ends_with('Z'));
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn the_log_is_appended_to_and_made_0644() {
    let dir = directory();
    let log = dir.path().join("log");
    let path = log.to_str().unwrap();
    for _ in 0..2 {
        assert_eq!(rooted(dir.path(), &["--log", path, "state", "nope"]).code, Some(1));
    }
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.lines().all(|line| line.starts_with("time=\"") && line.contains("level=error")));
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    // Success leaves no word; a usage error is logged too, though later flags were not read.
    std::fs::remove_file(&log).unwrap();
    assert_eq!(rooted(dir.path(), &["--log", path, "list"]).code, Some(0));
    assert!(!log.exists());
    assert_eq!(rooted(dir.path(), &["--log", path, "--log-format=xml", "list"]).code, Some(1));
    assert!(std::fs::read_to_string(&log).unwrap().contains("invalid log-format"));
}

#[test]
fn a_log_that_cannot_be_written_does_not_hide_the_failure() {
    let dir = directory();
    let out = rooted(dir.path(), &["--log", "/nowhere/log", "state", "nope"]);
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("container does not exist"));
}

#[test]
fn features_is_json_and_nothing_else() {
    let out =
        ran(teu(&["--debug", "features"]).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1"));
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    let features: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["ociVersionMax"], "1.3.0");
    let linux = &features["linux"];
    for field in [
        "namespaces",
        "capabilities",
        "cgroup",
        "seccomp",
        "apparmor",
        "selinux",
        "intelRdt",
        "memoryPolicy",
        "mountExtensions",
        "netDevices",
    ] {
        assert!(!linux[field].is_null(), "{field}");
    }
    assert_eq!(linux["mountExtensions"]["idmap"]["enabled"], true);
    // The specification's own types read it.
    serde_json::from_value::<oci_spec::runtime::Features>(features.clone()).unwrap();
    if Path::new(RUNC).exists() {
        let runc = ran(Command::new(RUNC).arg("features"));
        let runc: Value = serde_json::from_str(&runc.stdout).unwrap();
        let missing = |ours: &Value, theirs: &Value| -> Vec<Value> {
            let ours = ours.as_array().unwrap();
            theirs.as_array().unwrap().iter().filter(|v| !ours.contains(v)).cloned().collect()
        };
        let none: Vec<Value> = Vec::new();
        for field in ["namespaces", "capabilities"] {
            assert_eq!(missing(&linux[field], &runc["linux"][field]), none, "{field}");
        }
        for field in ["actions", "operators", "archs"] {
            let (ours, theirs) = (&linux["seccomp"][field], &runc["linux"]["seccomp"][field]);
            assert_eq!(missing(ours, theirs), none, "{field}");
        }
    }
}

#[test]
fn spec_is_runcs() {
    for args in [&["spec"][..], &["spec", "--rootless"]] {
        let dir = directory();
        let out = ran(teu(args).current_dir(dir.path()));
        assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (Some(0), "", ""));
        let path = dir.path().join("config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\n\t\"ociVersion\": \"1.3.0\",\n"), "{text}");
        let mut ours: Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value::<oci_spec::runtime::Spec>(ours.clone()).unwrap();
        let again = ran(teu(args).current_dir(dir.path()));
        assert_eq!(again.code, Some(1));
        assert_eq!(message(&again.stderr), "File config.json exists. Remove it first");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        if Path::new(RUNC).exists() {
            std::fs::remove_file(&path).unwrap();
            assert!(
                Command::new(RUNC).args(args).current_dir(dir.path()).status().unwrap().success()
            );
            let theirs = std::fs::read_to_string(&path).unwrap();
            let mut theirs: Value = serde_json::from_str(&theirs).unwrap();
            // Ours: the newer specification, our own name, and what runc has changed since 1.1:
            // no ambient capabilities, and the TPM is masked.
            for field in ["ociVersion", "hostname"] {
                ours[field] = Value::Null;
                theirs[field] = Value::Null;
            }
            theirs["process"]["capabilities"].as_object_mut().unwrap().remove("ambient");
            for spec in [&mut ours, &mut theirs] {
                let masked = spec["linux"]["maskedPaths"].as_array_mut().unwrap();
                masked.retain(|path| path != "/sys/devices/virtual/tpm");
            }
            assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn spec_into_a_bundle() {
    let dir = directory();
    let bundle = dir.path().join("b");
    std::fs::create_dir(&bundle).unwrap();
    for flag in ["-b", "--bundle"] {
        let out = ran(&mut teu(&["spec", flag, bundle.to_str().unwrap()]));
        assert_eq!(out.code, Some(0), "{}", out.stderr);
        std::fs::remove_file(bundle.join("config.json")).unwrap();
    }
    let out = ran(&mut teu(&["spec", "--bundle", "/nowhere"]));
    assert_eq!(out.code, Some(1));
    assert!(message(&out.stderr).contains("/nowhere/config.json"));
}
