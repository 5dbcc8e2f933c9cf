//! What the workload is when it starts: directory, environment, descriptors, keyring.

use std::fs;

use serde_json::{Value, json};

use super::Case;
use crate::harness::{Lab, Result, Stop, ensure, ensure_eq, lacks};
use crate::sys::number_call;

const PROCESS: &str = "OCI runtime-spec config.md#process";
const RUNC_MANUAL: &str = "runc(8), runc-create(8)";

pub(super) const CASES: &[Case] = &[
    Case::new("process/cwd", "the workload starts in process.cwd", PROCESS, cwd),
    Case::new("process/cwd-missing", "a missing cwd is made", RUNC_MANUAL, cwd_missing),
    Case::new("process/cwd-file", "a cwd that is a file is an error", PROCESS, cwd_file),
    Case::new("process/cwd-relative", "a relative cwd is an error", PROCESS, cwd_relative),
    Case::new("process/env-order", "the environment keeps its order", PROCESS, env_order),
    Case::new(
        "process/env-duplicate",
        "of two values of a variable the last one is found",
        "runc: later entries of process.env override earlier ones",
        env_duplicate,
    ),
    Case::new(
        "process/home",
        "HOME comes from the container's passwd by uid; / without an entry; a given one stays",
        "runc: HOME defaults to the home directory of the user",
        home,
    ),
    Case::new(
        "process/home-numeric-name",
        "a user whose name is a number is not taken for that uid",
        "CVE-2016-3697",
        home_numeric_name,
    ),
    Case::new("process/args", "arguments arrive unchanged", PROCESS, arguments),
    Case::new("process/path-lookup", "args[0] is searched in PATH of env", PROCESS, path_lookup),
    Case::new(
        "process/path-missing",
        "a program that is not there, or not executable, fails at create",
        "OCI runtime-spec runtime.md#create",
        path_missing,
    ),
    Case::new(
        "process/session-leader",
        "the workload is process 1, its own session, child of nobody",
        "pid_namespaces(7); runc: setsid in init",
        session_leader,
    ),
    Case::new("process/standard-streams", "0, 1 and 2 are the caller's", RUNC_MANUAL, streams),
    Case::new(
        "process/no-descriptors",
        "other descriptors of the caller do not arrive",
        "CVE-2024-21626; runc-create(8) --preserve-fds",
        no_descriptors,
    ),
    Case::new(
        "process/preserve-fds",
        "--preserve-fds N passes 3 to 2+N and no more",
        "runc-create(8) --preserve-fds",
        preserve_fds,
    ),
    Case::new(
        "process/keyring",
        "the session keyring is new",
        "runc-create(8) --no-new-keyring; session-keyring(7)",
        keyring,
    ),
    Case::new(
        "process/signals",
        "no signal is ignored or blocked at the start",
        "execve(2): what is ignored stays so; signal(7)",
        signals,
    ),
    Case::new(
        "process/no-new-keyring",
        "--no-new-keyring leaves the caller's session keyring",
        "runc-create(8) --no-new-keyring",
        no_new_keyring,
    ),
    Case::new(
        "process/personality",
        "LINUX32 is what uname(2) tells",
        "OCI runtime-spec config-linux.md#personality",
        personality,
    )
    .known("runc 1.1 ignores linux.personality"),
];

