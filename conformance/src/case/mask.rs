//! Masked and read-only paths, the read-only root, and `--no-pivot`.

use std::fs;

use serde_json::{Value, json};

use super::Case;
use super::rootfs::{add, bind, has, mount_at};
use crate::harness::{Bundle, Lab, Result, ensure, ensure_eq, privilege};

const MASKED: &str = "OCI runtime-spec config-linux.md#masked-paths";
const READONLY: &str = "OCI runtime-spec config-linux.md#readonly-paths";
const ROOT: &str = "OCI runtime-spec config.md#root readonly";
const EROFS: &str = "errno 30\n";

pub(super) const CASES: &[Case] = &[
    Case::new("mask/file", "a masked file reads empty and keeps nothing", MASKED, masked_file),
    Case::new("mask/folder", "a masked folder is empty and read-only", MASKED, masked_folder),
    Case::new("mask/missing", "paths that do not exist are skipped", MASKED, missing),
    Case::new("mask/default", "the usual masked paths of /proc and /sys", MASKED, usual),
    Case::new(
        "mask/symlink",
        "a masked path that is a symlink hides what it leads to inside the rootfs",
        MASKED,
        symlink,
    ),
    Case::new("mask/below-mount", "a file of a volume can be masked", MASKED, below_mount),
    Case::new("mask/read-only-paths", "readonlyPaths refuse writes", READONLY, read_only_paths),
    Case::new(
        "mask/read-only-keeps-flags",
        "readonlyPaths keep nosuid, nodev and noexec of the mount they are in",
        READONLY,
        read_only_keeps_flags,
    ),
    Case::new(
        "mask/read-only-tree",
        "mounts below a read-only path are read-only too",
        READONLY,
        read_only_tree,
    )
    .known("runc 1.1 remounts only the top of a read-only path"),
    Case::new(
        "mask/root-read-only",
        "root.readonly refuses writes, volumes stay writable",
        ROOT,
        root_read_only,
    ),
    Case::new(
        "mask/root-writable",
        "without root.readonly writes reach the rootfs",
        ROOT,
        root_writable,
    ),
    Case::new(
        "mask/no-pivot",
        "--no-pivot gives the same container, without the host below it",
        "runc(8) run --no-pivot",
        no_pivot,
    ),
];

/// What each of these probe commands prints in a container of this bundle.
fn each(lab: &Lab, bundle: &Bundle, checks: &[(&[&str], &str)]) -> Result {
    for (words, want) in checks {
        let mut bundle = bundle.clone();
        bundle.config["process"]["args"] = [&["/probe"], *words].concat().into();
        bundle.write()?;
        let done = lab.container(bundle).run()?.ok()?;
        ensure_eq!(done.stdout, *want, "probe {words:?}");
    }
    Ok(())
}

