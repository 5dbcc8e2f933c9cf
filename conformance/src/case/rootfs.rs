//! Mounts: what `mounts` says, read back from the kernel.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};

use super::Case;
use crate::harness::{Bundle, Lab, Result, Stop, cgroup, ensure, ensure_eq, privilege};

const OPTIONS: &str = "OCI runtime-spec config.md#linux-mount-options";
const MOUNTS: &str = "OCI runtime-spec config.md#mounts";

pub(super) const CASES: &[Case] = &[
    Case::new("rootfs/flags", "each flag of a tmpfs shows in mountinfo", OPTIONS, flags),
    Case::new(
        "rootfs/bind-flags",
        "each flag of a bind mount shows in mountinfo",
        OPTIONS,
        bind_flags,
    ),
    Case::new("rootfs/bind", "bind shows one mount, rbind the tree below it", OPTIONS, bind_tree),
    Case::new(
        "rootfs/read-only",
        "ro of an rbind stops at its top, rro goes all the way down",
        "OCI runtime-spec config.md#linux-mount-options rro; mount_setattr(2)",
        read_only_tree,
    ),
    Case::new("rootfs/tmpfs-data", "size and mode of a tmpfs", "tmpfs(5)", tmpfs_data),
    Case::new(
        "rootfs/tmpfs-mode",
        "a tmpfs without mode has that of the directory that it covers, else 1777",
        "runc; images have /tmp, /run and homes as they are to be",
        tmpfs_mode,
    )
    .known("in runc 1.1 the directory's mode wins over mode= as well"),
    Case::new(
        "rootfs/tmpcopyup",
        "a tmpfs with tmpcopyup starts with what it covers, and the rootfs stays as it is",
        "OCI runtime-spec config.md#linux-mount-options tmpcopyup",
        tmpcopyup,
    ),
    Case::new(
        "rootfs/default-filesystems",
        "proc, sysfs, devpts and mqueue are where they must be",
        "OCI runtime-spec config-linux.md#default-filesystems",
        default_filesystems,
    ),
    Case::new(
        "rootfs/cgroup-tree",
        "a cgroup mount on a v1 host has each hierarchy, seen from the container's cgroup",
        "OCI runtime-spec config-linux.md#cgroups; cgroups(7)",
        cgroup_tree,
    ),
    Case::new(
        "rootfs/relative-source",
        "a relative bind source starts in the bundle",
        "OCI runtime-spec config.md#mounts source",
        relative_source,
    ),
    Case::new("rootfs/bind-file", "the target of a file's bind mount is made", MOUNTS, bind_file),
    Case::new(
        "rootfs/missing-source",
        "a bind source that is missing is named",
        "OCI runtime-spec runtime.md#create; managers match this text",
        missing_source,
    ),
    Case::new(
        "rootfs/mount-point",
        "missing folders of a mount point are made",
        MOUNTS,
        mount_point,
    ),
    Case::new(
        "rootfs/order",
        "mounts happen in the listed order",
        "OCI runtime-spec config.md#mounts MUST mount in the listed order",
        order,
    ),
    Case::new(
        "rootfs/link-destination",
        "an absolute symlink in a destination is followed inside the rootfs",
        "OCI runtime-spec config.md#mounts destination",
        link_destination,
    ),
];

/// The uppermost mount on `target`.
pub(super) fn mount_at<'f>(facts: &'f Value, target: &str) -> Result<&'f Value> {
    let all = facts["mounts"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .rfind(|one| one["target"] == target)
        .ok_or_else(|| Stop::Fail(format!("nothing is mounted on {target}; mounts: {all:?}")))
}

/// Whether mountinfo has this word among the mount's own options.
pub(super) fn has(mount: &Value, option: &str) -> bool {
    mount["options"].as_array().is_some_and(|all| all.iter().any(|one| one == option))
}

/// Appends a mount to a configuration.
pub(super) fn add(config: &mut Value, mount: Value) {
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.push(mount);
    }
}

/// A bind mount as configuration.
pub(super) fn bind(source: &Path, destination: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": "bind", "source": source, "options": options })
}

fn tmpfs(destination: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options })
}

