//! Numbers of the kernel as the words of config.json.

use std::fmt::Display;

use teu_wire::Rlimit;

use crate::command::features::CAPABILITIES;

/// MOUNT_ATTR_* (mount_setattr(2)): the bit, its word when set, and when cleared.
const ATTRIBUTES: [(u64, &str, &str); 6] = [
    (0x1, "ro", "rw"),
    (0x2, "nosuid", "suid"),
    (0x4, "nodev", "dev"),
    (0x8, "noexec", "exec"),
    (0x80, "nodiratime", "diratime"),
    (0x20_0000, "nosymfollow", "symfollow"),
];

/// MOUNT_ATTR__ATIME: three values in one field, which is cleared whenever one is set.
const ATIME: u64 = 0x70;

/// The mount options that set and clear these attributes.
pub(super) fn attributes(set: u64, clear: u64) -> String {
    let mut words = Vec::new();
    for (bit, when_set, when_cleared) in ATTRIBUTES {
        if set & bit != 0 {
            words.push(when_set);
        } else if clear & bit != 0 {
            words.push(when_cleared);
        }
    }
    if clear & ATIME != 0 {
        words.push(match set & ATIME {
            0x10 => "noatime",
            0x20 => "strictatime",
            _ => "relatime",
        });
    }
    words.join(", ")
}

/// MS_* propagation (mount(2)).
pub(super) fn propagation(flags: u64) -> String {
    const REC: u64 = 1 << 14;
    let word = match flags & !REC {
        0x2_0000 => "unbindable",
        0x4_0000 => "private",
        0x8_0000 => "slave",
        0x10_0000 => "shared",
        _ => return format!("propagation {flags:#x}"),
    };
    format!("{}{word}", if flags & REC == 0 { "" } else { "r" })
}

/// S_IFMT (inode(7)).
pub(super) fn device(mode: u32) -> &'static str {
    match mode & 0o170_000 {
        0o020_000 => "character device",
        0o060_000 => "block device",
        0o010_000 => "fifo",
        _ => "file",
    }
}

/// A set of capabilities.
pub(super) fn capabilities(set: u64) -> String {
    let all = (1 << CAPABILITIES.len()) - 1;
    if set & all == 0 {
        return "none".into();
    }
    if set & all == all {
        return "all".into();
    }
    let names = CAPABILITIES.iter().enumerate().filter(|(number, _)| set & (1 << number) != 0);
    names.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

/// A resource limit (getrlimit(2)).
pub(super) fn rlimit(limit: &Rlimit) -> String {
    const NAMES: [&str; 16] = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    let value = |value: u64| {
        if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() }
    };
    let name = NAMES.get(limit.resource as usize).copied().unwrap_or("?");
    format!("RLIMIT_{name}: soft {}, hard {}", value(limit.soft), value(limit.hard))
}

/// A hook with its arguments.
pub(super) fn hook<A: Display>(
    path: &impl Display,
    args: impl Iterator<Item = A>,
    timeout: Option<i64>,
) -> String {
    let mut text = shell(&path.to_string());
    for arg in args {
        text.push(' ');
        text.push_str(&shell(&arg.to_string()));
    }
    if let Some(seconds) = timeout {
        text.push_str(&format!(", at most {seconds} s"));
    }
    text
}

/// An argument as one could type it.
pub(super) fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_words() {
        assert_eq!(attributes(0x1 | 0x2, 0), "ro, nosuid");
        assert_eq!(attributes(0, 0x1 | 0x8), "rw, exec");
        assert_eq!(attributes(0x10, ATIME), "noatime");
        assert_eq!(attributes(0, ATIME), "relatime");
        assert_eq!(attributes(0, 0), "");
        assert_eq!(propagation(1 << 18 | 1 << 14), "rprivate");
        assert_eq!(propagation(1 << 20), "shared");
    }

    #[test]
    fn process_words() {
        assert_eq!(capabilities(1 | 1 << 40), "CAP_CHOWN CAP_CHECKPOINT_RESTORE");
        assert_eq!(capabilities(0), "none");
        assert_eq!(capabilities(u64::MAX), "all");
        let limit = Rlimit { resource: 7, soft: 1024, hard: u64::MAX };
        assert_eq!(rlimit(&limit), "RLIMIT_NOFILE: soft 1024, hard unlimited");
        assert_eq!(shell("a b'c"), "'a b'\\''c'");
        assert_eq!(shell(""), "''");
    }
}
