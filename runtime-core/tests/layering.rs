//! The import rules of ARCHITECTURE.md, kept by reading the source.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const DOMAINS: [&str; 4] = ["namespace", "cgroup", "rootfs", "process"];

type Files = Vec<(PathBuf, String)>;

fn source(directory: &Path) -> Files {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(source(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&entry).unwrap();
            files.push((entry, text));
        }
    }
    files
}

fn core() -> Files {
    source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

fn init() -> Files {
    source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("init/src"))
}

fn below(file: &Path, folder: &str) -> bool {
    file.components().any(|part| part.as_os_str() == folder)
}

/// The domain that a file belongs to, by its folder.
fn domain(file: &Path) -> Option<&'static str> {
    DOMAINS.into_iter().find(|domain| below(file, domain) && !below(file, "sys"))
}

/// A file without its unit tests and comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find("#[cfg(test)]\nmod").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn violations(files: &Files, rule: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    files
        .iter()
        .flat_map(|(file, text)| code(text).map(move |line| (file, line)))
        .filter(|(file, line)| rule(file, line))
        .map(|(file, line)| format!("{}: {}", file.display(), line.trim()))
        .collect()
}

#[test]
fn domains_do_not_import_each_other() {
    for files in [core(), init()] {
        assert!(files.iter().any(|(file, _)| domain(file).is_some()), "the domains have moved");
        let found = violations(&files, |file, line| {
            domain(file).is_some_and(|own| {
                DOMAINS
                    .iter()
                    .any(|other| *other != own && line.contains(&format!("crate::{other}")))
            })
        });
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn lowering_is_pure() {
    const IMPURE: [&str; 9] = [
        "crate::sys",
        "std::fs",
        "std::env",
        "std::process",
        "std::os::fd",
        "std::time",
        "rustix::",
        "nix::",
        "libc::syscall",
    ];
    const PURE: [&str; 4] = ["lower.rs", "check.rs", "option.rs", "idmap.rs"];
    let pure = |file: &Path| {
        PURE.iter().any(|name| file.ends_with(name)) || below(file, "spec") || below(file, "lower")
    };
    let files = core();
    assert!(files.iter().filter(|(file, _)| pure(file)).count() > 4, "the lowering has moved");
    let found = violations(&files, |file, line| {
        pure(file) && IMPURE.iter().any(|word| line.contains(word))
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn unsafe_code_is_in_sys_only() {
    const UNSAFE: [&str; 5] =
        ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code)"];
    for files in [core(), init()] {
        assert!(files.iter().any(|(file, _)| below(file, "sys")), "sys has moved");
        let found = violations(&files, |file, line| {
            !below(file, "sys") && UNSAFE.iter().any(|word| line.contains(word))
        });
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = core()
        .into_iter()
        .chain(init())
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > 400)
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "over 400 lines: is there an idea missing? {long:#?}");
}