/// What a probe printed in a container with these further mounts.
fn probed(lab: &Lab, words: &[&str], mounts: &[Value]) -> Result<String> {
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = [&["/probe"], words].concat().into();
        mounts.iter().for_each(|mount| add(config, mount.clone()));
    })?;
    Ok(lab.container(bundle).run()?.ok()?.stdout)
}

/// What the probe finds in a container with these further mounts.
pub(super) fn facts(lab: &Lab, mounts: &[Value]) -> Result<Value> {
    Ok(serde_json::from_str(&probed(lab, &["facts"], mounts)?)?)
}

/// A tmpfs in the worker's own mount namespace, unmounted at the end of the case.
pub(super) struct HostMount(pub(super) PathBuf);

impl HostMount {
    pub(super) fn on(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path)?;
        mount(Some("canary"), &path, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
        Ok(Self(path))
    }
}

impl Drop for HostMount {
    fn drop(&mut self) {
        // A mount that stays is found by the leak check.
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap_or_default();
    }
}

/// The option of config.json, and what mountinfo shows with it and without it.
const FLAGS: [(&str, &[&str], &[&str]); 8] = [
    ("ro", &["ro"], &["rw"]),
    ("rw", &["rw"], &["ro"]),
    ("nosuid", &["nosuid"], &[]),
    ("nodev", &["nodev"], &[]),
    ("noexec", &["noexec"], &[]),
    ("noatime", &["noatime"], &["relatime"]),
    ("nodiratime", &["nodiratime"], &[]),
    ("strictatime", &[], &["relatime", "noatime"]),
];

fn check_flags(facts: &Value, words: &str) -> Result {
    for (flag, shown, hidden) in FLAGS {
        let mount = mount_at(facts, &format!("/tmp/{flag}"))?;
        for word in shown {
            ensure!(has(mount, word), "{words} with {flag}: {word} is missing in {mount}");
        }
        for word in hidden {
            ensure!(!has(mount, word), "{words} with {flag}: {word} must not be in {mount}");
        }
        for word in ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"] {
            let wanted = shown.contains(&word);
            ensure_eq!(has(mount, word), wanted, "{words} with {flag}: {word} in {mount}");
        }
    }
    Ok(())
}

fn flags(lab: &Lab) -> Result {
    let mounts = FLAGS.map(|(flag, ..)| tmpfs(&format!("/tmp/{flag}"), &[flag]));
    check_flags(&facts(lab, &mounts)?, "a tmpfs")
}

fn bind_flags(lab: &Lab) -> Result {
    let source = HostMount::on(lab.new_folder("source")?)?;
    let mounts = FLAGS.map(|(flag, ..)| bind(&source.0, &format!("/tmp/{flag}"), &["bind", flag]));
    check_flags(&facts(lab, &mounts)?, "a bind mount")
}

/// A folder of the host with a mount inside.
fn tree(lab: &Lab) -> Result<(PathBuf, HostMount)> {
    let top = lab.new_folder("tree")?;
    let inner = HostMount::on(top.join("inner"))?;
    fs::write(inner.0.join("file"), "inside")?;
    Ok((top, inner))
}

fn bind_tree(lab: &Lab) -> Result {
    let (top, _inner) = tree(lab)?;
    let mounts = [bind(&top, "/tmp/one", &["bind"]), bind(&top, "/tmp/all", &["rbind"])];
    let facts = facts(lab, &mounts)?;
    mount_at(&facts, "/tmp/one")?;
    ensure!(mount_at(&facts, "/tmp/one/inner").is_err(), "bind brought the mount inside");
    mount_at(&facts, "/tmp/all/inner")?;
    let text = probed(lab, &["cat", "/tmp/all/inner/file"], &mounts)?;
    ensure_eq!(text, "inside", "a file of the mount inside an rbind");
    Ok(())
}

