//! The manual pages as the tools that show them read them, and beside what the program says of itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{ran, teu};

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man");
    let mut pages: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    assert!(pages.iter().any(|page| page.ends_with("teu.8")), "{pages:?}");
    pages
}

/// Whether a tool of Debian is there; says so when it is not.
pub(crate) fn has(program: &str) -> bool {
    let there = Path::new("/usr/bin").join(program).exists();
    if !there {
        eprintln!("skipped: {program} is not installed");
    }
    there
}

fn shown(page: &Path) -> String {
    let mut man = Command::new("man");
    // Wide, so that no line is broken; without overstriking, which is bold on a printer.
    let out =
        ran(man.args(["--warnings", "-l"]).arg(page).env("MANWIDTH", "500").stdin(Stdio::null()));
    assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{}", page.display());
    out.stdout
}

#[test]
fn tools_have_nothing_to_say() {
    for page in pages() {
        if has("mandoc") {
            let out = ran(Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page));
            // A page is as old as its program, which has a version and no date.
            let date = "missing date, using \"\"";
            let said: Vec<&str> = out.stdout.lines().filter(|line| !line.contains(date)).collect();
            assert!(said.is_empty() && out.stderr.is_empty(), "{said:#?} {}", out.stderr);
        }
        if has("groff") {
            let out = ran(Command::new("groff").args(["-man", "-T", "utf8", "-ww"]).arg(&page));
            assert_eq!((out.code, out.stderr.as_str()), (Some(0), ""), "{}", page.display());
        }
    }
}

#[test]
fn pages_have_what_the_help_has() {
    if !has("man") {
        return;
    }
    for page in pages() {
        let name = page.file_stem().unwrap().to_str().unwrap();
        let command = name.strip_prefix("teu-");
        let args: Vec<&str> = command.into_iter().chain(["--help"]).collect();
        let help = ran(&mut teu(&args));
        assert_eq!(help.code, Some(0), "{name}");
        let shown = shown(&page);
        let flags: Vec<&str> = help
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split_once("--"))
            .map(|(_, flag)| flag.split_once("  ").unwrap().0)
            .collect();
        assert!(flags.contains(&"help"), "{name}: {flags:?}");
        for flag in flags {
            // A short one has its text on the same line.
            let entry =
                shown.lines().map(str::trim).filter(|line| line.starts_with('-')).any(|line| {
                    let rest = line.split_once(&format!("--{flag}")).map(|(_, rest)| rest);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                });
            assert!(entry, "{name} has no entry --{flag}:\n{shown}");
        }
        if command.is_some() {
            let usage = help.stdout.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap();
            assert!(shown.contains(usage), "{name} has not {usage:?}:\n{shown}");
        }
    }
}
