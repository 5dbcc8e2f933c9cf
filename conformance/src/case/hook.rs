//! Hooks at the six stages: order, what they get, where they run, what their failure does.
//!
//! The hook is the probe, which keeps its input and its facts in a folder that the host and the
//! container share.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Bundle, Lab, Result, ensure, ensure_eq};

const ORDER: &str = "OCI runtime-spec runtime.md#lifecycle, config.md#posix-platform-hooks";
const INPUT: &str =
    "OCI runtime-spec config.md#posix-platform-hooks MUST (state on stdin), runtime.md#state";
const WHERE: &str = "OCI runtime-spec config.md#posix-platform-hooks (namespace of each stage)";
pub(super) const ENTRY: &str = "OCI runtime-spec config.md#posix-platform-hooks (hook entry)";

pub(super) const CASES: &[Case] = &[
    Case::new("hook/order", "each stage runs its hooks in order, at its time", ORDER, order),
    Case::new(
        "hook/poststart",
        "poststart runs in start, after the workload began",
        ORDER,
        poststart,
    )
    .known("runc 1.1 runs poststart hooks in create (opencontainers/runc#4347)"),
    Case::new(
        "hook/state-of-runtime-hooks",
        "prestart and createRuntime get status creating and init's pid; poststop gets stopped",
        INPUT,
        state_of_runtime_hooks,
    ),
    Case::new(
        "hook/state-of-container-hooks",
        "createContainer gets creating, startContainer created, with the pid they see",
        INPUT,
        state_of_container_hooks,
    ),
    Case::new("hook/namespaces", "hooks run in the namespaces of their stage", WHERE, namespaces),
    Case::new("hook/env-given", "a hook has exactly the environment it lists", ENTRY, env_given),
    Case::new(
        "hook/env-absent",
        "a hook without env has none, not the runtime's or the container's",
        "OCI runtime-spec config.md#posix-platform-hooks env; CVE-2025-23266",
        env_absent,
    )
    .known("runc 1.1 lets a hook without env inherit its own environment"),
    Case::new(
        "hook/args-absent",
        "a hook without args gets its path as argv[0]",
        ENTRY,
        args_absent,
    ),
    Case::new(
        "hook/directory",
        "hooks in the runtime's namespaces start in the bundle, startContainer hooks in the root",
        "runc; what a hook's relative paths stand for",
        directory,
    )
    .known("runc 1.1 runs poststop hooks where delete was called"),
    Case::new(
        "hook/network",
        "a createRuntime hook enters the network namespace by the pid of the state, and sets it up",
        "OCI runtime-spec config.md#createruntime-hooks (the network namespace could be set up)",
        network,
    ),
    Case::new(
        "hook/descriptors",
        "a hook has standard input, output and error and nothing else",
        "CVE-2024-21626 (descriptors of the runtime must not leak)",
        descriptors,
    )
    .known("runc 1.1 leaks descriptors of its init, with exec.fifo, into container-side hooks"),
];

/// A bundle and the shared folder, as the host sees it and as the container sees it.
pub(super) struct Hooked {
    pub(super) bundle: Bundle,
    pub(super) folder: PathBuf,
}

pub(super) const INSIDE: &str = "/hooks";

/// Makes a bundle whose container shares a folder with the host; `hooks` gets the path of the probe
/// on the host and the folder and returns the `hooks` object.
pub(super) fn hooked(
    lab: &Lab,
    args: &[&str],
    hooks: impl FnOnce(&str, &str) -> Value,
) -> Result<Hooked> {
    let folder = lab.new_folder("hooks")?;
    let probe = lab.image.join("probe").to_string_lossy().into_owned();
    let word = folder.to_string_lossy().into_owned();
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = args.into();
        config["hooks"] = hooks(&probe, &word);
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.push(json!({
                "destination": INSIDE, "type": "bind", "source": word, "options": ["bind", "rw"]
            }));
        }
        // Hooks see it in the state.
        config["annotations"] = json!({ "org.example.hook": "yes" });
    })?;
    fs::create_dir(bundle.rootfs().join("hooks"))?;
    Ok(Hooked { bundle, folder })
}

/// A hook that records under `name`.
pub(super) fn record(probe: &str, folder: &str, name: &str) -> Value {
    json!({ "path": probe, "args": ["probe", "record", folder, name] })
}

pub(super) fn record_fail(probe: &str, folder: &str, name: &str) -> Value {
    json!({ "path": probe, "args": ["probe", "record-fail", folder, name] })
}

/// Two recording hooks for each stage; startContainer's program and folder are the container's.
fn everywhere(probe: &str, folder: &str) -> Value {
    let two = |stage: &str, probe: &str, folder: &str| {
        json!([
            record(probe, folder, &format!("{stage}-1")),
            record(probe, folder, &format!("{stage}-2"))
        ])
    };
    let mut hooks = json!({ "startContainer": two("startContainer", "/probe", INSIDE) });
    for stage in ["prestart", "createRuntime", "createContainer", "poststop"] {
        hooks[stage] = two(stage, probe, folder);
    }
    hooks
}

