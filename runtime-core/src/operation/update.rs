//! `update`: other limits for a container that is there.
//!
//! What is given is laid over what the container has, field by field, and the whole is checked and lowered as it
//! would be for a new container. Only the files of given fields are written.

use oci_spec::runtime::{LinuxResources, Spec};
use serde_json::{Map, Value};

use super::create::annotations;
use crate::cgroup::rdt::{self, RdtRecord, Schemas, Schemata, Written};
use crate::cgroup::{self, CgroupPlan};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ContainerId;
use crate::probe;
use crate::store::Store;
use crate::store::status::{self, Status};

/// Fields whose zero says something; of all others it means "not given", as Go programs send it.
const ZERO_COUNTS: [&str; 3] = ["burst", "idle", "swappiness"];

/// Changes limits, all or none; returns warnings. What they are now is kept for the next update, and for `exec`.
///
/// # Errors
/// No such container, it has stopped, a limit breaks the specification, or the kernel refuses one: the old ones
/// hold then.
pub(crate) fn update(
    store: &Store,
    id: &ContainerId,
    resources: &LinuxResources,
    schemas: &Schemas,
) -> Result<Vec<String>> {
    let schemata = rdt::lower_schemas(schemas)?;
    let (entry, record) = store.lock(id)?;
    let (status, _) = status::of(&entry, record.as_ref())?;
    if matches!(status, Status::Stopped | Status::Creating) {
        let text = format!("container not running: {status}");
        return Err(Error::new(ErrorKind::WrongState, text));
    }
    let (cgroup, class) = record.map(|record| (record.cgroup, record.rdt)).unzip();
    let cgroup = cgroup.filter(|cgroup| !cgroup.is_nowhere());
    let cgroup = cgroup.ok_or_else(|| Error::new(ErrorKind::Unsupported, cgroup::NOWHERE))?;
    let malformed =
        |error: serde_json::Error| Error::new(ErrorKind::InvalidSpec, error.to_string());
    let mut given = given(serde_json::to_value(resources).map_err(malformed)?);
    unlimited_swap(&mut given);
    let old = entry.config()?;
    let mut tree: Value = serde_json::from_slice(&old).map_err(malformed)?;
    lay_over(&mut tree["linux"]["resources"], &given);
    let new = tree.to_string().into_bytes();

    let mut host = probe::host()?;
    // Whoever made the cgroup, whatever this call says of drivers.
    host.systemd = cgroup.manager().cloned();
    let plan = |config: &[u8]| -> Result<(CgroupPlan, Vec<String>)> {
        let (spec, _) = crate::spec::parse(config)?;
        let (mut plan, warnings) = lower(id, &spec, &host)?;
        // Where it is, not where this caller would make it.
        plan.path = cgroup.path().to_owned();
        Ok((plan, warnings))
    };
    let (before, _) = plan(&old)?;
    let (after, warnings) = plan(&new)?;
    let known: Vec<&cgroup::Setting> = before.settings().collect();
    // A field that is given is written even when it says what it said: somebody else may have changed the file.
    let named =
        |field: &str| reaches(&given, field.strip_prefix("linux.resources.").unwrap_or_default());
    let properties = before.unit.as_ref().map_or(&[][..], |unit| &unit.properties);
    // A full disk shows before a limit has changed.
    entry.stage_config(&new)?;
    let written = schemata.map(|schemata| write_schemata(class.flatten().as_ref(), &schemata));
    let written = written.transpose()?;
    let updated = cgroup::update(
        &after,
        &host,
        |setting| !known.contains(&setting) || named(&setting.field),
        |property| {
            let field = property.field.as_deref();
            !properties.contains(property) || field.is_some_and(named)
        },
    );
    if let Err(mut error) = updated {
        if let Some(Err(failure)) = written.map(Written::put_back) {
            error.attach(failure);
        }
        return Err(error);
    }
    entry.take_staged_config()?;
    Ok(warnings.into_iter().filter(|warning| warning.contains("linux.resources")).collect())
}

