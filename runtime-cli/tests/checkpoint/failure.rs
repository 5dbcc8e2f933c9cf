//! What fails: the container goes on or nothing is left, and nobody is led astray.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use crate::{labs, teu};

#[test]
fn what_cannot_be_written_goes_on() {
    for lab in labs("fails") {
        // A file of the host's, which is nowhere in the container.
        let output = std::fs::File::create(lab.file("output")).unwrap();
        let bundle = lab.file("bundle");
        let mut run = lab.command(&["run", "-d", "--bundle", bundle.to_str().unwrap(), &lab.id]);
        assert!(run.stdout(output).status().unwrap().success());
        assert_eq!(lab.ask("x"), "1");
        let failed = lab.checkpoint(&[]);
        assert_eq!(failed.code, Some(1));
        assert_eq!(lab.state()["status"], "running");
        assert_eq!(lab.ask("x"), "2");
        lab.run(&["exec", &lab.id, "cat", "/dev/null"]).ok();
    }
}

#[test]
fn what_cannot_be_read_leaves_nothing() {
    for lab in labs("broken") {
        lab.start();
        lab.checkpoint(&[]).ok();
        let pid_file = lab.file("pid");
        let restore = || lab.restore(&["--detach", "--pid-file", pid_file.to_str().unwrap()]);
        std::fs::rename(lab.file("images/inventory.img"), lab.file("away")).unwrap();
        let failed = restore();
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert!(!lab.exists() && !lab.has_cgroup() && !pid_file.exists());
        std::fs::rename(lab.file("away"), lab.file("images/inventory.img")).unwrap();
        restore().ok();
        assert_eq!(lab.ask("x"), "1");
    }
}

#[test]
fn a_killed_restore_can_be_deleted() {
    let Some(lab) = teu("killed") else { return };
    lab.start();
    lab.checkpoint(&[]).ok();
    let script = format!("echo $$ >{}; exec sleep 1000", lab.file("vol/out").display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]);
    lab.edit(|spec| spec["hooks"]["createRuntime"] = hook);
    let args = lab.restore_args(&["--detach"]);
    let mut restore = lab.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let mut restore = restore.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let hook: i32 = lab.answer().parse().unwrap();
    restore.kill().unwrap();
    restore.wait().unwrap();
    let hook = rustix::process::Pid::from_raw(hook).unwrap();
    rustix::process::kill_process(hook, rustix::process::Signal::KILL).unwrap();
    assert_eq!(lab.state()["status"], "creating");
    lab.run(&["delete", "--force", &lab.id]).ok();
    assert!(!lab.exists() && !lab.has_cgroup());
    lab.edit(|spec| spec["hooks"] = json!({}));
    lab.restore(&["--detach"]).ok();
    assert_eq!(lab.ask("x"), "1");
}

#[test]
fn programs_in_the_image_directory_are_not_run() {
    let Some(lab) = teu("planted") else { return };
    lab.start();
    lab.checkpoint(&[]).ok();
    let called = lab.file("called");
    for name in ["ip", "iptables-restore", "ip6tables-restore", "criu"] {
        let program = lab.file("images").join(name);
        std::fs::write(&program, format!("#!/bin/sh\necho {name} >>{}\n", called.display()))
            .unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    let criu = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/criu/criu");
    for path in [None, Some("."), Some(":."), Some("")] {
        let args = lab.restore_args(&["--detach"]);
        let args =
            ["--criu", criu.to_str().unwrap()].into_iter().chain(args.iter().map(String::as_str));
        let mut restore = lab.command(&args.collect::<Vec<_>>());
        restore.env_remove("PATH").envs(path.map(|path| ("PATH", path)));
        restore.current_dir(lab.file("images")).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(restore.status().unwrap().success(), "{path:?}");
        assert!(!called.exists(), "{path:?}: {:?}", std::fs::read_to_string(&called));
        lab.run(&["delete", "--force", &lab.id]).ok();
    }
    // Nor is anything written through a link there.
    lab.start();
    let victim = lab.file("victim");
    std::fs::write(&victim, "mine").unwrap();
    std::fs::remove_file(lab.file("images/descriptors.json")).unwrap();
    std::os::unix::fs::symlink(&victim, lab.file("images/descriptors.json")).unwrap();
    lab.checkpoint(&["--leave-running"]).ok();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
}

#[test]
fn a_criu_that_dies_leaves_nothing() {
    let Some(lab) = teu("dies") else { return };
    lab.start();
    lab.checkpoint(&[]).ok();
    // Its parent is the runtime, whose oldest such child is criu itself; the other is what it has made.
    let script = "kill -9 $(pgrep -o -P $PPID)";
    let hook =
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}]);
    lab.edit(|spec| spec["hooks"]["createRuntime"] = hook);
    let said = lab.restore(&["--detach"]).refused();
    assert!(said.contains("criu failed: "), "{said}");
    assert!(!lab.exists() && !lab.has_cgroup(), "{said}");
    lab.edit(|spec| spec["hooks"] = json!({}));
    lab.restore(&["--detach"]).ok();
    assert_eq!(lab.ask("x"), "1");
}

