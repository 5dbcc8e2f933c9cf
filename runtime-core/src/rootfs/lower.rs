//! root, mounts, devices and paths of config.json → [`Rootfs`] of the plan. Pure.

use oci_spec::runtime::{Mount, Spec};
use teu_wire::{OwnedText, RootMount, Rootfs, Switch};

use super::option::{self, PRIVATE, REC, SHARED, SLAVE, UNBINDABLE};
use super::{Inputs, TreeSource, device, mount};
use crate::error::{Error, Result};

/// Lowers the section: init's part, the trees that the caller opens for it, and warnings.
///
/// # Errors
/// What the specification does not allow or this runtime cannot do, with its JSON path.
pub(crate) fn lower(
    spec: &Spec,
    inputs: &Inputs<'_>,
) -> Result<(Rootfs, Vec<TreeSource>, Vec<String>)> {
    let root = spec.root().as_ref().ok_or_else(|| Error::spec("root", "missing"))?;
    let path = inputs.bundle.join(root.path());
    let propagation = Propagation::of(spec)?;
    let mut warnings = Vec::new();
    let mut trees = Vec::new();
    let wanted = spec.mounts().as_deref().unwrap_or_default();
    let on_root = |mount: &Mount| {
        !mount.destination().components().any(|c| matches!(c, std::path::Component::Normal(_)))
    };
    let layered = wanted.first().filter(|first| on_root(first));

    let mut mounts = Vec::new();
    let root_mount = match layered {
        _ if !inputs.own_mounts => RootMount::Directory(()),
        Some(first) => {
            let (filesystem, attributes) = mount::lower_root(first, inputs)?;
            mounts.push(attributes);
            RootMount::Filesystem(filesystem)
        }
        None => {
            // Never shared while it is moved: it becomes so in its place, if it is to be.
            trees.push(TreeSource::root(path.clone(), propagation.of_trees.or(Some(PRIVATE))));
            RootMount::Tree(0)
        }
    };

    let mut late = Vec::new();
    for (index, element) in wanted.iter().enumerate().skip(usize::from(layered.is_some())) {
        if !element.destination().is_absolute() {
            warnings.push(format!(
                "config.json: mounts[{index}].destination: {:?} is not absolute; taken from the root",
                element.destination()
            ));
        }
        if on_root(element) {
            return Err(Error::spec(
                format!("mounts[{index}].destination"),
                "only the first mount can be on /: it becomes the root",
            ));
        }
        let lowered = mount::lower(index, element, inputs, &mut trees, propagation.of_trees)?;
        mounts.extend(lowered.mounts);
        late.extend(lowered.late);
    }
    if !inputs.own_mounts && !mounts.is_empty() {
        return Err(Error::spec(
            "mounts",
            "would be made on the host: add {\"type\": \"mount\"} to linux.namespaces",
        ));
    }

    let own_dev = wanted.iter().any(is_bound_dev);
    let paths = |list: Option<&Vec<String>>, field: &str| lower_paths(list, field, inputs);
    let linux = spec.linux().as_ref();
    let rootfs = Rootfs {
        path: OwnedText::new(path.to_string_lossy().as_bytes())
            .map_err(|_| Error::spec("root.path", "contains a NUL byte"))?,
        propagation: if inputs.own_mounts { propagation.before } else { 0 },
        private_parent: inputs.own_mounts && propagation.private_parent,
        root: root_mount,
        mounts,
        devices: if inputs.own_mounts {
            device::lower(spec, inputs, !own_dev, &mut trees)?
        } else {
            Vec::new()
        },
        links: if inputs.own_mounts && !own_dev { device::links()? } else { Vec::new() },
        late,
        masked: paths(linux.and_then(|linux| linux.masked_paths().as_ref()), "linux.maskedPaths")?,
        mask_options: inputs
            .label
            .iter()
            .flat_map(|label| label.option("tmpfs", &[]).transpose())
            .collect::<Result<_>>()?,
        readonly: paths(
            linux.and_then(|linux| linux.readonly_paths().as_ref()),
            "linux.readonlyPaths",
        )?,
        readonly_root: inputs.own_mounts && root.readonly().unwrap_or(false),
        switch: switch(inputs),
        root_propagation: if inputs.own_mounts { propagation.after } else { None },
    };
    Ok((rootfs, trees, warnings))
}

fn switch(inputs: &Inputs<'_>) -> Switch {
    match (inputs.own_mounts, inputs.no_pivot) {
        (false, _) => Switch::Chroot(()),
        (true, true) => Switch::Move(()),
        (true, false) => Switch::Pivot(()),
    }
}

/// /dev as the user wants it, nodes and links included.
fn is_bound_dev(mount: &Mount) -> bool {
    let bound = mount.typ().as_deref() == Some("bind")
        || mount.options().iter().flatten().any(|word| matches!(word.as_str(), "bind" | "rbind"));
    bound && mount.destination().components().eq(std::path::Path::new("/dev").components())
}

fn lower_paths(
    list: Option<&Vec<String>>,
    field: &str,
    inputs: &Inputs<'_>,
) -> Result<Vec<OwnedText>> {
    let list = list.map(Vec::as_slice).unwrap_or_default();
    if !list.is_empty() && !inputs.own_mounts {
        return Err(Error::spec(
            field,
            "would cover paths of the host: add {\"type\": \"mount\"} to linux.namespaces",
        ));
    }
    list.iter()
        .enumerate()
        .map(|(index, path)| {
            let field = format!("{field}[{index}]");
            if path.starts_with('/') {
                return mount::relative(std::path::Path::new(path), &field);
            }
            Err(Error::spec(field, format_args!("{path:?} is not an absolute path")))
        })
        .collect()
}

/// linux.rootfsPropagation, decided.
struct Propagation {
    /// For all mounts of the new namespace, before anything is mounted.
    before: u64,
    /// pivot_root(2) refuses a root whose parent is shared.
    private_parent: bool,
    /// For trees that come from the caller's namespace, where they are shared with the host.
    of_trees: Option<u64>,
    /// For the root in its place.
    after: Option<u64>,
}

impl Propagation {
    /// Mounts of the host appear in the container and not the other way round, unless told otherwise: runc's
    /// default, which callers rely on.
    fn of(spec: &Spec) -> Result<Self> {
        let word = spec
            .linux()
            .as_ref()
            .and_then(|linux| linux.rootfs_propagation().as_deref())
            .unwrap_or_default();
        let Some(option::Effect::Propagation(flags)) =
            option::effect(if word.is_empty() { "rslave" } else { word })
        else {
            return Err(Error::spec(
                "linux.rootfsPropagation",
                format_args!(
                    "{word:?} is none of shared, slave, private, unbindable (or rshared …)"
                ),
            ));
        };
        let kind = flags & !REC;
        Ok(match kind {
            SHARED => Self { before: 0, private_parent: true, of_trees: None, after: Some(flags) },
            SLAVE => Self {
                before: SLAVE | REC,
                private_parent: false,
                of_trees: Some(SLAVE),
                after: None,
            },
            // An unbindable root could not be bound: it becomes so in its place.
            UNBINDABLE => Self {
                before: PRIVATE | REC,
                private_parent: false,
                of_trees: Some(PRIVATE),
                after: Some(flags),
            },
            _ => Self {
                before: PRIVATE | REC,
                private_parent: false,
                of_trees: Some(PRIVATE),
                after: None,
            },
        })
    }
}
