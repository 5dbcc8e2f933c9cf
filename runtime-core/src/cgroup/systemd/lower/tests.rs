use super::*;
use crate::cgroup::lower as lower_cgroup;
use crate::cgroup::{CgroupPlan, Version};
use crate::error::ErrorKind;
use crate::host::{CgroupLayout, Host};

fn system() -> Manager {
    Manager { user: false, address: String::new(), cgroup: String::new() }
}

fn user() -> Manager {
    Manager {
        user: true,
        address: "unix:path=/run/user/1000/bus".into(),
        cgroup: "/user.slice/user-1000.slice/user@1000.service".into(),
    }
}

fn placed(path: &str, manager: &Manager) -> Result<(String, String, String)> {
    place(Some(Path::new(path)), "c1", manager).map(|place| (place.name, place.slice, place.cgroup))
}

#[test]
fn every_form_of_the_path() {
    for (path, name, slice, cgroup) in [
        ("", "teu-c1.scope", "system.slice", "/system.slice/teu-c1.scope"),
        (":runc:abc", "runc-abc.scope", "system.slice", "/system.slice/runc-abc.scope"),
        (
            "machine.slice:libpod:abc",
            "libpod-abc.scope",
            "machine.slice",
            "/machine.slice/libpod-abc.scope",
        ),
        ("a.slice::abc", "abc.scope", "a.slice", "/a.slice/abc.scope"),
        ("a-b-c.slice:p:n", "p-n.scope", "a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice/p-n.scope"),
        ("-.slice:p:n", "p-n.scope", "-.slice", "/p-n.scope"),
        ("a.slice:p:a-b.slice", "a-b.slice", "a.slice", "/a.slice/a-b.slice"),
        ("::top.slice", "top.slice", "-.slice", "/top.slice"),
        ("io.slice::memory", "memory.scope", "io.slice", "/_io.slice/_memory.scope"),
        (":_:x", "_-x.scope", "system.slice", "/system.slice/__-x.scope"),
    ] {
        let wanted = (name.to_owned(), slice.to_owned(), cgroup.to_owned());
        assert_eq!(placed(path, &system()).unwrap(), wanted, "{path}");
    }
    let place = place(None, "a+b", &system()).unwrap();
    assert_eq!(place.name, "teu-a\\x2bb.scope");
}

#[test]
fn a_users_units_are_below_the_users_systemd() {
    let below = "/user.slice/user-1000.slice/user@1000.service";
    let (name, slice, cgroup) = placed("", &user()).unwrap();
    assert_eq!((name.as_str(), slice.as_str()), ("teu-c1.scope", "user.slice"));
    assert_eq!(cgroup, format!("{below}/user.slice/teu-c1.scope"));
    assert_eq!(
        placed("user.slice:libpod:x", &user()).unwrap().2,
        format!("{below}/user.slice/libpod-x.scope")
    );
}

#[test]
fn what_is_no_unit_is_refused_with_its_field() {
    for (path, part) in [
        ("/docker/abc", "slice:prefix:name"),
        ("docker", "slice:prefix:name"),
        ("a:b", "slice:prefix:name"),
        ("a.slice:b:c:d", "slice:prefix:name"),
        ("system.slice:runc:", "no name"),
        ("system:runc:abc", "end in .slice"),
        (".slice:runc:abc", "one of them is empty"),
        ("-a.slice:runc:abc", "one of them is empty"),
        ("a-.slice:runc:abc", "one of them is empty"),
        ("a--b.slice:runc:abc", "one of them is empty"),
        ("a/b.slice:runc:abc", "'/' is not allowed"),
        ("a.slice:runc:a/b", "'/' is not allowed"),
        ("a.slice:runc:a b", "' ' is not allowed"),
        ("a.slice:p'x:b", "'\\'' is not allowed"),
        ("a.slice:p:b-c.slice", "cannot be in a.slice"),
        ("a.slice:p:-.slice", ""),
    ] {
        match placed(path, &system()) {
            Err(error) => {
                assert_eq!((error.path(), error.kind()), (Some(FIELD), ErrorKind::InvalidSpec));
                assert!(error.to_string().contains(part), "{path}: {error}");
            }
            Ok(got) => panic!("{path}: {got:?}"),
        }
    }
    let long = format!("a.slice:p:{}", "x".repeat(250));
    assert!(placed(&long, &system()).unwrap_err().to_string().contains("longer than 255"));
}