#[test]
fn a_criu_that_talks_nonsense_is_ended() {
    let Some(lab) = teu("nonsense") else { return };
    lab.start();
    let criu = lab.file("nonsense");
    let pid = lab.file("nonsense.pid");
    let script = format!(
        "#!/bin/sh\necho $$ >{}\neval \"echo garbage >&$2\"\nexec sleep 1000\n",
        pid.display()
    );
    std::fs::write(&criu, script).unwrap();
    std::fs::set_permissions(&criu, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let images = lab.file("images");
    let args =
        ["--criu", criu.to_str().unwrap(), "checkpoint", "--image-path", images.to_str().unwrap()];
    let said = lab.run(&[&args[..], &[&lab.id]].concat()).refused();
    assert!(said.contains("criu failed: its answer cannot be read"), "{said}");
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "it goes on");
    assert_eq!(lab.ask("x"), "1");
}

#[test]
fn a_criu_that_cannot_start_says_so() {
    let Some(lab) = teu("cannot") else { return };
    lab.start();
    let images = lab.file("images");
    let args = ["--criu", "/bin/false", "checkpoint", "--image-path", images.to_str().unwrap()];
    // It ends before it is asked, or after, as the two processes happen to run.
    for _ in 0..20 {
        let said = lab.run(&[&args[..], &[&lab.id]].concat()).refused();
        assert!(said.contains("criu failed: it ended without an answer, with status 1"), "{said}");
    }
    assert_eq!(lab.ask("x"), "1");
}

#[test]
fn errors_say_what_criu_found() {
    let Some(lab) = teu("says") else { return };
    let output = std::fs::File::create(lab.file("output")).unwrap();
    let bundle = lab.file("bundle");
    let mut run = lab.command(&["run", "-d", "--bundle", bundle.to_str().unwrap(), &lab.id]);
    assert!(run.stdout(output).status().unwrap().success());
    let said = lab.checkpoint(&[]).refused();
    let log = lab.file("images/dump.log");
    let ends = format!("(log: {})\"\n", log.display());
    assert!(said.contains("criu failed: ") && said.ends_with(&ends), "{said}");
    assert!(said.contains("Can't lookup mount="), "{said}");
    let work = lab.file("work");
    let said = lab.checkpoint(&["--work-path", work.to_str().unwrap()]).refused();
    assert!(said.contains("work/dump.log") && work.join("dump.log").exists(), "{said}");
}

#[test]
fn wrong_calls_change_nothing() {
    let Some(lab) = teu("wrong") else { return };
    let said = lab.checkpoint(&[]).refused();
    assert!(said.contains("container does not exist"), "{said}");
    lab.start();
    for (flags, wanted) in [
        (&["--empty-ns", "user"][..], "--empty-ns: namespace"),
        (&["--manage-cgroups-mode", "hard"], "use soft, full, strict or ignore"),
        (&["--page-server", "here"], "use --page-server ADDRESS:PORT"),
        (&["--parent-path", "/elsewhere"], "has to be relative to --image-path"),
        (&["--parent-path", "../nothing"], "is not a directory"),
        (&["--status-fd", "77"], "invalid --status-fd argument 77: it is not open"),
        (&["--status-fd", "0"], "invalid --status-fd argument 0: not writable"),
        (&["--status-fd", "x"], "is not the number of a descriptor"),
    ] {
        let said = lab.checkpoint(flags).refused();
        assert!(said.contains(wanted), "{flags:?}: {said}");
    }
    let mut command = lab.command(&["checkpoint", &lab.id]);
    let out = command.env("PATH", "/nowhere").current_dir(lab.file("vol")).output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.code() == Some(1) && said.contains("criu: not found in $PATH"), "{said}");
    let pre_dump = lab.checkpoint(&["--pre-dump"]);
    if pre_dump.code != Some(0) {
        let said = pre_dump.refused();
        assert!(said.contains("--pre-dump: this kernel, or this criu, cannot track"), "{said}");
    }
    assert_eq!(lab.ask("x"), "1");
    let taken = lab.restore(&["--detach"]);
    assert!(taken.refused().contains("already exists"));
    lab.run(&["delete", "--force", &lab.id]).ok();
    let said = lab.restore(&["--detach", "--image-path", "/nowhere"]).refused();
    assert!(said.contains("/nowhere") && !lab.exists() && !lab.has_cgroup(), "{said}");
    // Named by its path, criu need not be in $PATH.
    lab.start();
    let criu = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/criu/criu");
    let images = lab.file("images");
    let args = ["--criu", criu.to_str().unwrap(), "checkpoint", "--image-path"];
    let mut named = lab.command(&[&args[..], &[images.to_str().unwrap(), &lab.id]].concat());
    assert!(named.env("PATH", "/usr/bin:/bin").status().unwrap().success());
}
