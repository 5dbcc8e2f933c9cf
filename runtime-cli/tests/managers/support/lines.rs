//! What a user of a manager types, line by line, and what comes of it.

use std::process::{Command, Stdio};

use super::private::Private;
use super::{Runtime, cgroup, systemd};

/// One line.
#[derive(Debug)]
pub(crate) struct Line {
    /// What it is about; a failure is reported by it.
    pub(crate) name: &'static str,
    /// For a shell, with the variables of [`cgroup::environment`].
    pub(crate) typed: &'static str,
    /// The exit status.
    pub(crate) code: i32,
    /// What standard output and error together contain.
    pub(crate) says: &'static str,
}

/// Types the lines one after the other, and fails with all that came out otherwise.
pub(crate) fn play(who: &str, lines: &[Line], place: &Private, environment: &[(String, String)]) {
    let mut failures = Vec::new();
    for line in lines {
        // A command that hangs must not hang the suite; 124 is no exit status of any line.
        let output = place
            .command("timeout")
            .args(["--signal=KILL", "180", "sh", "-c", line.typed])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .envs(cgroup::environment())
            .stdin(Stdio::null())
            .output()
            .expect("a shell starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if output.status.code() != Some(line.code) || !said.contains(line.says) {
            failures.push(format!(
                "{}: `{}` has to exit with {} and say {:?}, but: {}: {said}",
                line.name, line.typed, line.code, line.says, output.status,
            ));
        }
    }
    println!("{who}: {} of {} checks passed", lines.len() - failures.len(), lines.len());
    assert!(failures.is_empty(), "{who}:\n{}", failures.join("\n"));
}

/// The first fenced block of a language in a page of docs/managers that says `words`, with the paths of this
/// machine: what a page tells its readers is what the test uses.
pub(crate) fn snippet(page: &str, language: &str, words: &str, runtime: &Runtime) -> String {
    let path = format!("{}/../docs/managers/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the page");
    let start = format!("```{language}\n");
    let blocks = text.split(&start).skip(1).filter_map(|block| Some(block.split_once("```")?.0));
    let block = blocks.into_iter().find(|block| block.contains(words));
    let block = block.unwrap_or_else(|| panic!("{page} has no block of {language} with {words:?}"));
    assert!(block.contains("/usr/local/bin/teu"), "{page} names another path of teu");
    block.replace("/usr/local/bin/teu", &runtime.binary.display().to_string())
}

/// Fails when a cgroup of that name has others below it, but for an empty one of the manager's own, or a slice has
/// units; removes it.
pub(crate) fn no_cgroups_below(name: &str, managers_own: Option<&str>) {
    if name.ends_with(".slice") {
        return systemd::nothing_below(name);
    }
    let mut left = Vec::new();
    for hierarchy in cgroup::hierarchies() {
        let path = hierarchy.join(name);
        if !path.is_dir() {
            continue;
        }
        if let Some(own) = managers_own {
            // Empty, or it stays and is found.
            drop(std::fs::remove_dir(path.join(own)));
        }
        let below = std::fs::read_dir(&path).expect("a cgroup").flatten();
        left.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()));
        if let Err(error) = std::fs::remove_dir(&path) {
            eprintln!("{}: {error}", path.display());
        }
    }
    assert!(left.is_empty(), "left over: {left:?}");
}

/// $PATH with the criu of `scripts/install-criu` in front; says so where that is not there, or finds that the kernel
/// lacks what it needs.
pub(crate) fn path_with_criu() -> Option<String> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/criu");
    let directory = std::path::Path::new(directory).canonicalize().unwrap_or_default();
    if !directory.join("criu").exists() {
        println!("skipped: there is no criu to checkpoint with");
        return None;
    }
    let check = Command::new(directory.join("criu")).arg("check").output().expect("criu starts");
    if !check.status.success() {
        println!("skipped: criu check: {}", String::from_utf8_lossy(&check.stderr).trim_end());
        return None;
    }
    Some(format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", directory.display()))
}

/// Whether a program that a check needs is there.
pub(crate) fn needs(program: &str, package: &str) {
    let found = Command::new(program).arg("--version").output();
    assert!(found.is_ok(), "{program} is missing: install the Debian package {package}");
}
