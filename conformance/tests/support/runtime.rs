//! The runtime that a test of the suite judges; a part of several tests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Given by CONFORMANCE_RUNTIME; else teu, which is built: a test of this package does not imply it.
pub(crate) fn runtime() -> PathBuf {
    if let Some(path) = std::env::var_os("CONFORMANCE_RUNTIME") {
        return std::fs::canonicalize(path).unwrap();
    }
    let built =
        Command::new(env!("CARGO")).args(["build", "--locked", "-p", "runtime-cli"]).status();
    assert!(built.unwrap().success(), "teu does not build");
    Path::new(env!("CARGO_BIN_EXE_conformance")).with_file_name("teu")
}