fn write_schemata(class: Option<&RdtRecord>, schemata: &Schemata) -> Result<Written> {
    let class = class.ok_or_else(|| {
        let text = "the container was made without linux.intelRdt: it has no class to change";
        Error::unsupported(schemata.field.as_str(), text)
    })?;
    class.update(schemata)
}

fn lower(
    id: &ContainerId,
    spec: &Spec,
    host: &crate::host::Host,
) -> Result<(CgroupPlan, Vec<String>)> {
    let linux = spec.linux().as_ref();
    cgroup::lower(
        linux.and_then(|linux| linux.cgroups_path().as_deref()),
        id.as_str(),
        linux.and_then(|linux| linux.resources().as_ref()),
        &annotations(spec),
        host,
    )
}

/// What is said and can be changed: no nulls, no zeros and empty words that mean nothing, and no devices, whose
/// rules stay as they are (runc's SkipDevices).
fn given(resources: Value) -> Map<String, Value> {
    fn is_said(name: &str, value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Number(number) => number.as_f64() != Some(0.0) || ZERO_COUNTS.contains(&name),
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::Bool(_) => true,
        }
    }
    fn prune(fields: Map<String, Value>) -> Map<String, Value> {
        let pruned = fields.into_iter().map(|(name, value)| match value {
            Value::Object(inner) => (name, Value::Object(prune(inner))),
            other => (name, other),
        });
        pruned.filter(|(name, value)| is_said(name, value)).collect()
    }
    let Value::Object(mut fields) = resources else { return Map::new() };
    fields.remove("devices");
    prune(fields)
}

/// Without a limit of memory there can be none of memory and swap together, as runc has it.
fn unlimited_swap(given: &mut Map<String, Value>) {
    if let Some(Value::Object(memory)) = given.get_mut("memory")
        && memory.get("limit") == Some(&Value::from(-1))
    {
        memory.entry("swap").or_insert_with(|| Value::from(-1));
    }
}

/// Objects field by field; whatever else is replaced.
fn lay_over(below: &mut Value, above: &Map<String, Value>) {
    if !below.is_object() {
        *below = Value::Object(Map::new());
    }
    for (name, value) in above {
        match value {
            Value::Object(fields) => lay_over(&mut below[name], fields),
            other => below[name] = other.clone(),
        }
    }
}

/// Whether the path of a field, or one above it, is among what is given.
fn reaches(given: &Map<String, Value>, path: &str) -> bool {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    let name = name.split('[').next().unwrap_or(name);
    match given.get(name) {
        None => false,
        Some(Value::Object(fields)) if !rest.is_empty() => reaches(fields, rest),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn zeros_and_empty_words_are_not_given() {
        let pruned = given(json!({
            "cpu": { "shares": 0, "cpus": "", "quota": -1, "burst": 0 },
            "memory": { "limit": 0, "swap": null, "disableOOMKiller": false },
            "blockIO": { "weight": 0 },
            "devices": [{ "allow": true }],
            "hugepageLimits": []
        }));
        let wanted =
            json!({ "cpu": { "quota": -1, "burst": 0 }, "memory": { "disableOOMKiller": false } });
        assert_eq!(Value::Object(pruned), wanted);
    }

    #[test]
    fn fields_are_laid_over_fields() {
        let mut tree = json!({ "memory": { "limit": 1, "swap": 2 }, "pids": { "limit": 3 } });
        let above = json!({ "memory": { "limit": 9 }, "unified": { "a": "b" } });
        lay_over(&mut tree, above.as_object().unwrap());
        let wanted = json!({ "memory": { "limit": 9, "swap": 2 }, "pids": { "limit": 3 }, "unified": { "a": "b" } });
        assert_eq!(tree, wanted);
    }

    #[test]
    fn a_setting_belongs_to_a_given_field() {
        let given = given(
            json!({ "memory": { "limit": 9 }, "blockIO": { "throttleReadBpsDevice": [{ "major": 1 }] } }),
        );
        assert!(
            reaches(&given, "memory.limit")
                && reaches(&given, "blockIO.throttleReadBpsDevice[0].rate")
        );
        assert!(!reaches(&given, "memory.swap") && !reaches(&given, "cpu.shares"));
    }
}
