//! Propagation: of single mounts and of `linux.rootfsPropagation`.

use std::fs;

use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};

use super::Case;
use super::rootfs::{HostMount, add, bind, facts, mount_at};
use crate::harness::{Lab, Result, ensure, ensure_eq};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "propagation/options",
        "private, shared, slave and unbindable show in mountinfo's optional fields",
        "OCI runtime-spec config.md#linux-mount-options; mount_namespaces(7)",
        propagation,
    ),
    Case::new(
        "propagation/late-mount",
        "a mount made on the host later appears below an rslave bind, and not below a private one",
        "mount_namespaces(7)",
        propagation_in,
    ),
    Case::new(
        "propagation/rootfs",
        "rootfsPropagation is the propagation of /",
        "OCI runtime-spec config-linux.md#rootfs-mount-propagation",
        rootfs_propagation,
    )
    .known("runc 1.1 makes the parent private before it binds the rootfs, so shared is lost"),
    Case::new(
        "propagation/rootfs-host",
        "on a host whose mounts are shared, / receives from it when it is a slave, and never sends",
        "OCI runtime-spec config-linux.md#rootfs-mount-propagation",
        rootfs_host,
    ),
];

/// Whether one of mountinfo's optional fields of the mount starts with the word.
fn propagates(mount: &Value, word: &str) -> bool {
    let fields = mount["propagation"].as_array();
    fields.is_some_and(|all| all.iter().filter_map(Value::as_str).any(|f| f.starts_with(word)))
}

fn propagation(lab: &Lab) -> Result {
    let source = HostMount::on(lab.new_folder("source")?)?;
    mount(None::<&str>, &source.0, None::<&str>, MsFlags::MS_SHARED, None::<&str>)?;
    let words = ["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable"];
    let mounts = words.map(|word| bind(&source.0, &format!("/tmp/{word}"), &["rbind", word]));
    let facts = facts(lab, &mounts)?;
    for word in words {
        let mount = mount_at(&facts, &format!("/tmp/{word}"))?;
        for (field, options) in [
            ("shared:", &["shared", "rshared"][..]),
            ("master:", &["slave", "rslave"][..]),
            ("unbindable", &["unbindable"][..]),
        ] {
            // What is shared inside may also be a slave of the host.
            let open = field == "master:" && word.ends_with("shared");
            let wanted = options.contains(&word);
            ensure!(open || propagates(mount, field) == wanted, "{field} of {word}: {mount}");
        }
    }
    Ok(())
}

fn propagation_in(lab: &Lab) -> Result {
    let source = HostMount::on(lab.new_folder("source")?)?;
    mount(None::<&str>, &source.0, None::<&str>, MsFlags::MS_SHARED, None::<&str>)?;
    let c = lab.container(lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "sleep"]);
        add(config, bind(&source.0, "/tmp/slave", &["rbind", "rslave"]));
        add(config, bind(&source.0, "/tmp/private", &["rbind", "rprivate"]));
    })?);
    c.up_ready()?;
    let _late = HostMount::on(source.0.join("late"))?;
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", c.pid()?))?;
    ensure!(table.contains(" /tmp/slave/late "), "the mount did not reach the slave: {table}");
    ensure!(!table.contains(" /tmp/private/late "), "the mount reached the private one: {table}");
    Ok(())
}

/// In a mount namespace where all is shared, as systemd has it on a host.
fn rootfs_host(lab: &Lab) -> Result {
    let table = lab.folder.join("mountinfo");
    let script = format!("cat /proc/self/mountinfo >{}; exec \"$0\" \"$@\"", table.display());
    for (word, receives) in
        [("slave", true), ("rslave", true), ("private", false), ("shared", false)]
    {
        let c =
            lab.container(lab.bundle(|config| config["linux"]["rootfsPropagation"] = word.into())?);
        let shared = ["unshare", "--mount", "--propagation", "shared", "sh", "-c", &script];
        let facts = c.launch("run", &[]).wrap(shared).run()?.ok()?.json()?;
        let root = mount_at(&facts, "/")?;
        // What is shared inside may also be a slave of the host.
        let open = word == "shared";
        ensure!(open || propagates(root, "master:") == receives, "/ with {word}: {root}");
        let hosts = fs::read_to_string(&table)?;
        let fields = root["propagation"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for peer in fields.filter(|field| field.starts_with("shared:")) {
            let found = hosts.split_whitespace().any(|field| field == peer);
            ensure!(!found, "/ with {word} is a peer of the host's: {root}");
        }
    }
    Ok(())
}

fn rootfs_propagation(lab: &Lab) -> Result {
    let words = ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable"];
    for word in words {
        let bundle = lab.bundle(|config| config["linux"]["rootfsPropagation"] = word.into())?;
        let facts = lab.container(bundle).facts()?;
        let root = mount_at(&facts, "/")?;
        let shared = word.ends_with("shared");
        ensure_eq!(propagates(root, "shared:"), shared, "shared of / with {word}: {root}");
        let unbindable = word == "unbindable";
        ensure_eq!(propagates(root, "unbindable"), unbindable, "/ with {word}: {root}");
    }
    Ok(())
}
