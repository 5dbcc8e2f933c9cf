//! Namespaces of the node and of another container.

use std::time::Instant;

use k8s_cri::v1::{
    LinuxContainerConfig, LinuxContainerSecurityContext, NamespaceMode, NamespaceOption,
};

use super::super::client::Kubelet;
use super::super::daemon::Daemon;
use super::{on_a_node, secured};
use crate::support::Runtime;
use crate::support::process::{DEADLINE, Handle, live};

pub(crate) fn namespaces_of_others(runtime: Runtime) {
    on_a_node(&runtime, async |daemon| {
        let mut kubelet = Kubelet::connect(daemon).await;
        of_the_node(&mut kubelet, daemon).await;
        of_another_container(&mut kubelet).await;
    });
}

/// hostNetwork, hostPID and hostIPC.
async fn of_the_node(kubelet: &mut Kubelet, daemon: &Daemon) {
    let node = NamespaceMode::Node.into();
    let options = NamespaceOption { network: node, pid: node, ipc: node, ..Default::default() };
    let pod = kubelet
        .pod("host", |config| {
            // The node's own, in the node's UTS namespace.
            config.hostname.clear();
            let linux = config.linux.get_or_insert_default();
            linux.security_context.get_or_insert_default().namespace_options =
                Some(options.clone());
        })
        .await;
    let security =
        LinuxContainerSecurityContext { namespace_options: Some(options), ..Default::default() };
    let id = kubelet
        .container(&pod, "one", &["sh", "-c", "sleep 1001 & exec sleep 1000"], secured(security))
        .await
        .expect("a container");
    let look = "cd /proc/self/ns; for n in net pid ipc; do readlink $n; done";
    let node = daemon.place().command("sh").args(["-c", look]).output().expect("a shell");
    let node = String::from_utf8_lossy(&node.stdout).into_owned();
    assert_eq!(kubelet.shell(&id, look).await, (node, 0));
    let (mounts, _) = kubelet.shell(&id, "readlink /proc/self/ns/mnt").await;
    let of_node = daemon.place().command("readlink").arg("/proc/self/ns/mnt").output();
    assert_ne!(mounts.as_bytes(), of_node.expect("readlink").stdout, "never the node's mounts");
    let (here, _) = kubelet.shell(&id, &format!("cat /proc/{}/comm", std::process::id())).await;
    let comm = std::fs::read_to_string("/proc/self/comm").expect("the name of this process");
    assert_eq!(here, comm, "this test, as the container sees it");

    // No pid namespace ends with the first process: the runtime has to end the others (kill --all).
    let members: Vec<Handle> = live()
        .into_iter()
        .filter(|(_, seen)| seen.cgroups.contains(&id))
        .filter_map(|(pid, _)| Handle::open(pid))
        .collect();
    assert_eq!(members.len(), 2, "both programs of the container");
    kubelet.stop(&id).await;
    let until = Instant::now() + DEADLINE;
    assert!(members.iter().all(|member| member.wait(until)), "a process outlives its container");
    kubelet.remove_pod(&pod).await;
}

/// As `kubectl debug --target` has it.
async fn of_another_container(kubelet: &mut Kubelet) {
    let pod = kubelet.pod("pod", |_| {}).await;
    let own = LinuxContainerSecurityContext {
        namespace_options: Some(NamespaceOption {
            pid: NamespaceMode::Container.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let target = kubelet
        .container(&pod, "target", &["sleep", "1000"], secured(own))
        .await
        .expect("a container");
    let targeted = LinuxContainerSecurityContext {
        namespace_options: Some(NamespaceOption {
            pid: NamespaceMode::Target.into(),
            target_id: target.clone(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let debugger = kubelet
        .container(&pod, "debugger", &["sleep", "1001"], secured(targeted))
        .await
        .expect("a container");
    let namespace = "readlink /proc/self/ns/pid";
    assert_eq!(
        kubelet.shell(&debugger, namespace).await,
        kubelet.shell(&target, namespace).await,
        "the pid namespace of the target"
    );
    let (first, _) = kubelet.shell(&debugger, "cat /proc/1/cmdline").await;
    assert_eq!(first, "sleep\x001000\0", "the target's program is the first process");
    let other = kubelet
        .container(&pod, "other", &["sleep", "1002"], LinuxContainerConfig::default())
        .await
        .expect("a container");
    assert_ne!(
        kubelet.shell(&other, namespace).await.0,
        kubelet.shell(&target, namespace).await.0,
        "who names no target"
    );

    // The kernel ends a pid namespace with its first process.
    kubelet.stop(&target).await;
    assert_eq!(kubelet.ended(&debugger).await.exit_code, 137);
    kubelet.remove_pod(&pod).await;
}
