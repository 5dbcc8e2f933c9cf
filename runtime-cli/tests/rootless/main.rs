//! Containers of a user without any privilege: a user namespace, ids by newuidmap(1), no cgroup.

// A helper that cannot go on ends the test.
#![allow(clippy::unwrap_used)]

#[path = "../support/console.rs"]
mod console;
mod delegated;
mod helper;
#[path = "../support/ran.rs"]
mod ran;
#[path = "../support/screen.rs"]
mod screen;
mod support;
mod terminal;

use std::io::BufRead as _;
use std::os::unix::fs::MetadataExt as _;

use serde_json::json;
use support::Lab;

#[test]
fn with_its_own_id_alone() {
    let Some(lab) = Lab::new() else { return };
    lab.script("cat /proc/self/uid_map /proc/self/setgroups; id -u; exit 7");
    let ran = lab.run_container();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(7), ""), "{ran:?}");
    let words: Vec<&str> = ran.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", &lab.uid.to_string(), "1", "deny", "0"], "{ran:?}");
    lab.nothing_left();
    lab.edit(|spec| spec["process"]["user"]["additionalGids"] = json!([0]));
    let said = lab.run_container().refused();
    assert!(said.contains("process.user.additionalGids"), "{said}");
}

#[test]
fn with_subordinate_ids() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    lab.edit(|spec| {
        spec["process"]["user"] = json!({ "uid": 1000, "gid": 1000, "additionalGids": [5, 6] });
        let volume = json!({ "destination": "/v", "source": lab.file("v"), "type": "bind",
                             "options": ["bind", "rw"] });
        spec["mounts"].as_array_mut().unwrap().push(volume);
    });
    std::fs::create_dir(lab.file("v")).unwrap();
    std::fs::set_permissions(lab.file("v"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    lab.script("id; touch /v/file");
    assert_eq!(lab.run_container().ok().stdout, "uid=1000 gid=1000 groups=5,6\n");
    assert_eq!(std::fs::metadata(lab.file("v/file")).unwrap().uid(), lab.first + 999);
}

#[test]
fn ids_of_others_are_refused_and_nothing_is_left() {
    let Some(lab) = Lab::new() else { return };
    lab.edit(|spec| {
        spec["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 0, "size": 1 }]);
    });
    let said = lab.run_container().refused();
    assert!(said.contains("newuidmap") && said.contains("/etc/subuid"), "{said}");
    lab.nothing_left();
}

#[test]
fn without_a_user_namespace_it_says_what_to_do() {
    let Some(lab) = Lab::new() else { return };
    lab.edit(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|one| one["type"] != "user");
        spec["linux"].as_object_mut().unwrap().retain(|name, _| !name.ends_with("Mappings"));
    });
    let said = lab.run_container().refused();
    assert!(said.contains("rootless container requires user namespaces"), "{said}");
    lab.nothing_left();
}

#[test]
fn a_whole_life() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    lab.run(&["create", "--bundle", &lab.word("bundle"), "c1"]).ok();
    let state = |status: &str| {
        let state = lab.run(&["state", "c1"]).ok().stdout;
        assert!(state.contains(&format!("\"status\": \"{status}\"")), "{state}");
    };
    state("created");
    lab.run(&["start", "c1"]).ok();
    state("running");
    assert_eq!(lab.exec(&["id", "-u"]).ok().stdout, "0\n");
    assert_eq!(
        lab.run(&["exec", "--user", "1000:1000", "c1", "id"]).ok().stdout,
        "uid=1000 gid=1000\n"
    );
    assert_eq!(lab.run(&["exec", "--tty", "c1", "tty"]).ok().stdout, "/dev/pts/0\n");
    let listed = lab.run(&["ps", "--format", "json", "c1"]).ok().stdout;
    assert_eq!(listed.trim().matches(',').count(), 0, "one process: {listed}");
    // Another process of another user of the namespace, and a signal for all.
    lab.run(&["exec", "--detach", "--user", "1000:1000", "c1", "sleep", "1000"]).ok();
    let listed = lab.run(&["ps", "--format", "json", "c1"]).ok().stdout;
    assert_eq!(listed.trim().matches(',').count(), 1, "two processes: {listed}");
    let mode = std::fs::metadata(lab.file("runtime/teu")).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o1700, "systemd would remove a directory without the sticky bit");
    assert!(lab.run(&["delete", "c1"]).refused().contains("not stopped"));
    lab.run(&["delete", "--force", "c1"]).ok();
    lab.nothing_left();
}