/// A writable rootfs with `/secret/file`, `/secret/folder/inside` and this edit.
fn secret(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<Bundle> {
    let bundle = lab.bundle(|config| {
        config["root"]["readonly"] = false.into();
        edit(config);
    })?;
    let folder = bundle.rootfs().join("secret/folder");
    fs::create_dir_all(&folder)?;
    fs::write(bundle.rootfs().join("secret/file"), "secret")?;
    fs::write(folder.join("inside"), "secret")?;
    Ok(bundle)
}

fn masked_file(lab: &Lab) -> Result {
    let bundle = secret(lab, |config| config["linux"]["maskedPaths"] = json!(["/secret/file"]))?;
    each(lab, &bundle, &[(&["cat", "/secret/file"], "")])?;
    // A write goes to the null device or is refused; both are right, and neither reaches the file.
    let mut writing = bundle.clone();
    writing.config["process"]["args"] = json!(["/probe", "write", "/secret/file", "new"]);
    writing.write()?;
    lab.container(writing).run()?.ok()?;
    ensure_eq!(fs::read_to_string(bundle.rootfs().join("secret/file"))?, "secret", "the real file");
    each(lab, &bundle, &[(&["cat", "/secret/file"], "")])
}

fn masked_folder(lab: &Lab) -> Result {
    let bundle = secret(lab, |config| config["linux"]["maskedPaths"] = json!(["/secret/folder"]))?;
    each(
        lab,
        &bundle,
        &[
            (&["open", "/secret/folder/inside"], "errno 2\n"),
            (&["write", "/secret/folder/new"], EROFS),
            (&["cat", "/secret/file"], "secret"),
        ],
    )?;
    let mut listing = bundle;
    listing.config["process"]["args"] = json!(["/bin/ls", "-A", "/secret/folder"]);
    listing.write()?;
    ensure_eq!(lab.container(listing).run()?.ok()?.stdout, "", "content of the masked folder");
    Ok(())
}

fn missing(lab: &Lab) -> Result {
    let bundle = secret(lab, |config| {
        config["linux"]["maskedPaths"] = json!(["/no/such/file", "/secret/none", "/secret/file"]);
        config["linux"]["readonlyPaths"] = json!(["/no/such/file", "/secret/folder"]);
    })?;
    each(
        lab,
        &bundle,
        &[(&["cat", "/secret/file"], ""), (&["write", "/secret/folder/inside"], EROFS)],
    )?;
    ensure!(!bundle.rootfs().join("secret/none").exists(), "a mask made the path it hides");
    ensure!(!bundle.rootfs().join("no").exists(), "a mask made the folders of its path");
    Ok(())
}

fn usual(lab: &Lab) -> Result {
    let bundle = lab.bundle(|_| {})?;
    let masked = bundle.config["linux"]["maskedPaths"].as_array().cloned().unwrap_or_default();
    let facts = lab.container(bundle).facts()?;
    let mut found = 0;
    for path in masked.iter().filter_map(Value::as_str) {
        let Ok(here) = fs::metadata(path) else { continue };
        found += 1;
        let mount = mount_at(&facts, path)?;
        if here.is_dir() {
            ensure_eq!(mount["type"], "tmpfs", "mask of the folder {path}");
            ensure!(has(mount, "ro"), "the mask of {path} must be read-only: {mount}");
        } else {
            let root = mount["root"].as_str().unwrap_or_default();
            ensure!(root.ends_with("null"), "the mask of {path} must be the null device: {mount}");
        }
    }
    if found == 0 {
        return crate::harness::lacks("every path that is usually masked");
    }
    Ok(())
}

fn symlink(lab: &Lab) -> Result {
    let host = lab.folder.join("host-file");
    fs::write(&host, "host")?;
    let bundle = secret(lab, |config| {
        config["linux"]["maskedPaths"] = json!(["/link", "/climbing"]);
    })?;
    std::os::unix::fs::symlink("/secret/file", bundle.rootfs().join("link"))?;
    std::os::unix::fs::symlink(&host, bundle.rootfs().join("climbing"))?;
    each(lab, &bundle, &[(&["cat", "/secret/file"], "")])?;
    ensure_eq!(fs::read_to_string(host)?, "host", "the file of the host");
    Ok(())
}

fn below_mount(lab: &Lab) -> Result {
    let volume = lab.new_folder("volume")?;
    fs::write(volume.join("file"), "secret")?;
    fs::write(volume.join("other"), "open")?;
    let bundle = lab.bundle(|config| {
        add(config, bind(&volume, "/tmp", &["rbind", "ro"]));
        config["linux"]["maskedPaths"] = json!(["/tmp/file"]);
    })?;
    each(lab, &bundle, &[(&["cat", "/tmp/file"], ""), (&["cat", "/tmp/other"], "open")])
}

fn read_only_paths(lab: &Lab) -> Result {
    // What root of a user namespace may not write to in any case shows nothing.
    let domain = "/proc/sys/kernel/domainname";
    let refusal = if privilege::may_write(domain) { EROFS } else { "errno 13\n" };
    let bundle = secret(lab, |config| {
        config["linux"]["readonlyPaths"] = json!(["/secret/folder", "/secret/file", "/proc/sys"]);
    })?;
    each(
        lab,
        &bundle,
        &[
            (&["write", "/secret/folder/inside"], EROFS),
            (&["write", "/secret/folder/new"], EROFS),
            (&["write", "/secret/file"], EROFS),
            (&["write", domain, "x"], refusal),
            (&["cat", "/secret/file"], "secret"),
            (&["write", "/secret/other"], "ok\n"),
        ],
    )
}

fn read_only_keeps_flags(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| {
        config["mounts"][0]["options"] = json!(["nosuid", "nodev", "noexec"]);
        config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
    })?;
    let facts = lab.container(bundle).facts()?;
    let mount = mount_at(&facts, "/proc/sys")?;
    for word in ["ro", "nosuid", "nodev", "noexec"] {
        ensure!(has(mount, word), "{word} of /proc/sys: {mount}");
    }
    Ok(())
}