fn unified_host() -> Host {
    let controllers = ["cpuset", "cpu", "io", "memory", "pids"];
    let mut host = Host::for_test();
    host.cgroups = CgroupLayout::Unified { controllers: controllers.map(String::from).to_vec() };
    host.systemd = Some(system());
    host
}

fn plan(json: &str, host: &Host) -> CgroupPlan {
    let resources = serde_json::from_str(json).unwrap();
    let path = Some(Path::new("a.slice:p:n"));
    lower_cgroup(path, "c1", Some(&resources), &BTreeMap::new(), host).unwrap().0
}

/// The properties of limits, as `Name=value`.
fn limits(json: &str, host: &Host) -> Vec<String> {
    let unit = plan(json, host).unit.unwrap();
    let limits = unit
        .properties
        .iter()
        .filter(|p| p.field.as_ref().is_some_and(|field| field != "linux.resources.devices"));
    limits.map(|p| format!("{}={}", p.name, serde_json::to_string(&p.value).unwrap())).collect()
}

#[test]
fn a_scope_is_told_where_it_is_and_that_it_is_ours() {
    let unit = plan("{}", &unified_host()).unit.unwrap();
    let told: Vec<(&str, String)> = unit
        .properties
        .iter()
        .map(|p| (p.name.as_str(), serde_json::to_string(&p.value).unwrap()))
        .collect();
    let wanted = [
        ("Description", "\"teu container c1\""),
        ("Slice", "\"a.slice\""),
        ("Delegate", "true"),
        ("MemoryAccounting", "true"),
        ("CPUAccounting", "true"),
        ("IOAccounting", "true"),
        ("TasksAccounting", "true"),
        ("DefaultDependencies", "false"),
        ("CollectMode", "\"inactive-or-failed\""),
    ];
    assert_eq!(told, wanted.map(|(name, value)| (name, value.to_owned())));
    assert!(unit.is_scope());
}

#[test]
fn a_slice_pulls_its_parent_in() {
    let path = Some(Path::new("a.slice::a-b.slice"));
    let (plan, _) = lower_cgroup(path, "c1", None, &BTreeMap::new(), &unified_host()).unwrap();
    let unit = plan.unit.unwrap();
    let has = |name: &str| unit.properties.iter().find(|p| p.name == name);
    assert_eq!(has("Wants").unwrap().value, Value::Texts(vec!["a.slice".into()]));
    assert!(has("Slice").is_none() && has("Delegate").is_none() && has("CollectMode").is_none());
    assert!(!unit.is_scope());
}

