//! Published attacks on container runtimes, each replayed by name. What hostile.rs has is not here.
//!
//! The oracle is always on the host's side: a canary that must not change, a secret that must not be
//! read, the hash of the runtime's own program.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use serde_json::{Value, json};

use super::Case;
use super::rootfs::{add, bind};
use crate::harness::{Bundle, Lab, Result, Stop, ensure, ensure_eq};

const SELF_EXE: &str = "CVE-2019-5736";
const DESCRIPTORS: &str = "CVE-2024-21626";
const FAKE_PROC: &str = "CVE-2019-16884, CVE-2025-52881";
const FAKE_NULL: &str = "CVE-2025-31133";
const FAKE_NULL_KNOWN: &str =
    "runc before 1.2.8 binds whatever /dev/null of the rootfs leads to (CVE-2025-31133)";
const LEAK_KNOWN: &str =
    "runc before 1.1.12 leaks a descriptor of the host's /sys/fs/cgroup (CVE-2024-21626)";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "security/self-exe",
        "/proc/self/exe as the program never changes the runtime's program",
        SELF_EXE,
        self_exe,
    ),
    Case::new(
        "security/init-exe",
        "what init executes is not the file on the host, and cannot be written to",
        SELF_EXE,
        init_exe,
    ),
    Case::new(
        "security/cwd-link",
        "a link in the rootfs to /proc/self/fd/N is no way to the host as cwd",
        DESCRIPTORS,
        cwd_link,
    )
    .known(LEAK_KNOWN)
    .deadline(60),
    Case::new(
        "security/program-descriptor",
        "a program below /proc/self/fd/N is never one of the host",
        DESCRIPTORS,
        program_descriptor,
    )
    .known(LEAK_KNOWN)
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
        "security/null-symlink",
        "/dev/null of the rootfs is a symlink: masks are the null device still, or create fails",
        FAKE_NULL,
        null_symlink,
    )
    .known(FAKE_NULL_KNOWN),
    Case::new(
        "security/null-other",
        "/dev/null of the rootfs is a file, a pipe or another device",
        FAKE_NULL,
        null_other,
    )
    .known(FAKE_NULL_KNOWN),
    Case::new(
        "security/null-in-volume",
        "/dev is a volume with /dev/null as a symlink",
        FAKE_NULL,
        null_in_volume,
    )
    .known(FAKE_NULL_KNOWN),
    Case::new(
        "security/dev-entries",
        "ptmx, core, fd, stdin and console of the rootfs are symlinks to the host",
        "CVE-2026-41579, CVE-2025-52565",
        dev_entries,
    ),
    Case::new(
        "security/bind-escape",
        "the target of a bind mount is never made outside of the rootfs",
        "CVE-2021-30465, CVE-2024-45310",
        bind_escape,
    ),
    Case::new(
        "security/shared-pid",
        "a process in the same pid namespace cannot reach the host through an init that waits",
        "CVE-2016-9962",
        shared_pid,
    ),
];

fn hash(path: &Path) -> Result<u64> {
    let mut hash = DefaultHasher::new();
    fs::read(path)?.hash(&mut hash);
    Ok(hash.finish())
}

/// A writable rootfs, and no mount on or below /dev: the rootfs's own folder is what there is.
fn without_dev(config: &mut Value) {
    config["root"]["readonly"] = false.into();
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|m| !m["destination"].as_str().is_some_and(|d| d.starts_with("/dev")));
    }
}

fn self_exe(lab: &Lab) -> Result {
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
    ensure!(
        (inside.dev(), inside.ino()) != (host.dev(), host.ino()),
        "init of the container executes the host's file {}",
        name.display()
    );
    // Root of the host is the strongest who could try.
    let open = fs::OpenOptions::new().write(true).open(&exe);
    if let Ok(mut file) = open {
        // A sealed file can be opened for writing and refuses the write.
        let written = std::io::Write::write(&mut file, b"x");
        ensure!(written.is_err(), "{} can be written to", name.display());
    }
    c.start()?;
    c.wait()?;
    c.delete().map(drop)
}

fn cwd_link(lab: &Lab) -> Result {
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
        let tmpfs = json!({ "destination": place, "type": "tmpfs", "source": "tmpfs" });
        refuse_mount(lab, |config| add(config, tmpfs))?;
    }
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "cat", "/proc/cpuinfo"]);
        add(config, bind(&fake.join("cpuinfo"), "/proc/cpuinfo", &["bind"]));
    })?;
    ensure_eq!(lab.container(bundle).run()?.ok()?.stdout, "one processor", "/proc/cpuinfo");
    Ok(())
}

