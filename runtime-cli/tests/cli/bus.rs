//! The systemd driver on a bus of its own, a real dbus-daemon on which no systemd is: how it fails, and how soon.
//! What it does with systemd is the business of the conformance cases `systemd/*`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{directory, message, ran, teu};

/// As it is in the library: how long one answer is waited for.
const CALL: Duration = Duration::from_secs(10);

/// A bus that serves root at DIR/bus; killed when it goes out of scope.
struct Bus(Child);

impl Bus {
    fn start(dir: &Path) -> Self {
        let path = dir.join("bus.conf");
        let config = format!(
            "<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow user=\"*\"/><allow send_destination=\"*\"/>\
             <allow receive_sender=\"*\"/></policy></busconfig>",
            dir.join("bus").display()
        );
        std::fs::write(&path, config).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--print-address=1", "--config-file"])
            .arg(&path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is needed: scripts/install-packages test");
        // It says its address when it listens.
        let mut line = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:path="), "{line:?}");
        Self(daemon)
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// `create` by systemd at DIR/bus, with a bundle in DIR.
fn create(dir: &Path, id: &str) -> Command {
    let bundle = dir.join("bundle");
    if !bundle.exists() {
        std::fs::create_dir_all(bundle.join("rootfs")).unwrap();
        assert_eq!(ran(teu(&["spec"]).arg("--bundle").arg(&bundle)).code, Some(0));
        let config = bundle.join("config.json");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("\"terminal\": true", "\"terminal\": false")).unwrap();
    }
    let mut command = teu(&["--systemd-cgroup", "--root"]);
    command.arg(dir.join("state")).args(["create", "--bundle"]).arg(bundle).arg(id);
    let address = format!("unix:path={}", dir.join("bus").display());
    command.env("DBUS_SYSTEM_BUS_ADDRESS", address);
    command
}

fn assert_nothing_left(dir: &Path) {
    let left: Vec<_> = std::fs::read_dir(dir.join("state")).unwrap().flatten().collect();
    let visible = left.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(visible.count(), 0, "{left:?}");
}

#[test]
fn a_bus_without_systemd_says_so() {
    let dir = directory();
    let _bus = Bus::start(dir.path());
    let out = ran(&mut create(dir.path(), "x"));
    assert_eq!(out.code, Some(1));
    let said = message(&out.stderr);
    assert!(said.starts_with("systemd refused teu-x.scope: "), "{said}");
    assert!(said.contains("org.freedesktop.systemd1"), "{said}");
    assert_nothing_left(dir.path());
}

#[test]
fn no_bus_says_so() {
    let dir = directory();
    let out = ran(&mut create(dir.path(), "x"));
    assert_eq!(out.code, Some(1));
    let said = message(&out.stderr);
    assert!(
        said.contains("/bus): ENOENT") && said.contains("leave --systemd-cgroup out"),
        "{said}"
    );
    assert_nothing_left(dir.path());
}

#[test]
fn a_bus_that_is_stopped_is_waited_for_with_an_end() {
    let dir = directory();
    let bus = Bus::start(dir.path());
    bus.signal("-STOP");
    let begin = Instant::now();
    let calls: Vec<Child> = (0..16)
        .map(|number| {
            let mut call = create(dir.path(), &format!("x{number}"));
            call.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for call in calls {
        let out = call.wait_with_output().unwrap();
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{stderr}");
        assert!(message(&stderr).starts_with("no answer on D-Bus at "), "{stderr}");
    }
    let took = begin.elapsed();
    assert!(took >= CALL && took < CALL * 2, "{took:?}");
    assert_nothing_left(dir.path());
    bus.signal("-CONT");
    // What was asked of it in vain does not keep it from the next one.
    let out = ran(&mut create(dir.path(), "x"));
    assert!(message(&out.stderr).starts_with("systemd refused teu-x.scope: "), "{}", out.stderr);
}

#[test]
fn a_plan_shows_the_unit_and_asks_nobody() {
    let dir = directory();
    // Makes the bundle; there is no bus.
    create(dir.path(), "x");
    let plan = |path: &str| {
        let file = dir.path().join("bundle/config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        config["linux"]["cgroupsPath"] = path.into();
        config["linux"]["resources"]["pids"] = serde_json::json!({ "limit": 7 });
        std::fs::write(&file, config.to_string()).unwrap();
        let bundle = dir.path().join("bundle");
        ran(teu(&["--systemd-cgroup", "plan", "--bundle"]).arg(bundle).arg("x"))
    };
    let out = plan("a-b.slice:pre:x1");
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""));
    for line in [
        "Cgroup /a.slice/a-b.slice/pre-x1.scope",
        "  ask systemd (unix:path=/run/dbus/system_bus_socket) to start pre-x1.scope",
        "    Slice = \"a-b.slice\"",
        "    TasksMax = 7 (linux.resources.pids.limit)",
    ] {
        assert!(out.stdout.lines().any(|said| said == line), "{line}: {}", out.stdout);
    }
    for path in ["/a/b", "a.slice:b", "a--b.slice:x:y"] {
        let out = plan(path);
        assert_eq!(out.code, Some(1), "{path}");
        let said = message(&out.stderr);
        assert!(said.starts_with("config.json: linux.cgroupsPath: "), "{path}: {said}");
    }
}
