//! Published attacks on container runtimes, each replayed by name. What hostile.rs has is not here.
//!
//! The oracle is always on the host's side: a canary that must not change, a secret that must not be
//! read, the hash of the runtime's own program.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use super::Case;
use super::rootfs::{add, bind};
use crate::harness::{Exit, Lab, Result, Stop, ensure, ensure_eq};

const SELF_EXE: &str = "CVE-2019-5736";
const DESCRIPTORS: &str = "CVE-2024-21626";
const FAKE_PROC: &str = "CVE-2019-16884, CVE-2025-52881";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "security/self-exe",
        "/proc/self/exe as the program never changes the runtime's program",
        SELF_EXE,
        self_exe,
    ),
    Case::new(
        "security/init-exe",
        "what init executes is a sealed copy, or the host's file behind a read-only mount",
        SELF_EXE,
        init_exe,
    ),
    Case::new(
        "security/cwd-link",
        "a link in the rootfs to /proc/self/fd/N is no way to the host as cwd",
        DESCRIPTORS,
        cwd_link,
    )
    .deadline(60),
    Case::new(
        "security/program-descriptor",
        "a program below /proc/self/fd/N is never one of the host",
        DESCRIPTORS,
        program_descriptor,
    )
    .deadline(60),
    Case::new(
        "security/descriptors",
        "200 descriptors of the caller without close-on-exec stay outside",
        "CVE-2024-21626; runc(8) --preserve-fds",
        descriptors,
    ),
    Case::new(
        "security/environment",
        "variables of the caller stay outside",
        "OCI runtime-spec config.md#process env",
        environment,
    ),
    Case::new(
        "security/inheritable",
        "inheritable and ambient sets are what the configuration says, not the caller's",
        "CVE-2022-29162, CVE-2022-24769",
        inheritable,
    ),
    Case::new("security/fake-proc", "a /proc that is no procfs is refused", FAKE_PROC, fake_proc),
    Case::new(
        "security/inside-proc",
        "mounts inside /proc are refused, except for the files that lxcfs provides",
        FAKE_PROC,
        inside_proc,
    ),
    Case::new(
        "security/tmpfs-inside-proc",
        "a tmpfs inside /proc, which would make a fake of its files, is refused",
        FAKE_PROC,
        tmpfs_inside_proc,
    )
    .known("runc 1.1 checks bind mounts inside /proc, but no tmpfs (CVE-2025-52881)"),
    Case::new(
        "security/bind-escape",
        "the target of a bind mount is never made outside of the rootfs",
        "CVE-2021-30465, CVE-2024-45310",
        bind_escape,
    ),
    Case::new(
        "security/process-name",
        "whatever name a workload gives itself, it is known to run, and ends when it is killed",
        "proc_pid_stat(5), PR_SET_NAME(2const)",
        process_name,
    ),
    Case::new(
        "security/shared-pid",
        "a process in the same pid namespace cannot reach the host through an init that waits",
        "CVE-2016-9962",
        shared_pid,
    ),
];

/// Shows that a container like the attacker's works without the attack, so that a refusal means
/// something.
fn control(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result {
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "exit", "0"]);
        edit(config);
    })?;
    symlink("/tmp", bundle.rootfs().join("link"))?;
    lab.container(bundle).run()?.ok().map(drop)
}

fn hash(path: &Path) -> Result<u64> {
    let mut hash = DefaultHasher::new();
    fs::read(path)?.hash(&mut hash);
    Ok(hash.finish())
}