fn read_only_tree(lab: &Lab) -> Result {
    let (top, _inner) = tree(lab)?;
    let mounts = [
        bind(&top, "/tmp/ro", &["rbind", "ro"]),
        bind(&top, "/tmp/rro", &["rbind", "rro"]),
        bind(&top, "/tmp/noexec", &["rbind", "rnoexec"]),
    ];
    let facts = facts(lab, &mounts)?;
    for (target, option, wanted) in [
        ("/tmp/ro", "ro", true),
        ("/tmp/ro/inner", "ro", false),
        ("/tmp/rro", "ro", true),
        ("/tmp/rro/inner", "ro", true),
        ("/tmp/noexec/inner", "noexec", true),
    ] {
        ensure_eq!(has(mount_at(&facts, target)?, option), wanted, "{option} of {target}");
    }
    let text = probed(lab, &["write", "/tmp/rro/inner/file"], &mounts)?;
    ensure_eq!(text, "errno 30\n", "writing below rro");
    Ok(())
}

fn tmpfs_mode(lab: &Lab) -> Result {
    let places = ["/closed", "/sticky", "/open", "/new", "/given"];
    let bundle = lab.bundle(|config| {
        config["root"]["readonly"] = false.into();
        for place in &places[..4] {
            add(config, tmpfs(place, &[]));
        }
        add(config, tmpfs("/given", &["mode=0711"]));
        let mut args = vec!["/bin/busybox", "stat", "-c", "%a"];
        args.extend(places);
        config["process"]["args"] = args.into();
    })?;
    for (place, mode) in [("closed", 0o700), ("sticky", 0o3770), ("open", 0o755), ("given", 0o755)]
    {
        let path = bundle.rootfs().join(place);
        std::fs::create_dir(&path)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
    }
    let modes = lab.container(bundle).run()?.ok()?.stdout;
    let modes: Vec<&str> = modes.lines().collect();
    ensure_eq!(modes, ["700", "3770", "755", "1777", "711"], "modes");
    Ok(())
}

fn tmpfs_data(lab: &Lab) -> Result {
    let mounts = [tmpfs("/tmp", &["size=1m", "mode=1750", "nr_inodes=100"])];
    let facts = facts(lab, &mounts)?;
    let mount = mount_at(&facts, "/tmp")?;
    ensure_eq!(mount["type"], "tmpfs", "type");
    let data = mount["data"].as_array().cloned().unwrap_or_default();
    for word in ["size=1024k", "mode=1750", "nr_inodes=100"] {
        ensure!(data.contains(&word.into()), "{word} is missing in {mount}");
    }
    Ok(())
}

fn tmpcopyup(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        let script = "cat /etc/passwd && ls -l /etc && echo new > /etc/new";
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
        add(config, tmpfs("/etc", &["tmpcopyup"]));
    })?;
    let etc = bundle.rootfs().join("etc");
    fs::write(etc.join("script"), "#!")?;
    fs::set_permissions(etc.join("script"), std::os::unix::fs::PermissionsExt::from_mode(0o751))?;
    let done = lab.container(bundle).run()?.ok()?;
    ensure!(done.stdout.starts_with("root:x:0:0"), "/etc/passwd was not copied: {}", done.stdout);
    let line = done.stdout.lines().find(|line| line.ends_with("script")).unwrap_or_default();
    ensure!(line.starts_with("-rwxr-x--x"), "the mode of a copied file: {line:?}");
    ensure!(!etc.join("new").exists(), "the write went to the rootfs");
    Ok(())
}

fn default_filesystems(lab: &Lab) -> Result {
    let facts = facts(lab, &[])?;
    for (target, kind) in [
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/dev", "tmpfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/dev/mqueue", "mqueue"),
    ] {
        ensure_eq!(mount_at(&facts, target)?["type"], kind, "type of {target}");
    }
    let pts = mount_at(&facts, "/dev/pts")?;
    let data = pts["data"].as_array().cloned().unwrap_or_default();
    // The kernel says whose it is on the host, whoever asks (fs/devpts/inode.c, devpts_show_options).
    let group = format!("gid={}", privilege::outside_group(5).unwrap_or(5));
    for word in [group.as_str(), "mode=620", "ptmxmode=666"] {
        ensure!(data.contains(&word.into()), "{word} is missing in {pts}");
    }
    Ok(())
}

