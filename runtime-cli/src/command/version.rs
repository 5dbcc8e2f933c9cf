//! `--version`, and the versions that other commands print.

use std::ffi::OsStr;
use std::path::Path;

/// The newest version of the runtime specification that this runtime follows.
pub(crate) const SPECIFICATION: &str = "1.3.0";

/// The version of this program.
pub(crate) const TEU: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, when whoever built it said so.
pub(crate) const COMMIT: &str = match option_env!("TEU_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The version of the linked libseccomp.
pub(crate) fn libseccomp() -> Option<String> {
    let version = libseccomp::ScmpVersion::current().ok()?;
    Some(format!("{}.{}.{}", version.major, version.minor, version.micro))
}

/// What `--version` prints.
///
/// go-runc reads the first line only when it begins with `runc version`, so a binary that is called
/// `runc` says that. moby splits every line with the word at that word: there must be one alone.
pub(crate) fn text(program: &OsStr) -> String {
    let name = match Path::new(program).file_name() {
        Some(name) if name == "runc" => "runc",
        _ => "teu",
    };
    let mut text = format!("{name} version {TEU}\ncommit: {COMMIT}\nspec: {SPECIFICATION}\n");
    if let Some(libseccomp) = libseccomp() {
        text.push_str(&format!("libseccomp: {libseccomp}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_has_the_word() {
        for (program, first) in [("teu", "teu"), ("/usr/bin/runc", "runc"), ("", "teu")] {
            let text = text(OsStr::new(program));
            assert!(text.starts_with(&format!("{first} version {TEU}\n")), "{text}");
            assert_eq!(text.lines().filter(|line| line.contains("version")).count(), 1);
        }
    }
}