pub(super) fn recorded(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("order")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

pub(super) fn part(folder: &Path, name: &str, kind: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(folder.join(format!("{name}.{kind}")))?)?)
}

fn order(lab: &Lab) -> Result {
    let Hooked { bundle, folder } = hooked(lab, &["/probe", "sleep"], everywhere)?;
    let c = lab.container(bundle);
    c.create()?;
    let mut want: Vec<String> = Vec::new();
    let add = |want: &mut Vec<String>, stage: &str| {
        want.extend([format!("{stage}-1"), format!("{stage}-2")]);
    };
    for stage in ["prestart", "createRuntime", "createContainer"] {
        add(&mut want, stage);
    }
    ensure_eq!(recorded(&folder), want, "hooks after create");
    c.start()?;
    c.wait_output("ready")?;
    add(&mut want, "startContainer");
    ensure_eq!(recorded(&folder), want, "hooks after start");
    c.kill("KILL")?;
    c.wait()?;
    ensure_eq!(recorded(&folder), want, "hooks after the end, before delete");
    c.delete()?;
    add(&mut want, "poststop");
    ensure_eq!(recorded(&folder), want, "hooks after delete");
    Ok(())
}

fn poststart(lab: &Lab) -> Result {
    let Hooked { bundle, folder } = hooked(
        lab,
        &["/probe", "sleep"],
        |probe, folder| json!({ "poststart": [record(probe, folder, "poststart")] }),
    )?;
    let c = lab.container(bundle);
    c.create()?;
    ensure_eq!(recorded(&folder), Vec::<String>::new(), "hooks after create");
    c.start()?;
    ensure_eq!(recorded(&folder), ["poststart"], "hooks after start");
    let state = part(&folder, "poststart", "state")?;
    ensure_eq!(state["status"], "running", "status that poststart gets");
    ensure_eq!(state["pid"], c.pid()?, "pid that poststart gets");
    Ok(())
}

fn check_state(
    state: &Value,
    name: &str,
    c: &crate::harness::Container<'_>,
    status: &str,
) -> Result {
    ensure_eq!(state["id"], c.id, "id for {name}");
    ensure_eq!(state["bundle"], c.bundle.word(), "bundle for {name}");
    ensure_eq!(state["status"], status, "status for {name}");
    ensure_eq!(state["annotations"]["org.example.hook"], "yes", "annotation for {name}");
    let version = state["ociVersion"].as_str().unwrap_or_default();
    ensure!(version.split('.').count() >= 3, "ociVersion for {name}: {version:?}");
    Ok(())
}

fn state_of_runtime_hooks(lab: &Lab) -> Result {
    let Hooked { bundle, folder } = hooked(lab, &["/probe", "exit", "0"], everywhere)?;
    let c = lab.container(bundle);
    c.up()?;
    for name in ["prestart-1", "createRuntime-2"] {
        let state = part(&folder, name, "state")?;
        check_state(&state, name, &c, "creating")?;
        ensure_eq!(state["pid"], c.pid()?, "pid for {name}");
    }
    c.wait()?;
    c.delete()?;
    let state = part(&folder, "poststop-1", "state")?;
    check_state(&state, "poststop-1", &c, "stopped")?;
    ensure!(state["pid"].as_i64().unwrap_or(0) == 0, "pid for poststop: {}", state["pid"]);
    Ok(())
}

fn state_of_container_hooks(lab: &Lab) -> Result {
    let Hooked { bundle, folder } = hooked(lab, &["/probe", "sleep"], everywhere)?;
    let c = lab.container(bundle);
    c.up_ready()?;
    for (name, status) in [("createContainer-1", "creating"), ("startContainer-2", "created")] {
        let state = part(&folder, name, "state")?;
        check_state(&state, name, &c, status)?;
        // They run in the container's pid namespace, where init is process 1.
        ensure_eq!(state["pid"], 1, "pid for {name}");
    }
    Ok(())
}

