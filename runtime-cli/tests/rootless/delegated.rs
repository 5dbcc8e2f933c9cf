//! With a cgroup of version 2 that root has delegated, and of its controllers only some.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::Lab;

/// What was delegated: `user`, with the controller pids alone, and the caller in a cgroup of its own there.
struct Delegated {
    top: PathBuf,
}

impl Delegated {
    /// None where cgroup2 has not both controllers.
    fn new(lab: &Lab) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let passed = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
        if !["memory", "pids"]
            .iter()
            .all(|name| passed.split_whitespace().any(|word| word == *name))
        {
            eprintln!("skipped: cgroup2 with the controllers memory and pids is not here");
            return None;
        }
        let serial = lab.file("").file_name().unwrap().to_string_lossy().into_owned();
        let top = root.join(format!("teu-test{serial}"));
        fs::create_dir_all(top.join("user/caller")).unwrap();
        fs::write(top.join("cgroup.subtree_control"), "+pids").unwrap();
        let own = |path: PathBuf| {
            std::os::unix::fs::chown(path, Some(lab.uid), Some(lab.uid)).unwrap();
        };
        for directory in ["user", "user/caller"] {
            let directory = top.join(directory);
            for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
                own(directory.join(file));
            }
        }
        Some(Self { top })
    }

    fn user(&self) -> PathBuf {
        self.top.join("user")
    }

    /// The cgroups below what was delegated.
    fn cgroups(&self) -> Vec<String> {
        let entries = fs::read_dir(self.user()).unwrap().flatten();
        let names = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
        names.map(|name| name.into_string().unwrap()).collect()
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for directory in ["user/caller", "user", ""] {
            if let Err(error) = fs::remove_dir(self.top.join(directory)) {
                eprintln!("{directory}: {error}");
            }
        }
    }
}

#[test]
fn limits_of_delegated_controllers_hold_and_others_are_warned_of() {
    let Some(lab) = Lab::new() else { return };
    let Some(delegated) = Delegated::new(&lab) else { return };
    lab.edit(|spec| {
        spec["linux"]["resources"] =
            json!({ "memory": { "limit": 100_000_000, "swap": 200_000_000 }, "pids": { "limit": 50 } });
    });
    let caller = delegated.user().join("caller");
    let teu = |args: &[&str]| lab.run_in(&caller, args);
    let made = teu(&["create", "--bundle", &lab.word("bundle"), "c1"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(made.stderr.matches('\n').count(), 1, "one warning: {made:?}");
    for part in
        ["level=warning", "linux.resources.memory.limit", "Delegate=cpu cpuset io memory pids"]
    {
        assert!(made.stderr.contains(part), "{made:?}");
    }
    assert!(!made.stderr.contains("pids.limit"), "{made:?}");
    let own = delegated.user().join("teu-c1");
    assert_eq!(fs::read_to_string(own.join("pids.max")).unwrap(), "50\n");
    teu(&["start", "c1"]).ok();
    assert_eq!(teu(&["exec", "c1", "cat", "/proc/self/cgroup"]).ok().stdout.lines().count(), 1);
    teu(&["pause", "c1"]).ok();
    assert!(fs::read_to_string(own.join("cgroup.events")).unwrap().contains("frozen 1"));
    teu(&["resume", "c1"]).ok();
    teu(&["update", "--pids-limit", "40", "c1"]).ok();
    assert_eq!(fs::read_to_string(own.join("pids.max")).unwrap(), "40\n");
    // From a cgroup that was not delegated nobody may be put there.
    let said = lab.run_in(Path::new("/sys/fs/cgroup"), &["exec", "c1", "id"]);
    assert_eq!(said.code, Some(255), "{said:?}");
    assert!(said.stderr.contains("Delegate=yes"), "{said:?}");
    teu(&["delete", "--force", "c1"]).ok();
    assert_eq!(delegated.cgroups(), ["caller"]);
    lab.nothing_left();
}

/// What no delegation would mend is no warning.
#[test]
fn a_limit_that_the_kernel_does_not_know_is_an_error() {
    let Some(lab) = Lab::new() else { return };
    let Some(delegated) = Delegated::new(&lab) else { return };
    let limits = |limits: serde_json::Value| {
        lab.edit(|spec| spec["linux"]["resources"] = json!({ "unified": limits }));
    };
    let caller = delegated.user().join("caller");
    let run = ["run", "--bundle", &lab.word("bundle"), "c1"];
    limits(json!({ "pids.max": "50", "pids.nonsense": "1" }));
    let said = lab.run_in(&caller, &run).refused();
    assert!(said.contains("linux.resources.unified") && said.contains("pids.nonsense"), "{said}");
    assert_eq!(delegated.cgroups(), ["caller"]);
    // A value that is none is another matter, and was one before.
    limits(json!({ "pids.max": "nonsense" }));
    assert!(lab.run_in(&caller, &run).refused().contains("linux.resources.unified"));
    assert_eq!(delegated.cgroups(), ["caller"]);
    lab.nothing_left();
}

#[test]
fn a_caller_from_outside_is_told_where_to_call_from() {
    let Some(lab) = Lab::new() else { return };
    let Some(delegated) = Delegated::new(&lab) else { return };
    let path = delegated.user().join("inside");
    let path = path.strip_prefix("/sys/fs/cgroup").unwrap();
    lab.edit(|spec| spec["linux"]["cgroupsPath"] = format!("/{}", path.display()).into());
    let root = Path::new("/sys/fs/cgroup");
    let said = lab.run_in(root, &["create", "--bundle", &lab.word("bundle"), "c1"]).refused();
    assert!(said.contains("linux.cgroupsPath") && said.contains("Delegate=yes"), "{said}");
    assert_eq!(delegated.cgroups(), ["caller"]);
    lab.nothing_left();
}
