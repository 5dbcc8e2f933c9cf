//! teu without the system calls that came after Linux 5.4, and without each of them alone: `oldkernel` keeps them back.
//!
//! Where teu has another way, the cases of the suite must pass as ever. Where it has none, it must say which Linux has
//! the call, and leave nothing. docs/kernel-features.md says which is which. The runtime is teu, or what
//! `CONFORMANCE_RUNTIME` names. Needs root, busybox-static and strace.

#![allow(clippy::unwrap_used)]

#[path = "support/runtime.rs"]
mod runtime;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const SUITE: &str = env!("CARGO_BIN_EXE_conformance");
const OLDKERNEL: &str = env!("CARGO_BIN_EXE_oldkernel");
const PAGE: &str = include_str!("../../docs/kernel-features.md");

fn runtime() -> &'static Path {
    static RUNTIME: OnceLock<PathBuf> = OnceLock::new();
    RUNTIME.get_or_init(runtime::runtime)
}

/// All cases of these names or areas pass on a kernel `without` something.
fn passes(without: &str, filters: &[&str]) {
    let mut suite = Command::new(SUITE);
    suite.args(["run", "--jobs", "2", "--runtime", OLDKERNEL]);
    suite.args(["--runtime-arg", without, "--runtime-arg"]).arg(runtime());
    for filter in filters {
        suite.args(["--filter", filter]);
    }
    let output = suite.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let count = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(output.status.success(), "without {without}:\n{said}");
    assert!(count >= filters.len(), "without {without}, only {count} cases ran:\n{said}");
}

#[test]
fn everything_but_idmapped_mounts_works_as_on_linux_5_4() {
    passes(
        "5.4",
        &[
            "lifecycle/",
            "exec/",
            "pause/",
            "process/",
            "rootfs/",
            "mask/",
            "option/",
            "device/",
            "propagation/",
            "planted/",
            "security/",
            "hostile/",
            "namespace/join",
            "namespace/new",
            "namespace/container",
            "user/",
            "layer/",
            "sysctl/",
            "terminal/",
            "cgroup/path",
            "cgroup/namespace",
            "hook/",
            "rollback/failed-create",
            "cli/preserve-fds",
        ],
    );
}

#[test]
fn each_call_alone_has_another_way() {
    for (without, filters) in [
        ("clone3", &["lifecycle/statuses", "exec/namespaces", "namespace/join-pid", "user/"][..]),
        ("close_range", &["process/no-descriptors", "security/", "exec/descriptors"]),
        ("close_range", &["cli/preserve-fds", "cli/listen-fds", "namespace/join-mount"]),
        ("close_range(CLOEXEC)", &["process/no-descriptors", "hook/descriptors", "cli/listen-fds"]),
        ("openat2", &["planted/", "hostile/", "security/", "sysctl/", "rootfs/link-destination"]),
        ("mount_setattr", &["mask/", "option/", "propagation/", "rootfs/", "user/proc-and-sys"]),
        ("faccessat2", &["cli/not-executable", "process/path-lookup", "exec/not-executable"]),
        ("setns(pidfd)", &["exec/namespaces", "exec/user-namespace", "exec/stopped"]),
        ("memfd_create(EXEC)", &["security/self-exe", "security/init-exe"]),
    ] {
        passes(without, filters);
    }
}

#[test]
fn filters_that_say_eperm_are_no_end_either() {
    let filters = &["lifecycle/statuses", "exec/namespaces", "planted/", "cli/not-executable"];
    passes("EPERM:clone3,openat2,faccessat2,close_range", filters);
}

/// A bundle whose container runs `script`, and a state root.
struct Bundle {
    folder: tempfile::TempDir,
    id: String,
}

