//! Surroundings that must not matter, and the state root of a caller without privilege.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Ran, directory, message, ran};

/// Runs a shell line with `$TEU`, for what only a shell can set up.
fn shell(dir: &Path, line: &str) -> Ran {
    ran(Command::new("/bin/sh")
        .args(["-c", line])
        .env_clear()
        .env("TEU", env!("CARGO_BIN_EXE_teu"))
        .current_dir(dir))
}

#[test]
fn surroundings_do_not_matter() {
    let dir = directory();
    let root = dir.path().join("state");
    let root = root.display();
    for line in [
        format!("exec $TEU --root {root} list -q <&-"),
        format!("exec $TEU --root {root} list -q <&- >&- 2>&-"),
        format!("mkdir gone && cd gone && rmdir ../gone && exec $TEU --root {root} list -q"),
        format!("umask 077; exec $TEU --root {root}-umask list -q"),
    ] {
        let out = shell(dir.path(), &line);
        assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{line}");
    }
    let made: PathBuf = format!("{root}-umask").into();
    assert_eq!(made.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    // A reader that has gone is no failure.
    let out = shell(dir.path(), "{ $TEU features; echo $? >code; } | true; cat code");
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("0\n", ""));
    // A full disk is.
    let out = shell(dir.path(), "exec $TEU features >/dev/full");
    assert_eq!(out.code, Some(1));
    assert_eq!(message(&out.stderr), "write(stdout): ENOSPC");
}

#[test]
fn the_default_root_of_a_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: not root, so no other user can be tried");
        return;
    }
    let dir = directory();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    // The build directory may be closed to other users.
    let copy = dir.path().join("teu");
    crate::copy(Path::new(env!("CARGO_BIN_EXE_teu")), &copy);
    let user = |runtime_dir: Option<&Path>| {
        let mut command = Command::new(&copy);
        command.args(["list", "-q"]).env_clear().uid(65_534).gid(65_534);
        command.envs(runtime_dir.map(|dir| ("XDG_RUNTIME_DIR", dir)));
        ran(&mut command)
    };
    let out = user(Some(dir.path()));
    // `teu` is a file there: the error names the place.
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains(copy.to_str().unwrap()), "{}", out.stderr);
    let runtime_dir = dir.path().join("run");
    std::fs::create_dir(&runtime_dir).unwrap();
    std::fs::set_permissions(&runtime_dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    let out = user(Some(&runtime_dir));
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    let root = runtime_dir.join("teu").metadata().unwrap();
    assert_eq!(root.permissions().mode() & 0o7777, 0o1700);
    let out = user(None);
    assert_eq!(out.code, Some(1));
    assert!(message(&out.stderr).contains("XDG_RUNTIME_DIR is not set"), "{}", out.stderr);
}
