//! How containers end, and what is known of them when containerd was not there.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Instant;

use k8s_cri::v1::{
    ContainerMetadata, ExecSyncRequest, LinuxContainerConfig, Mount, PodSandboxStatusRequest,
};

use super::super::client::{EXITED, Kubelet, RUNNING};
use super::on_a_node;
use crate::support::Runtime;
use crate::support::process::{DEADLINE, Handle, live};

/// The state of a pod that runs, as the API numbers it.
const READY: i32 = 0;

pub(crate) fn containerd_starts_anew(runtime: Runtime) {
    on_a_node(&runtime, async |daemon| {
        let mut kubelet = Kubelet::connect(daemon).await;
        let pod = kubelet.pod("pod", |_| {}).await;
        let deaf = ["sh", "-c", "trap '' TERM; exec sleep 1000"];
        let deaf = kubelet.container(&pod, "deaf", &deaf, LinuxContainerConfig::default()).await;
        let deaf = deaf.expect("a container");
        let directory = daemon.place().path("v");
        std::fs::create_dir(&directory).expect("a directory");
        let fifo = directory.join("code");
        let made = daemon.place().command("mkfifo").arg(&fifo).status().expect("mkfifo starts");
        assert!(made.success(), "{made}");
        let volume = Mount {
            container_path: "/v".into(),
            host_path: directory.display().to_string(),
            ..Default::default()
        };
        let brief = kubelet
            .edited(&pod, "brief", &["sh", "-c", "read code </v/code; exit $code"], |config| {
                config.mounts = vec![volume];
            })
            .await
            .expect("a container");
        let (process, _) = live()
            .into_iter()
            .find(|(_, seen)| seen.cgroups.contains(&brief))
            .expect("the process of the container");
        let process = Handle::open(process).expect("it waits for the code");

        daemon.restart(|| {
            // Open for both, the FIFO needs no reader yet, and keeps what is in it.
            let mut fifo = OpenOptions::new().read(true).write(true).open(&fifo).expect("the FIFO");
            fifo.write_all(b"9\n").expect("the FIFO");
            assert!(process.wait(Instant::now() + DEADLINE), "the container ends");
        });

        let mut kubelet = Kubelet::connect(daemon).await;
        let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id.clone(), verbose: false };
        let status = kubelet.api.pod_sandbox_status(request).await.expect("PodSandboxStatus");
        assert_eq!(status.into_inner().status.map(|status| status.state), Some(READY));
        assert_eq!(kubelet.status(&deaf).await.state, RUNNING);
        assert_eq!(kubelet.shell(&deaf, "hostname").await, ("pod\n".into(), 0));
        let cmd = ["sleep", "1003"].map(String::from).to_vec();
        let request = ExecSyncRequest { container_id: deaf.clone(), cmd, timeout: 1 };
        let late = kubelet.api.exec_sync(request).await.expect_err("it does not end in a second");
        assert!(late.message().contains("timeout 1s exceeded"), "{late}");
        let (processes, _) = kubelet.shell(&deaf, "ps").await;
        assert!(!processes.contains("sleep 1003"), "{processes}");
        let ended = kubelet.ended(&brief).await;
        assert_eq!((ended.exit_code, ended.reason.as_str()), (9, "Error"));
        kubelet.remove(&brief).await;

        let again = kubelet
            .edited(&pod, "brief", &["echo", "again"], |config| {
                config.metadata = Some(ContainerMetadata { name: "brief".into(), attempt: 1 });
            })
            .await
            .expect("a container");
        let ended = kubelet.ended(&again).await;
        assert_eq!((ended.exit_code, ended.reason.as_str()), (0, "Completed"));

        // SIGTERM, a second, SIGKILL.
        kubelet.stop(&deaf).await;
        let status = kubelet.status(&deaf).await;
        assert_eq!((status.state, status.exit_code), (EXITED, 137));
        kubelet.remove_pod(&pod).await;
    });
}
