//! Every mount option word of config.md ("Linux mount options"), in one table: what it means, and what
//! `features` lists. A word that is not here is the filesystem's own. Pure.

/// What a word changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Sets MOUNT_ATTR_* of the mount.
    Set(u64),
    /// Clears MOUNT_ATTR_* of the mount.
    Clear(u64),
    /// Sets MOUNT_ATTR_* of the mount and all below it.
    SetAll(u64),
    /// Clears MOUNT_ATTR_* of the mount and all below it.
    ClearAll(u64),
    /// How access times are kept: one of MOUNT_ATTR__ATIME's values.
    Atime(u64),
    /// The same for all below.
    AtimeAll(u64),
    /// A flag of the superblock, by fsconfig(2)'s name.
    Superblock(&'static str),
    /// Takes an earlier flag of the superblock back.
    SuperblockOff(&'static str),
    /// MS_* propagation.
    Propagation(u64),
    /// A bind mount.
    Bind,
    /// A bind mount with all below.
    BindAll,
    /// Change what is mounted already.
    Remount,
    /// Copy what the destination held.
    CopyUp,
    /// An idmapped mount.
    IdMap,
    /// The same for all below.
    IdMapAll,
    /// What is the case anyway.
    Nothing,
}

/// MOUNT_ATTR_RDONLY.
pub const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const NOEXEC: u64 = 0x8;
/// MOUNT_ATTR__ATIME: the bits that one of the three values fills.
pub const ATIME: u64 = 0x70;
const RELATIME: u64 = 0x0;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x20_0000;

/// MS_REC.
pub const REC: u64 = 1 << 14;
/// MS_UNBINDABLE.
pub const UNBINDABLE: u64 = 1 << 17;
/// MS_PRIVATE.
pub const PRIVATE: u64 = 1 << 18;
/// MS_SLAVE.
pub const SLAVE: u64 = 1 << 19;
/// MS_SHARED.
pub const SHARED: u64 = 1 << 20;

use Effect::{
    Atime, AtimeAll, Bind, BindAll, Clear, ClearAll, CopyUp, IdMap, IdMapAll, Nothing, Propagation,
    Remount, Set, SetAll, Superblock, SuperblockOff,
};

/// The table.
pub const OPTIONS: &[(&str, Effect)] = &[
    ("async", SuperblockOff("sync")),
    ("atime", Atime(RELATIME)),
    ("bind", Bind),
    ("defaults", Nothing),
    ("dev", Clear(NODEV)),
    ("diratime", Clear(NODIRATIME)),
    ("dirsync", Superblock("dirsync")),
    ("exec", Clear(NOEXEC)),
    ("idmap", IdMap),
    // Kept by the filesystem itself since 4.17; mount(8)'s word is taken and changes nothing.
    ("iversion", Nothing),
    ("lazytime", Superblock("lazytime")),
    ("loud", Nothing),
    // Mandatory locking is gone from the kernel since 5.15.
    ("mand", Nothing),
    ("noatime", Atime(NOATIME)),
    ("nodev", Set(NODEV)),
    ("nodiratime", Set(NODIRATIME)),
    ("noexec", Set(NOEXEC)),
    ("noiversion", Nothing),
    ("nolazytime", SuperblockOff("lazytime")),
    ("nomand", Nothing),
    ("norelatime", Nothing),
    ("nostrictatime", Atime(RELATIME)),
    ("nosuid", Set(NOSUID)),
    ("nosymfollow", Set(NOSYMFOLLOW)),
    ("private", Propagation(PRIVATE)),
    ("ratime", AtimeAll(RELATIME)),
    ("rbind", BindAll),
    ("rdev", ClearAll(NODEV)),
    ("rdiratime", ClearAll(NODIRATIME)),
    ("relatime", Atime(RELATIME)),
    ("remount", Remount),
    ("rexec", ClearAll(NOEXEC)),
    ("ridmap", IdMapAll),
    ("rnoatime", AtimeAll(NOATIME)),
    ("rnodev", SetAll(NODEV)),
    ("rnodiratime", SetAll(NODIRATIME)),
    ("rnoexec", SetAll(NOEXEC)),
    ("rnorelatime", Nothing),
    ("rnostrictatime", AtimeAll(RELATIME)),
    ("rnosuid", SetAll(NOSUID)),
    ("rnosymfollow", SetAll(NOSYMFOLLOW)),
    ("ro", Set(RDONLY)),
    ("rprivate", Propagation(PRIVATE | REC)),
    ("rrelatime", AtimeAll(RELATIME)),
    ("rro", SetAll(RDONLY)),
    ("rrw", ClearAll(RDONLY)),
    ("rshared", Propagation(SHARED | REC)),
    ("rslave", Propagation(SLAVE | REC)),
    ("rstrictatime", AtimeAll(STRICTATIME)),
    ("rsuid", ClearAll(NOSUID)),
    ("rsymfollow", ClearAll(NOSYMFOLLOW)),
    ("runbindable", Propagation(UNBINDABLE | REC)),
    ("rw", Clear(RDONLY)),
    ("shared", Propagation(SHARED)),
    ("silent", Nothing),
    ("slave", Propagation(SLAVE)),
    ("strictatime", Atime(STRICTATIME)),
    ("suid", Clear(NOSUID)),
    ("symfollow", Clear(NOSYMFOLLOW)),
    ("sync", Superblock("sync")),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagation(UNBINDABLE)),
];

/// What a word means; none when it is the filesystem's own.
pub fn effect(word: &str) -> Option<Effect> {
    let at = OPTIONS.binary_search_by_key(&word, |(word, _)| word).ok()?;
    OPTIONS.get(at).map(|(_, effect)| *effect)
}

/// The options that this runtime can carry out, as `features` lists them.
pub fn words() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(word, _)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_found() {
        assert!(OPTIONS.is_sorted_by_key(|(word, _)| word));
        assert_eq!(effect("ro"), Some(Set(RDONLY)));
        assert_eq!(effect("size=1"), None);
        assert_eq!(effect("runbindable"), Some(Propagation(UNBINDABLE | REC)));
    }
}
