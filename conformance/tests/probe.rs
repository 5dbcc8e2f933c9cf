//! The probe where no case puts it: in a process whose session was begun outside of its pid namespace.

use std::os::unix::fs::symlink;
use std::process::Command;

/// A hook of a runtime that was itself entered by setns(2), as the jobs of many a CI are, sees no leader of its
/// session: getsid(2) says 0 then, which is not an error.
#[test]
fn facts_without_a_visible_session_leader() {
    let folder = tempfile::tempdir().unwrap();
    let probe = folder.path().join("probe");
    symlink(env!("CARGO_BIN_EXE_conformance"), &probe).unwrap();
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc"])
        .args([probe.as_os_str(), "facts".as_ref()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let facts: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!((&facts["pid"], &facts["sid"]), (&1.into(), &0.into()));
}
