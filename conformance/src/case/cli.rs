//! The command line as managers use it: grammar, purity of output, log, error texts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::Case;
use crate::harness::{Exit, Lab, Result, cgroup, ensure, ensure_eq, lacks};

const GRAMMAR: &str = "runc(8); go-runc writes flags in these forms";
const LOG: &str = "runc(8) --log; containerd and Podman parse the file";
const PROGRAM: &str =
    "OCI runtime-spec config.md#process args; Docker and Podman map the text to 126/127";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "cli/version",
        "--version: the first line is `NAME version X`, no other line says version, spec is given",
        "runc(8) --version; go-runc and Docker parse it",
        version,
    ),
    Case::new(
        "cli/features",
        "features prints only JSON, with versions, hooks, mount options and namespaces",
        "OCI runtime-spec features.md, features-linux.md",
        features,
    ),
    Case::new(
        "cli/spec",
        "spec writes a config.json that runs, and refuses to overwrite it",
        "runc-spec(8)",
        spec,
    ),
    Case::new("cli/help", "--help of every command exits 0", "runc(8); Podman probes it", help),
    Case::new("cli/flag-forms", "--flag V, --flag=V, -flag V and short flags", GRAMMAR, flag_forms),
    Case::new("cli/unknown-flag", "an unknown flag exits 1 and is named", GRAMMAR, unknown_flag),
    Case::new(
        "cli/argument-count",
        "too few or too many arguments are refused",
        GRAMMAR,
        argument_count,
    ),
    Case::new(
        "cli/log-json",
        "a failing create writes exactly one JSON object {level, msg, time} to the log",
        LOG,
        log_json,
    ),
    Case::new("cli/log-text", "a text log has the error on one line", LOG, log_text),
    Case::new("cli/log-appends", "a log is appended to, never truncated", LOG, log_appends),
    Case::new(
        "cli/debug-output",
        "with --debug and noisy variables standard output is still only the payload",
        LOG,
        debug_output,
    ),
    Case::new("cli/program-missing", "a program not in PATH fails create", PROGRAM, missing),
    Case::new("cli/path-missing", "a path that is missing fails create", PROGRAM, path_missing),
    Case::new("cli/not-executable", "a file without x fails create", PROGRAM, not_executable),
    Case::new("cli/directory", "a directory as program fails create", PROGRAM, directory)
        .known("runc 1.1 says `permission denied` for a directory"),
    Case::new(
        "cli/bundle-is-cwd",
        "without --bundle the bundle is the working directory, and state shows it absolute",
        "runc-create(8)",
        bundle_is_cwd,
    ),
    Case::new("cli/pause-resume", "pause and resume show in status", "runc-pause(8)", pause_resume),
    Case::new("cli/ps", "ps prints host pids as JSON and a table", "runc-ps(8)", ps),
    Case::new(
        "cli/state-root",
        "the state root is made when missing, and others cannot write to it",
        "runc(8) --root",
        state_root,
    ),
];

fn version(lab: &Lab) -> Result {
    for word in ["--version", "-v"] {
        let done = lab.call([word]).without_root().run()?.ok()?.silent()?;
        let lines: Vec<&str> = done.stdout.lines().collect();
        let first: Vec<&str> = lines.first().copied().unwrap_or_default().split(' ').collect();
        ensure!(first.len() >= 3 && first[1] == "version", "first line: {:?}", lines.first());
        let more = lines.iter().skip(1).filter(|line| line.contains("version")).count();
        ensure_eq!(more, 0, "further lines with the word version");
        ensure!(
            lines.iter().any(|line| line.starts_with("spec: ")),
            "no line `spec: …`: {lines:?}"
        );
    }
    Ok(())
}

fn features(lab: &Lab) -> Result {
    let all = lab.call(["features"]).without_root().no_env().run()?.ok()?.silent()?.json()?;
    for field in ["ociVersionMin", "ociVersionMax"] {
        ensure!(all[field].is_string(), "{field} must be a string: {}", all[field]);
    }
    let has = |list: &Value, word: &str| {
        list.as_array().is_some_and(|list| list.iter().any(|entry| entry == word))
    };
    let stages = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"];
    for stage in stages.iter().chain(&["poststop"]) {
        ensure!(has(&all["hooks"], stage), "hooks lacks {stage}");
    }
    for option in ["bind", "rbind", "ro", "rw", "nosuid", "rprivate", "rro", "tmpcopyup"] {
        ensure!(has(&all["mountOptions"], option), "mountOptions lacks {option}");
    }
    for kind in ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"] {
        ensure!(has(&all["linux"]["namespaces"], kind), "linux.namespaces lacks {kind}");
    }
    ensure!(has(&all["linux"]["capabilities"], "CAP_CHOWN"), "linux.capabilities lacks CAP_CHOWN");
    let seccomp = &all["linux"]["seccomp"];
    ensure_eq!(seccomp["enabled"], true, "linux.seccomp.enabled");
    for (list, word) in [
        ("actions", "SCMP_ACT_ERRNO"),
        ("operators", "SCMP_CMP_MASKED_EQ"),
        ("archs", "SCMP_ARCH_X86_64"),
    ] {
        ensure!(has(&seccomp[list], word), "linux.seccomp.{list} lacks {word}");
    }
    for version in ["v1", "v2"] {
        let version = &all["linux"]["cgroup"][version];
        ensure!(version.is_boolean(), "linux.cgroup says what it can: {}", all["linux"]["cgroup"]);
    }
    Ok(())
}

