//! The checks, each what a kubelet would do for some pods.

mod life;
mod mounts;
mod namespaces;
mod security;
mod streams;
mod units;

pub(crate) use life::containerd_starts_anew;
pub(crate) use mounts::mounts_and_devices;
pub(crate) use namespaces::namespaces_of_others;
pub(crate) use security::profiles_and_privileges;
pub(crate) use streams::exec_attach_port_forward;
pub(crate) use units::limits_of_units;

use std::collections::HashMap;

use k8s_cri::v1::security_profile::ProfileType;
use k8s_cri::v1::{
    Capability, ContainerStatsRequest, Int64Value, LinuxContainerConfig, LinuxContainerResources,
    LinuxContainerSecurityContext, NamespaceMode, NamespaceOption, SecurityProfile,
    UpdateContainerResourcesRequest,
};

use super::client::{EXITED, Kubelet, RUNNING};
use super::daemon::Daemon;
use crate::support::{Runtime, cgroup};

/// A story of a kubelet with a containerd of its own.
fn play<F: Future<Output = ()>>(runtime: Runtime, story: impl FnOnce(Kubelet) -> F) {
    on_a_node(&runtime, async |daemon| story(Kubelet::connect(daemon).await).await);
}

/// A story of everything on a node.
fn on_a_node(runtime: &Runtime, story: impl AsyncFnOnce(&mut Daemon)) {
    let mut daemon = Daemon::start(runtime);
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build();
    executor.expect("an executor").block_on(story(&mut daemon));
    daemon.nothing_left();
}

fn secured(security: LinuxContainerSecurityContext) -> LinuxContainerConfig {
    LinuxContainerConfig { security_context: Some(security), ..Default::default() }
}

fn limited(resources: LinuxContainerResources) -> LinuxContainerConfig {
    LinuxContainerConfig { resources: Some(resources), ..Default::default() }
}

pub(crate) fn a_pod_and_its_containers(runtime: Runtime) {
    play(runtime, |mut kubelet| async move {
        let pod = kubelet.pod("pod", |_| {}).await;
        let memory =
            LinuxContainerResources { memory_limit_in_bytes: 64 << 20, ..Default::default() };
        let program = ["sh", "-c", "echo out; echo err >&2; exec sleep 1000"];
        let id =
            kubelet.container(&pod, "one", &program, limited(memory)).await.expect("a container");
        assert_eq!(kubelet.status(&id).await.state, RUNNING);

        assert_eq!(kubelet.shell(&id, "echo in; exit 7").await, ("in\n".into(), 7));
        assert_eq!(kubelet.shell(&id, "hostname").await, ("pod\n".into(), 0));
        let (interfaces, _) = kubelet.shell(&id, "ls /sys/class/net").await;
        assert_eq!(interfaces, "eth0\nlo\n", "a network of its own");
        let limit = format!("cat {}", cgroup::memory());
        assert_eq!(kubelet.shell(&id, &limit).await.0, "67108864\n");

        let more = LinuxContainerResources {
            memory_limit_in_bytes: 96 << 20,
            cpu_shares: 300,
            ..Default::default()
        };
        let request = UpdateContainerResourcesRequest {
            container_id: id.clone(),
            linux: Some(more),
            ..Default::default()
        };
        kubelet.api.update_container_resources(request).await.expect("UpdateContainerResources");
        assert_eq!(kubelet.shell(&id, &limit).await.0, "100663296\n");
        let (shares, _) = kubelet.shell(&id, &format!("cat {}", cgroup::shares())).await;
        assert!(cgroup::has_shares(&shares, 300), "{shares}");

        let request = ContainerStatsRequest { container_id: id.clone() };
        let stats =
            kubelet.api.container_stats(request).await.expect("ContainerStats").into_inner();
        let used = stats.stats.and_then(|stats| stats.memory?.working_set_bytes);
        assert!(used.is_some_and(|used| used.value > 0), "{used:?}");

        let missing = kubelet
            .container(&pod, "two", &["no-such-program"], LinuxContainerConfig::default())
            .await;
        let message = missing.expect_err("there is no such program").message().to_owned();
        assert!(message.contains("executable file not found in $PATH"), "{message}");
        let code = kubelet
            .container(&pod, "three", &["sh", "-c", "exit 42"], LinuxContainerConfig::default())
            .await;
        let code = code.expect("a container");
        let ended = kubelet.ended(&code).await;
        assert_eq!((ended.exit_code, ended.reason.as_str()), (42, "Error"));

        let log = std::fs::read_to_string(format!("{}/one.log", pod.config.log_directory))
            .expect("the log");
        assert!(log.contains(" stdout F out\n") && log.contains(" stderr F err\n"), "{log}");
        // In the pod's pid namespace it is not a first process, which would be deaf to SIGTERM.
        kubelet.stop(&id).await;
        let status = kubelet.status(&id).await;
        assert_eq!((status.state, status.exit_code), (EXITED, 143));
        kubelet.remove(&id).await;
        kubelet.remove_pod(&pod).await;
    });
}

