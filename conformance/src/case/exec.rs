//! `exec`: a further process in a container, and what of the container holds for it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use super::Case;
use super::terminal::{read_all, receive};
use super::user_namespace;
use crate::harness::call::Call;
use crate::harness::container::PATIENCE;
use crate::harness::{Container, Lab, Result, cgroup, ensure, ensure_eq, lacks, process};

const MANUAL: &str = "runc-exec(8)";
const CODES: &str = "runc-exec(8): exit status; containerd, CRI-O and Docker read it";

pub(super) const CASES: &[Case] = &[
    Case::new("exec/namespaces", "the process is in every namespace of init", MANUAL, namespaces),
    Case::new(
        "exec/user-namespace",
        "a user namespace is entered as its root",
        MANUAL,
        user_namespace,
    ),
    Case::new("exec/shared-pid", "a container in the host's pid namespace", MANUAL, shared_pid),
    Case::new("exec/cgroup", "the process is in the container's cgroups", MANUAL, cgroup),
    Case::new("exec/sub-cgroup", "--cgroup: in one below, and never above", MANUAL, sub_cgroup),
    Case::new("exec/command-flags", "flags behind the id are the command's", MANUAL, command_flags),
    Case::new("exec/exit-code", "its exit code, or 128 and the signal", CODES, exit_code),
    Case::new("exec/missing", "no program: 255, the known words, no pid file", CODES, missing),
    Case::new("exec/not-executable", "a file without x: 255", CODES, not_executable),
    Case::new(
        "exec/late-word",
        "an exec that fails early leaves no process, whoever of its helpers is slow",
        CODES,
        late_word,
    ),
    Case::new("exec/stopped", "a stopped container takes none", CODES, stopped),
    Case::new("exec/unknown", "an unknown container: 255", CODES, unknown),
    Case::new("exec/created", "a container that was not started takes one", MANUAL, created),
    Case::new("exec/detach", "--detach: the pid is in the file, the caller goes", MANUAL, detach),
    Case::new(
        "exec/descriptors",
        "nothing of the caller's stays open",
        "CVE-2024-21626",
        descriptors,
    ),
    Case::new("exec/preserve-fds", "--preserve-fds: those stay, no others", MANUAL, preserve_fds),
    Case::new("exec/console-socket", "its terminal goes to the console socket", MANUAL, console),
    Case::new(
        "exec/bundle-changed",
        "the bundle's config.json may have changed",
        MANUAL,
        bundle_changed,
    )
    .known("runc 1.1 reads the base process from the bundle"),
    Case::new(
        "exec/children-ignored",
        "a caller that ignores SIGCHLD still hears the exit code",
        CODES,
        children_ignored,
    ),
];

/// A running container with these changes.
pub(super) fn sleeper<'l>(lab: &'l Lab, edit: impl FnOnce(&mut Value)) -> Result<Container<'l>> {
    let container = lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "sleep"]);
        edit(config);
    })?);
    container.up_ready()?;
    Ok(container)
}

/// `exec FLAGS ID COMMAND`.
pub(super) fn exec<'l>(
    lab: &'l Lab,
    container: &Container<'_>,
    flags: &[&str],
    command: &[&str],
) -> Call<'l> {
    let words = ["exec"].iter().chain(flags).copied();
    lab.call(words.chain([container.id.as_str()]).chain(command.iter().copied()))
}

/// The facts of a process that `exec` starts with these flags.
pub(super) fn facts(lab: &Lab, container: &Container<'_>, flags: &[&str]) -> Result<Value> {
    exec(lab, container, flags, &["/probe", "facts"]).run()?.ok()?.silent()?.json()
}

/// The facts of a process that is described in a file.
pub(super) fn facts_of(lab: &Lab, container: &Container<'_>, process: &Value) -> Result<Value> {
    let file = lab.folder.join("process.json");
    fs::write(&file, process.to_string())?;
    let word = file.to_string_lossy();
    exec(lab, container, &["--process", &word], &[]).run()?.ok()?.silent()?.json()
}

/// The namespaces of a process, as links.
fn namespaces_of(pid: i32) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/ns"))? {
        let entry = entry?;
        let link = fs::read_link(entry.path())?.to_string_lossy().into_owned();
        found.insert(entry.file_name().to_string_lossy().into_owned(), link);
    }
    Ok(found)
}

fn same_namespaces(container: &Container<'_>, facts: &Value) -> Result {
    for (name, link) in namespaces_of(container.pid()?)? {
        ensure_eq!(facts["namespaces"][&name], link.as_str(), "namespace {name}");
    }
    Ok(())
}

fn namespaces(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
            list.push(json!({ "type": "cgroup" }));
        }
    })?;
    let facts = facts(lab, &container, &[])?;
    same_namespaces(&container, &facts)?;
    ensure!(facts["pid"].as_i64() > Some(1), "a pid of the container's: {}", facts["pid"]);
    ensure_eq!(facts["hostname"], "conformance", "host name");
    Ok(())
}

