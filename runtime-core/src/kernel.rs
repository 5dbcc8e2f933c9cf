//! What the kernel has to have, by release: the system calls newer than Linux 4.18 that teu makes.
//!
//! `docs/kernel-features.md` says what each is used for and what happens without it; a test keeps the two together.

/// A system call, and the Linux that brought it.
const SINCE: [(&str, &str); 15] = [
    ("pidfd_send_signal", "5.1"),
    ("fsconfig", "5.2"),
    ("fsmount", "5.2"),
    ("fsopen", "5.2"),
    ("move_mount", "5.2"),
    ("open_tree", "5.2"),
    ("clone3", "5.3"),
    ("pidfd_open", "5.3"),
    ("waitid", "5.4"),
    ("openat2", "5.6"),
    ("faccessat2", "5.8"),
    ("setns", "5.8"),
    ("close_range", "5.9"),
    ("mount_setattr", "5.12"),
    ("cgroup.kill", "5.14"),
];

/// The Linux that brought a call, which may be followed by its arguments.
pub(crate) fn since(call: &str) -> Option<&'static str> {
    let end = call.find('(').unwrap_or(call.len());
    let name = call[..end].trim_end();
    SINCE.iter().find(|(known, _)| *known == name).map(|(_, since)| *since)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The oldest kernel that teu works on: waitid(2) with a pidfd.
    const OLDEST: &str = "5.4";

    #[test]
    fn a_call_is_known_by_its_name_alone() {
        assert_eq!(since("openat2(/x, RESOLVE_IN_ROOT)"), Some("5.6"));
        assert_eq!(since("openat2"), Some("5.6"));
        assert_eq!(since("openat(/x)"), None);
    }

    #[test]
    fn every_call_is_in_the_document() {
        let page = include_str!("../../docs/kernel-features.md");
        for (call, since) in SINCE {
            let alone = format!("| `{call}`");
            let used_so = format!("| `{call}(");
            let row = page
                .lines()
                .find(|line| line.starts_with(&alone))
                .or_else(|| page.lines().find(|line| line.starts_with(&used_so)));
            let row = row.unwrap_or_else(|| panic!("docs/kernel-features.md has no row of {call}"));
            assert!(row.contains(&format!("| {since} |")), "{row}");
        }
        assert!(page.contains(&format!("Linux {OLDEST}")));
        assert!(include_str!("../../README.md").contains(&format!("| kernel | {OLDEST} or newer")));
    }
}