impl Bundle {
    fn new(name: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bundle = Self { folder, id: format!("kernels-{}-{name}", std::process::id()) };
        let bin = bundle.path("bundle/rootfs/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::copy("/bin/busybox", bin.join("sh")).unwrap();
        assert!(bundle.call(None, &["spec", "--bundle", &bundle.text("bundle")]).status.success());
        bundle.change(|config| {
            config["process"]["terminal"] = false.into();
            config["process"]["args"] = serde_json::json!(["sh", "-c", script]);
            config["linux"]["cgroupsPath"] = format!("/{}", bundle.id).into();
        });
        bundle
    }

    fn change(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.path("bundle/config.json");
        let mut config = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        std::fs::write(path, config.to_string()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Calls teu, without a call of the kernel where one is named.
    fn call(&self, without: Option<&str>, arguments: &[&str]) -> Output {
        let mut command = match without {
            Some(without) => {
                let mut command = Command::new(OLDKERNEL);
                command.arg(without).arg(runtime());
                command
            }
            None => Command::new(runtime()),
        };
        command.arg("--root").arg(self.path("state")).args(arguments);
        self.run(&mut command)
    }

    /// Runs to the end of the command, not of the streams, which a container keeps.
    fn run(&self, command: &mut Command) -> Output {
        let (stdout, stderr) = (self.path("stdout"), self.path("stderr"));
        let file = |path| std::fs::File::create(path).unwrap();
        command.stdin(std::process::Stdio::null());
        let status = command.stdout(file(&stdout)).stderr(file(&stderr)).status().unwrap();
        let read = |path| std::fs::read(path).unwrap();
        Output { status, stdout: read(&stdout), stderr: read(&stderr) }
    }

    fn make(&self, without: &str, verb: &str) -> Output {
        self.call(Some(without), &[verb, "--bundle", &self.text("bundle"), &self.id])
    }

    /// Nothing of the container is there: no record, no cgroup, no process.
    fn assert_nothing(&self, without: &str) {
        let records = std::fs::read_dir(self.path("state")).map_or(0, |entries| {
            entries.flatten().filter(|e| !e.file_name().to_string_lossy().starts_with('.')).count()
        });
        assert_eq!(records, 0, "without {without}, a record is left");
        let mut cgroups = vec![PathBuf::from("/sys/fs/cgroup").join(&self.id)];
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            cgroups.push(hierarchy.path().join(&self.id));
        }
        let left: Vec<_> = cgroups.into_iter().filter(|path| path.exists()).collect();
        assert!(left.is_empty(), "without {without}: {left:?}");
        let rootfs = self.text("bundle/rootfs");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&rootfs), "without {without}, a mount is left");
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.call(None, &["delete", "--force", &self.id]);
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_has_no_other_way_is_named_with_its_kernel_and_undone() {
    for (without, since) in [
        ("open_tree", "5.2"),
        ("move_mount", "5.2"),
        ("fsopen", "5.2"),
        ("fsconfig", "5.2"),
        ("fsmount", "5.2"),
        ("pidfd_open", "5.3"),
    ] {
        let bundle = Bundle::new(without, "true");
        let output = bundle.make(without, "create");
        let said = error(&output);
        assert_eq!(output.status.code(), Some(1), "without {without}: {said}");
        assert_eq!(said.lines().count(), 1, "without {without}: {said}");
        let text = format!("not on this kernel (needs Linux {since},");
        assert!(said.contains(without) && said.contains(&text), "without {without}: {said}");
        bundle.assert_nothing(without);
        // The control: the same with it.
        let output = bundle.call(None, &["run", "--bundle", &bundle.text("bundle"), &bundle.id]);
        assert!(output.status.success(), "{}", error(&output));
    }
}

#[test]
fn signals_and_waits_are_named_when_they_are_first_needed() {
    let bundle = Bundle::new("signal", "sleep 1000");
    let without = "pidfd_send_signal";
    assert!(
        bundle
            .call(None, &["run", "-d", "--bundle", &bundle.text("bundle"), &bundle.id])
            .status
            .success()
    );
    let output = bundle.call(Some(without), &["kill", &bundle.id, "KILL"]);
    assert!(error(&output).contains("needs Linux 5.1"), "{}", error(&output));
    let output = bundle.call(Some("pidfd_open"), &["state", &bundle.id]);
    assert!(error(&output).contains("needs Linux 5.3"), "{}", error(&output));
    // Neither has done anything.
    let state = bundle.call(None, &["state", &bundle.id]);
    assert!(String::from_utf8_lossy(&state.stdout).contains("running"));
    let waited = Bundle::new("wait", "true");
    let output = waited.make("waitid(P_PIDFD)", "run");
    assert!(error(&output).contains("waitid(P_PIDFD): not on this kernel (needs Linux 5.4"));
}

#[test]
fn an_idmapped_mount_needs_mount_setattr() {
    let bundle = Bundle::new("idmap", "true");
    bundle.change(|config| {
        let mappings = serde_json::json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
        config["mounts"].as_array_mut().unwrap().push(serde_json::json!({
            "destination": "/data", "source": "/tmp", "type": "none", "options": ["bind", "idmap"],
            "uidMappings": mappings, "gidMappings": mappings
        }));
    });
    let output = bundle.make("mount_setattr", "create");
    let said = error(&output);
    assert!(said.contains("mounts[") && said.contains("needs Linux 5.12"), "{said}");
    bundle.assert_nothing("mount_setattr");
}

/// `vm.memfd_noexec` belongs to a pid namespace: the host's stays as it is.
#[test]
fn where_memory_may_hold_no_program_a_file_without_a_path_does() {
    let setting = Path::new("/proc/sys/vm/memfd_noexec");
    if !setting.exists() {
        eprintln!("skipped: the kernel has no vm.memfd_noexec (Linux 6.3)");
        return;
    }
    let bundle = Bundle::new("noexec", "readlink /proc/self/exe; echo x >/proc/1/exe");
    bundle.change(|config| config["root"]["readonly"] = false.into());
    let script = "echo 2 >/proc/sys/vm/memfd_noexec && exec \"$@\"";
    let unshared = |script: &str, verb: &str| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"]);
        command.arg(runtime()).args(["--root", &bundle.text("state"), verb, "--bundle"]);
        bundle.run(command.arg(bundle.text("bundle")).arg(&bundle.id))
    };
    let output = unshared(script, "run");
    // The script ends with the status of its last command: what it executes cannot be written to.
    assert!(String::from_utf8_lossy(&output.stdout).contains("/bin/sh"), "{}", error(&output));
    bundle.assert_nothing("memfd");
    // A created container still is init: through it leads no way to write what it is made of.
    let create = "echo 2 >/proc/sys/vm/memfd_noexec && \"$@\" && \
        exe=$(echo /proc/[0-9]*/exe) && for e in $exe; do \
        case $(readlink $e) in *teu-init*) echo found; (echo x >$e) 2>&1; esac; done; \
        \"$1\" --root \"$3\" delete --force \"$7\"";
    let output = unshared(create, "create");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("found"), "{said}{}", error(&output));
    assert!(said.contains("Read-only file system") || said.contains("Text file busy"), "{said}");
}