fn self_exe(lab: &Lab) -> Result {
    control(lab, |_| {})?;
    let before = hash(&lab.target.path)?;
    let write = "for f in /proc/self/exe /proc/1/exe; do echo broken > $f; done; exit 0";
    for args in [
        json!(["/proc/self/exe"]),
        json!(["/proc/self/exe", "init"]),
        json!(["/evil"]),
        json!(["/bin/sh", "-c", write]),
    ] {
        let bundle = lab.bundle(|config| {
            config["root"]["readonly"] = false.into();
            config["process"]["args"] = args;
        })?;
        let evil = bundle.rootfs().join("evil");
        fs::write(&evil, "#!/proc/self/exe\n")?;
        fs::set_permissions(&evil, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        // The rootfs shares busybox with all others by hard links, so this one gets its own.
        let shell = bundle.rootfs().join("bin/busybox");
        fs::remove_file(&shell)?;
        fs::copy(lab.image.join("busybox"), &shell)?;
        // How it ends is free: what counts is the file on the host.
        lab.container(bundle).run()?;
        ensure_eq!(hash(&lab.target.path)?, before, "hash of {}", lab.target.path.display());
    }
    Ok(())
}

fn init_exe(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe", "exit", "0"])?;
    c.create()?;
    let exe = PathBuf::from(format!("/proc/{}/exe", c.pid()?));
    let (inside, host) = (fs::metadata(&exe)?, fs::metadata(&lab.target.path)?);
    let name = fs::read_link(&exe)?;
    if (inside.dev(), inside.ino()) == (host.dev(), host.ino()) {
        // The host's own file is fine behind a read-only mount that the container cannot change.
        let flags = rustix::fs::statvfs(&exe)?.f_flag;
        ensure!(
            flags.contains(rustix::fs::StatVfsMountFlags::RDONLY),
            "init of the container executes the host's file {}, and could write to it",
            name.display()
        );
    } else if let Ok(mut file) = fs::OpenOptions::new().write(true).open(&exe) {
        // Root of the host is the strongest who could try; a sealed file refuses even that.
        let written = std::io::Write::write(&mut file, b"x");
        ensure!(written.is_err(), "{} can be written to", name.display());
    }
    c.start()?;
    c.wait()?;
    c.delete().map(drop)
}

fn cwd_link(lab: &Lab) -> Result {
    control(lab, |config| config["process"]["cwd"] = "/link".into())?;
    for number in 3..32 {
        let bundle = lab.bundle(|config| config["process"]["cwd"] = "/link".into())?;
        symlink(format!("/proc/self/fd/{number}"), bundle.rootfs().join("link"))?;
        let done = lab.container(bundle).run()?;
        ensure!(
            done.code != Some(0),
            "cwd /proc/self/fd/{number} behind a link was accepted and led to {}",
            done.json().unwrap_or_default()["cwd"]
        );
    }
    Ok(())
}

fn program_descriptor(lab: &Lab) -> Result {
    let program = lab.folder.join("host-program");
    fs::copy(lab.image.join("busybox"), &program)?;
    let up = "/..".repeat(12);
    control(lab, |config| {
        config["process"]["args"] = json!([format!("/link{up}/bin/busybox"), "true"]);
    })?;
    for number in 3..32 {
        let path = format!("/proc/self/fd/{number}{up}{}", program.display());
        let bundle = lab.bundle(|config| config["process"]["args"] = json!([path, "true"]))?;
        let done = lab.container(bundle).run()?;
        ensure!(done.code != Some(0), "a program of the host was executed as {path}");
    }
    Ok(())
}

fn descriptors(lab: &Lab) -> Result {
    lab.needs("/bin/bash", "bash")?;
    let open = "for n in {10..209}; do eval \"exec $n</\"; done; exec \"$@\"";
    let c = lab.with_args(&["/probe"])?;
    let facts = c.launch("run", &[]).wrap(["/bin/bash", "-c", open, "bash"]).run()?.ok()?.json()?;
    let all = facts["fds"].as_object().cloned().unwrap_or_default();
    let numbers: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    ensure_eq!(numbers, BTreeSet::from(["0", "1", "2"]), "descriptors in the container: {all:?}");
    Ok(())
}

fn environment(lab: &Lab) -> Result {
    let c = lab.with_args(&["/probe"])?;
    let facts = c.launch("run", &[]).env("SECRET", "of the caller").run()?.ok()?.json()?;
    let names = facts["env"].as_array().cloned().unwrap_or_default();
    let leaked = names
        .iter()
        .filter_map(Value::as_str)
        .any(|one| one.contains("SECRET") || one.starts_with('_'));
    ensure!(!leaked, "variables of the caller or of the runtime leaked: {names:?}");
    Ok(())
}

fn inheritable(lab: &Lab) -> Result {
    lab.needs("/usr/bin/setpriv", "setpriv")?;
    let c = lab.with_args(&["/probe"])?;
    let raise = [
        "/usr/bin/setpriv",
        "--inh-caps=+net_admin,+sys_admin,+kill",
        "--ambient-caps=+net_admin,+sys_admin,+kill",
    ];
    let facts = c.launch("run", &[]).wrap(raise).run()?.ok()?.json()?;
    for set in ["inheritable", "ambient"] {
        ensure_eq!(facts["capabilities"][set], "0000000000000000", "the {set} set");
    }
    ensure_eq!(facts["capabilities"]["effective"], "0000000020000420", "the effective set");
    Ok(())
}

/// `create` with these mounts after the usual ones must fail.
fn refuse_mount(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result {
    let bundle = lab.bundle(edit)?;
    let mounts = bundle.config["mounts"].clone();
    let done = lab.container(bundle).try_create()?;
    ensure!(done.code == Some(1), "these mounts were accepted: {mounts}");
    done.refused().map(drop)
}

fn fake_proc(lab: &Lab) -> Result {
    control(lab, |_| {})?;
    let fake = lab.new_folder("fake-proc")?;
    fs::create_dir_all(fake.join("self/attr"))?;
    fs::write(fake.join("self/attr/exec"), "")?;
    refuse_mount(lab, |config| config["mounts"][0] = bind(&fake, "/proc", &["rbind"]))?;
    refuse_mount(lab, |config| config["mounts"][0]["type"] = "tmpfs".into())?;
    refuse_mount(lab, |config| add(config, bind(&fake, "/proc", &["rbind"])))?;
    refuse_mount(lab, |config| add(config, bind(&fake, "/proc/../proc/.", &["rbind"])))?;
    ensure_eq!(fs::read_to_string(fake.join("self/attr/exec"))?, "", "what was written there");
    Ok(())
}

fn inside_proc(lab: &Lab) -> Result {
    let fake = lab.new_folder("fake")?;
    fs::write(fake.join("cpuinfo"), "one processor")?;
    for place in ["/proc/self", "/proc/1", "/proc/sys", "/proc/self/attr", "/proc/fs"] {
        refuse_mount(lab, |config| add(config, bind(&fake, place, &["rbind"])))?;
    }
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "cat", "/proc/cpuinfo"]);
        add(config, bind(&fake.join("cpuinfo"), "/proc/cpuinfo", &["bind"]));
    })?;
    ensure_eq!(lab.container(bundle).run()?.ok()?.stdout, "one processor", "/proc/cpuinfo");
    Ok(())
}

