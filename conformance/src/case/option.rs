//! Mount options, a case for each word of the specification's table that no other case is about.

use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};

use super::Case;
use super::rootfs::{HostMount, bind, facts, has, mount_at};
use crate::harness::{Lab, Result, Stop, ensure};

const OPTIONS: &str = "OCI runtime-spec config.md#linux-mount-options";

/// `word after [words before it]: shows [..] and not [..]`, on a tmpfs and on a bind mount.
macro_rules! plain {
    ($word:literal, $what:literal, $before:expr, $shown:expr, $hidden:expr) => {
        Case::new(concat!("option/", $word), $what, OPTIONS, |lab| {
            plain(lab, $word, &$before, &$shown, &$hidden)
        })
    };
}

/// A word about the file system itself shows at a tmpfs.
macro_rules! superblock {
    ($word:literal, $what:literal, $before:expr, $shown:expr, $hidden:expr) => {
        Case::new(concat!("option/", $word), $what, OPTIONS, |lab| {
            superblock(lab, $word, &$before, &$shown, &$hidden)
        })
    };
}

/// A word about a tree shows at a mount below the one that has it, which had these flags before.
macro_rules! tree {
    ($word:literal, $what:literal, $flags:expr, $shown:expr, $hidden:expr) => {
        Case::new(concat!("option/", $word), $what, OPTIONS, |lab| {
            tree(lab, $word, $flags, &$shown, &$hidden)
        })
    };
}

const NONE: [&str; 0] = [];
const NO_FLAGS: MsFlags = MsFlags::empty();
/// Both are access times without a bit of their own.
const ATIME: &str = "runc 1.1 asks mount_setattr(2) for no bits and gets EINVAL";

pub(super) const CASES: &[Case] = &[
    plain!("defaults", "defaults is taken and changes nothing", NONE, ["rw"], ["nosuid"])
        .known("runc 1.1 gives the word to the file system"),
    plain!("ro", "ro shows as ro", NONE, ["ro"], ["rw"]),
    plain!("rw", "rw undoes ro", ["ro"], ["rw"], ["ro"]),
    plain!("nosuid", "nosuid shows as nosuid", NONE, ["nosuid"], NONE),
    plain!("suid", "suid undoes nosuid", ["nosuid"], NONE, ["nosuid"]),
    plain!("nodev", "nodev shows as nodev", NONE, ["nodev"], NONE),
    plain!("dev", "dev undoes nodev", ["nodev"], NONE, ["nodev"]),
    plain!("noexec", "noexec shows as noexec", NONE, ["noexec"], NONE),
    plain!("exec", "exec undoes noexec", ["noexec"], NONE, ["noexec"]),
    plain!("noatime", "noatime shows as noatime", NONE, ["noatime"], ["relatime"]),
    plain!("atime", "atime undoes noatime", ["noatime"], NONE, ["noatime"]),
    plain!("nodiratime", "nodiratime shows as nodiratime", NONE, ["nodiratime"], NONE),
    plain!("diratime", "diratime undoes nodiratime", ["nodiratime"], NONE, ["nodiratime"]),
    plain!("relatime", "relatime shows as relatime", NONE, ["relatime"], ["noatime"]),
    plain!("norelatime", "norelatime is taken", NONE, NONE, ["noatime"]),
    plain!("strictatime", "strictatime shows by relatime's absence", NONE, NONE, ["relatime"]),
    plain!(
        "nostrictatime",
        "nostrictatime undoes strictatime",
        ["strictatime"],
        ["relatime"],
        NONE
    ),
    plain!("nosymfollow", "nosymfollow shows as nosymfollow", NONE, ["nosymfollow"], NONE),
    plain!("symfollow", "symfollow undoes nosymfollow", ["nosymfollow"], NONE, ["nosymfollow"]),
    superblock!("sync", "sync is the file system's", NONE, ["sync"], NONE),
    superblock!("async", "async undoes sync", ["sync"], NONE, ["sync"]),
    superblock!("dirsync", "dirsync is the file system's", NONE, ["dirsync"], NONE),
    superblock!("lazytime", "lazytime is the file system's", NONE, ["lazytime"], NONE),
    superblock!("nolazytime", "nolazytime undoes lazytime", ["lazytime"], NONE, ["lazytime"]),
    superblock!("iversion", "iversion is taken", NONE, NONE, NONE),
    superblock!("noiversion", "noiversion is taken", NONE, NONE, NONE),
    superblock!("silent", "silent is taken", NONE, NONE, NONE),
    superblock!("loud", "loud is taken", NONE, NONE, NONE),
    superblock!("mand", "mand is taken; kernels since 5.15 do nothing for it", NONE, NONE, NONE),
    superblock!("nomand", "nomand is taken", NONE, NONE, NONE),
    tree!("rro", "rro reaches the mounts below", NO_FLAGS, ["ro"], ["rw"]),
    tree!("rrw", "rrw reaches the mounts below", MsFlags::MS_RDONLY, ["rw"], ["ro"]),
    tree!("rnosuid", "rnosuid reaches the mounts below", NO_FLAGS, ["nosuid"], NONE),
    tree!("rsuid", "rsuid reaches the mounts below", MsFlags::MS_NOSUID, NONE, ["nosuid"]),
    tree!("rnodev", "rnodev reaches the mounts below", NO_FLAGS, ["nodev"], NONE),
    tree!("rdev", "rdev reaches the mounts below", MsFlags::MS_NODEV, NONE, ["nodev"]),
    tree!("rnoexec", "rnoexec reaches the mounts below", NO_FLAGS, ["noexec"], NONE),
    tree!("rexec", "rexec reaches the mounts below", MsFlags::MS_NOEXEC, NONE, ["noexec"]),
    tree!("rnoatime", "rnoatime reaches the mounts below", NO_FLAGS, ["noatime"], ["relatime"]),
    tree!("ratime", "ratime reaches the mounts below", MsFlags::MS_NOATIME, NONE, ["noatime"])
        .known(ATIME),
    tree!("rnodiratime", "rnodiratime reaches the mounts below", NO_FLAGS, ["nodiratime"], NONE),
    tree!(
        "rdiratime",
        "rdiratime reaches the mounts below",
        MsFlags::MS_NODIRATIME,
        NONE,
        ["nodiratime"]
    ),
    tree!(
        "rrelatime",
        "rrelatime reaches the mounts below",
        MsFlags::MS_NOATIME,
        ["relatime"],
        NONE
    ),
    tree!("rnorelatime", "rnorelatime is taken", NO_FLAGS, NONE, ["noatime"]),
    tree!("rstrictatime", "rstrictatime reaches the mounts below", NO_FLAGS, NONE, ["relatime"]),
    tree!(
        "rnostrictatime",
        "rnostrictatime reaches the mounts below",
        MsFlags::MS_STRICTATIME,
        ["relatime"],
        NONE
    )
    .known(ATIME),
    tree!("rnosymfollow", "rnosymfollow reaches the mounts below", NO_FLAGS, ["nosymfollow"], NONE),
    tree!("rsymfollow", "rsymfollow reaches the mounts below", NOSYMFOLLOW, NONE, ["nosymfollow"]),
    Case::new("option/runbindable", "runbindable reaches the mounts below", OPTIONS, unbindable),
    Case::new("option/remount", "remount changes what an earlier entry mounted", OPTIONS, remount),
];

