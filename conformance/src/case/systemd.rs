//! The systemd driver (`--systemd-cgroup`): a container is a unit, and its limits are properties of it.

use std::fs;

use serde_json::{Value, json};

use super::Case;
use crate::harness::container::PATIENCE;
use crate::harness::lab::SYSTEMD;
use crate::harness::{
    Bundle, Container, Lab, Result, cgroup, ensure, ensure_eq, lacks, process, systemd,
};

const DRIVER: &str = "runc docs/systemd.md; the cgroup drivers of Podman, CRI-O and containerd";
const UNIT: &str = "org.freedesktop.systemd1(5), StartTransientUnit; runc docs/systemd.md";
pub(super) const LIMITS: &str = "systemd.resource-control(5); runc docs/systemd.md";

pub(super) const CASES: &[Case] = &[
    Case::new("systemd/unit", "the container is a scope in its slice, delegated", UNIT, unit),
    Case::new("systemd/nested-slice", "a-b.slice is below a.slice", DRIVER, nested_slice),
    Case::new(
        "systemd/default",
        "without a path it is a scope in system.slice, or a user's user.slice",
        DRIVER,
        default,
    ),
    Case::new("systemd/bad-paths", "what names no unit is refused", DRIVER, bad_paths),
    Case::new("systemd/slice", "a name that ends in .slice is a slice", DRIVER, slice)
        .known("runc gives systemd a process for the slice, which takes none"),
    Case::new("systemd/limits", "limits are properties, and in the files", LIMITS, limits),
    // To reload systemd takes long where the CPU is emulated.
    Case::new("systemd/limits-stay", "systemd, reloaded, takes no limit back", LIMITS, limits_stay)
        .deadline(120),
    Case::new("systemd/no-swap-stays", "systemd, reloaded, allows no swap", LIMITS, no_swap_stays)
        .deadline(120)
        .known("runc 1.1 does not tell systemd of a limit of 0 (moby#51446)"),
    Case::new("systemd/devices-stay", "systemd, reloaded, allows no device", LIMITS, devices_stay)
        .deadline(120),
    Case::new("systemd/update", "update changes properties and files", LIMITS, update),
    Case::new("systemd/exec", "a process of exec is in the scope", DRIVER, exec),
    Case::new("systemd/pause", "a scope is paused and goes on", DRIVER, pause),
    Case::new("systemd/delete", "delete leaves no unit", DRIVER, delete),
    Case::new("systemd/ended", "a container that has ended leaves no unit", DRIVER, ended),
    Case::new("systemd/annotations", "a harmless property by annotation", DRIVER, annotations),
    Case::new(
        "systemd/bad-annotations",
        "an annotation runs no program on the host",
        "CVE-2024-3154",
        bad_annotations,
    )
    .known("runc takes whatever systemd takes"),
];

