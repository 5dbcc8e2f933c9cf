use super::*;
use crate::error::ErrorKind;

fn unified_host() -> Host {
    let controllers = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"];
    let mut host = Host::for_test();
    host.cgroups = CgroupLayout::Unified { controllers: controllers.map(String::from).to_vec() };
    host
}

fn v1_only() -> Host {
    let mut host = Host::for_test();
    if let CgroupLayout::Legacy { unified, .. } = &mut host.cgroups {
        *unified = None;
    }
    host
}

/// Everything that v1 ever had.
fn v1_full() -> Host {
    let mut host = v1_only();
    if let CgroupLayout::Legacy { hierarchies, .. } = &mut host.cgroups {
        for (directory, controllers) in [
            ("net_cls,net_prio", &["net_cls", "net_prio"][..]),
            ("hugetlb", &["hugetlb"]),
            ("rdma", &["rdma"]),
        ] {
            hierarchies.push(crate::host::V1Hierarchy {
                directory: directory.into(),
                controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
                name: None,
            });
        }
    }
    host
}

fn lowered(json: &str, host: &Host) -> Result<(CgroupPlan, Vec<String>)> {
    let resources: LinuxResources = serde_json::from_str(json).unwrap();
    lower(Some(Path::new("/docker/c1")), "c1", Some(&resources), &BTreeMap::new(), host)
}

/// All writes but those of the default device rules, as `directory/file=value`.
fn writes(json: &str, host: &Host) -> Vec<String> {
    let (plan, _) = lowered(json, host).unwrap();
    plan.hierarchies
        .iter()
        .flat_map(|h| {
            let late = h.late.iter().map(|s| (s, "late:"));
            h.settings.iter().map(|s| (s, "")).chain(late).map(move |s| (h, s))
        })
        .filter(|(_, (s, _))| !s.file.starts_with("devices."))
        .map(|(h, (s, late))| format!("{late}{}/{}={}", h.directory, s.file, s.value))
        .collect()
}

#[test]
fn v1_values() {
    let cases: &[(&str, &[&str])] = &[
        ("{}", &[]),
        (r#"{"memory":{"limit":0,"swap":0},"cpu":{"shares":0,"quota":0}}"#, &[]),
        (
            r#"{"memory":{"limit":1048576,"swap":2097152,"reservation":65536,"swappiness":0}}"#,
            &[
                "memory/memory.limit_in_bytes=1048576",
                "memory/memory.memsw.limit_in_bytes=2097152",
                "memory/memory.soft_limit_in_bytes=65536",
                "memory/memory.swappiness=0",
            ],
        ),
        (
            r#"{"memory":{"limit":-1}}"#,
            &["memory/memory.limit_in_bytes=-1", "memory/memory.memsw.limit_in_bytes=-1"],
        ),
        (
            r#"{"memory":{"disableOOMKiller":true,"useHierarchy":true}}"#,
            &["memory/memory.use_hierarchy=1", "memory/memory.oom_control=1"],
        ),
        (
            r#"{"cpu":{"shares":512,"quota":50000,"period":100000,"burst":1000,"idle":0,
                "realtimeRuntime":950000,"realtimePeriod":1000000,"cpus":"0-1","mems":"0"}}"#,
            &[
                "cpu/cpu.rt_period_us=1000000",
                "cpu/cpu.rt_runtime_us=950000",
                "cpu/cpu.shares=512",
                "cpu/cpu.cfs_period_us=100000",
                "cpu/cpu.cfs_quota_us=50000",
                "cpu/cpu.cfs_burst_us=1000",
                "cpu/cpu.idle=0",
                "cpuset/cpuset.cpus=0-1",
                "cpuset/cpuset.mems=0",
            ],
        ),
        (r#"{"pids":{"limit":0}}"#, &["pids/pids.max=0"]),
        (r#"{"pids":{"limit":-1}}"#, &["pids/pids.max=max"]),
        (
            r#"{"blockIO":{"weight":500,"weightDevice":[{"major":8,"minor":0,"weight":100}],
                "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1024}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":7}]}}"#,
            &[
                "blkio/blkio.weight=500",
                "blkio/blkio.weight_device=8:0 100",
                "blkio/blkio.throttle.read_bps_device=8:0 1024",
                "blkio/blkio.throttle.write_iops_device=8:0 7",
            ],
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}],
                "network":{"classID":1048577,"priorities":[{"name":"eth0","priority":5}]},
                "rdma":{"mlx5_0":{"hcaHandles":3,"hcaObjects":10}}}"#,
            &[
                "net_cls,net_prio/net_cls.classid=1048577",
                "net_cls,net_prio/net_prio.ifpriomap=eth0 5",
                "hugetlb/hugetlb.2MB.limit_in_bytes=4194304",
                "hugetlb/hugetlb.2MB.rsvd.limit_in_bytes=4194304",
                "rdma/rdma.max=mlx5_0 hca_handle=3 hca_object=10",
            ],
        ),
    ];
    for (json, expected) in cases {
        let mut got = writes(json, &v1_full());
        let mut expected: Vec<String> = expected.iter().map(|s| (*s).to_owned()).collect();
        // The order inside a hierarchy matters, the one between hierarchies does not.
        let directory = |s: &String| s.split('/').next().map(str::to_owned);
        got.sort_by_key(directory);
        expected.sort_by_key(directory);
        assert_eq!(got, expected, "{json}");
    }
}