#[test]
fn limits_that_nobody_has_delegated_are_warned_of() {
    let Some(lab) = Lab::new() else { return };
    if std::fs::read_dir("/sys/fs/cgroup").is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.metadata().is_ok_and(|m| m.uid() != 0)))
    }) {
        eprintln!("skipped: some cgroup has been delegated here");
        return;
    }
    lab.edit(|spec| spec["linux"]["resources"] = json!({ "memory": { "limit": 100_000_000 } }));
    let made = lab.run(&["create", "--bundle", &lab.word("bundle"), "c1"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(made.stderr.matches('\n').count(), 1, "{made:?}");
    assert!(made.stderr.contains("level=warning"), "{made:?}");
    for part in ["linux.resources.memory.limit", "Delegate=cpu cpuset io memory pids"] {
        assert!(made.stderr.contains(part), "{made:?}");
    }
    lab.run(&["start", "c1"]).ok();
    for args in [&["pause", "c1"][..], &["update", "--memory", "1000000000", "c1"]] {
        assert!(lab.run(args).refused().contains("has no cgroup"), "{args:?}");
    }
    lab.run(&["delete", "--force", "c1"]).ok();
    // Whoever insists is refused, as root would be.
    let insists = ["--rootless=false", "create", "--bundle", &lab.word("bundle"), "c1"];
    assert!(lab.run(&insists).refused().contains("mkdir("));
    lab.nothing_left();
}

/// CVE-2023-25809, and what a container could do to its user's other processes.
#[test]
fn cgroups_of_the_host_are_read_only() {
    let Some(lab) = Lab::new() else { return };
    lab.script(
        "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/x 2>/dev/null && echo made $d/x; done; echo done",
    );
    assert_eq!(lab.run_container().ok().stdout, "done\n");
}

#[test]
fn what_the_kernel_refuses_a_new_instance_of_is_bound() {
    let Some(lab) = Lab::new() else { return };
    lab.edit(|spec| {
        // Of the host's network namespace: sysfs cannot be mounted.
        spec["mounts"][5] = json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs",
                                    "options": ["nosuid", "noexec", "nodev", "ro"] });
    });
    lab.script("[ -d /sys/class/net/lo ] && ! touch /sys/x 2>/dev/null && echo bound");
    assert_eq!(lab.run_container().ok().stdout, "bound\n");
}

/// A mount of the host keeps the flags that it has there, whatever is asked for (mount_namespaces(7)).
#[test]
fn locked_flags_stay() {
    let Some(lab) = Lab::new() else { return };
    let mount = |options: serde_json::Value| {
        lab.edit(|spec| {
            let mounts = spec["mounts"].as_array_mut().unwrap();
            mounts.retain(|mount| mount["destination"] != "/m");
            mounts.push(json!({ "destination": "/m", "source": "/proc", "type": "bind",
                                "options": options }));
        });
    };
    lab.script("mount | grep ' on /m '");
    // The host's procfs is nosuid, nodev and noexec on a host of Debian's, and may be mounted without them.
    let host = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let locked = host.lines().any(|line| line.contains(" /proc ") && line.contains("nosuid"));
    mount(json!(["rbind", "ro"]));
    let seen = lab.run_container().ok().stdout;
    assert!(seen.contains("(ro") && (!locked || seen.contains("nosuid")), "{seen}");
    if locked {
        mount(json!(["rbind", "suid"]));
        assert!(lab.run_container().refused().contains("mount_setattr"));
    }
    lab.nothing_left();
}

#[test]
fn nothing_of_root_s_is_in_reach() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    lab.edit(|spec| {
        let all: Vec<String> = ["MKNOD", "SYS_ADMIN", "DAC_OVERRIDE", "SYS_RAWIO", "NET_ADMIN"]
            .map(|name| format!("CAP_{name}"))
            .into();
        for set in ["bounding", "effective", "permitted"] {
            spec["process"]["capabilities"][set] = json!(all);
        }
        let volume = json!({ "destination": "/host", "source": "/etc", "type": "bind",
                             "options": ["rbind"] });
        spec["mounts"].as_array_mut().unwrap().push(volume);
        spec["root"]["readonly"] = false.into();
    });
    lab.script(
        "mknod /n c 1 1 2>/dev/null && echo node; cat /host/shadow 2>/dev/null && echo shadow; \
         touch /host/teu-was-here 2>/dev/null && echo wrote; echo 1 2>/dev/null >/proc/sys/kernel/sysrq && echo sysrq; \
         echo done",
    );
    assert_eq!(lab.run_container().ok().stdout, "done\n");
}

#[test]
fn what_only_root_can_have_is_an_error_of_its_field() {
    let Some(lab) = Lab::new() else { return };
    lab.edit(|spec| {
        spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "network" }));
        spec["linux"]["netDevices"] = json!({ "eth0": {} });
    });
    assert!(lab.run_container().refused().contains("linux.netDevices"));
    lab.edit(|spec| {
        spec["linux"].as_object_mut().unwrap().remove("netDevices");
        let volume = json!({ "destination": "/v", "source": "/etc", "type": "bind",
                             "options": ["bind", "idmap"] });
        spec["mounts"].as_array_mut().unwrap().push(volume);
    });
    assert!(lab.run_container().refused().contains("mounts[7].options"));
    lab.edit(|spec| {
        spec["mounts"][7] = json!({ "destination": "/v", "source": "/no/such",
                                               "type": "bind", "options": ["bind"] })
    });
    let said = lab.run_container().refused();
    assert!(said.contains("mounts[7].source") && said.contains("no such file"), "{said}");
    lab.nothing_left();
}

