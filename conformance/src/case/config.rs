//! What a configuration may leave out, may say for others, or says in a less usual way.

use serde_json::{Value, json};

use super::Case;
use super::rootfs::{add, bind, mount_at};
use crate::harness::{Lab, Result, cgroup, ensure, ensure_eq, lacks};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "config/root-absolute",
        "an absolute root.path is taken as it is",
        "OCI runtime-spec config.md#root",
        root_absolute,
    ),
    Case::new(
        "config/linux-absent",
        "a configuration without the linux object works",
        "OCI runtime-spec config.md#platform-specific-configuration",
        linux_absent,
    )
    .known("runc 1.1 fails without cgroups of the container"),
    Case::new(
        "config/mounts-absent",
        "a configuration without mounts works",
        "OCI runtime-spec config.md#mounts (OPTIONAL)",
        mounts_absent,
    )
    .known("runc 1.1 closes descriptors by /proc/self/fd of the container"),
    Case::new(
        "config/relative-destination",
        "a relative destination starts at the root of the container",
        "OCI runtime-spec config.md#mounts destination (SHOULD be absolute since 1.1)",
        relative_destination,
    ),
    Case::new(
        "config/bind-without-type",
        "bind among the options makes a bind mount, without a type and with any",
        "OCI runtime-spec config.md#mounts source; config.md#posix-platform-mounts type",
        bind_without_type,
    ),
    Case::new(
        "config/hook-relative",
        "a hook whose path is not absolute is an error",
        "OCI runtime-spec config.md#posix-platform-hooks path MUST be absolute",
        hook_relative,
    ),
    Case::new(
        "config/other-platforms",
        "objects for other platforms do not disturb",
        "OCI runtime-spec config.md#platform-specific-configuration",
        other_platforms,
    ),
    Case::new(
        "config/console-size-ignored",
        "consoleSize without terminal is ignored",
        "OCI runtime-spec config.md#process consoleSize MUST be ignored",
        console_size,
    ),
    Case::new(
        "config/scheduler-fifo",
        "a real-time policy and its priority are as configured",
        "OCI runtime-spec config.md#linux-process scheduler; sched_setattr(2)",
        scheduler_fifo,
    )
    .known("runc 1.1 has no scheduler"),
    Case::new(
        "config/memory-policy",
        "memoryPolicy is the policy of the workload",
        "OCI runtime-spec config-linux.md#memory-policy; numa(7)",
        memory_policy,
    )
    .known("runc 1.1 has no memoryPolicy"),
];