pub(crate) fn what_a_container_may(runtime: Runtime) {
    play(runtime, |mut kubelet| async move {
        let pod = kubelet
            .pod("pod", |config| {
                if let Some(linux) = &mut config.linux {
                    linux.sysctls = HashMap::from([("net.ipv4.ip_forward".into(), "1".into())]);
                    let options =
                        NamespaceOption { pid: NamespaceMode::Pod.into(), ..Default::default() };
                    let security = linux.security_context.get_or_insert_default();
                    security.namespace_options = Some(options);
                }
            })
            .await;
        let security = LinuxContainerSecurityContext {
            run_as_user: Some(Int64Value { value: 1000 }),
            run_as_group: Some(Int64Value { value: 1000 }),
            supplemental_groups: vec![77],
            readonly_rootfs: true,
            no_new_privs: true,
            capabilities: Some(Capability {
                drop_capabilities: vec!["ALL".into()],
                add_capabilities: vec!["NET_BIND_SERVICE".into()],
                ..Default::default()
            }),
            seccomp: Some(SecurityProfile {
                profile_type: ProfileType::RuntimeDefault.into(),
                ..Default::default()
            }),
            namespace_options: Some(NamespaceOption {
                pid: NamespaceMode::Pod.into(),
                ..Default::default()
            }),
            masked_paths: vec!["/proc/kcore".into()],
            readonly_paths: vec!["/proc/sys".into()],
            ..Default::default()
        };
        let one = kubelet
            .container(&pod, "one", &["sleep", "1000"], secured(security))
            .await
            .expect("a container");
        let identity = "id -u; id -g; id -G; touch /x 2>&1; grep -E 'NoNewPrivs|Seccomp:|CapBnd' /proc/self/status";
        let (said, _) = kubelet.shell(&one, identity).await;
        for part in [
            "1000\n1000\n1000 77\n",
            "Read-only file system",
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
            "CapBnd:\t0000000000000400",
        ] {
            assert!(said.contains(part), "{part:?} in {said}");
        }
        assert_eq!(kubelet.shell(&one, "cat /proc/sys/net/ipv4/ip_forward").await.0, "1\n");
        // The pod's holder and its other containers are there, too.
        let (processes, _) = kubelet.shell(&one, "ps").await;
        assert!(processes.contains("sleep 1000000"), "{processes}");

        let alone = LinuxContainerSecurityContext {
            namespace_options: Some(NamespaceOption {
                pid: NamespaceMode::Container.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let two = kubelet
            .container(&pod, "two", &["sleep", "1000"], secured(alone))
            .await
            .expect("a container");
        let (processes, _) = kubelet.shell(&two, "ps").await;
        assert!(
            !processes.contains("sleep 1000000") && processes.contains("sleep 1000"),
            "{processes}"
        );
        kubelet.remove_pod(&pod).await;
    });
}

pub(crate) fn out_of_memory(runtime: Runtime) {
    play(runtime, |mut kubelet| async move {
        let pod = kubelet.pod("pod", |_| {}).await;
        let memory =
            LinuxContainerResources { memory_limit_in_bytes: 16 << 20, ..Default::default() };
        // Not the container's first act: containerd listens to the kernel only when it has started it.
        let id = kubelet
            .container(&pod, "one", &["sleep", "1000"], limited(memory))
            .await
            .expect("a container");
        let (_, code) = kubelet.shell(&id, "x=a; while :; do x=$x$x; done").await;
        assert_eq!(code, 137, "the kernel ends the hungriest");
        kubelet.stop(&id).await;
        assert_eq!(kubelet.ended(&id).await.reason, "OOMKilled");
        kubelet.remove_pod(&pod).await;
    });
}

pub(crate) fn fifty_pods_at_once(runtime: Runtime) {
    pods_at_once(50, runtime);
}

pub(crate) fn twenty_pods_at_once(runtime: Runtime) {
    pods_at_once(20, runtime);
}

/// As many as that, but ten where the host has one CPU: containerd gives up after ten seconds on what it does at the end
/// of each, and then leaves the shim behind.
fn pods_at_once(count: usize, runtime: Runtime) {
    let cpus = std::thread::available_parallelism().expect("the number of CPUs").get();
    let count = if cpus == 1 { count.min(10) } else { count };
    play(runtime, |kubelet| async move {
        let pods = (0..count).map(|number| {
            let mut kubelet = kubelet.clone();
            async move {
                let pod = kubelet.pod(&format!("pod-{number}"), |_| {}).await;
                let script = format!("echo {number}; exec sleep 1000");
                let program = ["sh", "-c", &script];
                let id =
                    kubelet.container(&pod, "one", &program, LinuxContainerConfig::default()).await;
                let id = id.expect("a container");
                assert_eq!(kubelet.status(&id).await.state, RUNNING);
                assert_eq!(kubelet.shell(&id, "hostname").await.0, format!("pod-{number}\n"));
                pod
            }
        });
        let up = futures_join(pods).await;
        assert_eq!(up.len(), count);
        let down = up.into_iter().map(|pod| {
            let mut kubelet = kubelet.clone();
            async move { kubelet.remove_pod(&pod).await }
        });
        futures_join(down).await;
    });
}

/// All at the same time.
async fn futures_join<F: Future<Output: 'static> + 'static>(
    all: impl Iterator<Item = F>,
) -> Vec<F::Output> {
    let set = tokio::task::LocalSet::new();
    let tasks: Vec<_> = all.map(|one| set.spawn_local(one)).collect();
    set.await;
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.expect("a pod's story"));
    }
    outputs
}