#[test]
fn limits_of_version_2() {
    const MAX: u64 = u64::MAX;
    let cases: &[(&str, &[String])] = &[
        ("{}", &[]),
        (
            r#"{"memory":{"limit":1048576,"swap":3145728,"reservation":4096}}"#,
            &["MemoryLow=4096".into(), "MemorySwapMax=2097152".into(), "MemoryMax=1048576".into()],
        ),
        (
            r#"{"memory":{"limit":-1}}"#,
            &[format!("MemorySwapMax={MAX}"), format!("MemoryMax={MAX}")],
        ),
        (r#"{"cpu":{"shares":1024}}"#, &["CPUWeight=100".into()]),
        (r#"{"cpu":{"shares":1024,"idle":1}}"#, &["CPUWeight=0".into()]),
        (r#"{"cpu":{"idle":0}}"#, &[format!("CPUWeight={MAX}")]),
        (r#"{"cpu":{"shares":1024,"idle":0}}"#, &["CPUWeight=100".into()]),
        (
            r#"{"cpu":{"quota":50000,"period":100000}}"#,
            &["CPUQuotaPerSecUSec=500000".into(), "CPUQuotaPeriodUSec=100000".into()],
        ),
        // 33.3 % becomes 34 %.
        (
            r#"{"cpu":{"quota":33300}}"#,
            &["CPUQuotaPerSecUSec=340000".into(), "CPUQuotaPeriodUSec=100000".into()],
        ),
        (
            r#"{"cpu":{"quota":-1,"period":50000}}"#,
            &[format!("CPUQuotaPerSecUSec={MAX}"), "CPUQuotaPeriodUSec=50000".into()],
        ),
        (
            r#"{"cpu":{"cpus":"0-2,9","mems":"0"}}"#,
            &["AllowedCPUs=[7,2]".into(), "AllowedMemoryNodes=[1]".into()],
        ),
        (r#"{"pids":{"limit":20}}"#, &["TasksMax=20".into()]),
        (r#"{"pids":{"limit":0}}"#, &["TasksMax=1".into()]),
        (r#"{"pids":{"limit":-1}}"#, &[format!("TasksMax={MAX}")]),
        (r#"{"blockIO":{"weight":10}}"#, &["IOWeight=1".into()]),
        (
            r#"{"memory":{"limit":4096},"unified":{"memory.max":"8192","memory.high":"1M","cpu.max":"max 9000","memory.oom.group":"1"}}"#,
            &[
                "CPUQuotaPerSecUSec=18446744073709551615".into(),
                "CPUQuotaPeriodUSec=9000".into(),
                "MemoryHigh=1048576".into(),
                "MemoryMax=8192".into(),
                "OOMPolicy=\"kill\"".into(),
            ],
        ),
    ];
    for (json, wanted) in cases {
        assert_eq!(limits(json, &unified_host()), *wanted, "{json}");
    }
}

#[test]
fn limits_of_version_1() {
    let mut host = Host::for_test();
    host.systemd = Some(system());
    let cases: &[(&str, &[&str])] = &[
        (r#"{"memory":{"limit":1048576}}"#, &["MemoryLimit=1048576"]),
        (
            r#"{"cpu":{"shares":512,"quota":20000,"period":50000}}"#,
            &["CPUShares=512", "CPUQuotaPerSecUSec=400000", "CPUQuotaPeriodUSec=50000"],
        ),
        (r#"{"blockIO":{"weight":300}}"#, &["BlockIOWeight=300"]),
        (r#"{"pids":{"limit":1}}"#, &["TasksMax=1"]),
    ];
    for (json, wanted) in cases {
        assert_eq!(limits(json, &host), *wanted, "{json}");
    }
}

#[test]
fn only_version_1_is_told_of_devices() {
    let json = r#"{"devices":[{"allow":false},{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"},
        {"allow":true,"type":"b","major":8}]}"#;
    assert!(
        plan(json, &unified_host())
            .unit
            .unwrap()
            .properties
            .iter()
            .all(|p| !p.name.starts_with("Device"))
    );
    let mut host = Host::for_test();
    host.systemd = Some(system());
    let unit = plan(json, &host).unit.unwrap();
    let value =
        |name: &str| unit.properties.iter().find(|p| p.name == name).map(|p| p.value.clone());
    assert_eq!(value("DevicePolicy"), Some(Value::Text("strict".into())));
    let Some(Value::Pairs(pairs)) = value("DeviceAllow") else { panic!("no list") };
    for (node, access) in [
        ("/dev/char/10:229", "rw"),
        ("block-8", "rwm"),
        ("char-136", "rwm"),
        ("block-*", "m"),
        ("/dev/char/1:3", "rwm"),
    ] {
        assert!(pairs.contains(&(node.into(), access.into())), "{node}: {pairs:?}");
    }
    // What takes back a part of what is allowed cannot be said: systemd is told nothing, and ours holds.
    let unit =
        plan(r#"{"devices":[{"allow":true},{"allow":false,"type":"b"}]}"#, &host).unit.unwrap();
    assert!(unit.properties.iter().all(|p| !p.name.starts_with("Device")));
}

#[test]
fn a_limit_of_one_process_waits_for_the_keeper() {
    let files = |json: &str| {
        let plan = plan(json, &unified_host());
        let v2 = plan.hierarchies.iter().find(|h| h.version == Version::V2).unwrap();
        let has = |list: &[Setting]| list.iter().any(|s| s.file == "pids.max");
        (has(&v2.settings), has(&v2.late))
    };
    assert_eq!(files(r#"{"pids":{"limit":1}}"#), (false, true));
    assert_eq!(files(r#"{"pids":{"limit":2}}"#), (true, false));
}