/// MS_NOSYMFOLLOW of mount(2), which nix does not name.
const NOSYMFOLLOW: MsFlags = MsFlags::from_bits_retain(256);

/// Judges one list of words of mountinfo: a member of it is "options" or "data".
fn check(at: &Value, list: &str, word: &str, shown: &[&str], hidden: &[&str]) -> Result {
    let there = |one: &str| {
        if list == "options" {
            return has(at, one);
        }
        at[list].as_array().is_some_and(|all| all.iter().any(|entry| entry == one))
    };
    for one in shown {
        ensure!(there(one), "with {word}, {one} is missing among the {list} of {at}");
    }
    for one in hidden {
        ensure!(!there(one), "with {word}, {one} must not be among the {list} of {at}");
    }
    Ok(())
}

fn tmpfs(destination: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options })
}

fn plain(lab: &Lab, word: &str, before: &[&str], shown: &[&str], hidden: &[&str]) -> Result {
    let source = HostMount::on(lab.new_folder("source")?)?;
    let options = [before, &[word]].concat();
    let bound = bind(&source.0, "/tmp/bind", &[&["bind"], &options[..]].concat());
    let facts = facts(lab, &[tmpfs("/tmp/fresh", &options), bound])?;
    for target in ["/tmp/fresh", "/tmp/bind"] {
        check(mount_at(&facts, target)?, "options", word, shown, hidden)?;
    }
    Ok(())
}

fn superblock(lab: &Lab, word: &str, before: &[&str], shown: &[&str], hidden: &[&str]) -> Result {
    let facts = facts(lab, &[tmpfs("/tmp/fresh", &[before, &[word]].concat())])?;
    check(mount_at(&facts, "/tmp/fresh")?, "data", word, shown, hidden)
}

fn tree(lab: &Lab, word: &str, flags: MsFlags, shown: &[&str], hidden: &[&str]) -> Result {
    let top = lab.new_folder("tree")?;
    let inner = HostMount::on(top.join("inner"))?;
    if !flags.is_empty() {
        let again = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
        mount(None::<&str>, &inner.0, None::<&str>, again, None::<&str>)?;
    }
    let facts = facts(lab, &[bind(&top, "/tmp/tree", &["rbind", word])])?;
    check(mount_at(&facts, "/tmp/tree/inner")?, "options", word, shown, hidden)
}

fn unbindable(lab: &Lab) -> Result {
    let top = lab.new_folder("tree")?;
    let _inner = HostMount::on(top.join("inner"))?;
    let facts = facts(lab, &[bind(&top, "/tmp/tree", &["rbind", "runbindable"])])?;
    for target in ["/tmp/tree", "/tmp/tree/inner"] {
        let mount = mount_at(&facts, target)?;
        let fields = mount["propagation"].as_array().ok_or(Stop::Fail("no fields".into()))?;
        ensure!(fields.iter().any(|field| field == "unbindable"), "{target} is not: {mount}");
    }
    Ok(())
}

fn remount(lab: &Lab) -> Result {
    let mounts = [tmpfs("/tmp/fresh", &["nosuid"]), tmpfs("/tmp/fresh", &["remount", "ro"])];
    let facts = facts(lab, &mounts)?;
    let all = facts["mounts"].as_array().cloned().unwrap_or_default();
    let found: Vec<_> = all.iter().filter(|mount| mount["target"] == "/tmp/fresh").collect();
    ensure!(found.len() == 1, "a remount mounts nothing new: {found:?}");
    check(found[0], "options", "remount", &["ro"], &["rw"])
}