#[test]
fn v2_values() {
    let cases: &[(&str, &[&str])] = &[
        (
            r#"{"memory":{"limit":1048576,"swap":3145728,"reservation":-1}}"#,
            &["/memory.low=max", "late:/memory.swap.max=2097152", "late:/memory.max=1048576"],
        ),
        (r#"{"memory":{"limit":5,"swap":5}}"#, &["late:/memory.swap.max=0", "late:/memory.max=5"]),
        (r#"{"memory":{"limit":5}}"#, &["late:/memory.max=5"]),
        (r#"{"memory":{"limit":-1}}"#, &["late:/memory.swap.max=max", "late:/memory.max=max"]),
        (
            r#"{"cpu":{"shares":1024,"quota":50000,"burst":10,"idle":1,"cpus":"1"}}"#,
            &[
                "/cpuset.cpus=1",
                "/cpu.weight=100",
                "/cpu.max=50000 100000",
                "/cpu.max.burst=10",
                "/cpu.idle=1",
            ],
        ),
        (r#"{"cpu":{"quota":-1}}"#, &["/cpu.max=max 100000"]),
        (r#"{"cpu":{"period":20000}}"#, &["/cpu.max=max 20000"]),
        (r#"{"pids":{"limit":0}}"#, &["late:/pids.max=0"]),
        (r#"{"pids":{"limit":12}}"#, &["/pids.max=12"]),
        (
            r#"{"blockIO":{"weight":1000,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":9},
                {"major":8,"minor":16,"rate":1}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]}}"#,
            &["/io.bfq.weight=1000", "/io.max=8:0 rbps=9 wiops=max", "/io.max=8:16 rbps=1"],
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"1GB","limit":-1}]}"#,
            &["/hugetlb.1GB.max=max", "/hugetlb.1GB.rsvd.max=max"],
        ),
        (
            r#"{"unified":{"memory.high":"77","cgroup.max.depth":"3"},"pids":{"limit":1},
                "network":{}}"#,
            &["/pids.max=1", "/cgroup.max.depth=3", "late:/memory.high=77"],
        ),
        (
            r#"{"unified":{"io.max":"8:0 rbps=1\n8:16 wbps=2\n","cpuset.cpus":""}}"#,
            &["/cpuset.cpus=\n", "/io.max=8:0 rbps=1", "/io.max=8:16 wbps=2"],
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(writes(json, &unified_host()), *expected, "{json}");
    }
}

#[test]
fn errors_name_the_field() {
    let (v1, hybrid, v2) = (v1_only(), Host::for_test(), unified_host());
    let cases: &[(&str, &Host, &str)] = &[
        (r#"{"memory":{"limit":4096,"swap":1024}}"#, &v1, "memory.swap"),
        (r#"{"memory":{"swap":1024}}"#, &v2, "memory.swap"),
        (r#"{"memory":{"limit":-1,"swap":1024}}"#, &v2, "memory.swap"),
        (r#"{"memory":{"limit":-2}}"#, &v1, "memory.limit"),
        (r#"{"memory":{"swappiness":101}}"#, &v1, "memory.swappiness"),
        (r#"{"memory":{"disableOOMKiller":true}}"#, &v2, "memory.disableOOMKiller"),
        (r#"{"memory":{"swappiness":1}}"#, &v2, "memory.swappiness"),
        (r#"{"cpu":{"idle":2}}"#, &v1, "cpu.idle"),
        (r#"{"cpu":{"quota":-5}}"#, &v1, "cpu.quota"),
        (r#"{"cpu":{"realtimeRuntime":1}}"#, &v2, "cpu.realtimeRuntime"),
        (r#"{"cpu":{"cpus":"0\n1"}}"#, &v1, "cpu.cpus"),
        (r#"{"pids":{"limit":-3}}"#, &v1, "pids.limit"),
        (r#"{"blockIO":{"weight":5}}"#, &v1, "blockIO.weight"),
        (r#"{"blockIO":{"leafWeight":50}}"#, &v2, "blockIO.leafWeight"),
        (r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0}]}}"#, &v1, "blockIO.weightDevice[0]"),
        (
            r#"{"hugepageLimits":[{"pageSize":"../2MB","limit":1}]}"#,
            &v1,
            "hugepageLimits[0].pageSize",
        ),
        (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":1}]}"#, &v1, "hugepageLimits[0].limit"),
        (r#"{"network":{"classID":1}}"#, &hybrid, "network.classID"),
        (r#"{"network":{"classID":1}}"#, &v2, "network.classID"),
        (r#"{"network":{"priorities":[{"name":"lo","priority":1}]}}"#, &v2, "network.priorities"),
        (
            r#"{"network":{"priorities":[{"name":"a b","priority":1}]}}"#,
            &hybrid,
            "network.priorities[0].name",
        ),
        (r#"{"rdma":{"mlx":{}}}"#, &v2, "rdma.mlx"),
        (r#"{"unified":{"memory.high":"1"}}"#, &v1, "unified"),
        (r#"{"unified":{"memory.high":"1"}}"#, &hybrid, "unified.memory.high"),
        (r#"{"unified":{"../memory.high":"1"}}"#, &v2, "unified.../memory.high"),
        (r#"{"unified":{"cgroup.procs":"0"}}"#, &v2, "unified.cgroup.procs"),
        (r#"{"unified":{"cgroup.freeze":"1"}}"#, &v2, "unified.cgroup.freeze"),
        (r#"{"unified":{"misc.max":"0"}}"#, &v2, "unified.misc.max"),
        (r#"{"devices":[{"allow":true,"access":"x"}]}"#, &v2, "devices[0].access"),
    ];
    for (json, host, field) in cases {
        let error = lowered(json, host).expect_err(json);
        assert_eq!(
            error.path(),
            Some(format!("linux.resources.{field}").as_str()),
            "{json}: {error}"
        );
        assert!(matches!(error.kind(), ErrorKind::InvalidSpec | ErrorKind::Unsupported));
    }
}

#[test]
fn hierarchies_in_join_order_with_memory_last() {
    let (plan, warnings) = lowered("{}", &Host::for_test()).unwrap();
    let directories: Vec<_> = plan.hierarchies.iter().map(|h| h.directory.as_str()).collect();
    assert_eq!(directories[directories.len() - 2..], ["memory", "unified"]);
    assert_eq!(directories.len(), 10);
    assert_eq!(plan.path, "/docker/c1");
    assert!(warnings.is_empty() && plan.device_program.is_none());
    let cpuset = plan.hierarchies.iter().find(|h| h.directory == "cpuset").unwrap();
    assert_eq!(cpuset.cpuset, Inherit::Cpuset);
}

#[test]
fn hybrid_takes_from_v2_what_v1_lacks() {
    let json =
        r#"{"hugepageLimits":[{"pageSize":"2MB","limit":0}],"unified":{"cgroup.max.depth":"1"}}"#;
    let (plan, _) = lowered(json, &Host::for_test()).unwrap();
    let unified = plan.hierarchies.last().unwrap();
    assert_eq!(unified.controllers.len(), 1);
    assert_eq!(unified.controllers[0].name, "hugetlb");
    assert_eq!(unified.settings[0].file, "hugetlb.2MB.max");
}

#[test]
fn v2_enables_for_statistics_and_says_who_needs_what() {
    let (plan, _) = lowered(r#"{"pids":{"limit":3}}"#, &unified_host()).unwrap();
    let controllers: Vec<_> = plan.hierarchies[0]
        .controllers
        .iter()
        .map(|c| (c.name.as_str(), c.needed_by.as_deref()))
        .collect();
    assert!(controllers.contains(&("pids", Some("linux.resources.pids.limit"))));
    assert!(controllers.contains(&("memory", None)));
    assert!(!controllers.iter().any(|(name, _)| *name == "hugetlb"));
    assert!(plan.device_program.is_some());
}

#[test]
fn devices_by_privilege_and_layout() {
    let allow = r#"{"devices":[{"allow":true,"access":"rwm"}]}"#;
    let deny = r#"{"devices":[{"allow":false,"access":"rwm"}]}"#;
    assert!(lowered(allow, &unified_host()).unwrap().0.device_program.is_none());
    assert!(lowered(deny, &unified_host()).unwrap().0.device_program.is_some());
    let (plan, _) = lowered(deny, &v1_only()).unwrap();
    let devices = plan.hierarchies.iter().find(|h| h.directory == "devices").unwrap();
    assert_eq!(devices.settings[0].file, "devices.deny");
    let mut rootless = unified_host();
    (rootless.euid, rootless.rootless) = (1000, true);
    let (plan, warnings) = lowered(deny, &rootless).unwrap();
    assert!(plan.device_program.is_none() && warnings.is_empty() && plan.optional);
}

#[test]
fn without_privilege_a_missing_controller_is_a_warning() {
    let mut host = unified_host();
    host.cgroups = CgroupLayout::Unified { controllers: vec!["pids".into()] };
    let json = r#"{"memory":{"limit":4096},"pids":{"limit":7}}"#;
    assert_eq!(lowered(json, &host).unwrap_err().path(), Some("linux.resources.memory.limit"));
    host.rootless = true;
    let (plan, warnings) = lowered(json, &host).unwrap();
    assert!(warnings[0].contains("memory.limit") && warnings[0].contains("Delegate="));
    assert_eq!(plan.settings().map(|s| s.file.as_str()).collect::<Vec<_>>(), ["pids.max"]);
}

#[test]
fn without_privilege_one_missing_controller_takes_no_other_limit_along() {
    let mut host = unified_host();
    host.cgroups = CgroupLayout::Unified { controllers: vec!["pids".into(), "rdma".into()] };
    host.rootless = true;
    let json = r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4096}],
        "rdma":{"mlx5_0":{"hcaHandles":3}},"unified":{"pids.max":"7"}}"#;
    let (plan, warnings) = lowered(json, &host).unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("hugepageLimits[0]"), "{warnings:?}");
    let files: Vec<_> = plan.settings().map(|setting| setting.file.as_str()).collect();
    assert_eq!(files, ["rdma.max", "pids.max"]);
    // What the kernel has no longer is nothing that anybody could delegate.
    let old = r#"{"memory":{"limit":4096,"disableOOMKiller":true}}"#;
    host.cgroups = unified_host().cgroups;
    assert!(lowered(old, &host).unwrap_err().path().unwrap().ends_with("disableOOMKiller"));
    let nonsense = r#"{"unified":{"nonsense.max":"1"}}"#;
    let error = lowered(nonsense, &host).unwrap_err();
    assert_eq!(error.path(), Some("linux.resources.unified.nonsense.max"));
}

#[test]
fn deprecated_and_ignored_fields_warn() {
    let json = r#"{"memory":{"kernel":1,"kernelTCP":1,"useHierarchy":false},"network":{}}"#;
    let (_, warnings) = lowered(json, &unified_host()).unwrap();
    for field in ["memory.kernel:", "memory.kernelTCP:", "memory.useHierarchy:"] {
        assert!(warnings.iter().any(|w| w.contains(field)), "{field} {warnings:?}");
    }
}

#[test]
fn without_cgroups_limits_are_errors_and_nothing_is_planned() {
    let mut host = Host::for_test();
    host.cgroups = CgroupLayout::None;
    let (plan, warnings) = lowered("{}", &host).unwrap();
    assert!(plan.hierarchies.is_empty() && warnings.len() == 1);
    assert!(lowered(r#"{"pids":{"limit":1}}"#, &host).is_err());
}

#[test]
fn weight_curve_meets_ends_and_default() {
    for (shares, weight) in [(2, 1), (3, 2), (1024, 100), (2048, 174), (262_144, 10_000)] {
        assert_eq!(cpu::weight(shares), weight, "{shares}");
    }
    let weights: Vec<_> = (2..=5000).map(cpu::weight).collect();
    assert!(weights.is_sorted());
}

#[test]
fn check_before_update_names_the_usage_file() {
    let json = r#"{"memory":{"limit":4096,"swap":-1,"checkBeforeUpdate":true}}"#;
    let (plan, _) = lowered(json, &v1_only()).unwrap();
    let memory = plan.hierarchies.last().unwrap();
    assert_eq!(memory.settings[0].above.as_deref(), Some("memory.usage_in_bytes"));
    assert_eq!(memory.settings[1].above, None);
}
