//! What goes wrong on the way to the user's program, and the exit codes that users of Docker and Podman see of it: 126
//! and 127 only where their own words (program, directory, volume) are at fault.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::callers::{self, docker_run, moby, podman, podman_exec, podman_run};
use crate::failure::failure;
use crate::stage::{self, Runtime, Stage, Status};

struct Launch {
    args: &'static [&'static str],
    edit: fn(&mut Value),
    /// The command that fails.
    fails: &'static str,
    phrase: &'static str,
    /// Of `docker run` and `podman run`, where Podman has no code for "the runtime failed" and takes 126.
    codes: (i32, i32),
}

const ORDINARY: Launch =
    Launch { args: &["true"], edit: |_| {}, fails: "create", phrase: "", codes: (125, 126) };

fn mount(config: &mut Value, mount: Value) {
    config["mounts"].as_array_mut().unwrap().push(mount);
}

const LAUNCHES: &[Launch] = &[
    Launch {
        args: &["nope"],
        phrase: "unable to start container process: exec: \"nope\": executable file not found in $PATH",
        codes: (127, 127),
        ..ORDINARY
    },
    Launch {
        args: &["/bin/nope"],
        phrase: "exec: \"/bin/nope\": stat /bin/nope: no such file or directory",
        codes: (127, 127),
        ..ORDINARY
    },
    Launch {
        args: &["/etc/plain"],
        phrase: "unable to start container process: exec: \"/etc/plain\": permission denied",
        codes: (126, 126),
        ..ORDINARY
    },
    Launch {
        args: &["/etc"],
        phrase: "exec: \"/etc\": is a directory",
        codes: (126, 126),
        ..ORDINARY
    },
    Launch {
        args: &["/etc/plain/x"],
        phrase: "exec: \"/etc/plain/x\": ",
        codes: (127, 127),
        ..ORDINARY
    },
    // A script whose interpreter is missing shows at its execve only; runc does not see it at create either.
    Launch {
        args: &["/etc/script"],
        fails: "start",
        phrase: "exec /etc/script: no such file or directory",
        codes: (127, 127),
        ..ORDINARY
    },
    // Docker has a code for what is missing or forbidden, but none for what is for another machine.
    Launch {
        args: &["/etc/data"],
        fails: "start",
        phrase: "exec /etc/data: exec format error",
        ..ORDINARY
    },
    Launch {
        edit: |config| {
            config["root"]["readonly"] = false.into();
            config["process"]["cwd"] = "/etc/plain".into();
        },
        phrase: "chdir to cwd (\"/etc/plain\") set in config.json failed: ENOTDIR",
        ..ORDINARY
    },
    Launch {
        edit: |config| {
            mount(
                config,
                json!({ "destination": "/etc", "type": "bind", "source": "/no/volume",
                "options": ["rbind"] }),
            );
        },
        phrase: "mounts[2].source: bind source path /no/volume: no such file or directory",
        codes: (127, 127),
        ..ORDINARY
    },
    Launch {
        edit: |config| {
            mount(config, json!({ "destination": "/etc", "type": "nofs", "source": "x" }));
        },
        phrase: "mounts[2]: mounting: fsopen(nofs): ENODEV",
        ..ORDINARY
    },
    Launch {
        edit: |config| {
            mount(config, json!({ "destination": "/etc", "type": "ext4", "source": "/no/device" }));
        },
        phrase: "mounts[2]",
        ..ORDINARY
    },
    Launch {
        edit: |config| {
            config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/false" }] });
        },
        phrase: "hooks.createRuntime[0]: /bin/false: exit status 1",
        ..ORDINARY
    },
    Launch {
        edit: |config| config["hooks"] = json!({ "createRuntime": [{ "path": "/no/hook" }] }),
        phrase: "hooks.createRuntime[0]: /no/hook",
        ..ORDINARY
    },
    Launch {
        edit: |config| config["hooks"] = json!({ "createContainer": [{ "path": "/no/hook" }] }),
        phrase: "hooks.createContainer[0]: running a createContainer hook: /no/hook: exit status 127, saying: \
                 cannot be executed: ENOENT",
        ..ORDINARY
    },
    Launch {
        edit: |config| config["hooks"] = json!({ "startContainer": [{ "path": "/no/hook" }] }),
        phrase: "hooks.startContainer[0]",
        fails: "start",
        ..ORDINARY
    },
    Launch {
        edit: |config| config["hooks"] = json!({ "poststart": [{ "path": "/etc/passwd" }] }),
        phrase: "hooks.poststart[0]: /etc/passwd",
        fails: "start",
        ..ORDINARY
    },
    // What a hook says of itself is passed on as it is, as by runc: who reads it needs those words.
    Launch {
        edit: |config| {
            let args = json!(["sh", "-c", "echo gpu: permission denied >&2; exit 3"]);
            config["hooks"] = json!({ "prestart": [{ "path": "/bin/sh", "args": args }] });
        },
        phrase: "exit status 3, saying: gpu: permission denied",
        codes: (126, 126),
        ..ORDINARY
    },
    // A user that the user namespace does not know.
    Launch {
        edit: |config| {
            let map = json!([{ "containerID": 0, "hostID": 0, "size": 1 }]);
            config["linux"]["uidMappings"] = map.clone();
            config["linux"]["gidMappings"] = map;
            mount_user(config);
            config["process"]["user"]["uid"] = 7.into();
        },
        phrase: "process.user.uid",
        ..ORDINARY
    },
    Launch {
        edit: |config| config["linux"]["namespaces"][0]["path"] = "/no/namespace".into(),
        phrase: "linux.namespaces[0]",
        ..ORDINARY
    },
    Launch {
        edit: |config| config["linux"]["namespaces"][0]["path"] = "/etc/passwd".into(),
        phrase: "linux.namespaces[0]",
        ..ORDINARY
    },
    Launch {
        edit: |config| {
            config["linux"]["devices"] = json!([
                { "path": "/proc/x", "type": "c", "major": 1, "minor": 3 }
            ]);
        },
        phrase: "linux.devices[0]",
        ..ORDINARY
    },
    Launch {
        edit: |config| config["linux"]["sysctl"] = json!({ "kernel.shm_nope": "1" }),
        phrase: "sysctl",
        ..ORDINARY
    },
    Launch {
        edit: |config| {
            config["linux"]["resources"] = json!({ "pids": { "limit": 1 },
            "cpu": { "cpus": "9999" } })
        },
        phrase: "linux.resources.cpu.cpus",
        ..ORDINARY
    },
    Launch {
        edit: |config| {
            config["linux"]["resources"] = json!({ "memory": { "limit": 4096, "swap": 4096 } });
        },
        phrase: "container init was OOM-killed (memory limit too low?): the limit is 4096 bytes, ",
        ..ORDINARY
    },
    Launch {
        edit: |config| config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_NONE" }),
        phrase: "seccomp",
        ..ORDINARY
    },
    Launch {
        edit: |config| config["root"]["path"] = "/etc/passwd".into(),
        phrase: "root.path: /etc/passwd is no directory",
        ..ORDINARY
    },
];

