//! Volumes, their propagation, and devices.

use k8s_cri::v1::{
    Capability, Device, LinuxContainerConfig, LinuxContainerSecurityContext, Mount,
    MountPropagation,
};

use super::super::client::{Kubelet, Pod};
use super::super::daemon::Daemon;
use super::{on_a_node, secured};
use crate::support::Runtime;

pub(crate) fn mounts_and_devices(runtime: Runtime) {
    on_a_node(&runtime, async |daemon| {
        let mut kubelet = Kubelet::connect(daemon).await;
        let pod = kubelet.pod("pod", |_| {}).await;
        propagation(&mut kubelet, &pod, daemon).await;
        device(&mut kubelet, &pod, daemon).await;
        kubelet.remove_pod(&pod).await;
    });
}

/// A script of the node, in containerd's mounts.
fn on_node(daemon: &Daemon, script: &str) -> String {
    let output = daemon.place().command("sh").args(["-c", script]).output().expect("a shell");
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn propagation(kubelet: &mut Kubelet, pod: &Pod, daemon: &Daemon) {
    on_node(
        daemon,
        "mkdir -p v/before v/after v/back v/never && mount --bind v v && mount --make-shared v && \
         mount -t tmpfs tmpfs v/before && touch v/before/it",
    );
    let volume = |path: &str, propagation: MountPropagation, readonly| Mount {
        container_path: path.into(),
        host_path: daemon.place().path("v").display().to_string(),
        propagation: propagation.into(),
        readonly,
        ..Default::default()
    };
    let security = LinuxContainerSecurityContext {
        capabilities: Some(Capability {
            add_capabilities: vec!["SYS_ADMIN".into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let id = kubelet
        .edited(pod, "volumes", &["sleep", "1000"], |config| {
            config.mounts = vec![
                volume("/private", MountPropagation::PropagationPrivate, false),
                volume("/slave", MountPropagation::PropagationHostToContainer, false),
                volume("/shared", MountPropagation::PropagationBidirectional, false),
                volume("/readonly", MountPropagation::PropagationPrivate, true),
            ];
            config.linux = Some(secured(security));
        })
        .await
        .expect("a container");
    let there = "ls /*/before/it";
    let everywhere =
        "/private/before/it\n/readonly/before/it\n/shared/before/it\n/slave/before/it\n";
    assert_eq!(kubelet.shell(&id, there).await.0, everywhere, "what was mounted before");
    on_node(daemon, "mount -t tmpfs tmpfs v/after && touch v/after/it");
    let (seen, _) = kubelet.shell(&id, "ls /*/after/it").await;
    assert_eq!(seen, "/shared/after/it\n/slave/after/it\n", "what the node mounts later");
    let mounts = "mount -t tmpfs tmpfs /shared/back && touch /shared/back/it && \
                  mount -t tmpfs tmpfs /slave/never && touch /slave/never/it";
    assert_eq!(kubelet.shell(&id, mounts).await, (String::new(), 0));
    assert_eq!(on_node(daemon, "ls v/back v/never"), "v/back:\nit\n\nv/never:\n");
    let (said, code) = kubelet.shell(&id, "touch /readonly/x").await;
    assert!(code == 1 && said.contains("Read-only file system"), "{code} {said}");
    kubelet.stop(&id).await;
    kubelet.remove(&id).await;
    on_node(daemon, "umount v/back v/after v/before v");
}

async fn device(kubelet: &mut Kubelet, pod: &Pod, daemon: &Daemon) {
    // The kernel's log: there on every machine, and no container may use it by default.
    on_node(daemon, "mknod kmsg c 1 11");
    let device = |permissions: &str| Device {
        container_path: "/dev/it".into(),
        host_path: daemon.place().path("kmsg").display().to_string(),
        permissions: permissions.into(),
    };
    for (name, permissions, expected) in [
        ("writer", "rw", ("", 0)),
        ("reader", "r", ("sh: can't create /dev/it: Operation not permitted\n", 1)),
    ] {
        let id = kubelet
            .edited(pod, name, &["sleep", "1000"], |config| {
                config.devices = vec![device(permissions)];
                config.linux = Some(LinuxContainerConfig::default());
            })
            .await
            .expect("a container");
        let (listed, _) = kubelet.shell(&id, "ls -l /dev/it").await;
        assert!(listed.starts_with("crw") && listed.contains("1,  11"), "{listed}");
        let (said, code) = kubelet.shell(&id, ": >>/dev/it").await;
        assert_eq!((said.as_str(), code), expected, "{permissions}");
    }
}
