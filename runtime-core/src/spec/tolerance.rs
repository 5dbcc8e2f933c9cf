//! What oci-spec refuses and the specification (or every caller's habit) allows, corrected in the JSON tree
//! before oci-spec sees it. Each correction is one function; the tree is built only for files that may need one.

use oci_spec::runtime::{Capability, Spec};
use serde_json::Value;

/// Whether oci-spec took something for what it is not, without an error: `pids: {}` for a limit of 0.
pub(super) fn is_misread(spec: &Spec) -> bool {
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let pids = resources.and_then(|resources| resources.pids().as_ref());
    pids.is_some_and(|pids| pids.limit() == 0)
}

/// Corrects the tree.
pub(super) fn correct(tree: &mut Value, warnings: &mut Vec<String>) {
    capabilities(tree, warnings);
    scheduler(tree);
    affinity(tree);
    empty_sections(tree);
    other_platforms(tree);
    user(tree);
}

/// config.md: a runtime that does not know a capability warns and goes on.
fn capabilities(tree: &mut Value, warnings: &mut Vec<String>) {
    let Some(sets) = tree.pointer_mut("/process/capabilities").and_then(Value::as_object_mut)
    else {
        return;
    };
    for (set, names) in sets {
        let Some(names) = names.as_array_mut() else { continue };
        let mut index = 0;
        names.retain(|name| {
            let known = name.as_str().is_none_or(|name| {
                let bare = name.strip_prefix("CAP_").unwrap_or(name);
                bare.parse::<Capability>().is_ok()
            });
            if !known {
                let name = name.as_str().unwrap_or_default();
                warnings.push(format!(
                    "config.json: process.capabilities.{set}[{index}]: unknown capability {name}, ignored"
                ));
            }
            index += 1;
            known
        });
    }
}

/// oci-spec has two of the specification's flags under other names.
fn scheduler(tree: &mut Value) {
    let flags = tree.pointer_mut("/process/scheduler/flags").and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten() {
        match flag.as_str() {
            Some("SCHED_FLAG_RESET_ON_FORK") => *flag = "SCHED_RESET_ON_FORK".into(),
            Some("SCHED_FLAG_DL_OVERRUN") => *flag = "SCHED_FLAG_D_L_OVERRUN".into(),
            _ => (),
        }
    }
}

/// config.md: an empty list of CPUs is as good as none.
fn affinity(tree: &mut Value) {
    if let Some(lists) = tree.pointer_mut("/process/execCPUAffinity").and_then(Value::as_object_mut)
    {
        lists.retain(|_, list| list.as_str() != Some(""));
    }
}

/// Sections that say nothing: oci-spec takes `pids: {}` as a limit of 0 and refuses `seccomp: {}`.
fn empty_sections(tree: &mut Value) {
    let empty = |section: &Value| {
        section.as_object().is_some_and(serde_json::Map::is_empty) || section.is_null()
    };
    for (parent, name) in [("/linux/resources", "pids"), ("/linux", "seccomp")] {
        if let Some(parent) = tree.pointer_mut(parent).and_then(Value::as_object_mut)
            && parent.get(name).is_some_and(empty)
        {
            parent.remove(name);
        }
    }
    let no_limit = tree
        .pointer("/linux/resources/pids")
        .and_then(Value::as_object)
        .is_some_and(|pids| pids.get("limit").is_none_or(Value::is_null));
    if no_limit
        && let Some(resources) = tree.pointer_mut("/linux/resources").and_then(Value::as_object_mut)
    {
        resources.remove("pids");
    }
    // "No limit" as the kernel counts pages is the largest unsigned number, which oci-spec's type lacks.
    let limits = tree.pointer_mut("/linux/resources/hugepageLimits").and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten() {
        if limit
            .get("limit")
            .and_then(Value::as_u64)
            .is_some_and(|limit| i64::try_from(limit).is_err())
        {
            limit["limit"] = i64::MAX.into();
        }
    }
}

/// config.md: sections of other platforms are no reason to fail, whatever is in them; `check` warns.
fn other_platforms(tree: &mut Value) {
    let Some(sections) = tree.as_object_mut() else { return };
    for name in ["windows", "solaris", "zos"] {
        if sections.get(name).is_some_and(Value::is_object) {
            sections.insert(name.into(), serde_json::json!({}));
        }
    }
}

/// Without a user it is root, as Go's zero values have taught every caller.
fn user(tree: &mut Value) {
    if let Some(process) = tree.get_mut("process").and_then(Value::as_object_mut) {
        process.entry("user").or_insert_with(|| serde_json::json!({"uid": 0, "gid": 0}));
    }
}
