//! What a kubelet does with pods and containers, in a few words.

use std::path::PathBuf;
use std::time::Instant;

use hyper_util::rt::TokioIo;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerStatus, ContainerStatusRequest,
    CreateContainerRequest, ExecSyncRequest, ImageSpec, LinuxContainerConfig,
    LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata, RemoveContainerRequest,
    RemovePodSandboxRequest, RunPodSandboxRequest, StartContainerRequest, StopContainerRequest,
    StopPodSandboxRequest, VersionRequest,
};
use tonic::transport::{Channel, Endpoint, Uri};

use super::daemon::Daemon;
use crate::support::process::DEADLINE;
use crate::support::{image, systemd};

/// The states of a container, as the API numbers them.
pub(crate) const RUNNING: i32 = 1;
pub(crate) const EXITED: i32 = 2;

/// The limits of a pod's slice, which are above those of all containers.
const POD_LIMITS: [(&str, &str); 3] =
    [("MemoryMax", "536870912"), ("CPUWeight", "79"), ("TasksMax", "500")];

/// A connection, and what pods of this test have in common.
#[derive(Clone, Debug)]
pub(crate) struct Kubelet {
    pub(crate) api: RuntimeServiceClient<Channel>,
    parent: String,
    logs: PathBuf,
}

/// A pod that runs.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) id: String,
    /// With the systemd driver, the slice that a kubelet makes for the pod.
    pub(crate) slice: Option<String>,
    pub(crate) config: PodSandboxConfig,
}

impl Kubelet {
    pub(crate) async fn connect(daemon: &Daemon) -> Self {
        let socket = daemon.socket();
        let connect = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { tokio::net::UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The name is not used: the connector knows where to.
        let endpoint = Endpoint::from_static("http://containerd");
        let channel = endpoint.connect_with_connector(connect).await.expect("containerd answers");
        let mut api = RuntimeServiceClient::new(channel);
        // It answers before it has found the pods that run; until then it does nothing else.
        let until = Instant::now() + DEADLINE;
        while let Err(status) = api.version(VersionRequest::default()).await {
            assert!(Instant::now() < until, "{status}");
            tokio::task::yield_now().await;
        }
        Self { api, parent: daemon.parent().to_owned(), logs: daemon.logs() }
    }

    /// A pod of that name, changed by `edit`.
    pub(crate) async fn pod(
        &mut self,
        name: &str,
        edit: impl FnOnce(&mut PodSandboxConfig),
    ) -> Pod {
        let metadata = PodSandboxMetadata {
            name: name.into(),
            uid: name.into(),
            namespace: "default".into(),
            attempt: 0,
        };
        let slice = self.slice(name);
        // A kubelet gives the whole path, whatever the driver.
        let cgroup = slice.as_ref().map_or(String::new(), |slice| format!("/{slice}"));
        let mut config = PodSandboxConfig {
            metadata: Some(metadata),
            hostname: name.into(),
            log_directory: self.logs.join(name).display().to_string(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("/{}{cgroup}", self.parent),
                ..Default::default()
            }),
            ..Default::default()
        };
        edit(&mut config);
        let request =
            RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: "teu".into() };
        let id = self
            .api
            .run_pod_sandbox(request)
            .await
            .expect("RunPodSandbox")
            .into_inner()
            .pod_sandbox_id;
        Pod { id, slice, config }
    }

    /// With the systemd driver, makes the slice of a pod with limits, as a kubelet does.
    fn slice(&self, pod: &str) -> Option<String> {
        let stem = self.parent.strip_suffix(".slice")?;
        let name = format!("{stem}-pod{}.slice", pod.replace('-', "_"));
        systemd::make_slice(&name, &POD_LIMITS.map(|(name, value)| (name, "t", value)));
        Some(name)
    }

    /// A container that was started, with those settings.
    pub(crate) async fn container(
        &mut self,
        pod: &Pod,
        name: &str,
        command: &[&str],
        linux: LinuxContainerConfig,
    ) -> Result<String, tonic::Status> {
        self.edited(pod, name, command, |config| config.linux = Some(linux)).await
    }

    /// A container that was started, changed by `edit`.
    pub(crate) async fn edited(
        &mut self,
        pod: &Pod,
        name: &str,
        command: &[&str],
        edit: impl FnOnce(&mut ContainerConfig),
    ) -> Result<String, tonic::Status> {
        let mut config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.into(), attempt: 0 }),
            image: Some(ImageSpec { image: image::NAME.into(), ..Default::default() }),
            command: command.iter().map(|&word| word.into()).collect(),
            log_path: format!("{name}.log"),
            ..Default::default()
        };
        edit(&mut config);
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.id.clone(),
            config: Some(config),
            sandbox_config: Some(pod.config.clone()),
        };
        let container_id = self.api.create_container(request).await?.into_inner().container_id;
        self.api
            .start_container(StartContainerRequest { container_id: container_id.clone() })
            .await?;
        Ok(container_id)
    }

    /// A shell's output and exit code in a container.
    pub(crate) async fn shell(&mut self, container: &str, script: &str) -> (String, i32) {
        let cmd = ["sh", "-c", script].map(String::from).to_vec();
        let request = ExecSyncRequest { container_id: container.into(), cmd, timeout: 30 };
        let done = self.api.exec_sync(request).await.expect("ExecSync").into_inner();
        let said = [done.stdout, done.stderr].concat();
        (String::from_utf8_lossy(&said).into_owned(), done.exit_code)
    }

    pub(crate) async fn status(&mut self, container: &str) -> ContainerStatus {
        let request = ContainerStatusRequest { container_id: container.into(), verbose: false };
        let answer = self.api.container_status(request).await.expect("ContainerStatus");
        answer.into_inner().status.expect("a status")
    }

    /// Asks until the container has ended.
    pub(crate) async fn ended(&mut self, container: &str) -> ContainerStatus {
        let until = Instant::now() + DEADLINE;
        loop {
            let status = self.status(container).await;
            if status.state == EXITED {
                return status;
            }
            assert!(Instant::now() < until, "{status:?}");
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn stop(&mut self, container: &str) {
        let request = StopContainerRequest { container_id: container.into(), timeout: 1 };
        self.api.stop_container(request).await.expect("StopContainer");
    }

    pub(crate) async fn remove(&mut self, container: &str) {
        let request = RemoveContainerRequest { container_id: container.into() };
        self.api.remove_container(request).await.expect("RemoveContainer");
    }

    /// Stops and removes a pod, with the containers in it.
    pub(crate) async fn remove_pod(&mut self, pod: &Pod) {
        let request = StopPodSandboxRequest { pod_sandbox_id: pod.id.clone() };
        self.api.stop_pod_sandbox(request).await.expect("StopPodSandbox");
        let request = RemovePodSandboxRequest { pod_sandbox_id: pod.id.clone() };
        self.api.remove_pod_sandbox(request).await.expect("RemovePodSandbox");
        if let Some(slice) = &pod.slice {
            // Nobody has changed the limits, and nothing is in it any more.
            systemd::has(slice, &POD_LIMITS);
            systemd::nothing_below(slice);
        }
    }
}
