//! The checks, each what CRI-O would do with a container or two.

use std::os::unix::net::UnixDatagram;

use serde_json::{Value, json};

use super::container::Attached;
use super::node::Node;
pub(crate) use super::units::a_unit;
use crate::support::process::DEADLINE;
use crate::support::{Runtime, cgroup};

fn as_it_is(_: &mut Value) {}

pub(crate) fn a_container(runtime: Runtime) {
    let node = Node::new(&runtime);
    let mut one = node.container("one", &["sh", "-c", "echo out; echo err >&2; exit 42"], as_it_is);
    let pid = one.create(&[]).expect("a container");
    let state = one.state();
    assert_eq!(
        (state["status"].as_str(), state["pid"].as_u64()),
        (Some("created"), Some(pid.into()))
    );
    one.start();
    assert_eq!(one.exit_code(), "42");
    let log = one.log();
    assert!(log.contains("stdout F out\n") && log.contains("stderr F err\n"), "{log}");
    assert_eq!(one.state()["status"], "stopped");
    one.delete();

    // `stdin` and not `stdinOnce`: input outlives a client.
    let mut two = node.container("two", &["cat"], as_it_is);
    two.create(&["--leave-stdin-open", "-i", "--no-pivot"]).expect("a container");
    two.start();
    for words in ["first\n", "second\n"] {
        let client = two.attach();
        client.send(words);
        assert_eq!(client.read_until(words), words);
    }
    node.call(&["kill", "two", "KILL"], "").succeeds();
    assert_eq!(two.exit_code(), "137");
    two.delete();

    // `stdinOnce`: the end of the client's input is the container's.
    let mut three = node.container("three", &["sh", "-c", "cat; kill -SEGV $$; exit 3"], as_it_is);
    three.create(&["-i"]).expect("a container");
    three.start();
    let client = three.attach();
    client.send("words\n");
    client.close_input();
    assert_eq!(client.read_until("words\n"), "words\n");
    // A first process is deaf to its own signals.
    assert_eq!(three.exit_code(), "3");
    three.delete();
    node.nothing_left();
}

pub(crate) fn a_terminal(runtime: Runtime) {
    let node = Node::new(&runtime);
    let script =
        "tty; read line; until stty size | grep -q '40 100'; do :; done; echo $line; exit 5";
    let mut one = node.container("one", &["sh", "-c", script], |config| {
        config["process"]["terminal"] = json!(true);
    });
    one.create(&["-t"]).expect("a container");
    let client = one.attach();
    one.start();
    client.read_until("/dev/pts/0");
    one.resize(40, 100);
    client.send("typed\n");
    // The echo and the answer; conmon has asked the terminal for carriage returns.
    client.read_until("typed\r\ntyped\r\n");
    assert_eq!(one.exit_code(), "5");
    assert!(one.log().contains("stdout F /dev/pts/0\n"), "{}", one.log());
    one.delete();
    node.nothing_left();
}

pub(crate) fn exec(runtime: Runtime) {
    let node = Node::new(&runtime);
    let mut one = node.container("one", &["sleep", "1000"], as_it_is);
    one.create(&[]).expect("a container");
    one.start();
    let sync = ["--sync", "--log-global-size-max", "16777216"];
    let done = one.exec(&["sh", "-c", "echo out; echo err >&2; exit 7"], &sync);
    assert_eq!((done.code, done.message.as_str()), (7, ""));
    assert!(done.log.contains("stdout F out\n") && done.log.contains("stderr F err\n"), "{done:?}");
    let done = one.exec(&["sh", "-c", "kill -9 $$"], &sync);
    assert_eq!(done.code, 137);
    let done = one.exec(&["tty"], &["--sync", "-t"]);
    assert!(done.code == 0 && done.log.contains("stdout F /dev/pts/"), "{done:?}");
    let done = one.exec(&["sleep", "900"], &["--sync", "-T", "1"]);
    assert_eq!((done.code, done.message.as_str()), (-1, "command timed out"));

    for (program, words) in [
        ("no-such-program", "executable file not found in $PATH"),
        ("/no/such", "no such file or directory"),
        ("/etc/passwd", "permission denied"),
    ] {
        let done = one.exec(&[program], &sync);
        assert!(done.code == -1 && done.message.contains(words), "{done:?}");
        let pid = std::fs::read_to_string(node.place.path("exec.pid"));
        assert!(pid.is_ok_and(|text| text.is_empty()), "no process, no number");
    }

    // Without --sync conmon detaches itself; the way of other callers, who attach to the process before it begins.
    let attach =
        ["--api-version", "1", "--exec-attach", "-i", "--full-attach", "-u", "session", "-b"];
    let session = node.place.path("session");
    std::fs::create_dir(&session).expect("a directory");
    let session = session.display().to_string();
    let more: Vec<&str> = attach.into_iter().chain([session.as_str()]).collect();
    let mut conmon = one.start_exec(&["sh", "-c", "cat; exit 9"], &more);
    conmon.go();
    assert!(conmon.process.wait().expect("conmon").success(), "{}", node.conmon_said());
    conmon.listens();
    let client = Attached::to(&node.place.path("session/attach"));
    conmon.go();
    let pid = conmon.message()["data"].as_u64().expect("a process id");
    let file = std::fs::read_to_string(node.place.path("exec.pid")).expect("a pid file");
    assert_eq!(file, pid.to_string());
    client.send("words\n");
    client.close_input();
    assert_eq!(client.read_until("words\n"), "words\n");
    assert_eq!(conmon.message()["data"], 9);
    one.delete();
    node.nothing_left();
}