fn user_namespace(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
            list.push(json!({ "type": "user" }));
        }
        let map = json!([{ "containerID": 0, "hostID": user_namespace::ids().0, "size": 1000 }]);
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
    })?;
    let root = facts(lab, &container, &[])?;
    same_namespaces(&container, &root)?;
    ensure_eq!(root["uid"], 0, "uid inside");
    let user = facts(lab, &container, &["--user", "7:8"])?;
    ensure_eq!((&user["uid"], &user["gid"]), (&json!(7), &json!(8)), "uid and gid inside");
    exec(lab, &container, &["--user", "5000"], &["/probe"]).run()?.refused().map(drop)
}

fn shared_pid(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
            list.retain(|namespace| namespace["type"] != "pid");
        }
    })?;
    same_namespaces(&container, &facts(lab, &container, &[])?)
}

fn cgroup(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let wanted = fs::read_to_string(format!("/proc/{}/cgroup", container.pid()?))?;
    let facts = facts(lab, &container, &[])?;
    ensure_eq!(facts["cgroup"], wanted.trim_end(), "cgroups");
    Ok(())
}

fn sub_cgroup(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let leaf = container.bundle.cgroup();
    // On v1 each controller has its own place; on v2 there is one.
    let (folder, line, prefix) = match (cgroup::v1("pids", &leaf), cgroup::v2("pids", &leaf)) {
        (Some(folder), _) => (folder, format!(":pids:/{leaf}/below"), "pids:"),
        (None, Some(folder)) => (folder, format!("0::/{leaf}/below"), ""),
        (None, None) => return lacks("the cgroup controller pids"),
    };
    fs::create_dir(folder.join("below"))?;
    let word = |path: &str| format!("{prefix}{path}");
    let facts = facts(lab, &container, &["--cgroup", &word("below")])?;
    let found = facts["cgroup"].as_str().unwrap_or_default();
    ensure!(found.contains(&line), "the process is below: {found}");
    ensure_eq!(found.matches("/below").count(), 1, "no other controller is");
    exec(lab, &container, &["--cgroup", &word("missing")], &["/probe"]).run()?.refused()?;
    exec(lab, &container, &["--cgroup", &word("../..")], &["/probe"]).run()?.refused().map(drop)
}

fn command_flags(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let done = exec(lab, &container, &[], &["/bin/sh", "-c", "echo \"$@\"", "x", "-d", "--tty"]);
    ensure_eq!(done.run()?.ok()?.stdout, "-d --tty\n", "arguments");
    Ok(())
}

fn exit_code(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    for code in [0, 1, 42, 254, 255] {
        let word = code.to_string();
        let done = exec(lab, &container, &[], &["/probe", "exit", &word]).run()?.silent()?;
        ensure_eq!(done.code, Some(code), "exit code");
    }
    for (signal, code) in [("9", 137), ("11", 139), ("15", 143)] {
        let done = exec(lab, &container, &[], &["/probe", "signal", signal]).run()?;
        ensure_eq!(done.code, Some(code), "exit code of signal {signal}");
    }
    Ok(())
}

fn missing(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let file = lab.folder.join("exec.pid");
    let word = file.to_string_lossy().into_owned();
    for detach in ["--detach=false", "--detach=true"] {
        let flags = [detach, "--pid-file", &word];
        exec(lab, &container, &flags, &["no-such-program"])
            .run()?
            .fails(255, "executable file not found in $PATH")?;
        ensure!(!file.exists(), "a pid file is left");
    }
    exec(lab, &container, &[], &["/no/such"]).run()?.fails(255, "no such file or directory")?;
    Ok(())
}

fn not_executable(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| config["process"]["args"] = json!(["/probe", "sleep"]))?;
    fs::write(bundle.rootfs().join("plain"), "text")?;
    let container = lab.container(bundle);
    container.up_ready()?;
    exec(lab, &container, &[], &["/plain"]).run()?.fails(255, "permission denied").map(drop)
}

/// Whatever passes a descriptor is slow: where a process is made in two steps, the second may fail before the first
/// has told of it.
fn late_word(lab: &Lab) -> Result {
    lab.needs("/usr/bin/strace", "strace")?;
    let bundle = lab.bundle(|config| config["process"]["args"] = json!(["/probe", "sleep"]))?;
    fs::write(bundle.rootfs().join("plain"), "text")?;
    let container = lab.container(bundle);
    container.up_ready()?;
    let slow = ["/usr/bin/strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendmsg"];
    let slow = [&slow[..], &["-e", "inject=sendmsg:delay_enter=300000"]].concat();
    let call = exec(lab, &container, &[], &["/plain"]).wrap(slow.clone());
    call.run()?.fails(255, "permission denied")?;
    let call = exec(lab, &container, &[], &["/probe", "exit", "6"]).wrap(slow);
    ensure_eq!(call.run()?.code, Some(6), "exit code");
    // A process that nobody has waited for would keep the first one of the namespace from ending.
    container.kill("KILL")?;
    container.wait_ended()?;
    container.delete()?.ok().map(drop)
}