/// Names of the first column, with and without arguments in parentheses.
fn documented() -> BTreeSet<&'static str> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(|name| name.split('(').next().unwrap_or(name)).collect()
}

/// The calls that `oldkernel` knows: number and name of all that came after Linux 5.0.
fn newer() -> Vec<String> {
    let output = Command::new(OLDKERNEL).arg("list").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(names.len() > 20, "{text}");
    names
}

#[test]
fn every_newer_call_that_teu_makes_is_documented() {
    let (short, bundle) = (Bundle::new("short", "true"), Bundle::new("calls", "sleep 1000"));
    let path = bundle.text("bundle");
    let started = bundle.call(None, &["run", "--detach", "--bundle", &path, &bundle.id]);
    assert!(started.status.success(), "{}", error(&started));
    let trace = bundle.text("trace");
    let mut made = BTreeSet::new();
    let id = bundle.id.as_str();
    for arguments in [
        &["run", "--bundle", &short.text("bundle"), &short.id][..],
        &["state", id],
        &["exec", id, "/bin/sh", "-c", "true"],
        &["pause", id],
        &["resume", id],
        &["ps", id],
        &["update", "--pids-limit", "100", id],
        &["events", "--stats", id],
        &["list"],
        &["kill", id, "KILL"],
        &["delete", "--force", id],
    ] {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", &trace]).arg(runtime());
        let output = bundle.run(strace.args(["--root", &bundle.text("state")]).args(arguments));
        assert!(output.status.success(), "{arguments:?}: {}", error(&output));
        let text = std::fs::read_to_string(&trace).unwrap();
        let calls = text.lines().filter_map(|line| {
            let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            call.split_once('(').map(|(name, _)| name.to_owned())
        });
        made.extend(calls);
    }
    let (documented, newer) = (documented(), newer());
    let seen: Vec<&String> = newer.iter().filter(|name| made.contains(*name)).collect();
    assert!(seen.len() > 8, "strace saw {seen:?} of {made:?}");
    let missing: Vec<_> = seen.iter().filter(|name| !documented.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "docs/kernel-features.md lacks {missing:?}");
}

/// Ways that no test takes are in the source all the same.
#[test]
fn every_newer_call_in_the_source_is_documented() {
    fn read(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                read(&entry.path(), text);
            } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(entry.path()).unwrap().to_lowercase());
            }
        }
    }
    let mut text = String::new();
    for folder in ["runtime-core/src", "runtime-core/init/src", "runtime-cli/src"] {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), &mut text);
    }
    let words: BTreeSet<&str> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let documented = documented();
    let newer = newer();
    let used: Vec<&String> = newer.iter().filter(|name| words.contains(name.as_str())).collect();
    assert!(used.len() > 8, "{used:?}");
    let missing: Vec<_> = used.iter().filter(|name| !documented.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "docs/kernel-features.md lacks {missing:?}");
}
