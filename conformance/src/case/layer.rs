//! Layered roots: an overlay mount on `/` as the first of `mounts`.
//!
//! The bundle's own root stays as the place where the overlay is mounted; the layers lie beside it.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Case;
use super::rootfs::{has, mount_at};
use crate::harness::{Bundle, Lab, Result, ensure, ensure_eq, image};

const OVERLAY: &str = "OCI runtime-spec config.md#mounts (listed order); kernel overlayfs.rst";

pub(super) const CASES: &[Case] = &[
    Case::new("layer/root", "the overlay is the root of the container", OVERLAY, root),
    Case::new(
        "layer/order",
        "the first lower layer is the topmost, so an init layer wins over the image",
        OVERLAY,
        order,
    ),
    Case::new(
        "layer/relative-paths",
        "relative layers start in the bundle, so a bundle can be moved",
        OVERLAY,
        relative_paths,
    )
    .known("runc 1.1 hands relative layers to the kernel, which takes them from elsewhere"),
    Case::new(
        "layer/copy-on-write",
        "writes, changes and removals go to the upper layer, the lower layers stay identical",
        OVERLAY,
        copy_on_write,
    ),
    Case::new(
        "layer/mount-points",
        "mounts, devices, masks and read-only paths above a layered root leave the layers alone",
        OVERLAY,
        mount_points,
    ),
    Case::new(
        "layer/two-containers",
        "two containers share the lower layers and nothing else",
        OVERLAY,
        two_containers,
    ),
    Case::new(
        "layer/read-only",
        "layers without an upper one, or with root.readonly",
        OVERLAY,
        read_only,
    ),
    Case::new(
        "layer/restart",
        "what the upper layer has is there again in the next container",
        OVERLAY,
        restart,
    ),
    Case::new("layer/no-host-mount", "the host never sees the overlay", OVERLAY, no_host_mount),
    Case::new(
        "layer/bad-layer",
        "a layer that is missing is named, nothing stays",
        OVERLAY,
        bad_layer,
    ),
];

/// The layers of one container.
struct Layers {
    lower: Vec<PathBuf>,
    upper: PathBuf,
    bundle: Bundle,
}

/// A bundle with the layers init, middle and base, the first on top, and a writable one.
///
/// A bundle with layers has no file system of its own in `root`.
fn layered(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<Layers> {
    let mut bundle = lab.bundle(|config| {
        config["root"]["readonly"] = false.into();
        let overlay = json!({
            "destination": "/", "type": "overlay", "source": "overlay", "options": []
        });
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.insert(0, overlay);
        }
        edit(config);
    })?;
    let [init, middle, base, upper, work] =
        ["init", "middle", "base", "upper", "work"].map(|name| bundle.folder.join(name));
    bundle.config["mounts"][0]["options"] = json!([
        format!("lowerdir={}:{}:{}", init.display(), middle.display(), base.display()),
        format!("upperdir={}", upper.display()),
        format!("workdir={}", work.display()),
    ]);
    bundle.write()?;
    // Nothing of the container may come from the folder below the overlay.
    fs::remove_dir_all(bundle.rootfs())?;
    fs::create_dir(bundle.rootfs())?;
    let folder = &bundle.folder;
    image::unpack(&lab.image, &folder.join("base"))?;
    for name in ["init/etc", "middle/etc", "middle/data", "upper", "work"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::write(folder.join("init/etc/hostname"), "init")?;
    fs::write(folder.join("middle/etc/hostname"), "middle")?;
    fs::write(folder.join("base/etc/hostname"), "base")?;
    fs::write(folder.join("middle/etc/middle"), "middle")?;
    fs::write(folder.join("base/etc/middle"), "base")?;
    fs::write(folder.join("base/etc/base"), "base")?;
    fs::write(folder.join("middle/data/gone"), "still here")?;
    symlink("middle", folder.join("middle/etc/link"))?;
    Ok(Layers { lower: vec![init, middle, base], upper, bundle })
}

/// Everything about a tree that a reader can see: names, types, modes, owners, times, contents.
fn tree(top: &Path) -> Result<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let data = fs::symlink_metadata(&path)?;
            let mut hash = DefaultHasher::new();
            // Not the number of links: it counts the other root file systems of the suite as well.
            (data.mode(), data.uid(), data.gid(), data.mtime(), data.mtime_nsec()).hash(&mut hash);
            (data.ino(), data.rdev()).hash(&mut hash);
            if data.is_dir() {
                folders.push(path.clone());
            } else if data.is_symlink() {
                fs::read_link(&path)?.hash(&mut hash);
            } else if data.is_file() {
                fs::read(&path)?.hash(&mut hash);
            }
            found.insert(path, hash.finish());
        }
    }
    Ok(found)
}