fn namespaces(lab: &Lab) -> Result {
    const KINDS: [&str; 5] = ["mnt", "net", "uts", "ipc", "pid"];
    let Hooked { bundle, folder } = hooked(lab, &["/probe", "sleep"], |probe, folder| {
        let mut hooks = everywhere(probe, folder);
        hooks["poststart"] = json!([record(probe, folder, "poststart-1")]);
        hooks
    })?;
    let c = lab.container(bundle);
    c.up_ready()?;
    let of = |pid: &str| -> Result<Vec<String>> {
        let links = KINDS.map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")));
        links.into_iter().map(|link| Ok(link?.to_string_lossy().into_owned())).collect()
    };
    let (ours, theirs) = (of("self")?, of(&c.pid()?.to_string())?);
    c.kill("KILL")?;
    c.wait()?;
    c.delete()?;
    for (names, wanted) in [
        (["prestart-1", "createRuntime-1", "poststart-1", "poststop-1"].as_slice(), ours),
        (&["createContainer-1", "startContainer-1"], theirs),
    ] {
        for name in names {
            let facts = part(&folder, name, "facts")?;
            let found = KINDS.map(|kind| facts["namespaces"][kind].clone());
            ensure_eq!(found.as_slice(), wanted.as_slice(), "namespaces of {name}");
        }
    }
    Ok(())
}

fn directory(lab: &Lab) -> Result {
    let Hooked { bundle, folder } = hooked(lab, &["/probe", "exit", "0"], everywhere)?;
    let c = lab.container(bundle);
    c.up()?;
    c.wait()?;
    c.delete()?;
    let bundle = c.bundle.word();
    for (name, wanted) in [
        ("prestart-1", bundle.as_str()),
        ("createRuntime-1", bundle.as_str()),
        ("startContainer-1", "/"),
        ("poststop-1", bundle.as_str()),
    ] {
        ensure_eq!(part(&folder, name, "facts")?["cwd"], wanted, "directory of {name}");
    }
    Ok(())
}

fn network(lab: &Lab) -> Result {
    let script = r#"pid=$(grep -o '"pid": *[0-9]*' | head -n 1 | grep -o '[0-9]*$')
        nsenter --net=/proc/$pid/ns/net ip link set lo mtu 1400"#;
    let bundle = lab.bundle(|config| {
        config["hooks"] = json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", script],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] }] });
        config["process"]["args"] = json!(["/probe", "cat", "/sys/class/net/lo/mtu"]);
    })?;
    ensure_eq!(lab.container(bundle).run()?.ok()?.stdout, "1400\n", "MTU of lo");
    Ok(())
}

fn with_env(lab: &Lab, env: Option<Value>) -> Result<Vec<Value>> {
    let Hooked { bundle, folder } = hooked(lab, &["/probe", "sleep"], |probe, folder| {
        let mut hooks = everywhere(probe, folder);
        for stage in ["createRuntime", "createContainer", "startContainer"] {
            if let Some(env) = &env {
                hooks[stage][0]["env"] = env.clone();
            }
        }
        hooks
    })?;
    let c = lab.container(bundle);
    c.up_ready()?;
    let names = ["createRuntime-1", "createContainer-1", "startContainer-1"];
    names.iter().map(|name| Ok(part(&folder, name, "facts")?["env"].clone())).collect()
}

fn env_given(lab: &Lab) -> Result {
    let env = json!(["SECOND=2", "FIRST=a b=c"]);
    for got in with_env(lab, Some(env.clone()))? {
        ensure_eq!(got, env, "environment of the hook");
    }
    Ok(())
}

fn env_absent(lab: &Lab) -> Result {
    for got in with_env(lab, None)? {
        ensure_eq!(got, json!([]), "environment of the hook");
    }
    Ok(())
}

fn args_absent(lab: &Lab) -> Result {
    let script = lab.folder.join("script");
    let kept = lab.folder.join("kept");
    let busybox = lab.image.join("busybox");
    fs::write(
        &script,
        format!("#!{} sh\necho \"$# $0\" >{}\n", busybox.display(), kept.display()),
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let c = lab.container(lab.bundle(|config| {
        config["hooks"] = json!({ "createRuntime": [{ "path": script }] });
    })?);
    c.create()?;
    ensure_eq!(fs::read_to_string(kept)?.trim(), format!("0 {}", script.display()), "arguments");
    Ok(())
}

fn descriptors(lab: &Lab) -> Result {
    let Hooked { bundle, folder } = hooked(lab, &["/probe", "sleep"], everywhere)?;
    let c = lab.container(bundle);
    let busybox = lab.image.join("busybox").to_string_lossy().into_owned();
    let script = "exec 5</etc/passwd 6</; exec \"$0\" \"$@\"";
    let done = c.launch("create", &[]).wrap([busybox.as_str(), "sh", "-c", script]).run()?;
    c.adopt_if(done)?.ok()?;
    c.start()?;
    c.wait_output("ready")?;
    for name in ["prestart-1", "createRuntime-1", "createContainer-1", "startContainer-1"] {
        let facts = part(&folder, name, "facts")?;
        let open: Vec<&String> =
            facts["fds"].as_object().into_iter().flat_map(|all| all.keys()).collect();
        ensure_eq!(open, ["0", "1", "2"], "descriptors of {name}: {}", facts["fds"]);
    }
    Ok(())
}
