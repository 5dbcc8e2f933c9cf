//! User and group id maps (user_namespaces(7)): checked, rendered, and searched. Pure.

use oci_spec::runtime::LinuxIdMapping;
use serde::Serialize;

use crate::error::{Error, Result};

/// The kernel takes so many lines (user_namespaces(7)).
const LINES: usize = 340;

/// One line of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IdRange {
    /// First id inside.
    pub container: u32,
    /// First id outside.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// Both maps of a user namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IdMaps {
    /// uidMappings.
    pub uid: Vec<IdRange>,
    /// gidMappings.
    pub gid: Vec<IdRange>,
}

impl IdMaps {
    /// Checks both lists of a section of the configuration.
    ///
    /// # Errors
    /// An empty list, an empty or overlapping range, or more lines than the kernel takes.
    pub fn lower(uid: &[LinuxIdMapping], gid: &[LinuxIdMapping], section: &str) -> Result<Self> {
        Ok(Self {
            uid: ranges(uid, &format!("{section}.uidMappings"))?,
            gid: ranges(gid, &format!("{section}.gidMappings"))?,
        })
    }

    /// The id outside of a user id inside.
    pub fn host_uid(&self, container: u32) -> Option<u32> {
        host_id(&self.uid, container)
    }

    /// The id outside of a group id inside.
    pub fn host_gid(&self, container: u32) -> Option<u32> {
        host_id(&self.gid, container)
    }
}

fn host_id(ranges: &[IdRange], container: u32) -> Option<u32> {
    ranges.iter().find_map(|range| {
        let offset = container.checked_sub(range.container)?;
        (offset < range.size).then(|| range.host.wrapping_add(offset))
    })
}

/// The lines of uid_map or gid_map.
pub(crate) fn render(ranges: &[IdRange]) -> String {
    ranges.iter().map(|r| format!("{} {} {}\n", r.container, r.host, r.size)).collect()
}

fn ranges(mappings: &[LinuxIdMapping], field: &str) -> Result<Vec<IdRange>> {
    if mappings.is_empty() {
        return Err(Error::spec(field, "a new user namespace needs at least one mapping"));
    }
    if mappings.len() > LINES {
        return Err(Error::spec(
            field,
            format_args!("more than the {LINES} lines that the kernel takes"),
        ));
    }
    let mut ranges: Vec<IdRange> = Vec::with_capacity(mappings.len());
    for (index, mapping) in mappings.iter().enumerate() {
        let range = IdRange {
            container: mapping.container_id(),
            host: mapping.host_id(),
            size: mapping.size(),
        };
        let fits = |first: u32| first.checked_add(range.size.saturating_sub(1)).is_some();
        if range.size == 0 || !fits(range.container) || !fits(range.host) {
            return Err(Error::spec(
                format!("{field}[{index}].size"),
                format_args!("{} ids from there are not a range of ids", range.size),
            ));
        }
        if let Some(other) = ranges.iter().position(|other| overlap(&range, other)) {
            return Err(Error::spec(
                format!("{field}[{index}]"),
                format_args!("overlaps with {field}[{other}]"),
            ));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

fn overlap(a: &IdRange, b: &IdRange) -> bool {
    let meet = |x: u32, y: u32| {
        u64::from(x) < u64::from(y) + u64::from(b.size)
            && u64::from(y) < u64::from(x) + u64::from(a.size)
    };
    meet(a.container, b.container) || meet(a.host, b.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(container: u32, host: u32, size: u32) -> LinuxIdMapping {
        serde_json::from_value(
            serde_json::json!({"containerID": container, "hostID": host, "size": size}),
        )
        .unwrap()
    }

    #[test]
    fn finds_the_host_id_and_renders() {
        let maps = IdMaps::lower(
            &[mapping(0, 1000, 1), mapping(1, 100_000, 65_535)],
            &[mapping(0, 5, 1)],
            "linux",
        )
        .unwrap();
        assert_eq!(maps.host_uid(0), Some(1000));
        assert_eq!(maps.host_uid(65_535), Some(165_534));
        assert_eq!(maps.host_uid(65_536), None);
        assert_eq!(maps.host_gid(1), None);
        assert_eq!(render(&maps.uid), "0 1000 1\n1 100000 65535\n");
    }

    #[test]
    fn refuses_what_is_not_a_map() {
        let good = [mapping(0, 0, 1)];
        for (bad, path) in [
            (vec![], "linux.uidMappings"),
            (vec![mapping(0, 0, 0)], "linux.uidMappings[0].size"),
            (vec![mapping(u32::MAX, 0, 2)], "linux.uidMappings[0].size"),
            (vec![mapping(0, 0, 10), mapping(5, 100, 1)], "linux.uidMappings[1]"),
        ] {
            assert_eq!(IdMaps::lower(&bad, &good, "linux").unwrap_err().path(), Some(path));
        }
    }
}