fn mount_user(config: &mut Value) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
}

/// A stage with a script without interpreter, and a file that is no program though it may be executed.
fn stage() -> Stage {
    let stage = Stage::new(Runtime::Teu);
    let write = |name: &str, text: &[u8]| {
        let path = stage.path("rootfs").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    write("etc/script", b"#!/no/interpreter\n");
    write("etc/data", b"\x00\x01\x02\x03");
    stage
}

fn check(stage: &Stage, launch: &Launch) {
    let id = stage.id();
    let bundle = stage.bundle(&id, launch.args, launch.edit);
    let create = ["create", "--bundle", &bundle, &id];
    let said = if launch.fails == "create" {
        let said = failure(stage, &create, 1);
        assert_eq!(stage.status(&id), "none", "a failed create leaves nothing: {said:?}");
        said
    } else {
        stage.call(&create).ok();
        failure(stage, &["start", &id], 1)
    };
    let said = said.message;
    assert!(said.contains(launch.phrase), "{:?} is not in: {said}", launch.phrase);
    assert_eq!((docker_run(&said), podman_run(&said)), launch.codes, "docker, podman: {said}");
    // The container's own code, where the daemon has another word for "not the user's fault" than its client.
    let code = if launch.codes.0 == 125 { 128 } else { launch.codes.0 };
    assert_eq!(moby(&said).code, code, "{said}");
}

#[test]
fn exit_codes_of_run() {
    if !stage::can_run() {
        return;
    }
    let stage = stage();
    for launch in LAUNCHES {
        check(&stage, launch);
    }
}

#[test]
fn docker_explains_a_file_on_a_directory() {
    if !stage::can_run() {
        return;
    }
    let stage = stage();
    for (source, destination) in [("/etc", "/etc/plain"), ("/etc/passwd", "/etc")] {
        let id = stage.id();
        let bundle = stage.bundle(&id, &["true"], |config| {
            mount(
                config,
                json!({ "destination": destination, "type": "bind", "source": source,
                "options": ["rbind"] }),
            );
        });
        let said = failure(&stage, &["create", "--bundle", &bundle, &id], 1).message;
        let docker = moby(&said);
        assert!(
            docker.answer.contains("Are you trying to mount a directory onto a file"),
            "{said}"
        );
        assert_eq!((docker.code, docker_run(&said), podman_run(&said)), (127, 125, 126), "{said}");
    }
}

/// Flags and command, phrase, and the exit codes of `docker exec` and `podman exec`.
type Exec = (&'static [&'static str], &'static [&'static str], &'static str, (i32, i32));