/// Masks `/secret` in a rootfs without a mount on /dev; `plant` puts something at /dev/null.
///
/// A refused create is right; a container in which the secret can be read is not.
fn masked_by(
    lab: &Lab,
    edit: impl FnOnce(&mut Value),
    plant: impl FnOnce(&Bundle) -> Result,
) -> Result {
    let bundle = lab.bundle(|config| {
        without_dev(config);
        config["linux"]["maskedPaths"] = json!(["/secret"]);
        config["process"]["args"] = json!(["/bin/sh", "-c", "cat /secret; echo changed > /secret"]);
        edit(config);
    })?;
    fs::write(bundle.rootfs().join("secret"), "secret")?;
    fs::write(bundle.rootfs().join("planted"), "planted")?;
    plant(&bundle)?;
    let done = lab.container(bundle.clone()).run()?;
    if done.code == Some(0) {
        ensure_eq!(done.stdout, "", "what the mask shows");
    }
    for (name, want) in [("secret", "secret"), ("planted", "planted")] {
        ensure_eq!(fs::read_to_string(bundle.rootfs().join(name))?, want, "/{name}");
    }
    Ok(())
}

fn null_symlink(lab: &Lab) -> Result {
    let canary = lab.folder.join("canary");
    fs::write(&canary, "canary")?;
    for target in [Path::new("/planted"), Path::new("../planted"), &canary] {
        masked_by(lab, |_| {}, |bundle| Ok(symlink(target, bundle.rootfs().join("dev/null"))?))?;
        ensure_eq!(fs::read_to_string(&canary)?, "canary", "the file of the host");
    }
    Ok(())
}

fn null_other(lab: &Lab) -> Result {
    let plants: [fn(&Path) -> Result; 3] = [
        |null| Ok(fs::write(null, "planted")?),
        |null| Ok(mknodat(CWD, null, FileType::Fifo, Mode::from_raw_mode(0o666), 0)?),
        // /dev/full, which can be read for ever: not the null device.
        |null| {
            let mode = Mode::from_raw_mode(0o666);
            Ok(mknodat(CWD, null, FileType::CharacterDevice, mode, makedev(1, 7))?)
        },
    ];
    for plant in plants {
        let edit = |config: &mut Value| {
            // `head`, because a device may never end; `<>`, because a pipe would wait for a writer.
            config["process"]["args"] =
                json!(["/bin/sh", "-c", "/bin/busybox head -c 10 <>/secret"]);
        };
        masked_by(lab, edit, |bundle| plant(&bundle.rootfs().join("dev/null")))?;
    }
    Ok(())
}

fn null_in_volume(lab: &Lab) -> Result {
    let volume = lab.new_folder("dev")?;
    symlink("/planted", volume.join("null"))?;
    masked_by(lab, |config| add(config, bind(&volume, "/dev", &["rbind"])), |_| Ok(()))
}

fn dev_entries(lab: &Lab) -> Result {
    let canary = lab.new_folder("canary")?;
    let names = ["ptmx", "core", "fd", "stdin", "stdout", "console", "zero", "tty", "new"];
    for name in &names[..8] {
        fs::write(canary.join(name), "untouched")?;
    }
    let bundle = lab.bundle(|config| {
        without_dev(config);
        config["process"]["args"] = json!(["/probe", "exit", "0"]);
    })?;
    for name in names {
        symlink(canary.join(name), bundle.rootfs().join("dev").join(name))?;
    }
    // Refusing and replacing are both right.
    lab.container(bundle).run()?;
    let mut left: Vec<String> = Vec::new();
    for entry in fs::read_dir(&canary)? {
        let entry = entry?;
        ensure!(entry.file_type()?.is_file(), "{:?} is no file any more", entry.file_name());
        ensure_eq!(fs::read_to_string(entry.path())?, "untouched", "{:?}", entry.file_name());
        left.push(entry.file_name().to_string_lossy().into_owned());
    }
    ensure_eq!(left.len(), 8, "files of the host: {left:?}");
    Ok(())
}

fn bind_escape(lab: &Lab) -> Result {
    let canary = lab.new_folder("canary")?;
    let file = lab.folder.join("source");
    fs::write(&file, "source")?;
    let host = canary.to_string_lossy().into_owned();
    let climbing = format!("{}{host}", "../".repeat(12));
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
    Ok(())
}

/// The number of a process in its own pid namespace.
fn inner_pid(pid: i32) -> Result<i32> {
    let field = crate::harness::process::status_field(pid, "NSpid")?;
    let last = field.split_whitespace().last().unwrap_or_default();
    last.parse().map_err(|_| Stop::Fail(format!("NSpid of {pid} is {field:?}")))
}