impl Layers {
    /// All lower layers.
    fn hash(&self) -> Result<Vec<BTreeMap<PathBuf, u64>>> {
        self.lower.iter().map(|layer| tree(layer)).collect()
    }

    /// Runs this workload and returns what it printed.
    fn run(&self, lab: &Lab, args: &[&str]) -> Result<String> {
        let mut bundle = self.bundle.clone();
        bundle.config["process"]["args"] = args.into();
        bundle.write()?;
        Ok(lab.container(bundle).run()?.ok()?.stdout)
    }

    /// The same with a script for the shell.
    fn script(&self, lab: &Lab, script: &str) -> Result<String> {
        self.run(lab, &["/bin/sh", "-c", script])
    }
}

fn root(lab: &Lab) -> Result {
    let layers = layered(lab, |_| {})?;
    let facts: Value = serde_json::from_str(&layers.run(lab, &["/probe", "facts"])?)?;
    let mount = mount_at(&facts, "/")?;
    ensure_eq!(mount["type"], "overlay", "type of /");
    let all = facts["mounts"].as_array().cloned().unwrap_or_default();
    let roots = all.iter().filter(|one| one["target"] == "/").count();
    ensure_eq!(roots, 1, "mounts on /, which hide one another");
    ensure!(!has(mount, "ro"), "/ must be writable: {mount}");
    ensure_eq!(fs::read_dir(layers.bundle.rootfs())?.count(), 0, "files below the overlay");
    Ok(())
}

fn order(lab: &Lab) -> Result {
    let layers = layered(lab, |_| {})?;
    let text =
        layers.script(lab, "cd /etc; for f in hostname middle base link; do cat $f; echo; done")?;
    ensure_eq!(text, "init\nmiddle\nbase\nmiddle\n", "hostname, middle, base and link in /etc");
    Ok(())
}

fn relative_paths(lab: &Lab) -> Result {
    let mut layers = layered(lab, |_| {})?;
    let before = layers.hash()?;
    let options = ["lowerdir=init:middle:base", "upperdir=upper", "workdir=work"];
    layers.bundle.config["mounts"][0]["options"] = json!(options);
    let text = layers.script(lab, "cat /etc/hostname && echo changed > /etc/hostname")?;
    ensure_eq!(text, "init", "/etc/hostname");
    ensure_eq!(fs::read_to_string(layers.upper.join("etc/hostname"))?, "changed\n", "a write");
    ensure_eq!(layers.hash()?, before, "the lower layers");
    Ok(())
}

fn copy_on_write(lab: &Lab) -> Result {
    let layers = layered(lab, |_| {})?;
    let before = layers.hash()?;
    let script = "echo new > /new && echo changed > /etc/hostname && echo more >> /etc/base && \
                  /bin/busybox rm /data/gone && /bin/busybox chmod 700 /etc/middle && \
                  /bin/busybox mkdir /home/user/folder && cat /etc/base && ls /data";
    ensure_eq!(layers.script(lab, script)?, "basemore\n", "what the container sees");
    ensure_eq!(layers.hash()?, before, "the lower layers");
    let upper = |path: &str| layers.upper.join(path);
    ensure_eq!(fs::read_to_string(upper("new"))?, "new\n", "a new file");
    ensure_eq!(fs::read_to_string(upper("etc/hostname"))?, "changed\n", "a changed file");
    ensure_eq!(fs::read_to_string(upper("etc/base"))?, "basemore\n", "a longer file");
    ensure_eq!(fs::metadata(upper("etc/middle"))?.mode() & 0o777, 0o700, "a changed mode");
    ensure!(upper("home/user/folder").is_dir(), "a new folder");
    ensure_eq!(fs::symlink_metadata(upper("data/gone"))?.rdev(), 0, "a whiteout");
    Ok(())
}

fn mount_points(lab: &Lab) -> Result {
    lab.needs_devices()?;
    let layers = layered(lab, |config| {
        let scratch =
            json!({ "destination": "/made/for/mount", "type": "tmpfs", "source": "tmpfs" });
        super::rootfs::add(config, scratch);
        config["linux"]["maskedPaths"] = json!(["/etc/middle"]);
        config["linux"]["readonlyPaths"] = json!(["/data"]);
        config["linux"]["devices"] = json!([
            { "path": "/node", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666,
              "uid": 0, "gid": 0 }
        ]);
    })?;
    let before = layers.hash()?;
    let script = "echo x > /made/for/mount/file && cat /etc/middle && echo x > /node && \
                  { echo x > /data/new; echo refused $?; } 2>/dev/null";
    ensure_eq!(layers.script(lab, script)?, "refused 1\n", "mounts above the layers");
    ensure_eq!(layers.hash()?, before, "the lower layers");
    Ok(())
}

