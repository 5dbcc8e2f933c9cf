//! `mounts` → mounts of the plan. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use oci_spec::runtime::Mount as Wanted;
use teu_wire::{BindPath, Filesystem, FsOption, Mount, MountSource, OwnedText, Tree};

use super::option::{self, ATIME, Effect, RDONLY};
use super::{CgroupView, Hierarchy, Inputs, Purpose, TreeSource, layer};
use crate::error::{Error, Result};

/// Filesystems of which the kernel has one superblock for many mounts: read-only is the mount's business.
const SHARED: [&str; 6] = ["proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts"];

/// What may be bound below /proc: files that tell the container of its own limits. Anything else would let it
/// lie to the runtime (CVE-2019-16884).
const BELOW_PROC: [&str; 12] = [
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/meminfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
    "proc/loadavg",
    "proc/slabinfo",
    "proc/sys/kernel/ns_last_pid",
    "proc/sys/crypto/fips_enabled",
    "proc/net/dev",
    "proc/sys/kernel/random/boot_id",
];

/// A path inside the root without its leading slash, `.` and `..`: lexically, since init resolves it inside the
/// root whatever it holds.
pub(super) fn relative(path: &Path, field: &str) -> Result<OwnedText> {
    let mut clean: Vec<&OsStr> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => (),
        }
    }
    let bytes = clean.iter().map(|name| name.as_bytes()).collect::<Vec<_>>().join(&b'/');
    OwnedText::new(bytes).map_err(|_| Error::spec(field, "contains a NUL byte"))
}

fn text(value: &str, field: &str) -> Result<OwnedText> {
    OwnedText::new(value).map_err(|_| Error::spec(field, "contains a NUL byte"))
}

/// The options of one mount, read.
#[derive(Debug, Default)]
pub(super) struct Options {
    bind: Option<bool>,
    remount: bool,
    copy_up: bool,
    set: u64,
    clear: u64,
    set_all: u64,
    clear_all: u64,
    propagation: Vec<u64>,
    superblock: Vec<&'static str>,
    data: Vec<(String, Option<String>)>,
}

impl Options {
    pub(super) fn read(words: &[String], field: &str) -> Result<Self> {
        let mut read = Self::default();
        for (index, word) in words.iter().enumerate() {
            match option::effect(word) {
                Some(effect) => read.apply(effect, || format!("{field}.options[{index}]"))?,
                None if word.is_empty() => (),
                None => read.data.push(match word.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (word.clone(), None),
                }),
            }
        }
        Ok(read)
    }

    /// The later word wins.
    fn apply(&mut self, effect: Effect, path: impl FnOnce() -> String) -> Result<()> {
        fn change(on: &mut u64, off: &mut u64, bits: u64) {
            *on |= bits;
            *off &= !bits;
        }
        match effect {
            Effect::Set(bits) => change(&mut self.set, &mut self.clear, bits),
            Effect::Clear(bits) => change(&mut self.clear, &mut self.set, bits),
            Effect::SetAll(bits) => change(&mut self.set_all, &mut self.clear_all, bits),
            Effect::ClearAll(bits) => change(&mut self.clear_all, &mut self.set_all, bits),
            // The kernel takes a new value only together with the order to clear the field (mount_setattr(2)).
            Effect::Atime(value) => {
                self.set = self.set & !ATIME | value;
                self.clear |= ATIME;
            }
            Effect::AtimeAll(value) => {
                self.set_all = self.set_all & !ATIME | value;
                self.clear_all |= ATIME;
            }
            Effect::Superblock(flag) => self.superblock.push(flag),
            Effect::Propagation(flags) => self.propagation.push(flags),
            Effect::Bind => self.bind = Some(self.bind.unwrap_or(false)),
            Effect::BindAll => self.bind = Some(true),
            Effect::Remount => self.remount = true,
            Effect::CopyUp => self.copy_up = true,
            Effect::IdMap => {
                return Err(Error::unsupported(path(), "idmapped mounts are not implemented yet"));
            }
            Effect::Nothing => (),
        }
        Ok(())
    }

    fn read_only(&self) -> bool {
        self.set & RDONLY != 0
    }

    fn filesystem(
        &self,
        kind: &str,
        wanted: &Wanted,
        inputs: &Inputs<'_>,
        field: &str,
    ) -> Result<Filesystem> {
        let mut options = Vec::new();
        for (key, value) in &self.data {
            let value = match value {
                Some(value) if kind == "overlay" => Some(layer::resolve(key, value, inputs.bundle)),
                other => other.clone(),
            };
            options.push(fs_option(key, value.as_deref(), field)?);
        }
        let mut flags = self.superblock.clone();
        if self.read_only() && !SHARED.contains(&kind) {
            flags.push("ro");
        }
        for flag in flags {
            options.push(fs_option(flag, None, field)?);
        }
        let source =
            wanted.source().as_ref().map_or(kind.into(), |source| source.to_string_lossy());
        Ok(Filesystem {
            kind: text(kind, field)?,
            source: text(&source, field)?,
            options,
            or_bind: or_bind(kind, inputs).map(|path| text(path, field)).transpose()?,
        })
    }
}

fn fs_option(key: &str, value: Option<&str>, field: &str) -> Result<FsOption> {
    Ok(FsOption {
        key: text(key, &format!("{field}.options"))?,
        value: value.map(|value| text(value, &format!("{field}.options"))).transpose()?,
    })
}