fn spec(lab: &Lab) -> Result {
    let mut c = lab.container(lab.bundle(|_| {})?);
    let file = c.bundle.folder.join("config.json");
    fs::remove_file(&file)?;
    lab.call(["spec"]).cwd(&c.bundle.folder).run()?.ok()?.silent()?;
    let before = fs::read(&file)?;
    let folder = c.bundle.word();
    lab.call(["spec", "--bundle", &folder]).run()?.fails(1, "exists. Remove it first")?;
    ensure!(fs::read(&file)? == before, "the refused spec changed the file");
    c.bundle.config = serde_json::from_slice(&before)?;
    c.bundle.config["process"]["terminal"] = false.into();
    c.bundle.config["process"]["args"] = ["/probe", "exit", "5"].as_slice().into();
    c.bundle.config["linux"]["cgroupsPath"] = lab.cgroups_path(&c.id).into();
    // The default asks for a v1 cgroup mount or not, as the runtime likes; it has to work either way.
    c.bundle.write()?;
    ensure_eq!(c.run()?.code, Some(5), "exit status of the container of `spec`");
    Ok(())
}

fn help(lab: &Lab) -> Result {
    let verbs = [
        "create",
        "run",
        "start",
        "state",
        "kill",
        "delete",
        "exec",
        "list",
        "pause",
        "resume",
        "ps",
        "update",
        "events",
        "spec",
        "features",
        "checkpoint",
        "restore",
    ];
    for verb in verbs {
        let done = lab.call([verb, "--help"]).without_root().run()?.ok()?.silent()?;
        ensure!(done.stdout.contains(verb), "{verb} --help says nothing about {verb}");
    }
    lab.call(["--help"]).without_root().run()?.ok().map(drop)
}

fn flag_forms(lab: &Lab) -> Result {
    let bundle =
        lab.bundle(|config| config["process"]["args"] = ["/probe", "sleep"].as_slice().into())?;
    let c = lab.container(bundle);
    let root = lab.state_root().to_string_lossy().into_owned();
    let folder = c.bundle.word();
    let pid_file = c.pid_file().to_string_lossy().into_owned();
    let done = lab
        .call(["create", "-bundle", &folder, &format!("--pid-file={pid_file}"), &c.id])
        .without_root()
        .globals([format!("-root={root}")])
        .run()?;
    c.adopt_if(done)?.ok()?;
    let list =
        lab.call(["list", "-q=true"]).without_root().globals(["-root", &root]).run()?.ok()?;
    ensure_eq!(list.stdout.trim(), c.id, "id of list");
    let table = lab.call(["list", "--quiet=false", "-format=table"]).run()?.ok()?;
    ensure!(table.stdout.starts_with("ID"), "--quiet=false must be off: {:?}", table.stdout);
    lab.call(["delete", "-force=true", &c.id]).run()?.ok()?.silent()?;
    let short = lab.container(c.bundle.clone());
    lab.call(["create", "-b", &folder, &short.id]).run()?.ok()?;
    lab.call(["delete", "-f", &short.id]).run()?.ok().map(drop)
}

fn unknown_flag(lab: &Lab) -> Result {
    lab.call(["list"]).globals(["--no-such-flag"]).run()?.fails(1, "no-such-flag")?;
    for verb in ["create", "start", "state", "kill", "delete", "exec", "list"] {
        lab.call([verb, "--no-such-flag", "x"]).run()?.fails(1, "no-such-flag")?;
    }
    Ok(())
}

fn argument_count(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.create()?;
    for verb in ["create", "start", "state", "delete", "kill", "pause", "resume"] {
        lab.call([verb]).run()?.fails(1, "")?.refused()?;
    }
    for verb in ["start", "state", "delete", "pause"] {
        lab.call([verb, &c.id, "more"]).run()?.fails(1, "")?.refused()?;
    }
    ensure_eq!(c.status()?, "created", "status afterwards");
    Ok(())
}

/// `create` of a program that does not exist, with a log.
fn failing_create(lab: &Lab, format: &str) -> Result<String> {
    let c = lab.with_args(&["no-such-program"])?;
    let log = lab.folder.join("log");
    let path = log.to_string_lossy().into_owned();
    c.launch("create", &[])
        .globals(["--log", &path, "--log-format", format])
        .run()?
        .fails(1, "executable file not found in $PATH")?;
    Ok(fs::read_to_string(log)?)
}

fn log_json(lab: &Lab) -> Result {
    let text = failing_create(lab, "json")?;
    let entry: Value = serde_json::from_str(&text)?;
    ensure_eq!(entry["level"], "error", "level");
    let message = entry["msg"].as_str().unwrap_or_default();
    ensure!(message.contains("executable file not found in $PATH"), "msg: {message:?}");
    ensure!(!message.contains('\n'), "msg must be one line: {message:?}");
    let time = entry["time"].as_str().unwrap_or_default();
    let rfc3339 = time.len() >= 20 && time.as_bytes()[10] == b'T';
    ensure!(rfc3339, "time must be RFC 3339: {time:?}");
    Ok(())
}