fn tmpfs_inside_proc(lab: &Lab) -> Result {
    control(lab, |config| {
        add(config, json!({ "destination": "/link/x", "type": "tmpfs", "source": "tmpfs" }));
    })?;
    for place in ["/proc/self", "/proc/1", "/proc/sys", "/proc/fs", "/proc/self/attr"] {
        let tmpfs = json!({ "destination": place, "type": "tmpfs", "source": "tmpfs" });
        refuse_mount(lab, |config| add(config, tmpfs))?;
    }
    Ok(())
}

fn bind_escape(lab: &Lab) -> Result {
    let canary = lab.new_folder("canary")?;
    let file = lab.folder.join("source");
    fs::write(&file, "source")?;
    let host = canary.to_string_lossy().into_owned();
    let climbing = format!("{}{host}", "../".repeat(12));
    control(lab, |config| {
        config["root"]["readonly"] = false.into();
        add(config, bind(&file, "/link/file", &["rbind"]));
        add(config, bind(&lab.image, "/link/folder/deep", &["rbind"]));
    })?;
    for target in [host.clone(), climbing, "/proc/self/cwd".into(), "/proc/1/root/tmp".into()] {
        for (destination, source) in
            [("/link/file", &file), ("/link/folder/deep", &lab.image), ("/dangling", &file)]
        {
            let bundle = lab.bundle(|config| {
                config["root"]["readonly"] = false.into();
                config["process"]["args"] = json!(["/probe", "exit", "0"]);
                add(config, bind(source, destination, &["rbind"]));
            })?;
            symlink(&target, bundle.rootfs().join("link"))?;
            symlink(format!("{target}/made"), bundle.rootfs().join("dangling"))?;
            // Refusing and confining are both right.
            lab.container(bundle).run()?;
            let made: Vec<_> = fs::read_dir(&canary)?.flatten().map(|e| e.file_name()).collect();
            ensure!(made.is_empty(), "{destination} with a link to {target} made {made:?}");
        }
    }
    Ok(())
}