/// The layers are the user's, and the kernel lets root of a user namespace mount an overlay since Linux 5.11.
#[test]
fn a_root_of_layers() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    for directory in ["upper", "work", "empty"] {
        lab.directory(directory);
    }
    lab.edit(|spec| {
        spec["root"] = json!({ "path": lab.file("empty"), "readonly": false });
        let layers = format!("lowerdir={}", lab.word("bundle/rootfs"));
        let upper = format!("upperdir={}", lab.word("upper"));
        let work = format!("workdir={}", lab.word("work"));
        let root = json!({ "destination": "/", "type": "overlay", "source": "overlay",
                           "options": [layers, upper, work] });
        spec["mounts"].as_array_mut().unwrap().insert(0, root);
    });
    lab.script(
        "stat -f -c %T / && touch /new && cat /proc/self/uid_map >/dev/null && echo written",
    );
    let said = lab.run_container().ok().stdout;
    assert!(said.ends_with("written\n"), "{said}");
    assert_eq!(std::fs::metadata(lab.file("upper/new")).unwrap().uid(), lab.uid);
    assert!(!lab.file("bundle/rootfs/new").exists());
    lab.nothing_left();
}

/// As the containers of a pod, or of another manager, share one: whoever made it may enter it.
#[test]
fn a_user_namespace_that_is_there_is_joined() {
    let Some(lab) = Lab::new() else { return };
    let script = "echo $$; exec sleep 1000";
    let mut holder = lab
        .user(&["unshare", "--user", "--map-root-user", "--map-auto", "sh", "-c", script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let path = format!("/proc/{}/ns/user", line.trim());
    let inside = std::fs::read_link(&path).unwrap();
    lab.edit(|spec| {
        let linux = spec["linux"].as_object_mut().unwrap();
        linux.retain(|name, _| !name.ends_with("Mappings"));
        for namespace in linux["namespaces"].as_array_mut().unwrap() {
            if namespace["type"] == "user" {
                namespace["path"] = path.clone().into();
            }
        }
    });
    lab.script("readlink /proc/self/ns/user; id -u");
    let said = lab.run_container();
    // Somebody else's is not entered.
    lab.edit(|spec| {
        for namespace in spec["linux"]["namespaces"].as_array_mut().unwrap() {
            if namespace["type"] == "user" {
                namespace["path"] = "/proc/1/ns/user".into();
            }
        }
    });
    let refused = lab.run_container();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(said.ok().stdout, format!("{}\n0\n", inside.display()));
    let refused = refused.refused();
    assert!(
        refused.contains("linux.namespaces") && refused.contains("/proc/1/ns/user"),
        "{refused}"
    );
    lab.nothing_left();
}

#[test]
fn a_signal_for_all() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    // Without a cgroup, and in the host's pid namespace or not: whoever is in init's is found there.
    lab.script("trap '' TERM; sleep 1000 & sleep 1000 & echo ready >/dev/shm/ready; wait; exit 4");
    lab.run(&["run", "--detach", "--bundle", &lab.word("bundle"), "c1"]).ok();
    lab.exec(&["sh", "-c", "until [ -e /dev/shm/ready ]; do :; done"]).ok();
    lab.run(&["exec", "--detach", "--user", "1000:1000", "c1", "sleep", "1000"]).ok();
    let count = || {
        let listed = lab.run(&["ps", "--format", "json", "c1"]).ok().stdout;
        listed.trim().split(',').count()
    };
    assert_eq!(count(), 4);
    lab.run(&["kill", "--all", "c1", "KILL"]).ok();
    lab.wait_for("stopped");
    lab.run(&["delete", "c1"]).ok();
    lab.nothing_left();
}

#[test]
fn checkpoints_are_for_root() {
    let Some(lab) = Lab::new() else { return };
    lab.run(&["run", "--detach", "--bundle", &lab.word("bundle"), "c1"]).ok();
    let said = lab.run(&["checkpoint", "--image-path", &lab.word("images"), "c1"]).refused();
    assert!(said.contains("need root") && !lab.file("images").exists(), "{said}");
    let restore =
        ["restore", "--image-path", &lab.word("images"), "--bundle", &lab.word("bundle"), "c2"];
    let said = lab.run(&restore).refused();
    assert!(said.contains("need root"), "{said}");
    // It goes on.
    lab.exec(&["true"]).ok();
    lab.run(&["delete", "--force", "c1"]).ok();
    lab.nothing_left();
}