/// A bundle whose cgroup is a scope of its own; its name.
pub(super) fn bundle(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<(Bundle, String)> {
    systemd::needed()?;
    let (token, number) = (&lab.token, lab.next());
    let bundle = lab.bundle(|config| {
        config["linux"]["cgroupsPath"] = format!("{token}.slice:{token}:{number}").into();
        config["process"]["args"] = json!(["/probe", "sleep"]);
        edit(config);
    })?;
    Ok((bundle, format!("{token}-{number}.scope")))
}

/// `create` by systemd, which must succeed.
pub(super) fn create(container: &Container<'_>) -> Result {
    let done = container.launch("create", &[]).globals([SYSTEMD]).run()?;
    container.adopt_if(done)?.ok().map(drop)
}

pub(super) fn made(lab: &Lab, edit: impl FnOnce(&mut Value)) -> Result<(Container<'_>, String)> {
    let (bundle, unit) = bundle(lab, edit)?;
    let container = lab.container(bundle);
    create(&container)?;
    Ok((container, unit))
}

/// Insists on these properties.
pub(super) fn has(unit: &str, wanted: &[(&str, &str)]) -> Result {
    for (name, value) in wanted {
        ensure_eq!(systemd::property(unit, name)?, *value, "{name} of {unit}");
    }
    Ok(())
}

/// Insists that the process is in this cgroup: in cgroup2, or systemd's own hierarchy.
fn is_in(pid: i32, wanted: &str) -> Result {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let mut lines = text.lines().filter(|line| {
        line.contains(":name=systemd:") || (line.starts_with("0::") && !text.contains(":name="))
    });
    // A runtime may have a cgroup of its own below, as crun does.
    let below = format!(":/{wanted}/");
    ensure!(lines.any(|line| format!("{line}/").contains(&below)), "not in {wanted}: {text}");
    Ok(())
}

fn unit(lab: &Lab) -> Result {
    let (container, unit) = made(lab, |_| {})?;
    has(
        &unit,
        &[
            ("ActiveState", "active"),
            ("Slice", &format!("{}.slice", lab.token)),
            ("Delegate", "yes"),
            ("Transient", "yes"),
            ("DefaultDependencies", "no"),
            ("MemoryAccounting", "yes"),
            ("TasksAccounting", "yes"),
        ],
    )?;
    is_in(container.pid()?, &container.bundle.cgroup())
}

fn nested_slice(lab: &Lab) -> Result {
    let slice = format!("{}-x-y.slice", lab.token);
    let (container, _) = made(lab, |config| {
        config["linux"]["cgroupsPath"] = format!("{slice}:{}:nested", lab.token).into();
    })?;
    is_in(container.pid()?, &container.bundle.cgroup())?;
    has(&format!("{}-nested.scope", lab.token), &[("Slice", &slice)])
}

fn default(lab: &Lab) -> Result {
    let (container, _) = made(lab, |config| {
        if let Some(linux) = config["linux"].as_object_mut() {
            linux.remove("cgroupsPath");
        }
    })?;
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid()?))?;
    let end = format!("-{}.scope", container.id);
    let slice = format!("{}/{}/", systemd::cgroup(), systemd::default_slice());
    let found = text.lines().any(|line| line.contains(&format!(":{slice}")) && line.contains(&end));
    ensure!(found, "no scope of the container is in {slice}: {text}");
    Ok(())
}

fn bad_paths(lab: &Lab) -> Result {
    for path in
        ["/a/b", "a", "a.slice:b", "a:b:c", "a--b.slice:b:c", "-a.slice:b:c", "a.slice:b:/c/../d"]
    {
        let (bundle, _) = bundle(lab, |config| config["linux"]["cgroupsPath"] = path.into())?;
        let container = lab.container(bundle);
        lab.note(format!("cgroupsPath {path:?}"));
        container.launch("create", &[]).globals([SYSTEMD]).run()?.refused()?;
    }
    Ok(())
}

fn slice(lab: &Lab) -> Result {
    if systemd::is_users() {
        // systemd moves nobody into a slice, and the kernel only those of whom the user owns the way (cgroups(7)).
        cgroup::needs_any()?;
    }
    let name = format!("{}-own.slice", lab.token);
    let (container, _) = made(lab, |config| {
        config["linux"]["cgroupsPath"] = format!("{}.slice::{name}", lab.token).into();
    })?;
    let path = format!("{}/{}.slice/{name}", systemd::cgroup(), lab.token);
    is_in(container.pid()?, path.trim_start_matches('/'))?;
    has(&name, &[("ActiveState", "active")])?;
    container.delete_force()?.ok()?;
    has(&name, &[("ActiveState", "inactive")])
}

const RESOURCES: &str = r#"{
    "memory": { "limit": 33554432, "reservation": 16777216 },
    "pids": { "limit": 42 },
    "cpu": { "shares": 512, "quota": 33300, "period": 100000 }
}"#;

/// The folder of the container on a host with cgroup v2.
pub(super) fn unified(container: &Container<'_>) -> Result<std::path::PathBuf> {
    match (cgroup::v2("memory", &container.bundle.cgroup()), cgroup::v2("pids", "")) {
        (Some(folder), Some(_)) => Ok(folder),
        _ => lacks("cgroup v2 with memory and pids"),
    }
}