pub(crate) fn failures(runtime: Runtime) {
    let node = Node::new(&runtime);
    for (program, words) in [
        ("no-such-program", "executable file not found in $PATH"),
        ("/no/such", "no such file or directory"),
        ("/etc/passwd", "permission denied"),
    ] {
        let mut one = node.container("one", &[program], as_it_is);
        let message = one.create(&[]).expect_err("there is nothing to run");
        assert!(message.contains(words) && message.trim_end().lines().count() == 1, "{message:?}");
        one.delete();
    }
    // The pod's network namespace is gone.
    let mut two = node.container("two", &["true"], |config| {
        config["linux"]["namespaces"][4]["path"] = json!("/run/netns/not-there");
    });
    let message = two.create(&[]).expect_err("no such namespace");
    assert!(message.contains("/run/netns/not-there"), "{message:?}");
    two.delete();
    // A terminal that the pod wants and conmon was not told of.
    let mut three = node.container("three", &["true"], |config| {
        config["process"]["terminal"] = json!(true);
    });
    let message = three.create(&[]).expect_err("no console socket");
    assert!(message.contains("console socket"), "{message:?}");
    three.delete();
    node.nothing_left();
}

pub(crate) fn a_stop(runtime: Runtime) {
    let node = Node::new(&runtime);
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 1000 & wait; done";
    let mut one = node.container("one", &["sh", "-c", script], as_it_is);
    one.create(&["-i"]).expect("a container");
    let client = one.attach();
    one.start();
    client.read_until("ready");
    node.call(&["kill", "one", "15"], "").succeeds();
    assert_eq!(one.exit_code(), "9");
    node.call(&["kill", "one", "15"], "").not_found();
    node.call(&["kill", "one", "KILL"], "").not_found();
    let state = one.state();
    assert_eq!((state["status"].as_str(), state["pid"].as_u64()), (Some("stopped"), Some(0)));
    one.delete();

    // Without a pid namespace of its own: what the first process leaves behind is killed by `kill -a`.
    let script = "sleep 1000 & echo $!; echo ready";
    let mut two = node.container("two", &["sh", "-c", script], |config| {
        if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
            namespaces.retain(|namespace| namespace["type"] != "pid");
        }
    });
    two.create(&["-i"]).expect("a container");
    let client = two.attach();
    two.start();
    client.read_until("ready");
    node.call(&["kill", "-a", "two", "9"], "").succeeds();
    two.exit_code();
    two.delete();

    // Stopped before it was started, and while it is paused.
    let mut three = node.container("three", &["sleep", "1000"], as_it_is);
    three.create(&[]).expect("a container");
    node.call(&["kill", "three", "KILL"], "").succeeds();
    assert_eq!(three.exit_code(), "137");
    three.delete();
    let mut four = node.container("four", &["sleep", "1000"], as_it_is);
    four.create(&[]).expect("a container");
    four.start();
    node.call(&["pause", "four"], "").succeeds();
    assert_eq!(four.state()["status"], "paused");
    node.call(&["resume", "four"], "").succeeds();
    assert_eq!(four.state()["status"], "running");
    four.delete();
    node.nothing_left();
}