fn log_text(lab: &Lab) -> Result {
    let text = failing_create(lab, "text")?;
    let errors: Vec<&str> = text.lines().filter(|line| line.contains("level=error")).collect();
    ensure_eq!(errors.len(), 1, "lines with level=error in {text:?}");
    ensure!(errors[0].contains("executable file not found"), "the line: {:?}", errors[0]);
    Ok(())
}

fn log_appends(lab: &Lab) -> Result {
    let first = failing_create(lab, "json")?;
    let second = failing_create(lab, "json")?;
    ensure!(second.starts_with(&first), "the second failure truncated the log: {second:?}");
    ensure_eq!(second.lines().count(), 2, "lines after two failures");
    Ok(())
}

fn debug_output(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.create()?;
    for verb in ["state", "ps", "list"] {
        let mut words = vec![verb];
        match verb {
            "list" => words.extend(["--format", "json"]),
            "ps" => words.extend(["--format", "json", &c.id]),
            _ => words.push(&c.id),
        }
        let quiet = lab.call(&words).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
        quiet.run()?.ok()?.silent()?.json()?;
        lab.call(&words).globals(["--debug"]).run()?.ok()?.json()?;
    }
    Ok(())
}

fn refuse(lab: &Lab, args: &[&str], phrase: &str) -> Result {
    let c = lab.with_args(args)?;
    c.try_create()?.fails(1, phrase)?;
    c.call("state").run()?.fails(1, "does not exist").map(drop)
}

fn missing(lab: &Lab) -> Result {
    refuse(lab, &["no-such-program"], "executable file not found in $PATH")
}

fn path_missing(lab: &Lab) -> Result {
    refuse(lab, &["/no/such/program"], "no such file or directory")
}

fn not_executable(lab: &Lab) -> Result {
    refuse(lab, &["/etc/passwd"], "permission denied")
}

fn directory(lab: &Lab) -> Result {
    refuse(lab, &["/etc"], "is a directory")
}

fn bundle_is_cwd(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "sleep"])?;
    lab.call(["create", &c.id]).cwd(&c.bundle.folder).run()?.ok()?;
    ensure_eq!(c.state()?["bundle"], c.bundle.word(), "bundle of state");
    Ok(())
}

fn pause_resume(lab: &Lab) -> Result {
    cgroup::needs_any()?;
    let c = lab.with_args(&["/probe", "trap", "15"])?;
    c.up_ready()?;
    c.call("pause").run()?.ok()?.silent()?;
    ensure_eq!(c.status()?, "paused", "status after pause");
    c.call("resume").run()?.ok()?.silent()?;
    ensure_eq!(c.status()?, "running", "status after resume");
    c.kill("TERM")?;
    ensure_eq!(c.wait()?, Exit::Code(0), "end of the workload after resume");
    // A paused container must be deletable by force.
    let frozen = lab.with_args(&["/probe", "sleep"])?;
    frozen.up_ready()?;
    frozen.call("pause").run()?.ok()?;
    frozen.delete_force()?.ok()?.silent()?;
    ensure_eq!(frozen.wait()?, Exit::Signal(9), "end of a paused init");
    Ok(())
}

fn ps(lab: &Lab) -> Result {
    let works = std::process::Command::new("ps").arg("-ef").output();
    if !works.is_ok_and(|output| output.status.success()) {
        return lacks("a ps(1) that works");
    }
    let c = lab.with_args(&["/probe", "sleep"])?;
    c.up_ready()?;
    let pids = lab.call(["ps", "--format", "json", &c.id]).run()?.ok()?.silent()?.json()?;
    ensure_eq!(pids, serde_json::json!([c.pid()?]), "pids of ps");
    let table = lab.call(["ps", &c.id]).run()?.ok()?.stdout;
    let pid = c.pid()?.to_string();
    let head = table.lines().next().unwrap_or_default();
    ensure!(head.contains("PID"), "the table has no head: {table:?}");
    ensure!(
        table.lines().count() == 2 && table.split_whitespace().any(|word| word == pid),
        "the table must list {pid} only: {table:?}"
    );
    Ok(())
}

fn state_root(lab: &Lab) -> Result {
    let root = lab.folder.join("deeper/state");
    let word = root.to_string_lossy().into_owned();
    let c = lab.with_args(&["/probe", "sleep"])?;
    let folder = c.bundle.word();
    let with = |words: &[&str]| lab.call(words).without_root().globals(["--root", &word]).run();
    with(&["create", "--bundle", &folder, &c.id])?.ok()?;
    let mode = fs::metadata(&root)?.permissions().mode();
    ensure_eq!(mode & 0o022, 0, "write permission of others on the state root ({mode:o})");
    with(&["delete", "--force", &c.id])?.ok()?;
    ensure_eq!(fs::read_dir(&root)?.count(), 0, "entries of the state root afterwards");
    Ok(())
}
