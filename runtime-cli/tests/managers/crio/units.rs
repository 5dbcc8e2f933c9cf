//! Containers as units of systemd, with the properties that CRI-O asks for by annotations.

use serde_json::json;

use super::node::Node;
use crate::support::{Runtime, systemd};

pub(crate) fn a_unit(runtime: Runtime) {
    let node = Node::new(&runtime);
    let unit = node.unit("one");
    let limits = [("memory.max", "67108864"), ("pids.max", "55"), ("cpu.max", "30000 100000")];
    let mut one = node.container("one", &["sleep", "1000"], |config| {
        config["linux"]["resources"] = json!({
            "memory": { "limit": 64 << 20 },
            "pids": { "limit": 55 },
            "cpu": { "shares": 512, "quota": 30_000, "period": 100_000 }
        });
    });
    one.create(&[]).expect("a container");
    one.start();
    systemd::has(
        &unit,
        &[
            ("ActiveState", "active"),
            ("Slice", node.slice()),
            ("Delegate", "yes"),
            ("MemoryMax", "67108864"),
            ("TasksMax", "55"),
            ("CPUQuotaPerSecUSec", "300ms"),
            ("TimeoutStopUSec", "30s"),
            ("CollectMode", "inactive-or-failed"),
            ("DefaultDependencies", "yes"),
        ],
    );
    let after = systemd::property(&unit, "After");
    assert!(after.split(' ').any(|unit| unit == "crio.service"), "{after}");
    systemd::holds(&unit, &limits);
    systemd::reload(&unit);
    systemd::holds(&unit, &limits);

    let more = json!({ "memory": { "limit": 96 << 20 }, "pids": { "limit": 66 } }).to_string();
    node.call(&["update", "--resources", "-", "one"], &more).succeeds();
    systemd::has(&unit, &[("MemoryMax", "100663296"), ("TasksMax", "66")]);
    systemd::reload(&unit);
    let limits = [("memory.max", "100663296"), ("pids.max", "66"), ("cpu.max", "30000 100000")];
    systemd::holds(&unit, &limits);

    let events = node.call(&["events", "--stats", "one"], "").succeeds();
    let events: serde_json::Value = serde_json::from_str(&events).expect("events are JSON");
    assert_eq!(events["data"]["pids"]["limit"], 66);
    node.call(&["kill", "one", "KILL"], "").succeeds();
    assert_eq!(one.exit_code(), "137");
    one.delete();
    systemd::gone(&unit);

    // Twenty at once, in one slice: as a node that was started again.
    std::thread::scope(|scope| {
        for number in 0..20 {
            let node = &node;
            scope.spawn(move || {
                let id = format!("many-{number}");
                let mut one = node.container(&id, &["sleep", "1000"], |_| {});
                one.create(&[]).expect("a container");
                one.start();
                systemd::has(&node.unit(&id), &[("ActiveState", "active")]);
                node.call(&["kill", &id, "KILL"], "").succeeds();
                assert_eq!(one.exit_code(), "137");
                one.delete();
            });
        }
    });
    node.nothing_left();
}
