//! Containers as units of systemd: what `systemctl` shows of them, and that systemd takes nothing back.

use std::collections::HashMap;

use k8s_cri::v1::{LinuxContainerResources, UpdateContainerResourcesRequest};

use super::super::client::Kubelet;
use super::{limited, play};
use crate::support::{Runtime, systemd};

/// The name of a property or file, and what it has to say.
type Wanted = (&'static str, &'static str);

/// The limits that a container is made with and those of an update, as properties and in the files of the cgroup.
const FIRST: [Wanted; 4] = [
    ("MemoryMax", "67108864"),
    ("TasksMax", "55"),
    ("CPUQuotaPerSecUSec", "300ms"),
    ("CPUQuotaPeriodUSec", "100ms"),
];
const FIRST_FILES: [Wanted; 4] = [
    ("memory.max", "67108864"),
    ("memory.swap.max", "0"),
    ("pids.max", "55"),
    ("cpu.max", "30000 100000"),
];
const SECOND: [Wanted; 3] =
    [("MemoryMax", "100663296"), ("TasksMax", "55"), ("CPUQuotaPerSecUSec", "200ms")];
const SECOND_FILES: [Wanted; 4] = [
    ("memory.max", "100663296"),
    ("memory.swap.max", "0"),
    ("pids.max", "55"),
    ("cpu.max", "20000 100000"),
];

fn first() -> LinuxContainerResources {
    LinuxContainerResources {
        memory_limit_in_bytes: 64 << 20,
        memory_swap_limit_in_bytes: 64 << 20,
        cpu_shares: 512,
        cpu_quota: 30_000,
        cpu_period: 100_000,
        unified: HashMap::from([("pids.max".into(), "55".into())]),
        ..Default::default()
    }
}

pub(crate) fn limits_of_units(runtime: Runtime) {
    let is_teu = runtime.is_teu();
    play(runtime, |mut kubelet| async move {
        let pod = kubelet.pod("pod", |_| {}).await;
        let slice = pod.slice.clone().expect("the slice of the pod");
        let program = ["sh", "-c", "trap 'exit 4' TERM; while :; do sleep 1000 & wait; done"];
        let id = kubelet.container(&pod, "one", &program, limited(first())).await;
        let id = id.expect("a container");
        let unit = format!("cri-containerd-{id}.scope");
        systemd::has(&unit, &[("ActiveState", "active"), ("Slice", &slice), ("Delegate", "yes")]);
        systemd::has(&format!("cri-containerd-{}.scope", pod.id), &[("Slice", &slice)]);
        systemd::has(&unit, &FIRST);
        systemd::holds(&unit, &FIRST_FILES);
        let weight = systemd::file(&unit, "cpu.weight").expect("cpu.weight");
        systemd::has(&unit, &[("CPUWeight", &weight)]);

        systemd::reload(&unit);
        systemd::holds(&unit, &lasting(is_teu, &FIRST_FILES));
        systemd::holds(&unit, &[("cpu.weight", &weight)]);
        devices(&mut kubelet, &id).await;

        let linux = LinuxContainerResources {
            memory_limit_in_bytes: 96 << 20,
            memory_swap_limit_in_bytes: 96 << 20,
            cpu_quota: 20_000,
            ..first()
        };
        let request = UpdateContainerResourcesRequest {
            container_id: id.clone(),
            linux: Some(linux),
            ..Default::default()
        };
        kubelet.api.update_container_resources(request).await.expect("UpdateContainerResources");
        systemd::has(&unit, &SECOND);
        systemd::holds(&unit, &SECOND_FILES);
        systemd::reload(&unit);
        systemd::holds(&unit, &lasting(is_teu, &SECOND_FILES));
        devices(&mut kubelet, &id).await;

        // What the kubelet's CPU manager asks for: no quota at all.
        let linux = LinuxContainerResources { cpu_quota: -1, ..Default::default() };
        let request = UpdateContainerResourcesRequest {
            container_id: id.clone(),
            linux: Some(linux),
            ..Default::default()
        };
        kubelet.api.update_container_resources(request).await.expect("UpdateContainerResources");
        systemd::has(&unit, &[("CPUQuotaPerSecUSec", "infinity"), SECOND[0], SECOND[1]]);
        systemd::reload(&unit);
        systemd::holds(&unit, &[("cpu.max", "max 100000")]);
        systemd::holds(&unit, &lasting(is_teu, &SECOND_FILES[..3]));

        kubelet.stop(&id).await;
        assert_eq!(kubelet.status(&id).await.exit_code, 4);
        systemd::gone(&unit);
        kubelet.remove(&id).await;
        kubelet.remove_pod(&pod).await;
    });
}

/// Those of the files that systemd leaves as they are. runc does not tell it that there may be no swap, and systemd
/// takes that back (moby#51446).
fn lasting(is_teu: bool, files: &[Wanted]) -> Vec<Wanted> {
    files.iter().copied().filter(|(name, _)| is_teu || *name != "memory.swap.max").collect()
}

/// A device of the container can be opened, and one that nobody allowed cannot.
async fn devices(kubelet: &mut Kubelet, id: &str) {
    // 1:11 is the kernel's log.
    let script = "head() { busybox head -c 1 $1 >/dev/null && echo $1; }; rm -f /k; busybox mknod /k c 1 11 && \
                  head /dev/zero; head /k 2>/dev/null; :";
    assert_eq!(kubelet.shell(id, script).await, ("/dev/zero\n".into(), 0));
}
