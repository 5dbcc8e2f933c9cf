//! The root file system in words.

use runtime_core::rootfs::TreeSource;
use teu_wire::{Filesystem, FsOption, Mount, MountSource, RootMount, Rootfs, Switch};

use super::{Page, words};

/// The root and the mounts on it.
pub(super) fn mounts(page: &mut Page, root: &Rootfs, trees: &[TreeSource]) {
    page.section(format_args!("Root file system {}", root.path));
    if root.propagation != 0 {
        page.line(format_args!("make every mount {}", words::propagation(root.propagation)));
    }
    if root.private_parent {
        page.line("make the parent of the root private");
    }
    match &root.root {
        RootMount::Tree(_) => page.line("bind the directory root.path"),
        RootMount::Filesystem(filesystem) => page.line(self::filesystem(filesystem)),
        RootMount::Directory(()) => page.line("use the directory root.path as it is"),
    }
    for mount in &root.mounts {
        page.line(format_args!(
            "mounts[{}] {}: {}",
            mount.index,
            absolute(&mount.destination),
            describe(mount, trees)
        ));
    }
}

fn describe(mount: &Mount, trees: &[TreeSource]) -> String {
    let mut parts = vec![match &mount.source {
        MountSource::Filesystem(filesystem) => self::filesystem(filesystem),
        MountSource::Tree(tree) => match trees.get(tree.place as usize) {
            Some(tree) => bind(&tree.path.display(), tree.recursive),
            None => "bind".to_owned(),
        },
        MountSource::Remount(()) => "change what is mounted there".to_owned(),
        MountSource::Link(target) => format!("symbolic link to {target}"),
    }];
    let flags = words::attributes(mount.set, mount.clear);
    if !flags.is_empty() {
        parts.push(flags);
    }
    let all = words::attributes(mount.set_recursive, mount.clear_recursive);
    if !all.is_empty() {
        parts.push(format!("with all below: {all}"));
    }
    parts.extend(mount.propagation.iter().map(|flags| words::propagation(*flags)));
    if mount.copy_up {
        parts.push("with a copy of what is there".to_owned());
    }
    if let Some(label) = &mount.label {
        parts.push(format!("its root labelled {label}"));
    }
    if mount.no_symlinks {
        parts.push("not through a symbolic link".to_owned());
    }
    parts.join(", ")
}

fn bind(path: &impl std::fmt::Display, recursive: bool) -> String {
    format!("bind {path}{}", if recursive { " with all below" } else { "" })
}

fn filesystem(filesystem: &Filesystem) -> String {
    let mut text = format!("mount {} {}", filesystem.kind, filesystem.source);
    if !filesystem.options.is_empty() {
        text.push_str(&format!(" ({})", options(&filesystem.options)));
    }
    if let Some(path) = &filesystem.or_bind {
        text.push_str(&format!(", or bind {path} where the host refuses"));
    }
    text
}

fn options(list: &[FsOption]) -> String {
    let word = |option: &FsOption| match &option.value {
        Some(value) => format!("{}={value}", option.key),
        None => option.key.to_string(),
    };
    list.iter().map(word).collect::<Vec<_>>().join(",")
}

/// A path as the container sees it; the plan has them relative to the root.
fn absolute(path: &impl std::fmt::Display) -> String {
    format!("/{}", path.to_string().trim_start_matches('/'))
}

/// Device nodes and links.
pub(super) fn devices(page: &mut Page, root: &Rootfs) {
    if root.devices.is_empty() && root.links.is_empty() {
        return;
    }
    page.section("Devices");
    for device in &root.devices {
        let how = if device.tree.is_some() { "bound from the host" } else { "made" };
        let field = device.index.map_or_else(String::new, |i| format!(" (linux.devices[{i}])"));
        page.line(format_args!(
            "{}: {} {}:{}, mode {:04o}, owner {}:{}, {how}{field}",
            absolute(&device.path),
            words::device(device.mode),
            device.major,
            device.minor,
            device.mode & 0o7777,
            device.uid,
            device.gid
        ));
    }
    for link in &root.links {
        page.line(format_args!("{} -> {}", absolute(&link.path), link.target));
    }
}

/// The change of the root, and what is hidden after it.
pub(super) fn switch(page: &mut Page, root: &Rootfs) {
    page.section("New root");
    page.line(match root.switch {
        Switch::Pivot(()) => "pivot_root",
        Switch::Move(()) => "move the mount, then chroot (--no-pivot)",
        Switch::Chroot(()) => "chroot",
    });
    if let Some(flags) = root.root_propagation {
        page.line(format_args!("make it {}", words::propagation(flags)));
    }
    if root.readonly_root {
        page.line("make it read-only (root.readonly)");
    }
    for path in &root.readonly {
        page.line(format_args!("read-only {}", absolute(path)));
    }
    for path in &root.masked {
        page.line(format_args!("masked {}", absolute(path)));
    }
    if !root.masked.is_empty() && !root.mask_options.is_empty() {
        page.detail(format_args!("directories by a tmpfs ({})", options(&root.mask_options)));
    }
}
