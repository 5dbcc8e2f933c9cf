//! cgroups against the real kernel: directories, limits, joining, killing, removal. Needs root and the
//! cgroup file systems at /sys/fs/cgroup; every cgroup made here is named /teu-test-….

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise, helpers too")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use runtime_core::ErrorKind;
use runtime_core::cgroup::{Below, Version, lower, prepare};
use runtime_core::host::CgroupLayout;

use support::{Cgroup, ROOT, host, spawn};

#[test]
fn joins_every_hierarchy_dies_and_leaves_nothing() {
    let cgroup = Cgroup::new("life", "{}");
    assert!(cgroup.record.is_empty_or_missing().unwrap());
    let mut prepared = cgroup.prepare();
    assert_eq!(cgroup.existing().len(), cgroup.plan.hierarchies.len());
    let handed = prepared.tasks().len() + usize::from(prepared.unified().is_some());
    assert_eq!(handed, cgroup.plan.hierarchies.len());
    let mut child = spawn(&cgroup, &prepared, "");
    prepared.joined().unwrap();
    let membership = fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
    for line in membership.lines() {
        assert!(line.ends_with(&format!(":{}", cgroup.plan.path)), "{line}");
    }
    assert_eq!(cgroup.record.processes().unwrap(), [child.id() as i32]);
    assert!(!cgroup.record.is_empty_or_missing().unwrap());
    assert!(!cgroup.record.frozen().unwrap());
    let joined = cgroup.record.join(&Below::default()).unwrap();
    assert_eq!(joined.tasks().len(), prepared.tasks().len());
    cgroup.record.kill_all().unwrap();
    cgroup.record.destroy().unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(cgroup.existing(), Vec::<PathBuf>::new());
    cgroup.record.destroy().unwrap();
    assert!(cgroup.record.is_empty_or_missing().unwrap());
}

#[test]
fn limits_read_back() {
    let disk = fs::read_dir("/sys/block").unwrap().next().unwrap().unwrap().path().join("dev");
    let disk = fs::read_to_string(disk).unwrap();
    let (major, minor) = disk.trim().split_once(':').unwrap();
    let cgroup = Cgroup::new(
        "limits",
        &r#"{"memory":{"limit":33554432,"swap":67108864,"reservation":16777216,"swappiness":7},
            "cpu":{"shares":512,"quota":50000,"period":200000,"burst":1000,"cpus":"0","mems":"0"},
            "pids":{"limit":17},
            "blockIO":{"throttleReadBpsDevice":[{"major":MAJOR,"minor":MINOR,"rate":1024}]}}"#
            .replace("MAJOR", major)
            .replace("MINOR", minor),
    );
    if !["memory", "cpu", "cpuset"].iter().all(|c| cgroup.host.v1(c).is_some()) {
        println!("skipped: the values below are those of cgroup v1");
        return;
    }
    let prepared = cgroup.prepare();
    for (file, value) in [
        ("memory.limit_in_bytes", "33554432"),
        ("memory.memsw.limit_in_bytes", "67108864"),
        ("memory.soft_limit_in_bytes", "16777216"),
        ("memory.swappiness", "7"),
        ("cpu.shares", "512"),
        ("cpu.cfs_quota_us", "50000"),
        ("cpu.cfs_period_us", "200000"),
        ("cpu.cfs_burst_us", "1000"),
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
        ("pids.max", "17"),
        ("blkio.throttle.read_bps_device", &format!("{} 1024", disk.trim())),
    ] {
        assert_eq!(cgroup.read(file, file), value, "{file}");
    }
    assert_eq!(cgroup.record.memory_limit(), Some(33_554_432));
    assert_eq!(cgroup.record.oom_kills(), Some(0));
    let mut child = spawn(&cgroup, &prepared, "");
    assert!(cgroup.record.memory_usage() > Some(0) && cgroup.record.memory_peak() > Some(0));
    // Lower and higher than what the kernel has at first: both orders of limit and swap.
    cgroup.record.kill_all().unwrap();
    child.wait().unwrap();
    cgroup.record.destroy().unwrap();
    for limit in [8_388_608, 268_435_456] {
        let json = format!(r#"{{"memory":{{"limit":{limit},"swap":{limit}}}}}"#);
        let again = Cgroup::new("limits", &json);
        again.prepare();
        assert_eq!(again.read("memory.limit_in_bytes", ""), limit.to_string());
        assert_eq!(again.read("memory.memsw.limit_in_bytes", ""), limit.to_string());
    }
}

