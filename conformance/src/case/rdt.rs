//! Classes of caches and memory bandwidth. They need a processor with Intel RDT or AMD QoS; without a mounted resctrl
//! only `config/intel-rdt-absent` has something to show.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Case;
use super::exec::{exec, sleeper};
use crate::harness::container::PATIENCE;
use crate::harness::resctrl::{self, Class};
use crate::harness::{Container, Lab, Result, ensure, ensure_eq, process};

const SECTION: &str = "OCI runtime-spec config-linux.md#intelrdt";

pub(super) const CASES: &[Case] = &[
    Case::new("rdt/class", "without closID the container has a class of its id", SECTION, class),
    Case::new(
        "rdt/named",
        "with closID it is in the class of that name, or the default one",
        SECTION,
        named,
    ),
    Case::new("rdt/schemas", "l3CacheSchema and memBwSchema are in its schemata", SECTION, schemas),
    Case::new("rdt/schemata", "schemata are written after the schemas", SECTION, schemata)
        .known("runc 1.1 has no schemata"),
    Case::new("rdt/same", "a class may be there already if it says the same", SECTION, same),
    Case::new("rdt/other", "a class that says otherwise is an error, and stays", SECTION, other)
        .known("runc 1.1 writes to it"),
    Case::new(
        "rdt/unknown",
        "a class that is not there needs a schema to be made",
        SECTION,
        unknown,
    ),
    Case::new("rdt/not-a-class", "closID is one name", SECTION, not_a_class),
    Case::new(
        "rdt/monitoring",
        "enableMonitoring makes a group, which delete removes",
        SECTION,
        monitoring,
    )
    .known("runc 1.1 has no enableMonitoring"),
    Case::new("rdt/rollback", "a failed create leaves neither class nor group", SECTION, rollback),
    Case::new(
        "rdt/exec",
        "a further process is in the class and the group",
        "runc-exec(8)",
        joined,
    )
    .known("runc 1.1 has no enableMonitoring"),
    Case::new("rdt/update", "--l3-cache-schema changes the class", "runc-update(8)", update),
    Case::new(
        "rdt/stats",
        "events has what the class says",
        "runc types/events.go intel_rdt",
        stats,
    ),
];

/// A container that sleeps, with this intelRdt.
fn with(lab: &Lab, rdt: Value) -> Result<Container<'_>> {
    sleeper(lab, |config| config["linux"]["intelRdt"] = rdt)
}

fn is_in(folder: &Path, pid: i32) -> Result {
    ensure!(resctrl::has(folder, pid)?, "{pid} must be in the tasks of {}", folder.display());
    Ok(())
}

/// Every domain of the resource has the value.
fn says(class: &Path, resource: &str, value: &str) -> Result {
    let values = resctrl::values(class, resource)?;
    let holds = !values.is_empty() && values.iter().all(|(_, found)| found == value);
    ensure!(holds, "{resource} of {} must be {value} everywhere: {values:?}", class.display());
    Ok(())
}

/// `create` fails because of intelRdt.
fn refused(lab: &Lab, rdt: Value) -> Result {
    let bundle = lab.bundle(|config| config["linux"]["intelRdt"] = rdt)?;
    let done = lab.container(bundle).try_create()?;
    ensure!(done.code == Some(1), "create must be refused, but it {}", done.ended());
    done.refused().map(drop)
}

fn class(lab: &Lab) -> Result {
    let root = resctrl::needed(&[])?;
    let container = with(lab, json!({}))?;
    let class = root.join(&container.id);
    is_in(&class, container.pid()?)?;
    container.delete_force()?.ok()?;
    ensure!(!class.exists(), "{} must go with the container", class.display());
    Ok(())
}

fn named(lab: &Lab) -> Result {
    let root = resctrl::needed(&[])?;
    let class = Class::make(&root, &lab.new_id())?;
    let name = class.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for (clos_id, folder) in [(name.as_str(), class.0.as_path()), ("/", root.as_path())] {
        let before = resctrl::read(folder, "schemata")?;
        let container = with(lab, json!({ "closID": clos_id }))?;
        is_in(folder, container.pid()?)?;
        container.delete_force()?.ok()?;
        ensure!(folder.exists(), "{} must outlive the container", folder.display());
        ensure_eq!(resctrl::read(folder, "schemata")?, before, "schemata of {clos_id}");
    }
    Ok(())
}

