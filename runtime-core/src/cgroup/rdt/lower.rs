//! linux.intelRdt → the class, the group and what is written. Pure.

mod schemata;
#[cfg(test)]
mod tests;

use oci_spec::runtime::LinuxIntelRdt;

use super::{RdtPlan, RdtRecord, Schemas, Schemata};
use crate::error::{Error, Result};

pub(super) use schemata::{difference, lines_of};

/// What resctrl has in its root that is no class.
const TAKEN: [&str; 3] = ["info", "mon_groups", "mon_data"];

pub(super) const CLOS_ID: &str = "linux.intelRdt.closID";

/// Lowers linux.intelRdt of the container `id`.
///
/// # Errors
/// A name that is no directory's, a schema that is not a line.
pub(crate) fn lower(rdt: &LinuxIntelRdt, id: &str) -> Result<RdtPlan> {
    let clos_id = rdt.clos_id().as_deref().filter(|name| !name.is_empty());
    let class = match clos_id {
        Some("/") => ".".to_owned(),
        Some(name) => class(name)?,
        None if TAKEN.contains(&id) => {
            let text = format!("missing: resctrl has {id:?} for itself, so the id names no class");
            return Err(Error::spec(CLOS_ID, text));
        }
        None => id.to_owned(),
    };
    let monitoring = rdt.enable_monitoring().unwrap_or_default().then(|| id.to_owned());
    let groups = RdtRecord { class, shared: clos_id.is_some(), monitoring, claim: None };
    let schemas =
        Schemas { l3_cache: rdt.l3_cache_schema().clone(), mem_bw: rdt.mem_bw_schema().clone() };
    let mut schemata: Vec<Schemata> = lower_schemas(&schemas)?.into_iter().collect();
    // Last, and in a write of its own: it may speak of a domain again.
    schemata.extend(whole(rdt.schemata().as_deref().unwrap_or_default())?);
    Ok(RdtPlan { groups, schemata })
}

/// The directory of a class by its name.
fn class(name: &str) -> Result<String> {
    let why = if name.contains('/') {
        "a class is one directory, without a slash in its name (\"/\" alone is the default class)"
    } else if name == "." || name == ".." {
        "it names another directory"
    } else if TAKEN.contains(&name) {
        "resctrl has it for itself"
    } else if name.contains(['\n', '\0']) {
        "a line feed or a NUL byte is in it"
    } else if name.len() > 255 {
        "it is longer than 255 bytes"
    } else {
        return Ok(name.to_owned());
    };
    Err(Error::spec(CLOS_ID, format_args!("{name:?} is no class: {why}")))
}

/// The two schemas in the order that the specification wants: the cache first, the bandwidth last.
///
/// # Errors
/// The second breaks its form, which the specification prescribes.
pub(crate) fn lower_schemas(schemas: &Schemas) -> Result<Option<Schemata>> {
    const L3_CACHE: &str = "linux.intelRdt.l3CacheSchema";
    const MEM_BW: &str = "linux.intelRdt.memBwSchema";
    let is_said = |schema: &&str| !schema.is_empty();
    let l3_cache = schemas.l3_cache.as_deref().filter(is_said);
    let mem_bw = schemas.mem_bw.as_deref().filter(is_said);
    if let Some(schema) = l3_cache {
        // More than one line is allowed: of L3CODE and L3DATA there have to be two.
        parsed(schema, L3_CACHE)?;
    }
    if let Some(schema) = mem_bw {
        if !schema.starts_with("MB:") {
            return Err(Error::spec(MEM_BW, format_args!("{schema:?} does not start with MB:")));
        }
        one_line(schema, MEM_BW)?;
    }
    let field = match (l3_cache, mem_bw) {
        (None, None) => return Ok(None),
        (Some(_), None) => L3_CACHE,
        (None, Some(_)) => MEM_BW,
        (Some(_), Some(_)) => "linux.intelRdt",
    };
    let lines = lines_of(l3_cache.into_iter().chain(mem_bw));
    Ok(Some(Schemata { field: field.to_owned(), lines }))
}

fn whole(schemata: &[String]) -> Result<Option<Schemata>> {
    const FIELD: &str = "linux.intelRdt.schemata";
    for (index, line) in schemata.iter().enumerate() {
        one_line(line, &format!("{FIELD}[{index}]"))?;
    }
    let lines = lines_of(schemata.iter().map(String::as_str));
    Ok((!schemata.is_empty()).then(|| Schemata { field: FIELD.to_owned(), lines }))
}

fn one_line(schema: &str, field: &str) -> Result<()> {
    if schema.contains('\n') {
        return Err(Error::spec(field, format_args!("{schema:?} has a line feed in it")));
    }
    parsed(schema, field)
}

/// That it can be compared with what a class says; whether the host has such a resource is the kernel's to say.
fn parsed(schema: &str, field: &str) -> Result<()> {
    match schemata::parse(schema) {
        Ok(values) if !values.is_empty() => Ok(()),
        Ok(_) => Err(Error::spec(field, "empty")),
        Err(why) => Err(Error::spec(field, why)),
    }
}