fn two_containers(lab: &Lab) -> Result {
    let one = layered(lab, |config| config["process"]["args"] = json!(["/probe", "sleep"]))?;
    let before = one.hash()?;
    let mut two = layered(lab, |_| {})?;
    let lower: Vec<String> =
        one.lower.iter().map(|layer| layer.to_string_lossy().into_owned()).collect();
    two.bundle.config["mounts"][0]["options"][0] = format!("lowerdir={}", lower.join(":")).into();
    let c = lab.container(one.bundle.clone());
    c.up_ready()?;
    let text = two.script(lab, "cat /etc/hostname && echo two > /etc/hostname")?;
    ensure_eq!(text, "init", "what the second container reads");
    let seen = fs::read_to_string(format!("/proc/{}/root/etc/hostname", c.pid()?))?;
    ensure_eq!(seen, "init", "what the first container reads after the second one wrote");
    c.kill("KILL")?;
    c.wait()?;
    c.delete()?;
    ensure_eq!(one.hash()?, before, "the shared layers");
    Ok(())
}

fn read_only(lab: &Lab) -> Result {
    let mut layers = layered(lab, |config| config["root"]["readonly"] = true.into())?;
    let before = layers.hash()?;
    ensure_eq!(layers.run(lab, &["/probe", "write", "/new"])?, "errno 30\n", "root.readonly");
    ensure!(!layers.upper.join("new").exists(), "a write reached the upper layer");
    // Mount points cannot be made here, so the image must have them; /dev is a tmpfs.
    if let Some(options) = layers.bundle.config["mounts"][0]["options"].as_array_mut() {
        options.truncate(1);
    }
    layers.bundle.config["root"]["readonly"] = false.into();
    ensure_eq!(layers.run(lab, &["/probe", "write", "/new"])?, "errno 30\n", "no upper layer");
    ensure_eq!(layers.run(lab, &["/probe", "cat", "/etc/hostname"])?, "init", "reading");
    ensure_eq!(layers.hash()?, before, "the lower layers");
    Ok(())
}

fn restart(lab: &Lab) -> Result {
    let layers = layered(lab, |_| {})?;
    let before = layers.hash()?;
    layers.script(lab, "echo kept > /etc/kept && /bin/busybox rm /data/gone")?;
    let text = layers.script(lab, "cat /etc/kept && ls /data")?;
    ensure_eq!(text, "kept\n", "the next container's view");
    ensure_eq!(layers.hash()?, before, "the lower layers");
    Ok(())
}

fn no_host_mount(lab: &Lab) -> Result {
    let layers = layered(lab, |config| config["process"]["args"] = json!(["/probe", "sleep"]))?;
    let before = layers.hash()?;
    let mine = || fs::read_to_string("/proc/self/mountinfo");
    let mounts = mine()?;
    let c = lab.container(layers.bundle.clone());
    c.create()?;
    ensure_eq!(mine()?, mounts, "mounts of the host after create");
    c.start()?;
    c.wait_output("ready")?;
    ensure_eq!(mine()?, mounts, "mounts of the host while it runs");
    c.kill("KILL")?;
    c.wait()?;
    c.delete()?;
    ensure_eq!(mine()?, mounts, "mounts of the host after delete");
    // Free again: the kernel refuses to remove a folder that is a mount point anywhere in sight.
    for layer in [&layers.upper, &layers.bundle.rootfs()] {
        fs::rename(layer, layer.with_extension("moved"))?;
    }
    ensure_eq!(layers.hash()?, before, "the lower layers");
    Ok(())
}

fn bad_layer(lab: &Lab) -> Result {
    let mut layers = layered(lab, |_| {})?;
    let before = layers.hash()?;
    let options = ["lowerdir=init:not-there:base", "upperdir=upper", "workdir=work"];
    layers.bundle.config["mounts"][0]["options"] = json!(options);
    layers.bundle.write()?;
    let done = lab.container(layers.bundle.clone()).try_create()?.fails(1, "")?.refused()?;
    ensure!(done.stderr.contains("not-there"), "the layer is not named: {}", done.stderr);
    ensure_eq!(layers.hash()?, before, "the lower layers");
    Ok(())
}