/// Facts of a container with this change to `process`.
pub(super) fn facts(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<Value> {
    lab.container(lab.bundle(|config| edit(&mut config["process"]))?).facts()
}

/// `create` with this change to `process` must fail with a message.
pub(super) fn refused(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result {
    let container = lab.container(lab.bundle(|config| edit(&mut config["process"]))?);
    container.try_create()?.refused().map(drop)
}

fn cwd(lab: &Lab) -> Result {
    let facts = facts(lab, |process| process["cwd"] = "/home/user".into())?;
    ensure_eq!(facts["cwd"], "/home/user", "working directory");
    Ok(())
}

fn cwd_missing(lab: &Lab) -> Result {
    let facts = facts(lab, |process| process["cwd"] = "/srv/deep/er".into())?;
    ensure_eq!(facts["cwd"], "/srv/deep/er", "working directory");
    Ok(())
}

fn cwd_file(lab: &Lab) -> Result {
    refused(lab, |process| process["cwd"] = "/etc/passwd".into())
}

fn cwd_relative(lab: &Lab) -> Result {
    refused(lab, |process| process["cwd"] = "tmp".into())
}

fn env_order(lab: &Lab) -> Result {
    let env = json!(["ZZ=1", "PATH=/bin", "AA=x=y", "EMPTY=", "HOME=/x", "MM= blank "]);
    let facts = facts(lab, |process| process["env"] = env.clone())?;
    ensure_eq!(facts["env"], env, "environment");
    Ok(())
}

fn env_duplicate(lab: &Lab) -> Result {
    let facts = facts(lab, |process| {
        process["env"] = json!(["TWO=first", "PATH=/bin", "HOME=/x", "TWO=last"]);
    })?;
    ensure_eq!(variable(&facts, "TWO"), Some("last"), "TWO as getenv(3) finds it");
    Ok(())
}

/// What getenv(3) would find: the first entry of the name.
fn variable<'f>(facts: &'f Value, name: &str) -> Option<&'f str> {
    let entries = facts["env"].as_array()?;
    entries
        .iter()
        .filter_map(Value::as_str)
        .find_map(|one| one.strip_prefix(name)?.strip_prefix('='))
}

fn home(lab: &Lab) -> Result {
    for (uid, env, want) in [
        (0, json!(["A=b"]), "/root"),
        (1000, json!(["A=b"]), "/home/user"),
        (54321, json!(["A=b"]), "/"),
        (1000, json!(["HOME=/given"]), "/given"),
    ] {
        let facts = facts(lab, |process| {
            process["user"]["uid"] = uid.into();
            process["env"] = env.clone();
        })?;
        ensure_eq!(variable(&facts, "HOME"), Some(want), "HOME of {uid} with {env}");
    }
    Ok(())
}

fn home_numeric_name(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        config["process"]["user"]["uid"] = 1000.into();
        config["process"]["env"] = json!(["A=b"]);
    })?;
    let passwd = bundle.rootfs().join("etc/passwd");
    let entries = fs::read_to_string(&passwd)?;
    fs::write(&passwd, format!("1000:x:0:0:trap:/trap:/bin/sh\n{entries}"))?;
    let facts = lab.container(bundle).facts()?;
    ensure_eq!(facts["uid"], 1000, "uid");
    ensure_eq!(variable(&facts, "HOME"), Some("/home/user"), "HOME");
    Ok(())
}

fn arguments(lab: &Lab) -> Result {
    let args = json!(["/probe", "facts", "", "two words", "$HOME", "ünï", "-x", "--", "\n"]);
    let facts = facts(lab, |process| process["args"] = args.clone())?;
    ensure_eq!(facts["args"], args, "arguments");
    Ok(())
}

fn path_lookup(lab: &Lab) -> Result {
    let done = lab
        .container(lab.bundle(|config| {
            config["process"]["args"] = json!(["probe", "facts"]);
            config["process"]["env"] = json!(["PATH=/nowhere:/bin:/"]);
        })?)
        .run()?
        .ok()?;
    ensure_eq!(done.json()?["args"][0], "probe", "args[0] stays as it was written");
    Ok(())
}

fn path_missing(lab: &Lab) -> Result {
    for program in ["/nowhere", "nowhere", "/etc/passwd", "/etc"] {
        refused(lab, |process| process["args"] = json!([program]))?;
    }
    Ok(())
}

fn session_leader(lab: &Lab) -> Result {
    let facts = facts(lab, |_| {})?;
    for (name, want) in [("pid", 1), ("sid", 1), ("ppid", 0)] {
        ensure_eq!(facts[name], want, "{name}");
    }
    Ok(())
}

fn streams(lab: &Lab) -> Result {
    let container = lab.with_args(&["sh", "-c", "cat; echo out; echo err >&2"])?;
    let done = container.launch("run", &[]).input("in\n").run()?.ok()?;
    ensure_eq!(done.stdout, "in\nout\n", "standard output");
    ensure_eq!(done.stderr, "err\n", "standard error");
    Ok(())
}

