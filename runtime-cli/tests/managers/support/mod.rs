//! What the tests of all managers share.

pub(crate) mod image;
pub(crate) mod process;

use std::path::PathBuf;

/// The program that a manager is told to call.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    pub(crate) binary: PathBuf,
}

impl Runtime {
    pub(crate) fn teu() -> Self {
        Self { binary: PathBuf::from(env!("CARGO_BIN_EXE_teu")) }
    }

    pub(crate) fn runc() -> Self {
        let binary = PathBuf::from("/usr/sbin/runc");
        assert!(
            binary.exists(),
            "{} is missing: install the Debian package runc",
            binary.display()
        );
        Self { binary }
    }
}