fn shared_pid(lab: &Lab) -> Result {
    let secret = lab.folder.join("secret");
    fs::write(&secret, "the secret of the host")?;
    let first = lab.with_args(&["/probe", "sleep"])?;
    first.up_ready()?;
    let namespace = format!("/proc/{}/ns/pid", first.pid()?);
    let joined = |args: Value| {
        lab.bundle(|config| {
            config["process"]["args"] = args;
            config["linux"]["namespaces"][0]["path"] = namespace.clone().into();
        })
    };
    let waiting = lab.container(joined(json!(["/probe", "exit", "0"]))?);
    waiting.create()?;
    let inner = inner_pid(waiting.pid()?)?;
    let up = "/..".repeat(12);
    let script = format!(
        "cd /proc/{inner} && echo found && for way in root cwd fd/*; do \
         cat $way{path} $way{up}{path} 2>/dev/null; done; exit 0",
        path = secret.display()
    );
    let looking = lab.container(joined(json!(["/bin/sh", "-c", script]))?);
    let done = looking.run()?.ok()?;
    ensure!(done.stdout.starts_with("found\n"), "the waiting init is not in /proc");
    ensure!(!done.stdout.contains("secret"), "the host was reached: {}", done.stdout);
    // Process 1 of a pid namespace cannot end before all others in it were waited for.
    waiting.kill("KILL")?;
    waiting.wait()?;
    waiting.delete().map(drop)
}

/// The number of a process in its own pid namespace.
fn inner_pid(pid: i32) -> Result<i32> {
    let field = crate::harness::process::status_field(pid, "NSpid")?;
    let last = field.split_whitespace().last().unwrap_or_default();
    last.parse().map_err(|_| Stop::Fail(format!("NSpid of {pid} is {field:?}")))
}

/// The name stands in the middle of what /proc/PID/stat says, as it is.
fn process_name(lab: &Lab) -> Result {
    for name in [r"\377", r") Z 1 1 1", r"a\nb (x)", r"\303("] {
        let bundle = lab.bundle(|config| {
            let script =
                format!("printf '{name}' >/proc/self/comm && echo ready; read word </pipe");
            config["process"]["args"] = json!(["/bin/sh", "-c", script]);
            config["process"]["env"] = json!(["PATH=/bin"]);
        })?;
        mknodat(CWD, bundle.rootfs().join("pipe"), FileType::Fifo, Mode::RWXU, 0)?;
        let c = lab.container(bundle);
        c.up_ready()?;
        ensure_eq!(c.status()?, "running", "status of a workload with the name {name}");
        let done = c.call("delete").run()?;
        ensure!(done.code != Some(0), "delete without force must leave {name}, which runs");
        c.kill("KILL")?;
        ensure_eq!(c.wait()?, Exit::Signal(9), "the end of {name}");
        c.delete()?;
    }
    Ok(())
}