fn cgroup_tree(lab: &Lab) -> Result {
    let controllers: Vec<String> = cgroup::hierarchies()
        .into_iter()
        .filter_map(|one| one.controllers.first().cloned())
        .filter(|name| !name.contains('='))
        .collect();
    if controllers.is_empty() {
        return crate::harness::lacks("cgroup v1 controllers");
    }
    let mounts = [json!({
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]
    })];
    let seen = facts(lab, &mounts)?;
    for name in controllers {
        let folder = format!("/sys/fs/cgroup/{name}");
        let mount = mount_at(&seen, &folder)?;
        ensure_eq!(mount["type"], "cgroup", "type of {folder}");
        ensure!(has(mount, "ro"), "{folder} must be read-only: {mount}");
        // Process 1 of the container is a member of the cgroup at the top of what it sees.
        let text = probed(lab, &["cat", &format!("{folder}/cgroup.procs")], &mounts)?;
        ensure_eq!(text, "1\n", "members of {folder}");
    }
    Ok(())
}

fn relative_source(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "cat", "/tmp/data/file"]);
        add(config, bind(Path::new("data"), "/tmp/data", &["rbind"]));
    })?;
    fs::create_dir(bundle.folder.join("data"))?;
    fs::write(bundle.folder.join("data/file"), "from the bundle")?;
    let c = lab.container(bundle);
    let done = c.launch("run", &[]).cwd("/").run()?.ok()?;
    ensure_eq!(done.stdout, "from the bundle", "a file below a relative source");
    Ok(())
}

fn bind_file(lab: &Lab) -> Result {
    let file = lab.folder.join("resolv.conf");
    fs::write(&file, "nameserver 192.0.2.1")?;
    let mounts = [bind(&file, "/etc/new/resolv.conf", &["bind", "ro"])];
    let text = probed(lab, &["cat", "/etc/new/resolv.conf"], &mounts)?;
    ensure_eq!(text, "nameserver 192.0.2.1", "the bound file");
    let text = probed(lab, &["write", "/etc/new/resolv.conf", "x"], &mounts)?;
    ensure_eq!(text, "errno 30\n", "writing to the bound file");
    Ok(())
}

fn missing_source(lab: &Lab) -> Result {
    let missing = lab.folder.join("not-there");
    let bundle = lab.bundle(|config| add(config, bind(&missing, "/tmp", &["bind"])))?;
    let done = lab.container(bundle).try_create()?.fails(1, "no such file or directory")?;
    ensure!(done.stderr.contains("not-there"), "the source is not named: {}", done.stderr);
    Ok(())
}

fn mount_point(lab: &Lab) -> Result {
    let facts = facts(lab, &[tmpfs("/new/a/b/c", &["size=64k"])])?;
    ensure_eq!(mount_at(&facts, "/new/a/b/c")?["type"], "tmpfs", "type of /new/a/b/c");
    Ok(())
}

fn order(lab: &Lab) -> Result {
    let (first, second) = (lab.new_folder("first")?, lab.new_folder("second")?);
    fs::write(first.join("file"), "first")?;
    fs::write(second.join("file"), "second")?;
    let over = [bind(&first, "/tmp/x", &["bind"]), bind(&second, "/tmp/x", &["bind"])];
    ensure_eq!(probed(lab, &["cat", "/tmp/x/file"], &over)?, "second", "the later mount is on top");
    let inside = [tmpfs("/tmp/x", &[]), bind(&first, "/tmp/x/y", &["bind"])];
    ensure_eq!(probed(lab, &["cat", "/tmp/x/y/file"], &inside)?, "first", "a mount in a mount");
    let hidden = [bind(&first, "/tmp/x/y", &["bind"]), tmpfs("/tmp/x", &[])];
    ensure_eq!(probed(lab, &["open", "/tmp/x/y/file"], &hidden)?, "errno 2\n", "a covered mount");
    Ok(())
}

fn link_destination(lab: &Lab) -> Result {
    let bundle: Bundle = lab.bundle(|config| add(config, tmpfs("/var/run/x", &[])))?;
    fs::create_dir(bundle.rootfs().join("var"))?;
    std::os::unix::fs::symlink("/run", bundle.rootfs().join("var/run"))?;
    fs::create_dir(bundle.rootfs().join("run"))?;
    let facts = lab.container(bundle).facts()?;
    ensure_eq!(mount_at(&facts, "/run/x")?["type"], "tmpfs", "type of /run/x");
    Ok(())
}