fn schemas(lab: &Lab) -> Result {
    let root = resctrl::needed(&["L3"])?;
    let mask = resctrl::mask(&root, 0)?;
    let mut rdt = json!({ "l3CacheSchema": resctrl::schema(&root, "L3", &mask)? });
    let least = fs::read_to_string(root.join("info/MB/min_bandwidth")).ok();
    let least = least.as_deref().map(str::trim);
    if let Some(least) = least {
        rdt["memBwSchema"] = resctrl::schema(&root, "MB", least)?.into();
    }
    let container = with(lab, rdt)?;
    let class = root.join(&container.id);
    says(&class, "L3", &mask)?;
    least.map_or(Ok(()), |least| says(&class, "MB", least))
}

fn schemata(lab: &Lab) -> Result {
    let root = resctrl::needed(&["L3"])?;
    let (first, last) = (resctrl::mask(&root, 0)?, resctrl::mask(&root, 1)?);
    let container = with(
        lab,
        json!({
            "l3CacheSchema": resctrl::schema(&root, "L3", &first)?,
            "schemata": [resctrl::schema(&root, "L3", &last)?]
        }),
    )?;
    says(&root.join(&container.id), "L3", &last)
}

fn same(lab: &Lab) -> Result {
    let root = resctrl::needed(&["L3"])?;
    let mask = resctrl::mask(&root, 0)?;
    let name = lab.new_id();
    let rdt = json!({ "closID": name, "l3CacheSchema": resctrl::schema(&root, "L3", &mask)? });
    let first = with(lab, rdt.clone())?;
    // The first container makes it, and it outlives both.
    let class = Class(root.join(&name));
    let second = with(lab, rdt)?;
    is_in(&class.0, first.pid()?)?;
    is_in(&class.0, second.pid()?)?;
    first.delete_force()?.ok()?;
    is_in(&class.0, second.pid()?)?;
    second.delete_force()?.ok()?;
    says(&class.0, "L3", &mask)
}

fn other(lab: &Lab) -> Result {
    let root = resctrl::needed(&["L3"])?;
    let class = Class::make(&root, &lab.new_id())?;
    let name = class.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let before = resctrl::read(&class.0, "schemata")?;
    let schema = resctrl::schema(&root, "L3", &resctrl::mask(&root, 0)?)?;
    refused(lab, json!({ "closID": name, "l3CacheSchema": schema }))?;
    refused(lab, json!({ "closID": name, "schemata": [schema] }))?;
    ensure!(class.0.exists(), "the class must stay");
    ensure_eq!(resctrl::read(&class.0, "schemata")?, before, "schemata");
    Ok(())
}

fn unknown(lab: &Lab) -> Result {
    let root = resctrl::needed(&[])?;
    let name = lab.new_id();
    refused(lab, json!({ "closID": name }))?;
    ensure!(!root.join(&name).exists(), "no class may be made");
    Ok(())
}

fn not_a_class(lab: &Lab) -> Result {
    resctrl::needed(&[])?;
    for name in ["..", ".", "a/b", "/a", "info", "mon_groups"] {
        refused(lab, json!({ "closID": name, "schemata": ["L3:0=1"] }))?;
    }
    Ok(())
}

fn monitoring(lab: &Lab) -> Result {
    let root = resctrl::needed(&["L3_MON"])?;
    let shared = Class::make(&root, &lab.new_id())?;
    let name = shared.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for clos_id in ["", name.as_str(), "/"] {
        let container = with(lab, json!({ "closID": clos_id, "enableMonitoring": true }))?;
        let class = match clos_id {
            "" => root.join(&container.id),
            "/" => root.clone(),
            name => root.join(name),
        };
        let group = class.join("mon_groups").join(&container.id);
        is_in(&group, container.pid()?)?;
        is_in(&class, container.pid()?)?;
        container.delete_force()?.ok()?;
        ensure!(!group.exists(), "{} must go with the container", group.display());
    }
    ensure!(shared.0.exists(), "a named class must outlive the container");
    Ok(())
}

