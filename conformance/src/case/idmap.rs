//! Idmapped mounts.

use serde_json::{Value, json};

use super::{Case, user_namespace};
use crate::harness::{Lab, Result, ensure_eq, needs_linux};

const MAPPINGS: &str = "config.md, Mounts, uidMappings and gidMappings; mount_setattr(2)";
const OPTIONS: &str = "config.md, Linux mount options, idmap and ridmap";
const KNOWN: &str = "runc 1.1 has no idmapped mounts";

pub(super) const CASES: &[Case] = &[
    Case::new(
        "idmap/mappings",
        "a mount has its ids mapped by its own mappings",
        MAPPINGS,
        mappings,
    )
    .known(KNOWN),
    Case::new(
        "idmap/written",
        "what is written there has the mapped id on the host",
        MAPPINGS,
        written,
    )
    .known(KNOWN),
    Case::new(
        "idmap/container",
        "idmap alone takes the mappings of the container's user namespace",
        OPTIONS,
        container,
    )
    .known(KNOWN),
    Case::new("idmap/recursive", "ridmap maps the mounts below as well", OPTIONS, recursive)
        .known(KNOWN),
    Case::new("idmap/refused", "what cannot be mapped is refused by its field", MAPPINGS, refused)
        .known(KNOWN),
    Case::new(
        "idmap/features",
        "features says that mounts can be idmapped",
        "features-linux.md",
        features,
    )
    .known(KNOWN),
];

/// One mapping of the source's ids from 0 on.
fn to(host: u32) -> Value {
    json!([{ "containerID": 0, "hostID": host, "size": 1000 }])
}

/// A bundle with `volume` of the lab's folder on /vol, and a script.
fn bind(lab: &Lab, config: &mut Value, options: &[&str], mapping: Option<Value>, script: &str) {
    let mut mount = json!({ "destination": "/vol", "type": "bind", "options": options,
                            "source": lab.folder.join("volume") });
    if let Some(mapping) = mapping {
        mount["uidMappings"] = mapping.clone();
        mount["gidMappings"] = mapping;
    }
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.push(mount);
    }
    config["process"]["args"] = json!(["/bin/sh", "-c", script]);
}

fn volume(lab: &Lab) -> Result {
    // The folder may be one of tmpfs.
    needs_linux(6, 3, "idmapped mounts of tmpfs")?;
    let volume = lab.folder.join("volume");
    std::fs::create_dir(&volume)?;
    std::fs::write(volume.join("file"), "x")?;
    std::os::unix::fs::chown(volume.join("file"), Some(7), Some(8))?;
    Ok(())
}

fn mappings(lab: &Lab) -> Result {
    volume(lab)?;
    let c = lab.container(lab.bundle(|config| {
        bind(lab, config, &["rbind"], Some(to(5000)), "stat -c %u:%g /vol /vol/file");
    })?);
    ensure_eq!(c.run()?.ok()?.silent()?.stdout, "5000:5000\n5007:5008\n", "ids");
    Ok(())
}

fn written(lab: &Lab) -> Result {
    use std::os::unix::fs::MetadataExt as _;
    volume(lab)?;
    std::os::unix::fs::chown(lab.folder.join("volume"), Some(3), Some(3))?;
    let c = lab.container(lab.bundle(|config| {
        bind(lab, config, &["bind"], Some(to(5000)), "echo >/vol/new");
        config["process"]["user"] = json!({ "uid": 5003, "gid": 5004 });
    })?);
    c.run()?.ok()?;
    let found = std::fs::metadata(lab.folder.join("volume/new"))?;
    ensure_eq!((found.uid(), found.gid()), (3, 4), "ids on the host");
    Ok(())
}

fn container(lab: &Lab) -> Result {
    volume(lab)?;
    std::os::unix::fs::chown(lab.folder.join("volume/file"), Some(0), Some(0))?;
    let run = |options: &[&str]| {
        let bundle = user_namespace::bundle(lab, |config| {
            bind(lab, config, options, None, "stat -c %u:%g /vol/file");
        })?;
        // The container's root may make nothing in it.
        std::fs::create_dir(bundle.rootfs().join("vol"))?;
        let c = lab.container(bundle);
        Ok::<_, crate::harness::Stop>(c.run()?.ok()?.stdout)
    };
    ensure_eq!(run(&["bind"])?, "65534:65534\n", "ids without idmap");
    ensure_eq!(run(&["bind", "idmap"])?, "0:0\n", "ids with idmap");
    Ok(())
}

fn recursive(lab: &Lab) -> Result {
    volume(lab)?;
    std::fs::create_dir(lab.folder.join("volume/below"))?;
    std::fs::create_dir(lab.folder.join("other"))?;
    let hook = format!("mount --bind {0}/other {0}/volume/below", lab.folder.display());
    for (option, wanted) in [("idmap", "5000\n0\n"), ("ridmap", "5000\n5000\n")] {
        let c = lab.container(lab.bundle(|config| {
            bind(lab, config, &["rbind", option], Some(to(5000)), "stat -c %u /vol /vol/below");
        })?);
        // In a mount namespace of the runtime's own: nothing of this is seen on the host.
        let wrapped = c.launch("run", &[]).wrap([
            "unshare",
            "--mount",
            "sh",
            "-c",
            &format!("{hook} && exec \"$0\" \"$@\""),
        ]);
        ensure_eq!(wrapped.run()?.ok()?.stdout, wanted, "ids with {option}");
    }
    Ok(())
}

fn refused(lab: &Lab) -> Result {
    volume(lab)?;
    let refused = |change: &dyn Fn(&mut Value), says: &str| {
        let c = lab.container(lab.bundle(|config| change(config))?);
        c.try_create()?.fails(1, says).map(drop)
    };
    refused(
        &|config| bind(lab, config, &["bind", "idmap"], None, "true"),
        ".options: idmap without",
    )?;
    let one = |config: &mut Value, gone: &str| {
        bind(lab, config, &["bind"], Some(to(1)), "true");
        let last = config["mounts"].as_array_mut().and_then(|mounts| mounts.last_mut());
        if let Some(mount) = last.and_then(Value::as_object_mut) {
            mount.remove(gone);
        }
    };
    refused(&|config| one(config, "uidMappings"), ".uidMappings: missing")?;
    refused(&|config| one(config, "gidMappings"), ".gidMappings: missing")?;
    let mut empty = to(1);
    empty[0]["size"] = 0.into();
    refused(
        &|config| bind(lab, config, &["bind"], Some(empty.clone()), "true"),
        ".uidMappings[0].size",
    )?;
    refused(
        &|config| {
            bind(lab, config, &[], Some(to(1)), "true");
            if let Some(mount) =
                config["mounts"].as_array_mut().and_then(|mounts| mounts.last_mut())
            {
                mount["type"] = "tmpfs".into();
            }
        },
        ".options: only bind mounts",
    )
}

fn features(lab: &Lab) -> Result {
    let features = lab.call(["features"]).without_root().run()?.ok()?.json()?;
    ensure_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], json!(true), "idmap");
    let options = features["mountOptions"].as_array().cloned().unwrap_or_default();
    for option in ["idmap", "ridmap"] {
        ensure_eq!(options.contains(&json!(option)), true, "{option} in mountOptions");
    }
    Ok(())
}