fn limited(lab: &Lab) -> Result<(Container<'_>, String)> {
    let resources: Value = serde_json::from_str(RESOURCES)?;
    made(lab, |config| {
        for (key, value) in resources.as_object().into_iter().flatten() {
            config["linux"]["resources"][key] = value.clone();
        }
    })
}

fn limits(lab: &Lab) -> Result {
    let (container, unit) = limited(lab)?;
    let folder = unified(&container)?;
    has(
        &unit,
        &[
            ("MemoryMax", "33554432"),
            ("MemoryLow", "16777216"),
            ("TasksMax", "42"),
            // systemd has per cent: 33.3 is rounded up.
            ("CPUQuotaPerSecUSec", "340ms"),
        ],
    )?;
    let weight = cgroup::read(&folder, "cpu.weight")?;
    has(&unit, &[("CPUWeight", &weight)])?;
    for (file, wanted) in [
        ("memory.max", "33554432"),
        ("memory.low", "16777216"),
        ("pids.max", "42"),
        ("cpu.max", "33300 100000"),
    ] {
        ensure_eq!(cgroup::read(&folder, file)?, wanted, "{file}");
    }
    Ok(())
}

/// What an upgrade of any package of the host does, and what has systemd write all files of this unit again.
pub(super) fn reload(unit: &str) -> Result {
    let other =
        if systemd::property(unit, "IOWeight")? == "321" { "IOWeight=322" } else { "IOWeight=321" };
    systemd::control(&["daemon-reload"])?;
    systemd::control(&["set-property", "--runtime", unit, other])
}

fn limits_stay(lab: &Lab) -> Result {
    let (container, unit) = limited(lab)?;
    let folder = unified(&container)?;
    let weight = cgroup::read(&folder, "cpu.weight")?;
    reload(&unit)?;
    for (file, wanted) in [
        ("memory.max", "33554432"),
        ("memory.low", "16777216"),
        ("pids.max", "42"),
        ("cpu.weight", &weight),
    ] {
        ensure_eq!(cgroup::read(&folder, file)?, wanted, "{file}");
    }
    Ok(())
}

fn no_swap_stays(lab: &Lab) -> Result {
    let (container, unit) = made(lab, |config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 33_554_432, "swap": 33_554_432 });
    })?;
    let folder = unified(&container)?;
    if !folder.join("memory.swap.max").exists() {
        return lacks("limits of swap");
    }
    ensure_eq!(cgroup::read(&folder, "memory.swap.max")?, "0", "memory.swap.max");
    reload(&unit)?;
    ensure_eq!(cgroup::read(&folder, "memory.swap.max")?, "0", "memory.swap.max, reloaded");
    Ok(())
}

fn devices_stay(lab: &Lab) -> Result {
    let (container, unit) = made(lab, |config| {
        config["process"]["capabilities"]["bounding"] = json!(["CAP_MKNOD"]);
        config["process"]["capabilities"]["effective"] = json!(["CAP_MKNOD"]);
        config["process"]["capabilities"]["permitted"] = json!(["CAP_MKNOD"]);
        config["root"]["readonly"] = false.into();
    })?;
    container.start()?;
    systemd::control(&["daemon-reload"])?;
    systemd::control(&["set-property", "--runtime", &unit, "TasksMax=100"])?;
    // kmsg: 1:11 is in no list of a runtime.
    let script = "busybox mknod /k c 1 11; busybox head -c 1 </k && echo opened; busybox head -c 1 </dev/null && echo null";
    let done =
        lab.call(["exec", "--cap", "CAP_MKNOD", &container.id, "/bin/sh", "-c", script]).run()?;
    ensure!(done.stdout.contains("null"), "/dev/null cannot be opened: {}", done.stderr);
    ensure!(!done.stdout.contains("opened"), "a device that nobody allowed can be opened");
    Ok(())
}