#[test]
fn device_rules_hold() {
    let cgroup = Cgroup::new("devices", r#"{"devices":[{"allow":false,"access":"rwm"}]}"#);
    let prepared = cgroup.prepare();
    let dir = tempfile::tempdir().unwrap();
    let mem = dir.path().join("mem");
    let mem = mem.display();
    // A node may be made, but the host's memory not be read through it.
    let script = format!(
        ": < /dev/null > /dev/null || exit 1; mknod {mem} c 1 1 || exit 2; \
         (: < {mem}) 2>/dev/null && exit 3;"
    );
    let mut child = spawn(&cgroup, &prepared, &script);
    cgroup.record.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn refusals_name_the_field_and_leave_nothing() {
    for (name, json, expected) in [
        (
            "file",
            r#"{"blockIO":{"leafWeight":500}}"#,
            "linux.resources.blockIO.leafWeight: this host's kernel has no blkio.leaf_weight",
        ),
        (
            "value",
            r#"{"cpu":{"cpus":"4000"}}"#,
            "linux.resources.cpu.cpus: the kernel refused \"4000\" for cpuset.cpus: ",
        ),
    ] {
        let cgroup = Cgroup::new(name, json);
        if cgroup.host.v1("blkio").is_none() {
            println!("skipped: these are refusals of cgroup v1");
            return;
        }
        let error = prepare(&cgroup.plan, &cgroup.host, None).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.clean_up().is_empty());
        assert_eq!(cgroup.existing(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_cgroup_that_is_there_is_refused_even_when_it_is_empty() {
    let cgroup = Cgroup::new("used", "{}");
    cgroup.prepare();
    let error = prepare(&cgroup.plan, &cgroup.host, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongState);
    assert!(error.to_string().contains("exists already"), "{error}");
    // Whoever has made it keeps it.
    assert_eq!(cgroup.existing().len(), cgroup.directories().len());
}

#[test]
fn kills_frozen_processes_and_removes_what_the_workload_made() {
    let cgroup = Cgroup::new("tree", "{}");
    let prepared = cgroup.prepare();
    let mut script = String::new();
    for (directory, version) in cgroup.directories() {
        let file = if version == Version::V1 { "tasks" } else { "cgroup.procs" };
        let (directory, cpuset) = (directory.display(), directory.ends_with("cpuset"));
        script += &format!("mkdir -p {directory}/a/b {directory}/c || exit 7; ");
        if !cpuset && !directory.to_string().contains("/cpuset/") {
            script += &format!("(echo 0 > {directory}/a/b/{file} && exec sleep 1000) & ");
        }
    }
    let mut child = spawn(&cgroup, &prepared, &script);
    let freezers = cgroup.directories().into_iter().map(|(d, _)| d.join("freezer.state"));
    freezers.filter(|f| f.exists()).for_each(|f| fs::write(f, "FROZEN").unwrap());
    assert!(cgroup.record.processes().unwrap().len() > 1);
    cgroup.record.kill_all().unwrap();
    child.wait().unwrap();
    cgroup.record.destroy().unwrap();
    assert_eq!(cgroup.existing(), Vec::<PathBuf>::new());
}

#[test]
fn a_signal_reaches_all() {
    let cgroup = Cgroup::new("signal", "{}");
    let prepared = cgroup.prepare();
    let mut child = spawn(&cgroup, &prepared, "");
    cgroup.record.signal_all(15).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    let error = cgroup.record.signal_all(99).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn the_oom_killer_is_counted() {
    let cgroup = Cgroup::new("oom", r#"{"memory":{"limit":8388608,"swap":8388608}}"#);
    let prepared = cgroup.prepare();
    // A shell variable that doubles until the kernel ends the subshell.
    let script = "(x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done) 2>/dev/null;";
    let mut child = spawn(&cgroup, &prepared, script);
    assert!(cgroup.record.oom_kills() >= Some(1));
    cgroup.record.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn nested_paths_leave_their_parents() {
    let host = host();
    let path = format!("/teu-test-{}-nest/in/c1", std::process::id());
    let (plan, _) = lower(Some(Path::new(&path)), "c1", None, &BTreeMap::new(), &host).unwrap();
    prepare(&plan, &host, None).unwrap();
    let record = plan.record(&host);
    assert!(record.directories().all(|(directory, _)| directory.is_dir()));
    record.destroy().unwrap();
    for (directory, _) in record.directories() {
        let parent = directory.parent().unwrap();
        assert!(parent.is_dir(), "the parents are not the container's");
        fs::remove_dir(parent).unwrap();
        fs::remove_dir(parent.parent().unwrap()).unwrap();
    }
}

/// The rules as a BPF program, which a hybrid host without the v1 controller uses too.
#[test]
fn device_rules_hold_as_a_program() {
    let mut host = host();
    if let CgroupLayout::Legacy { hierarchies, unified } = &mut host.cgroups {
        if unified.is_none() {
            println!("skipped: no cgroup2 here");
            return;
        }
        hierarchies.retain(|h| h.controllers.iter().all(|c| c != "devices"));
    }
    let json = r#"{"devices":[{"allow":false},
        {"allow":true,"type":"c","major":1,"minor":11,"access":"r"}]}"#;
    let cgroup = Cgroup::on(host, "program", json);
    assert!(cgroup.plan.device_program.is_some());
    let prepared = cgroup.prepare();
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().display();
    let script = format!(
        ": < /dev/null > /dev/null || exit 1; \
         mknod {dir}/mem c 1 1 && mknod {dir}/kmsg c 1 11 || exit 2; \
         (: < {dir}/mem) 2>/dev/null && exit 3; (: < {dir}/kmsg) || exit 4; \
         (: > {dir}/kmsg) 2>/dev/null && exit 5; (: <> {dir}/kmsg) 2>/dev/null && exit 6;"
    );
    let mut child = spawn(&cgroup, &prepared, &script);
    cgroup.record.kill_all().unwrap();
    child.wait().unwrap();
}

/// A controller that v1 lacks is enabled on cgroup2, from the top down.
#[test]
fn hugepages_of_a_hybrid_host() {
    let host = host();
    let CgroupLayout::Legacy { unified: Some(unified), .. } = &host.cgroups else {
        println!("skipped: not a hybrid host");
        return;
    };
    let top = Path::new(ROOT).join(unified);
    let control = top.join("cgroup.subtree_control");
    let has = |file: &Path| fs::read_to_string(file).unwrap().contains("hugetlb");
    if !has(&top.join("cgroup.controllers"))
        || !Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists()
    {
        println!("skipped: no hugetlb controller on cgroup2");
        return;
    }
    let before = has(&control);
    let json = r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#;
    let cgroup = Cgroup::on(host.clone(), "huge", json);
    cgroup.prepare();
    assert_eq!(cgroup.read("", "hugetlb.2MB.max"), "4194304");
    assert_eq!(cgroup.read("", "hugetlb.2MB.rsvd.max"), "4194304");
    let unknown = Cgroup::on(host, "huge-no", &json.replace("2MB", "3MB"));
    let error = prepare(&unknown.plan, &unknown.host, None).unwrap_err();
    assert_eq!(error.path(), Some("linux.resources.hugepageLimits[0].limit"));
    assert_eq!(unknown.existing(), Vec::<PathBuf>::new());
    cgroup.record.destroy().unwrap();
    if !before {
        fs::write(control, "-hugetlb").unwrap();
    }
}