fn rollback(lab: &Lab) -> Result {
    let root = resctrl::needed(&["L3"])?;
    let has_groups = root.join("info/L3_MON").is_dir();
    let name = lab.new_id();
    let schema = resctrl::schema(&root, "L3", &resctrl::mask(&root, 0)?)?;
    let named = json!({ "closID": name, "l3CacheSchema": schema, "enableMonitoring": has_groups });
    for rdt in [json!({ "enableMonitoring": has_groups }), named] {
        let bundle = lab.bundle(|config| {
            config["linux"]["intelRdt"] = rdt;
            config["process"]["args"] = json!(["/no-such-program"]);
        })?;
        let done = lab.container(bundle).try_create()?;
        ensure!(done.code == Some(1), "create must fail, but it {}", done.ended());
        nothing_left(lab)?;
    }
    // What the kernel refuses, the class is taken back for, too.
    refused(lab, json!({ "schemata": ["L3:0=0"] }))?;
    nothing_left(lab)
}

fn nothing_left(lab: &Lab) -> Result {
    // One word is the beginning of another's, but for what follows it.
    let left = resctrl::named(&format!("{}-", lab.token));
    ensure!(left.is_empty(), "nothing may be left in resctrl: {left:?}");
    Ok(())
}

fn joined(lab: &Lab) -> Result {
    let root = resctrl::needed(&["L3_MON"])?;
    let container = with(lab, json!({ "enableMonitoring": true }))?;
    let class = root.join(&container.id);
    let file = lab.folder.join("exec.pid");
    let word = file.to_string_lossy();
    exec(lab, &container, &["--detach", "--pid-file", &word], &["/probe", "sleep"]).run()?.ok()?;
    let pid = fs::read_to_string(&file)?.trim().parse().unwrap_or(0);
    let group = class.join("mon_groups").join(&container.id);
    let places = is_in(&class, pid).and_then(|()| is_in(&group, pid));
    // A child of ours: init does not end before somebody has reaped it.
    process::end(pid, PATIENCE);
    places
}

fn update(lab: &Lab) -> Result {
    let root = resctrl::needed(&["L3"])?;
    let container = with(lab, json!({}))?;
    let class = root.join(&container.id);
    let mask = resctrl::mask(&root, 0)?;
    let change = |schema: &str| {
        lab.call(["update", "--l3-cache-schema", schema, container.id.as_str()]).run()
    };
    change(&resctrl::schema(&root, "L3", &mask)?)?.ok()?;
    says(&class, "L3", &mask)?;
    let done = change("L3:0=0")?;
    ensure!(done.code == Some(1), "an empty mask must be refused, but update {}", done.ended());
    says(&class, "L3", &mask)
}

fn stats(lab: &Lab) -> Result {
    let root = resctrl::needed(&["L3"])?;
    let mask = resctrl::mask(&root, 0)?;
    let container = with(lab, json!({ "l3CacheSchema": resctrl::schema(&root, "L3", &mask)? }))?;
    let event = lab.call(["events", "--stats", &container.id]).run()?.ok()?.json()?;
    let rdt = &event["data"]["intel_rdt"];
    let line = |class: &Path| -> Result<String> {
        let text = resctrl::read(class, "schemata")?;
        let line = text.lines().map(str::trim).find(|line| line.starts_with("L3:"));
        Ok(line.unwrap_or_default().to_owned())
    };
    ensure_eq!(rdt["l3_cache_schema"], line(&root.join(&container.id))?, "the class's line");
    ensure_eq!(rdt["l3_cache_schema_root"], line(&root)?, "the default class's line");
    let whole = fs::read_to_string(root.join("info/L3/cbm_mask"))?;
    ensure_eq!(rdt["l3_cache_info"]["cbm_mask"], whole.trim(), "the mask of the whole cache");
    Ok(())
}
