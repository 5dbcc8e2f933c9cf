//! A mount of type cgroup or cgroup2, which on v1 is a tree of mounts. Pure.

use oci_spec::runtime::Mount as Wanted;
use teu_wire::{Filesystem, Mount, MountSource, OwnedText, Tree};

use super::mount::{Options, fs_option, text};
use super::option::{self, RDONLY};
use super::{CgroupView, Hierarchy, Inputs, Purpose, TreeSource};
use crate::error::Result;

/// The cgroup file systems: with a cgroup namespace new mounts show the container's own cgroup; without one its
/// directories are bound from the host, read-only (CVE-2023-25809).
#[allow(clippy::too_many_arguments)]
pub(super) fn lower(
    kind: &str,
    wanted: &Wanted,
    options: &Options,
    inputs: &Inputs<'_>,
    field: &str,
    destination: &OwnedText,
    trees: &mut Vec<TreeSource>,
    new: &impl Fn(OwnedText, MountSource) -> Mount,
) -> Result<Vec<Mount>> {
    let below = |name: &str| text(&format!("{destination}/{name}"), field);
    let whole = inputs.hierarchies.iter().find(|hierarchy| hierarchy.directory.is_empty());
    let unified = inputs.hierarchies.iter().find(|hierarchy| hierarchy.v1_options.is_none());
    let bound = inputs.cgroup_view != CgroupView::Fresh;
    let new = |destination: OwnedText, source: MountSource| {
        let mut mount = new(destination, source);
        if bound {
            mount.set |= RDONLY;
            mount.clear &= !RDONLY;
        }
        mount
    };
    if let Some(hierarchy) = whole.or(unified.filter(|_| kind == "cgroup2")) {
        let source = one_hierarchy(hierarchy, wanted, inputs, field, trees)?;
        return Ok(vec![new(destination.clone(), source)]);
    }
    let mut options_of_tmpfs = vec![fs_option("mode", Some("755"), field)?];
    if let Some(label) = &inputs.label {
        options_of_tmpfs.extend(label.option("tmpfs", &[])?);
    }
    let tmpfs = Filesystem {
        kind: text("tmpfs", field)?,
        source: text("tmpfs", field)?,
        options: options_of_tmpfs,
        or_bind: None,
    };
    // Read-only once the directories are in it.
    let mut first = new(destination.clone(), MountSource::Filesystem(tmpfs));
    first.set &= !RDONLY;
    let mut mounts = vec![first];
    for hierarchy in &inputs.hierarchies {
        let source = one_hierarchy(hierarchy, wanted, inputs, field, trees)?;
        mounts.push(new(below(&hierarchy.directory)?, source));
        for link in &hierarchy.links {
            let target = text(&hierarchy.directory, field)?;
            mounts.push(new(below(link)?, MountSource::Link(target)));
        }
    }
    if options.read_only() || bound {
        mounts.push(new(destination.clone(), MountSource::Remount(())));
    }
    Ok(mounts)
}

fn one_hierarchy(
    hierarchy: &Hierarchy,
    wanted: &Wanted,
    inputs: &Inputs<'_>,
    field: &str,
    trees: &mut Vec<TreeSource>,
) -> Result<MountSource> {
    if let CgroupView::BindOf(path) = &inputs.cgroup_view {
        let root = inputs.cgroup_root.join(&hierarchy.directory);
        let host = root.join(path.trim_start_matches('/'));
        let place = u32::try_from(trees.len()).unwrap_or(u32::MAX);
        trees.push(TreeSource {
            path: host,
            recursive: false,
            propagation: Some(option::PRIVATE),
            field: field.to_owned(),
            what: Purpose::Cgroup { root },
            id_map: None,
        });
        return Ok(MountSource::Tree(Tree { place, directory: true }));
    }
    let (kind, options) = match &hierarchy.v1_options {
        Some(options) => ("cgroup", options.as_slice()),
        None => ("cgroup2", &[][..]),
    };
    let source =
        wanted.source().as_ref().map_or("cgroup".into(), |source| source.to_string_lossy());
    let options = options
        .iter()
        .map(|(key, value)| fs_option(key, value.as_deref(), field))
        .collect::<Result<Vec<_>>>()?;
    Ok(MountSource::Filesystem(Filesystem {
        kind: text(kind, field)?,
        source: text(&source, field)?,
        options,
        or_bind: None,
    }))
}