const EXECS: &[Exec] = &[
    (&[], &["nope"], "exec: \"nope\": executable file not found in $PATH", (127, 127)),
    (&[], &["/no/program"], "no such file or directory", (127, 127)),
    (&[], &["/etc/plain"], "exec: \"/etc/plain\": permission denied", (126, 126)),
    (&[], &["/etc"], "is a directory", (126, 126)),
    (&[], &["/etc/script"], "exec /etc/script: no such file or directory", (127, 127)),
    (&[], &["/etc/data"], "exec format error", (128, 125)),
    (&["--cwd=/no/where"], &["true"], "chdir to cwd (\"/no/where\")", (127, 127)),
    (&["--user=wheel"], &["true"], "\"wheel\" is not an id", (128, 125)),
    (&["--cap=nope"], &["true"], "is not a capability", (128, 125)),
    (&["--process=/no/process.json"], &[], "/no/process.json", (128, 125)),
    (&["--cgroup=no/cgroup"], &["true"], "no/cgroup", (128, 125)),
    (&["--detach", "--pid-file=/no/where/pid"], &["true"], "/no/where", (128, 125)),
];

#[test]
fn exit_codes_of_exec() {
    if !stage::can_run() {
        return;
    }
    let stage = stage();
    let id = stage.container(Status::Running);
    let alone = stage.call(&["ps", "--format=json", &id]).ok().stdout;
    for (flags, command, phrase, codes) in EXECS {
        let words = [&["exec"], *flags, &[&id], *command].concat();
        let said = failure(&stage, &words, 255).message;
        assert!(said.contains(phrase), "{phrase:?} is not in: {said}");
        assert_eq!((moby(&said).code, podman_exec(&said)), *codes, "docker, podman: {said}");
        assert_eq!(stage.call(&["ps", "--format=json", &id]).ok().stdout, alone, "{said}");
    }
}

/// AppArmor or SELinux, whichever the host has: Podman tells its users of a label by the file in back-ticks.
#[test]
fn a_label_that_cannot_be_set() {
    if !stage::can_run() {
        return;
    }
    let stage = stage();
    let id = stage.id();
    let bundle = stage.bundle(&id, &["true"], |config| {
        config["process"]["apparmorProfile"] = "golden-nope".into();
    });
    let said = failure(&stage, &["create", "--bundle", &bundle, &id], 1).message;
    let enabled = std::path::Path::new("/sys/kernel/security/apparmor").exists();
    let wanted = if enabled { callers::Podman::SecurityAttribute } else { callers::Podman::Other };
    assert_eq!(podman(&said), wanted, "{said}");
    assert_eq!((docker_run(&said), podman_run(&said)), (125, 126), "{said}");
}