fn facts(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<Value> {
    lab.container(lab.bundle(edit)?).facts()
}

fn root_absolute(lab: &Lab) -> Result {
    let mut c = lab.container(lab.bundle(|_| {})?);
    let rootfs = c.bundle.rootfs();
    c.bundle.config["root"]["path"] = rootfs.to_string_lossy().into_owned().into();
    c.bundle.write()?;
    ensure_eq!(c.facts()?["hostname"], "conformance", "hostname");
    Ok(())
}

fn linux_absent(lab: &Lab) -> Result {
    let facts = facts(lab, |config| {
        if let Some(all) = config.as_object_mut() {
            // What is left needs no namespace.
            all.retain(|word, _| !["linux", "hostname", "mounts"].contains(&word.as_str()));
        }
        config["root"]["readonly"] = false.into();
    })?;
    ensure_eq!(facts["cwd"], "/", "working directory");
    Ok(())
}

fn mounts_absent(lab: &Lab) -> Result {
    let facts = facts(lab, |config| {
        if let Some(all) = config.as_object_mut() {
            all.remove("mounts");
        }
        // Nothing to hide: there is no /proc and no /sys.
        if let Some(all) = config["linux"].as_object_mut() {
            all.retain(|word, _| !["maskedPaths", "readonlyPaths"].contains(&word.as_str()));
        }
        // The default devices are made in the root file system then.
        config["root"]["readonly"] = false.into();
    })?;
    ensure_eq!(facts["cwd"], "/", "working directory");
    ensure!(facts["mounts"].is_null(), "there must be no /proc: {}", facts["mounts"]);
    Ok(())
}

fn relative_destination(lab: &Lab) -> Result {
    let facts = facts(lab, |config| {
        add(config, json!({ "destination": "tmp/here", "type": "tmpfs", "source": "tmpfs" }));
    })?;
    mount_at(&facts, "/tmp/here").map(drop)
}

fn bind_without_type(lab: &Lab) -> Result {
    let source = lab.new_folder("source")?;
    std::fs::write(source.join("file"), "inside")?;
    for kind in [None, Some("none"), Some("tmpfs")] {
        let bundle = lab.bundle(|config| {
            config["process"]["args"] = json!(["/probe", "cat", "/tmp/bound/file"]);
            let mut mount = bind(&source, "/tmp/bound", &["bind"]);
            match kind {
                Some(kind) => mount["type"] = kind.into(),
                None => mount.as_object_mut().map(|all| all.remove("type")).map_or((), drop),
            }
            add(config, mount);
        })?;
        ensure_eq!(lab.container(bundle).run()?.ok()?.stdout, "inside", "type {kind:?}");
    }
    Ok(())
}

fn hook_relative(lab: &Lab) -> Result {
    // It works with the absolute path, so the refusal is of the relative one.
    for (path, wanted) in [("/bin/true", true), ("bin/true", false)] {
        let bundle = lab.bundle(|config| {
            config["hooks"] = json!({ "createRuntime": [{ "path": path }] });
        })?;
        let done = lab.container(bundle).run()?;
        ensure!(
            (done.code == Some(0)) == wanted,
            "with the hook {path} the run {}: {}",
            done.ended(),
            done.stderr
        );
    }
    Ok(())
}

fn other_platforms(lab: &Lab) -> Result {
    let facts = facts(lab, |config| {
        config["solaris"] = json!({ "milestone": "svc:/milestone/container:default" });
        config["windows"] = json!({ "layerFolders": ["C:\\layer"] });
        config["vm"] = json!({
            "kernel": { "path": "/no/such/kernel" },
            "hwConfig": { "vcpus": 2, "memory": 1024, "deviceTree": "/no/such/tree" },
        });
        config["zos"] = json!({ "namespaces": [{ "type": "uts" }] });
        config["freebsd"] = json!({ "jail": { "host": "new" } });
        config["process"]["commandLine"] = "other.exe".into();
        config["process"]["user"]["username"] = "other".into();
    })?;
    ensure_eq!(facts["args"], json!(["/probe", "facts"]), "args");
    ensure_eq!(facts["uid"], 0, "uid");
    Ok(())
}

fn console_size(lab: &Lab) -> Result {
    let facts = facts(lab, |config| {
        config["process"]["consoleSize"] = json!({ "height": 25, "width": 80 });
    })?;
    ensure_eq!(facts["cwd"], "/", "working directory");
    Ok(())
}

fn scheduler_fifo(lab: &Lab) -> Result {
    let wanted = json!({ "policy": "SCHED_FIFO", "priority": 7 });
    let budget = cgroup::v1("cpu", "").filter(|root| root.join("cpu.rt_runtime_us").exists());
    let bundle = lab.bundle(|config| {
        // Where each cgroup has a budget of its own, this one gets some, and none above it is without.
        if budget.is_some() && !lab.target.systemd {
            config["linux"]["resources"]["cpu"] =
                json!({ "realtimeRuntime": 2000, "realtimePeriod": 500_000 });
            config["linux"]["cgroupsPath"] = format!("/{}-fifo", lab.token).into();
        }
        config["process"]["args"] = json!(["/probe", "cat", "/proc/self/sched"]);
        config["process"]["scheduler"] = wanted;
    })?;
    let done = lab.container(bundle).run()?;
    if done.stderr.contains("EPERM") || done.stderr.contains("not permitted") {
        return lacks("real-time bandwidth in the container's cgroup (sched(7))");
    }
    let text = done.ok()?.stdout;
    let line = |name: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
    };
    ensure_eq!(line("policy"), libc::SCHED_FIFO.to_string(), "policy in {text}");
    // The kernel counts real-time priorities down from 99.
    ensure_eq!(line("prio"), (99 - 7).to_string(), "priority in {text}");
    Ok(())
}

fn memory_policy(lab: &Lab) -> Result {
    lab.needs("/proc/self/numa_maps", "NUMA")?;
    let bundle = lab.bundle(|config| {
        config["process"]["args"] = json!(["/probe", "cat", "/proc/self/numa_maps"]);
        config["linux"]["memoryPolicy"] = json!({ "mode": "MPOL_BIND", "nodes": "0" });
    })?;
    let text = lab.container(bundle).run()?.ok()?.stdout;
    ensure!(text.contains(" bind:0"), "no mapping has the policy: {text}");
    Ok(())
}