/// Opens 3, 4 and 5 before the runtime starts.
const OPEN_THREE: [&str; 3] =
    ["sh", "-c", "exec 3</etc/hostname 4</etc/hosts 5</etc/passwd; exec \"$0\" \"$@\""];

fn descriptors(facts: &Value) -> Vec<&str> {
    facts["fds"].as_object().into_iter().flatten().map(|(number, _)| number.as_str()).collect()
}

fn signals(lab: &Lab) -> Result {
    // No probe, because Rust's runtime ignores SIGPIPE itself.
    let look = ["/bin/busybox", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"];
    let container = lab.with_args(&look)?;
    // What the suite's own caller ignores is not the question.
    let done = container.launch("run", &[]).wrap(["env", "--default-signal"]).run()?.ok()?;
    for name in ["SigBlk", "SigIgn"] {
        let set = done.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        let set = set.and_then(|set| u64::from_str_radix(set, 16).ok()).unwrap_or(u64::MAX);
        // Signals 1 to 31: env(1) cannot reset those that the C library keeps for itself.
        ensure_eq!(set & 0x7fff_ffff, 0, "{name} of the workload");
    }
    Ok(())
}

fn no_descriptors(lab: &Lab) -> Result {
    let container = lab.container(lab.bundle(|_| {})?);
    let facts = container.launch("run", &[]).wrap(OPEN_THREE).run()?.ok()?.json()?;
    ensure_eq!(descriptors(&facts), ["0", "1", "2"], "descriptors of the workload");
    Ok(())
}

fn preserve_fds(lab: &Lab) -> Result {
    let container = lab.container(lab.bundle(|_| {})?);
    let call = container.launch("run", &["--preserve-fds", "2"]).wrap(OPEN_THREE);
    let facts = call.run()?.ok()?.json()?;
    ensure_eq!(descriptors(&facts), ["0", "1", "2", "3", "4"], "descriptors of the workload");
    for (number, file) in [("3", "hostname"), ("4", "hosts")] {
        let target = facts["fds"][number].as_str().unwrap_or_default();
        ensure!(target.ends_with(file), "descriptor {number} must be {file}, not {target:?}");
    }
    Ok(())
}

/// The session keyring of this process, as the probe asks for its own.
fn own_keyring() -> Result<Value> {
    match number_call(libc::SYS_keyctl, [0, -3, 0, 0, 0, 0]) {
        Ok(serial) => Ok(serial.into()),
        Err(error) => Err(Stop::Skip(format!("the host lacks session keyrings: {error}"))),
    }
}

fn keyring(lab: &Lab) -> Result {
    let own = own_keyring()?;
    let first = facts(lab, |_| {})?;
    let second = facts(lab, |_| {})?;
    ensure!(first["keyring"].is_number(), "the workload has no session keyring");
    ensure!(first["keyring"] != own, "the workload has the caller's session keyring");
    ensure!(first["keyring"] != second["keyring"], "two containers share a session keyring");
    Ok(())
}

fn no_new_keyring(lab: &Lab) -> Result {
    let own = own_keyring()?;
    let container = lab.container(lab.bundle(|_| {})?);
    let facts = container.launch("run", &["--no-new-keyring"]).run()?.ok()?.json()?;
    ensure_eq!(facts["keyring"], own, "session keyring");
    Ok(())
}

fn personality(lab: &Lab) -> Result {
    let machine = std::process::Command::new("setarch").args(["linux32", "uname", "-m"]).output();
    if !machine.is_ok_and(|output| output.stdout == b"i686\n") {
        return lacks("the personality LINUX32");
    }
    let bundle =
        lab.bundle(|config| config["linux"]["personality"] = json!({ "domain": "LINUX32" }))?;
    let facts = lab.container(bundle).facts()?;
    ensure_eq!(facts["personality"], "00000008", "personality");
    ensure_eq!(facts["machine"], "i686", "machine of uname(2)");
    Ok(())
}
