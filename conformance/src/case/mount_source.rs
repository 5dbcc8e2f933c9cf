//! What may be bound, and what may not be said of it.

use std::fs;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use super::Case;
use super::namespace::without;
use super::rootfs::{add, bind};
use super::user_namespace;
use crate::harness::{Lab, Result, ensure_eq};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "mount/bind-kinds",
        "a socket, a pipe and a device can be bound",
        "OCI runtime-spec config.md#mounts source (a file or directory name)",
        kinds,
    ),
    Case::new(
        "mount/bind-data",
        "an option of a file system is none of a bind mount",
        "OCI runtime-spec runtime.md#create (what cannot be applied is an error); mount(2)",
        data,
    )
    .known("runc 1.1 ignores it"),
    Case::new(
        "mount/sys-host-network",
        "sysfs in a user namespace with the host's network, which the kernel refuses, is the host's",
        "crun, Podman: --network=host with --userns; sysfs(5)",
        sys_host_network,
    )
    .known("runc 1.1 leaves it to the caller to bind /sys"),
];

fn kinds(lab: &Lab) -> Result {
    let folder = lab.new_folder("sources")?;
    let _listener = UnixListener::bind(folder.join("socket"))?;
    mknodat(CWD, folder.join("pipe"), FileType::Fifo, Mode::RWXU, 0)?;
    let script = "for word in S:socket p:pipe c:null; do
        test -${word%%:*} /tmp/${word#*:} && echo ${word#*:}; done";
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
        add(config, bind(&folder.join("socket"), "/tmp/socket", &["bind"]));
        add(config, bind(&folder.join("pipe"), "/tmp/pipe", &["bind"]));
        add(config, bind("/dev/null".as_ref(), "/tmp/null", &["bind"]));
    })?;
    let rootfs = bundle.rootfs();
    ensure_eq!(lab.container(bundle).run()?.ok()?.stdout, "socket\npipe\nnull\n", "what is bound");
    // Their mount points are plain files.
    for name in ["socket", "pipe", "null"] {
        ensure_eq!(fs::symlink_metadata(rootfs.join("tmp").join(name))?.is_file(), true, "{name}");
    }
    Ok(())
}

fn data(lab: &Lab) -> Result {
    let source = lab.new_folder("source")?;
    let with = |options: &[&str]| {
        let mount = bind(&source, "/tmp", options);
        Ok::<_, crate::harness::Stop>(
            lab.container(lab.bundle(|config: &mut Value| add(config, mount))?),
        )
    };
    with(&["bind", "nosuid"])?.create()?;
    with(&["bind", "size=1m"])?.try_create()?.refused()?.fails(1, "size").map(drop)
}

fn sys_host_network(lab: &Lab) -> Result {
    let bundle = user_namespace::bundle(lab, |config| {
        without(config, "network", false);
        config["process"]["args"] =
            json!(["/bin/sh", "-c", "test -d /sys/class/net/lo && echo there; mkdir /sys/new"]);
    })?;
    ensure_eq!(lab.container(bundle).run()?.stdout, "there\n", "the host's sysfs");
    Ok(())
}