/// In a user namespace the kernel gives these only to who owns the namespace that they show.
fn or_bind(kind: &str, inputs: &Inputs<'_>) -> Option<&'static str> {
    match kind {
        "sysfs" if inputs.user_namespace && !inputs.own_network => Some("/sys"),
        "proc" if inputs.user_namespace && !inputs.own_pids => Some("/proc"),
        _ => None,
    }
}

/// Lowers one element of `mounts`; some become several mounts.
pub(super) fn lower(
    index: usize,
    wanted: &Wanted,
    inputs: &Inputs<'_>,
    trees: &mut Vec<TreeSource>,
    propagation: Option<u64>,
) -> Result<Vec<Mount>> {
    let field = format!("mounts[{index}]");
    let options = Options::read(wanted.options().as_deref().unwrap_or_default(), &field)?;
    let destination = relative(wanted.destination(), &format!("{field}.destination"))?;
    check_mapped(wanted, &field)?;
    let kind = wanted.typ().as_deref().unwrap_or("bind");
    let bind = options.bind.or((kind == "bind").then_some(false));
    let new = |destination: OwnedText, source: MountSource| Mount {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        no_symlinks: matches!(kind, "proc" | "sysfs"),
        copy_up: options.copy_up,
        needs_cgroup: matches!(kind, "cgroup" | "cgroup2"),
        set: options.set,
        clear: options.clear,
        set_recursive: options.set_all,
        clear_recursive: options.clear_all,
        propagation: options.propagation.clone(),
        destination,
        source,
    };
    if options.remount {
        return Ok(vec![new(destination, MountSource::Remount(()))]);
    }
    if let Some(recursive) = bind {
        let tree = bind_source(
            wanted,
            &destination,
            &options,
            recursive,
            &field,
            inputs,
            trees,
            propagation,
        )?;
        return Ok(vec![new(destination, tree)]);
    }
    if matches!(kind, "cgroup" | "cgroup2") {
        return cgroup(kind, wanted, &options, inputs, &field, &destination, trees, &new);
    }
    let filesystem = options.filesystem(kind, wanted, inputs, &field)?;
    Ok(vec![new(destination, MountSource::Filesystem(filesystem))])
}

fn check_mapped(wanted: &Wanted, field: &str) -> Result<()> {
    let mapped = [("uidMappings", wanted.uid_mappings()), ("gidMappings", wanted.gid_mappings())];
    match mapped
        .into_iter()
        .find(|(_, mappings)| mappings.as_ref().is_some_and(|list| !list.is_empty()))
    {
        Some((name, _)) => Err(Error::unsupported(
            format!("{field}.{name}"),
            "idmapped mounts are not implemented yet",
        )),
        None => Ok(()),
    }
}

#[allow(clippy::too_many_arguments)]
fn bind_source(
    wanted: &Wanted,
    destination: &OwnedText,
    options: &Options,
    recursive: bool,
    field: &str,
    inputs: &Inputs<'_>,
    trees: &mut Vec<TreeSource>,
    propagation: Option<u64>,
) -> Result<MountSource> {
    let below = destination.to_string();
    if below == "proc" || below.starts_with("proc/") && !BELOW_PROC.contains(&below.as_str()) {
        return Err(Error::spec(
            format!("{field}.destination"),
            format_args!("/{below} is inside /proc, where nothing may be bound (CVE-2019-16884)"),
        ));
    }
    if let Some((key, _)) = options.data.first() {
        return Err(Error::spec(
            format!("{field}.options"),
            format_args!(
                "{key:?} is no option of a bind mount, which has no filesystem of its own"
            ),
        ));
    }
    let source = wanted.source().as_ref().filter(|source| !source.as_os_str().is_empty());
    let source = source
        .ok_or_else(|| Error::spec(format!("{field}.source"), "missing: what is to be bound?"))?;
    let path = inputs.bundle.join(source);
    if inputs.unprivileged {
        let path = text(&path.to_string_lossy(), field)?;
        return Ok(MountSource::Path(BindPath { path, recursive }));
    }
    let place = u32::try_from(trees.len()).unwrap_or(u32::MAX);
    trees.push(TreeSource {
        path,
        recursive,
        propagation,
        field: format!("{field}.source"),
        what: Purpose::Bind,
    });
    // Whether it is a directory shows when it is opened.
    Ok(MountSource::Tree(Tree { place, directory: true }))
}

/// The cgroup file systems: with a cgroup namespace new mounts show the container's own cgroup; without one its
/// directories are bound from the host, read-only (CVE-2023-25809).
#[allow(clippy::too_many_arguments)]
fn cgroup(
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
    if let Some(hierarchy) = whole.or(unified.filter(|_| kind == "cgroup2")) {
        let source = one_hierarchy(hierarchy, wanted, inputs, field, trees)?;
        return Ok(vec![new(destination.clone(), source)]);
    }
    let tmpfs = Filesystem {
        kind: text("tmpfs", field)?,
        source: text("tmpfs", field)?,
        options: vec![fs_option("mode", Some("755"), field)?],
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
    if options.read_only() {
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
        let host = inputs.cgroup_root.join(&hierarchy.directory).join(path.trim_start_matches('/'));
        let place = u32::try_from(trees.len()).unwrap_or(u32::MAX);
        trees.push(TreeSource {
            path: host,
            recursive: false,
            propagation: Some(option::PRIVATE),
            field: field.to_owned(),
            what: Purpose::Bind,
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

/// The mount on `/`: it becomes the root itself.
pub(super) fn lower_root(wanted: &Wanted, inputs: &Inputs<'_>) -> Result<Filesystem> {
    let field = "mounts[0]";
    let options = Options::read(wanted.options().as_deref().unwrap_or_default(), field)?;
    let kind = wanted.typ().as_deref().unwrap_or("bind");
    if options.bind.is_some() || kind == "bind" || options.remount {
        return Err(Error::spec(
            "mounts[0].destination",
            "a bind mount on / is what root.path is for; name the directory there",
        ));
    }
    options.filesystem(kind, wanted, inputs, field)
}
