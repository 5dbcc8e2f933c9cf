//! Seccomp profiles of the node, covered paths, and privileged containers.

use k8s_cri::v1::security_profile::ProfileType;
use k8s_cri::v1::{LinuxContainerSecurityContext, SecurityProfile};

use super::super::client::{Kubelet, Pod};
use super::super::daemon::Daemon;
use super::{on_a_node, secured};
use crate::support::Runtime;

pub(crate) fn profiles_and_privileges(runtime: Runtime) {
    on_a_node(&runtime, async |daemon| {
        let mut kubelet = Kubelet::connect(daemon).await;
        let pod = kubelet
            .pod("pod", |config| {
                let linux = config.linux.get_or_insert_default();
                linux.security_context.get_or_insert_default().privileged = true;
            })
            .await;
        profile(&mut kubelet, &pod, daemon).await;
        covered(&mut kubelet, &pod).await;
        privileged(&mut kubelet, &pod).await;
        kubelet.remove_pod(&pod).await;
    });
}

/// A seccomp profile from a file of the node.
async fn profile(kubelet: &mut Kubelet, pod: &Pod, daemon: &Daemon) {
    let names = r#"["mkdir", "mkdirat", "chmod", "fchmodat", "no_such_call"]"#;
    let rule = format!(r#"{{"names": {names}, "action": "SCMP_ACT_ERRNO"}}"#);
    let profile = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rule}]}}"#);
    daemon.place().write("profile.json", &profile);
    let of_node = SecurityProfile {
        profile_type: ProfileType::Localhost.into(),
        localhost_ref: daemon.place().path("profile.json").display().to_string(),
    };
    let none =
        SecurityProfile { profile_type: ProfileType::Unconfined.into(), ..Default::default() };
    let filtered = "2\nmkdir: can't create directory '/x': Operation not permitted\nchmod: /tmp: Operation not permitted\n";
    let mut ids = Vec::new();
    for (name, seccomp, expected) in [("filtered", of_node, filtered), ("free", none, "0\n")] {
        let security =
            LinuxContainerSecurityContext { seccomp: Some(seccomp), ..Default::default() };
        // The first program of the container is as bound as what is run in it later.
        let script = "set -- $(grep Seccomp: /proc/self/status); echo $2; mkdir /x; chmod 700 /tmp; touch /y";
        let first = format!("exec >/out 2>&1; {script}; exec sleep 1000");
        let id = kubelet
            .container(pod, name, &["sh", "-c", &first], secured(security))
            .await
            .expect("a container");
        let (first, _) = kubelet.shell(&id, "until test -e /y; do :; done; cat /out").await;
        assert_eq!(first, expected, "{name}");
        let (later, _) = kubelet.shell(&id, &format!("rm -rf /x; {script}")).await;
        assert_eq!(later, expected, "{name}");
        ids.push(id);
    }
    for id in ids {
        kubelet.stop(&id).await;
    }
}

/// Masked and read-only paths.
async fn covered(kubelet: &mut Kubelet, pod: &Pod) {
    let security = LinuxContainerSecurityContext {
        masked_paths: ["/proc/kcore", "/proc/version", "/sys/kernel", "/no/such/path"]
            .map(String::from)
            .to_vec(),
        readonly_paths: ["/proc/sys", "/no/such/path"].map(String::from).to_vec(),
        ..Default::default()
    };
    let id = kubelet
        .container(pod, "covered", &["sleep", "1000"], secured(security))
        .await
        .expect("a container");
    let look = "cat /proc/version; ls /sys/kernel; : >/proc/sys/kernel/domainname";
    let (said, _) = kubelet.shell(&id, look).await;
    assert_eq!(said, "sh: can't create /proc/sys/kernel/domainname: Read-only file system\n");
    let (said, _) = kubelet.shell(&id, "mount -t tmpfs tmpfs /tmp").await;
    assert!(said.contains("denied") || said.contains("permitted"), "{said}");
    kubelet.stop(&id).await;
}

/// A privileged container, in a pod that allows it.
async fn privileged(kubelet: &mut Kubelet, pod: &Pod) {
    let security = LinuxContainerSecurityContext { privileged: true, ..Default::default() };
    let id = kubelet
        .container(pod, "privileged", &["sleep", "1000"], secured(security))
        .await
        .expect("a container");
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let field = |name| status.lines().find(|line| line.starts_with(name)).expect("a field");
    let (own, _) = kubelet.shell(&id, "grep -E 'CapEff|Seccomp:' /proc/self/status").await;
    assert_eq!(own, format!("{}\nSeccomp:\t0\n", field("CapEff")), "all that containerd has");
    let act = "mount -t tmpfs tmpfs /tmp && : >/proc/sys/kernel/domainname && grep -c ' / /sys rw' /proc/self/mountinfo";
    assert_eq!(kubelet.shell(&id, act).await, ("1\n".into(), 0));
    let (devices, _) = kubelet.shell(&id, "ls /dev").await;
    assert!(devices.lines().any(|name| name == "kmsg"), "the node's devices: {devices}");
    kubelet.stop(&id).await;
}
