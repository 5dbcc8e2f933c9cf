//! `mounts` → mounts of the plan. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use oci_spec::runtime::{LinuxIdMapping, Mount as Wanted};
use teu_wire::{Filesystem, FsOption, Mount, MountSource, OwnedText, Tree};

use super::option::{self, ATIME, Effect, RDONLY};
use super::{IdMap, Inputs, Purpose, TreeSource, cgroupfs, label, layer};
use crate::error::{Error, Result};

/// Filesystems of which the kernel has one superblock for many mounts, and tmpfs, which has to be filled before:
/// read-only is the mount's business.
const SHARED: [&str; 7] = ["proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "tmpfs"];

/// What may be bound below /proc: files that tell the container of its own limits. Anything else would let it
/// lie to the runtime (CVE-2019-16884).
const BELOW_PROC: [&str; 11] = [
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

pub(super) fn text(value: &str, field: &str) -> Result<OwnedText> {
    OwnedText::new(value).map_err(|_| Error::spec(field, "contains a NUL byte"))
}

/// The options of one mount, read.
#[derive(Debug, Default)]
pub(super) struct Options {
    bind: Option<bool>,
    remount: bool,
    copy_up: bool,
    /// Whether with all below.
    id_map: Option<bool>,
    set: u64,
    clear: u64,
    set_all: u64,
    clear_all: u64,
    propagation: Vec<u64>,
    superblock: Vec<&'static str>,
    data: Vec<(String, Option<String>)>,
}

impl Options {
    pub(super) fn read(words: &[String]) -> Self {
        let mut read = Self::default();
        for word in words {
            match option::effect(word) {
                Some(effect) => read.apply(effect),
                None if word.is_empty() => (),
                // One word may hold several, as in mount(8)'s -o.
                None => read.data.extend(label::split(word)),
            }
        }
        read
    }

    /// The later word wins.
    fn apply(&mut self, effect: Effect) {
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
            Effect::SuperblockOff(flag) => self.superblock.retain(|one| *one != flag),
            Effect::Propagation(flags) => self.propagation.push(flags),
            Effect::Bind => self.bind = Some(self.bind.unwrap_or(false)),
            Effect::BindAll => self.bind = Some(true),
            Effect::Remount => self.remount = true,
            Effect::CopyUp => self.copy_up = true,
            Effect::IdMap => self.id_map = Some(self.id_map.unwrap_or(false)),
            Effect::IdMapAll => self.id_map = Some(true),
            Effect::Nothing => (),
        }
    }

    pub(super) fn read_only(&self) -> bool {
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
        if let Some(label) = &inputs.label {
            options.extend(label.option(kind, &self.data)?);
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

pub(super) fn fs_option(key: &str, value: Option<&str>, field: &str) -> Result<FsOption> {
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

/// The mounts that one element of `mounts` becomes.
#[derive(Debug, Default)]
pub(super) struct Lowered {
    /// In their place among the others.
    pub mounts: Vec<Mount>,
    /// After devices and links are in them.
    pub late: Vec<Mount>,
}

/// Lowers one element of `mounts`; some become several mounts.
pub(super) fn lower(
    index: usize,
    wanted: &Wanted,
    inputs: &Inputs<'_>,
    trees: &mut Vec<TreeSource>,
    propagation: Option<u64>,
) -> Result<Lowered> {
    let field = format!("mounts[{index}]");
    let options = Options::read(wanted.options().as_deref().unwrap_or_default());
    let destination = relative(wanted.destination(), &format!("{field}.destination"))?;
    let kind = wanted.typ().as_deref().unwrap_or("bind");
    let bind = options.bind.or((kind == "bind").then_some(false));
    let id_map = id_map(wanted, &options, bind.is_some() && !options.remount, &field, inputs)?;
    if kind != "proc" && !options.remount {
        check_below_proc(&destination, wanted, &field)?;
    }
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
        label: None,
    };
    if options.remount {
        return Ok(now(vec![new(destination, MountSource::Remount(()))]));
    }
    if let Some(recursive) = bind {
        let tree = bind_source(wanted, &options, recursive, &field, inputs, trees, propagation)?;
        if let Some(tree) = trees.last_mut() {
            tree.id_map = id_map;
        }
        return Ok(now(vec![new(destination, tree)]));
    }
    if matches!(kind, "cgroup" | "cgroup2") {
        return cgroupfs::lower(kind, wanted, &options, inputs, &field, &destination, trees, &new)
            .map(now);
    }
    let filesystem = options.filesystem(kind, wanted, inputs, &field)?;
    let mut mount = new(destination.clone(), MountSource::Filesystem(filesystem));
    mount.label =
        inputs.label.as_ref().and_then(|label| label.on_root(kind).transpose()).transpose()?;
    let mut late = Vec::new();
    if kind == "tmpfs" && options.read_only() {
        // It is empty when it is made: what else is mounted or made in it comes first.
        mount.set &= !RDONLY;
        let mut change = new(destination, MountSource::Remount(()));
        (change.set, change.clear, change.propagation) = (RDONLY, 0, Vec::new());
        (change.set_recursive, change.clear_recursive) = (0, 0);
        late.push(change);
    }
    Ok(Lowered { mounts: vec![mount], late })
}

fn now(mounts: Vec<Mount>) -> Lowered {
    Lowered { mounts, late: Vec::new() }
}

/// Whatever covers a part of /proc could make the container lie to the runtime, or to its own tools: only what
/// is known to be asked for may be there, and on /proc itself only the host's procfs.
fn check_below_proc(destination: &OwnedText, wanted: &Wanted, field: &str) -> Result<()> {
    let below = destination.to_string();
    let hosts = wanted.source().as_deref() == Some(Path::new("/proc"));
    let refused = match below.as_str() {
        "proc" => !hosts,
        below => below.starts_with("proc/") && !BELOW_PROC.contains(&below),
    };
    if !refused {
        return Ok(());
    }
    Err(Error::spec(
        format!("{field}.destination"),
        format_args!("/{below} is inside /proc, where nothing may be mounted (CVE-2019-16884)"),
    ))
}

/// How the ids of a bind mount are mapped: by mappings of its own, or with the option alone by those of the
/// container's user namespace (config.md, "Mounts").
fn id_map(
    wanted: &Wanted,
    options: &Options,
    is_bind: bool,
    field: &str,
    inputs: &Inputs<'_>,
) -> Result<Option<IdMap>> {
    let list = |list: &Option<Vec<LinuxIdMapping>>| list.clone().unwrap_or_default();
    let (uid, gid) = (list(wanted.uid_mappings()), list(wanted.gid_mappings()));
    if uid.is_empty() && gid.is_empty() && options.id_map.is_none() {
        return Ok(None);
    }
    let wrong = |name: &str, text: &str| Err(Error::spec(format!("{field}.{name}"), text));
    match (uid.is_empty(), gid.is_empty()) {
        _ if !is_bind => return wrong("options", "only bind mounts can be idmapped"),
        (false, true) => {
            return wrong("gidMappings", "missing: both kinds of ids are mapped or none");
        }
        (true, false) => {
            return wrong("uidMappings", "missing: both kinds of ids are mapped or none");
        }
        (true, true) if !inputs.user_namespace => {
            return wrong(
                "options",
                "idmap without mappings takes those of the container, which has no user namespace",
            );
        }
        _ => {}
    }
    if inputs.unprivileged {
        let text = "idmapped mounts can be made by root only";
        return Err(Error::unsupported(format!("{field}.options"), text));
    }
    Ok(Some(IdMap { uid, gid, recursive: options.id_map.unwrap_or(false) }))
}

#[allow(clippy::too_many_arguments)]
fn bind_source(
    wanted: &Wanted,
    options: &Options,
    recursive: bool,
    field: &str,
    inputs: &Inputs<'_>,
    trees: &mut Vec<TreeSource>,
    propagation: Option<u64>,
) -> Result<MountSource> {
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
    let place = u32::try_from(trees.len()).unwrap_or(u32::MAX);
    trees.push(TreeSource {
        path,
        recursive,
        propagation,
        field: format!("{field}.source"),
        what: Purpose::Bind,
        id_map: None,
    });
    // Whether it is a directory shows when it is opened.
    Ok(MountSource::Tree(Tree { place, directory: true }))
}

/// The mount on `/`: it becomes the root itself; its attributes are set by a second step, where it is.
pub(super) fn lower_root(wanted: &Wanted, inputs: &Inputs<'_>) -> Result<(Filesystem, Mount)> {
    let field = "mounts[0]";
    let options = Options::read(wanted.options().as_deref().unwrap_or_default());
    let kind = wanted.typ().as_deref().unwrap_or("bind");
    if options.bind.is_some() || kind == "bind" || options.remount {
        return Err(Error::spec(
            "mounts[0].destination",
            "a bind mount on / is what root.path is for; name the directory there",
        ));
    }
    let filesystem = options.filesystem(kind, wanted, inputs, field)?;
    let attributes = Mount {
        index: 0,
        destination: OwnedText::default(),
        source: MountSource::Remount(()),
        // Read-only is the superblock's then, or root.readonly's: what follows is made in it.
        set: options.set & !RDONLY,
        clear: options.clear & !RDONLY,
        set_recursive: options.set_all & !RDONLY,
        clear_recursive: options.clear_all & !RDONLY,
        propagation: options.propagation.clone(),
        no_symlinks: false,
        copy_up: false,
        needs_cgroup: false,
        label: None,
    };
    Ok((filesystem, attributes))
}
