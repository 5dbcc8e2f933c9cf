//! What kubectl does through the streaming server.

use k8s_cri::v1::{AttachRequest, ExecRequest, LinuxContainerConfig, PortForwardRequest};

use super::super::client::Kubelet;
use super::super::daemon::Daemon;
use super::super::stream::{STDERR, STDOUT, Streams};
use super::on_a_node;
use crate::support::Runtime;

async fn exec(kubelet: &mut Kubelet, daemon: &Daemon, request: ExecRequest) -> Streams {
    let url = kubelet.api.exec(request).await.expect("Exec").into_inner().url;
    Streams::open(daemon.place(), &url)
}

fn shell(container: &str, script: &str) -> ExecRequest {
    ExecRequest {
        container_id: container.into(),
        cmd: ["sh", "-c", script].map(String::from).to_vec(),
        stdout: true,
        ..Default::default()
    }
}

pub(crate) fn exec_attach_port_forward(runtime: Runtime) {
    on_a_node(&runtime, async |daemon| {
        let mut kubelet = Kubelet::connect(daemon).await;
        let pod = kubelet.pod("pod", |_| {}).await;
        let idle = ["sleep", "1000"];
        let idle = kubelet.container(&pod, "idle", &idle, LinuxContainerConfig::default()).await;
        let idle = idle.expect("a container");

        // kubectl exec
        let request =
            ExecRequest { stderr: true, ..shell(&idle, "echo out; echo err >&2; exit 3") };
        let mut streams = exec(&mut kubelet, daemon, request).await;
        assert_eq!(streams.finish(), 3);
        assert_eq!((streams.said(STDOUT), streams.said(STDERR)), ("out\n", "err\n"));
        // kubectl exec -i
        let request = ExecRequest { stdin: true, ..shell(&idle, "read word; echo got $word") };
        let mut streams = exec(&mut kubelet, daemon, request).await;
        streams.write("it\n");
        assert_eq!(streams.finish(), 0);
        assert_eq!(streams.said(STDOUT), "got it\n");
        // kubectl exec -it: the size comes on a stream of its own, so some time.
        let script = "until [ \"$(stty size)\" = '33 77' ]; do sleep 0.1; done; \
                      echo sized; read word; echo got $word; exit 4";
        let request = ExecRequest { stdin: true, tty: true, ..shell(&idle, script) };
        let mut streams = exec(&mut kubelet, daemon, request).await;
        streams.resize(33, 77);
        streams.until(STDOUT, "sized");
        streams.write("that\n");
        assert_eq!(streams.finish(), 4);
        assert!(streams.said(STDOUT).contains("got that"), "{streams:?}");
        // kubectl exec of nothing
        let request = ExecRequest { cmd: vec!["no-such-program".into()], ..shell(&idle, "") };
        let mut streams = exec(&mut kubelet, daemon, request).await;
        streams.until(3, "executable file not found in $PATH");

        // kubectl attach -i
        let echo = ["sh", "-c", "while read word; do echo said $word; done"];
        let echo = kubelet.edited(&pod, "echo", &echo, |config| config.stdin = true).await;
        let echo = echo.expect("a container");
        let request = AttachRequest {
            container_id: echo.clone(),
            stdin: true,
            stdout: true,
            stderr: true,
            tty: false,
        };
        let url = kubelet.api.attach(request).await.expect("Attach").into_inner().url;
        let mut streams = Streams::open(daemon.place(), &url);
        streams.write("one\n");
        streams.until(STDOUT, "said one\n");
        streams.write("two\n");
        streams.until(STDOUT, "said two\n");
        drop(streams);

        // kubectl port-forward
        let server = ["sh", "-c", "while :; do echo hello | nc -l -p 7000; done"];
        let server = kubelet.container(&pod, "server", &server, LinuxContainerConfig::default());
        let server = server.await.expect("a container");
        let listens =
            "until grep -q ':1B58 [^ ]* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.1; done";
        assert_eq!(kubelet.shell(&server, listens).await, (String::new(), 0));
        let request = PortForwardRequest { pod_sandbox_id: pod.id.clone(), port: vec![7000] };
        let url = kubelet.api.port_forward(request).await.expect("PortForward").into_inner().url;
        let mut streams = Streams::open(daemon.place(), &url);
        // The streams of the first port: what comes from it, and errors.
        streams.until(0, "hello\n");

        kubelet.remove_pod(&pod).await;
    });
}