pub(crate) fn what_the_daemon_asks_itself(runtime: Runtime) {
    let node = Node::new(&runtime);
    assert!(node.call(&["--version"], "").succeeds().contains(" version "));
    let features = node.call(&["features"], "").succeeds();
    let features: Value = serde_json::from_str(&features).expect("features are JSON");
    // How it finds out whether there are checkpoints.
    assert_eq!(node.call(&["checkpoint", "--help"], "").code, Some(0));
    assert!(features["ociVersionMin"].is_string() && features["ociVersionMax"].is_string());

    let mut one = node.container("one", &["sleep", "1000"], as_it_is);
    one.create(&[]).expect("a container");
    one.start();
    let limits = json!({ "memory": { "limit": 64 << 20 }, "cpu": { "shares": 300 } }).to_string();
    node.call(&["update", "--resources", "-", "one"], &limits).succeeds();
    // `kubectl exec`: in the foreground, with the streams of the client.
    let exec = |program: &[&str], input: &str| {
        let process = json!({ "args": program, "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 5, "gid": 5 } });
        node.place.write("process.json", &process.to_string());
        let file = node.place.path("process.json").display().to_string();
        node.call(&["exec", "--process", &file, "one"], input)
    };
    let look = format!("cat; cat {} {}; echo err >&2; exit 3", cgroup::memory(), cgroup::shares());
    let said = exec(&["sh", "-c", &look], "words\n");
    assert_eq!((said.code, said.err.as_str()), (Some(3), "err\n"));
    let shares = said.out.strip_prefix("words\n67108864\n");
    assert!(shares.is_some_and(|shares| cgroup::has_shares(shares, 300)), "{said:?}");
    let said = exec(&["no-such-program"], "");
    assert!(said.code == Some(255) && said.err.contains("executable file not found"), "{said:?}");
    one.delete();
    node.nothing_left();
}

pub(crate) fn readiness(runtime: Runtime) {
    let node = Node::new(&runtime);
    let manager = UnixDatagram::bind(node.place.path("manager.sock")).expect("a socket");
    manager.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    // The host's perl: busybox sends no datagrams to a path.
    let send = "use Socket; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; \
                send(S, 'READY=1', 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die $!";
    let mut one = node.container("one", &["/usr/bin/perl", "-e", send], |config| {
        let bind = |to: &str, from: &str| json!({ "destination": to, "source": from, "options": ["bind"] });
        let notify = node.place.path("one/notify").display().to_string();
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.extend([bind("/run/notify", &notify), bind("/usr", "/usr"), bind("/lib", "/lib")]);
            // Where the loader is on some architectures only.
            if std::path::Path::new("/lib64").exists() {
                mounts.push(bind("/lib64", "/lib64"));
            }
        }
        config["process"]["env"] = json!(["NOTIFY_SOCKET=/run/notify/notify.sock"]);
    });
    // The caller makes it, and conmon a socket in it.
    std::fs::create_dir(node.place.path("one/notify")).expect("a directory");
    let path = node.place.path("manager.sock").display().to_string();
    one.create(&["--sdnotify-socket", &path]).expect("a container");
    one.start();
    let mut packet = [0; 64];
    let read = manager.recv(&mut packet).expect("conmon passes it on");
    assert!(packet[..read].starts_with(b"READY=1"), "{:?}", &packet[..read]);
    assert_eq!(one.exit_code(), "0", "{}", one.log());
    one.delete();
    node.nothing_left();
}

pub(crate) fn out_of_memory(runtime: Runtime) {
    let node = Node::new(&runtime);
    let script = "x=a; while :; do x=$x$x; done";
    let mut one = node.container("one", &["sh", "-c", script], |config| {
        config["linux"]["resources"] = json!({ "memory": { "limit": 16 << 20, "swap": 16 << 20 } });
    });
    one.create(&[]).expect("a container");
    one.start();
    assert_eq!(one.exit_code(), "137");
    // conmon looks when the container has ended: systemd may have removed the cgroup by then, whatever the runtime.
    if node.driver().is_empty() {
        assert!(node.place.path("one/oom").exists(), "CRI-O tells the reason by conmon's file");
    }
    one.delete();
    node.nothing_left();
}