fn stopped(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    container.kill("KILL")?;
    container.wait_ended()?;
    exec(lab, &container, &[], &["/probe"]).run()?.fails(
        255,
        "cannot exec in a stopped container|cannot exec a container that has stopped",
    )?;
    Ok(())
}

fn unknown(lab: &Lab) -> Result {
    lab.call(["exec", "nobody", "true"]).run()?.fails(255, "does not exist").map(drop)
}

fn created(lab: &Lab) -> Result {
    let container = lab.with_args(&["/probe", "exit", "3"])?;
    container.create()?;
    same_namespaces(&container, &facts(lab, &container, &[])?)?;
    ensure_eq!(container.status()?, "created", "status");
    Ok(())
}

fn detach(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let file = lab.folder.join("exec.pid");
    let word = file.to_string_lossy().into_owned();
    exec(lab, &container, &["--detach", "--pid-file", &word], &["/probe", "sleep"])
        .run()?
        .ok()?
        .silent()?;
    let text = fs::read_to_string(&file)?;
    let pid: i32 =
        text.parse().map_err(|_| crate::harness::Stop::Fail(format!("pid file {text:?}")))?;
    ensure_eq!(namespaces_of(pid)?, namespaces_of(container.pid()?)?, "namespaces");
    let parent = process::status_field(pid, "PPid")?;
    ensure_eq!(parent, std::process::id().to_string(), "its parent is the nearest subreaper");
    // The kernel ends a pid namespace only when all of its zombies are reaped.
    process::end(pid, PATIENCE);
    Ok(())
}

fn descriptors(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let script = "exec 3</etc/passwd 4</ 7>/dev/null; exec \"$0\" \"$@\"";
    let done = exec(lab, &container, &[], &["/probe", "facts"])
        .wrap(["bash", "-c", script])
        .run()?
        .ok()?;
    let fds = done.json()?["fds"].clone();
    let fds = fds.as_object().cloned().unwrap_or_default();
    let fds: Vec<&String> = fds.keys().collect();
    ensure_eq!(fds, ["0", "1", "2"], "descriptors");
    Ok(())
}

fn preserve_fds(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let script = "exec 3</etc/hostname 4</etc/passwd 5</etc/group; exec \"$0\" \"$@\"";
    let done = exec(lab, &container, &["--preserve-fds", "2"], &["/probe", "facts"])
        .wrap(["bash", "-c", script])
        .run()?
        .ok()?;
    let fds = done.json()?["fds"].clone();
    ensure!(fds["3"].as_str().is_some_and(|to| to.ends_with("hostname")), "3 of {fds}");
    ensure!(fds["4"].as_str().is_some_and(|to| to.ends_with("passwd")), "4 of {fds}");
    ensure!(!fds.to_string().contains("group"), "5 is gone: {fds}");
    exec(lab, &container, &["--preserve-fds", "9"], &["/probe"]).run()?.refused().map(drop)
}

fn console(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let path = lab.folder.join("console");
    let listener = UnixListener::bind(&path)?;
    let socket = path.to_string_lossy().into_owned();
    let pid_file = lab.folder.join("exec.pid");
    let word = pid_file.to_string_lossy().into_owned();
    let flags = ["--tty", "--detach", "--pid-file", &word, "--console-socket", &socket];
    let look =
        "busybox tty; busybox stty -a | busybox head -1; busybox ls /proc/self/fd/0 >/dev/tty";
    exec(lab, &container, &flags, &["/bin/sh", "-c", look]).run()?.ok()?.silent()?;
    listener.set_nonblocking(true)?;
    let (stream, _) = listener.accept()?;
    let (name, terminal) = receive(&stream)?;
    ensure!(!name.is_empty(), "the terminal has a name");
    let text = read_all(terminal)?;
    ensure!(text.contains("/dev/pts/0"), "its own devpts: {text:?}");
    ensure!(text.contains("/proc/self/fd/0"), "it is the controlling terminal: {text:?}");
    // Its terminal ends a moment before it does.
    process::end(fs::read_to_string(&pid_file)?.parse().unwrap_or(0), PATIENCE);
    exec(lab, &container, &["--tty", "--detach"], &["/probe"])
        .run()?
        .fails(255, "cannot allocate tty if runc will detach without setting console socket")?;
    Ok(())
}

fn bundle_changed(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    fs::write(container.bundle.folder.join("config.json"), "{}")?;
    let facts = facts(lab, &container, &[])?;
    ensure!(facts["env"].to_string().contains("TERM=xterm"), "the environment of its making");
    Ok(())
}

fn children_ignored(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let ignore = ["sh", "-c", "trap '' CHLD; exec \"$0\" \"$@\""];
    let done = exec(lab, &container, &[], &["/probe", "exit", "7"]).wrap(ignore).run()?;
    ensure_eq!(done.code, Some(7), "exit code");
    Ok(())
}