fn update(lab: &Lab) -> Result {
    let (container, unit) = limited(lab)?;
    let folder = unified(&container)?;
    container.start()?;
    let words = [
        "update",
        "--memory",
        "67108864",
        "--pids-limit",
        "43",
        "--cpu-quota",
        "22200",
        &container.id,
    ];
    lab.call(words).globals([SYSTEMD]).run()?.ok()?;
    has(&unit, &[("MemoryMax", "67108864"), ("TasksMax", "43"), ("CPUQuotaPerSecUSec", "230ms")])?;
    for (file, wanted) in [
        ("memory.max", "67108864"),
        ("pids.max", "43"),
        ("cpu.max", "22200 100000"),
        ("memory.low", "16777216"),
    ] {
        ensure_eq!(cgroup::read(&folder, file)?, wanted, "{file}");
    }
    Ok(())
}

fn exec(lab: &Lab) -> Result {
    let (container, _) = made(lab, |_| {})?;
    container.start()?;
    let file = lab.folder.join("exec.pid").to_string_lossy().into_owned();
    let words = ["exec", "--detach", "--pid-file", &file, &container.id, "/probe", "sleep"];
    lab.call(words).run()?.ok()?;
    let pid = fs::read_to_string(&file)?.parse().unwrap_or(0);
    let found = is_in(pid, &container.bundle.cgroup());
    // Its parent is the suite, and the pid namespace does not end before it is reaped.
    process::end(pid, PATIENCE);
    found
}

fn pause(lab: &Lab) -> Result {
    let (container, unit) = made(lab, |_| {})?;
    container.start()?;
    container.call("pause").run()?.ok()?;
    ensure_eq!(container.status()?, "paused", "status");
    has(&unit, &[("ActiveState", "active")])?;
    container.call("resume").run()?.ok()?;
    ensure_eq!(container.status()?, "running", "status after resume");
    Ok(())
}

fn delete(lab: &Lab) -> Result {
    let (container, unit) = made(lab, |_| {})?;
    container.start()?;
    container.delete_force()?.ok()?;
    has(&unit, &[("LoadState", "not-found"), ("ActiveState", "inactive")])
}

fn ended(lab: &Lab) -> Result {
    let (container, unit) =
        made(lab, |config| config["process"]["args"] = json!(["/bin/sh", "-c", "exit 1"]))?;
    container.start()?;
    container.wait()?;
    container.delete()?;
    has(&unit, &[("LoadState", "not-found"), ("ActiveState", "inactive")])
}

fn annotations(lab: &Lab) -> Result {
    let (_container, unit) = made(lab, |config| {
        config["annotations"] = json!({
            "org.systemd.property.TimeoutStopUSec": "uint64 7000000",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            // These are Podman's and CRI-O's.
            "org.systemd.property.KillSignal": "12",
            "org.systemd.property.DefaultDependencies": "true",
            "org.systemd.property.After": "['basic.target']",
        });
    })?;
    let wanted = [
        ("TimeoutStopUSec", "7s"),
        ("CollectMode", "inactive-or-failed"),
        ("KillSignal", "12"),
        ("DefaultDependencies", "yes"),
    ];
    has(&unit, &wanted)?;
    let after = systemd::property(&unit, "After")?;
    ensure!(after.split(' ').any(|unit| unit == "basic.target"), "After of the unit: {after}");
    Ok(())
}

fn bad_annotations(lab: &Lab) -> Result {
    let proof = lab.folder.join("proof");
    let command = format!("[('/bin/touch', ['touch', '{}'], false)]", proof.display());
    for (name, value) in
        [("ExecStartPre", command.as_str()), ("ExecStopPost", &command), ("User", "'root'")]
    {
        let (bundle, unit) = bundle(lab, |config| {
            config["annotations"] = json!({ format!("org.systemd.property.{name}"): value });
        })?;
        let container = lab.container(bundle);
        container.launch("create", &[]).globals([SYSTEMD]).run()?.refused()?;
        has(&unit, &[("ActiveState", "inactive")])?;
    }
    ensure!(!proof.exists(), "a program of an annotation has run on the host");
    Ok(())
}