fn read_only_tree(lab: &Lab) -> Result {
    let bundle = secret(lab, |config| {
        add(config, json!({ "destination": "/secret/folder", "type": "tmpfs", "source": "tmpfs" }));
        config["linux"]["readonlyPaths"] = json!(["/secret"]);
    })?;
    each(
        lab,
        &bundle,
        &[(&["write", "/secret/new"], EROFS), (&["write", "/secret/folder/new"], EROFS)],
    )
}

fn root_read_only(lab: &Lab) -> Result {
    let volume = lab.new_folder("volume")?;
    let bundle = lab.bundle(|config| {
        add(config, bind(&volume, "/volume", &["rbind"]));
        add(config, json!({ "destination": "/scratch", "type": "tmpfs", "source": "tmpfs" }));
    })?;
    each(
        lab,
        &bundle,
        &[
            (&["write", "/new"], EROFS),
            (&["write", "/etc/passwd"], EROFS),
            (&["write", "/scratch/new"], "ok\n"),
            (&["write", "/dev/shm/new"], "ok\n"),
            (&["write", "/volume/new", "text"], "ok\n"),
        ],
    )?;
    ensure_eq!(fs::read_to_string(volume.join("new"))?, "text", "the write to the volume");
    ensure!(!bundle.rootfs().join("new").exists(), "a write reached the read-only root");
    Ok(())
}

fn root_writable(lab: &Lab) -> Result {
    let bundle = lab.bundle(|config| config["root"]["readonly"] = false.into())?;
    each(lab, &bundle, &[(&["write", "/new", "text"], "ok\n")])?;
    ensure_eq!(fs::read_to_string(bundle.rootfs().join("new"))?, "text", "the write to the root");
    Ok(())
}

fn no_pivot(lab: &Lab) -> Result {
    let bundle = lab.bundle(|_| {})?;
    let c = lab.container(bundle);
    let facts = c.launch("run", &["--no-pivot"]).run()?.ok()?.json()?;
    ensure_eq!(facts["cwd"], "/", "working directory");
    let mounts = facts["mounts"].as_array().cloned().unwrap_or_default();
    // The host's mounts are below the covered root; what can be reached is the container's only.
    for one in &mounts {
        let target = one["target"].as_str().unwrap_or_default();
        let ours = ["/", "/proc", "/sys", "/dev"];
        let known = ours.contains(&target)
            || ours[1..].iter().any(|top| target.starts_with(&format!("{top}/")));
        ensure!(known, "a mount of the host can be seen: {one}");
    }
    let mut escape = c.bundle.clone();
    escape.config["process"]["args"] = json!(["/bin/ls", "/../../../.."]);
    escape.write()?;
    let done = lab.container(escape).launch("run", &["--no-pivot"]).run()?.ok()?;
    ensure!(done.stdout.lines().any(|name| name == "probe"), "/ is {}", done.stdout);
    Ok(())
}
