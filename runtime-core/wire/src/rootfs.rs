//! The section of the plan that builds the root file system.
//!
//! Destinations are relative to the root and unresolved: init turns each into a descriptor once, inside the
//! root, and uses only that.

use crate::codec::{Many, Maybe, Text};
use crate::macros::{wire_enum, wire_struct};

wire_struct! {
    /// What the container stands on.
    Rootfs / RootfsView {
        /// root.path, absolute: the root is mounted there, where hooks look for it.
        path: Text,
        /// MS_* propagation for all mounts of the namespace before the first is made; 0 leaves them as they are.
        propagation: u64,
        /// The parent of the root alone is made private, because pivot_root(2) refuses a shared one.
        private_parent: bool,
        /// The root mount.
        root: RootMount,
        /// The mounts, in order.
        mounts: Many<Mount>,
        /// Device nodes; those of the specification first.
        devices: Many<Device>,
        /// Symbolic links of /dev.
        links: Many<DeviceLink>,
        /// Changes to mounts that had to wait until the devices were in them.
        late: Many<Mount>,
        /// linux.maskedPaths.
        masked: Many<Text>,
        /// Options of the filesystem that covers masked directories, beside its own.
        mask_options: Many<FsOption>,
        /// linux.readonlyPaths.
        readonly: Many<Text>,
        /// root.readonly.
        readonly_root: bool,
        /// How to make it the root.
        switch: Switch,
        /// linux.rootfsPropagation, set on the root when it is in place.
        root_propagation: Maybe<u64>,
    }
}

wire_enum! {
    /// Where the root mount comes from.
    RootMount / RootMountView {
        /// The tree at that place of [`crate::Fds::trees`]: the directory root.path.
        Tree(u32) = 0,
        /// A filesystem mounted on root.path: the layered root, or any other mount whose destination is `/`.
        Filesystem(Filesystem) = 1,
        /// The mount namespace is not the container's own: root.path as it is.
        Directory(()) = 2,
    }
}

wire_enum! {
    /// How the root mount becomes the root directory.
    Switch / SwitchView {
        /// pivot_root(2).
        Pivot(()) = 0,
        /// `--no-pivot`: mount(2) with MS_MOVE, then chroot(2), for a root on the initial ramfs.
        Move(()) = 1,
        /// chroot(2): the mount namespace is not the container's own.
        Chroot(()) = 2,
    }
}

wire_struct! {
    /// One mount.
    Mount / MountView {
        /// Which element of `mounts` it comes from.
        index: u32,
        /// Where it goes, relative to the root.
        destination: Text,
        /// What is mounted.
        source: MountSource,
        /// MOUNT_ATTR_* to set on the mount.
        set: u64,
        /// MOUNT_ATTR_* to clear on the mount.
        clear: u64,
        /// MOUNT_ATTR_* to set on the mount and all below it.
        set_recursive: u64,
        /// MOUNT_ATTR_* to clear on the mount and all below it.
        clear_recursive: u64,
        /// MS_* propagation types, each with or without MS_REC, in order.
        propagation: Many<u64>,
        /// The destination may not be reached through a symbolic link (CVE-2019-19921, CVE-2023-27561).
        no_symlinks: bool,
        /// tmpcopyup: what the destination held is copied into the mount.
        copy_up: bool,
        /// The cgroups must be joined and the cgroup namespace made before this mount sees them.
        needs_cgroup: bool,
        /// The SELinux context of its root directory, where it takes none as an option.
        label: Maybe<Text>,
    }
}

wire_enum! {
    /// What a [`Mount`] mounts.
    MountSource / MountSourceView {
        /// A filesystem by type.
        Filesystem(Filesystem) = 0,
        /// A tree that was opened for it: its place in [`crate::Fds::trees`].
        Tree(Tree) = 1,
        /// `remount`: only attributes change.
        Remount(()) = 2,
        /// A symbolic link instead of a mount: co-mounted v1 controllers have one for each name.
        Link(Text) = 3,
    }
}

wire_struct! {
    /// A bind mount.
    Tree / TreeView {
        /// Its place in [`crate::Fds::trees`].
        place: u32,
        /// The source is a directory.
        directory: bool,
    }
}

wire_struct! {
    /// A filesystem to make (fsopen(2)).
    Filesystem / FilesystemView {
        /// Its type.
        kind: Text,
        /// Its source, as mountinfo shows it.
        source: Text,
        /// Its options.
        options: Many<FsOption>,
        /// Where the host is free to refuse a new instance (no network namespace of its own for sysfs), the
        /// caller's is bound from this path instead.
        or_bind: Maybe<Text>,
    }
}

wire_struct! {
    /// One option of a filesystem.
    FsOption / FsOptionView {
        /// Its name.
        key: Text,
        /// Its value; without one it is a flag.
        value: Maybe<Text>,
    }
}

wire_struct! {
    /// One device node.
    Device / DeviceView {
        /// Which element of `linux.devices`; absent for a default device.
        index: Maybe<u32>,
        /// Its path, relative to the root.
        path: Text,
        /// S_IF* and permissions.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// In a user namespace mknod(2) is refused: the host's node is bound from this place in
        /// [`crate::Fds::trees`].
        tree: Maybe<u32>,
    }
}

wire_struct! {
    /// One symbolic link.
    DeviceLink / DeviceLinkView {
        /// Its path, relative to the root.
        path: Text,
        /// What it says.
        target: Text,
    }
}
