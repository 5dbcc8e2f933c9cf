//! What the tests of all managers share.

pub(crate) mod cgroup;
pub(crate) mod image;
pub(crate) mod lines;
pub(crate) mod private;
pub(crate) mod process;
pub(crate) mod server;

use std::path::PathBuf;

/// The program that a manager is told to call.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    pub(crate) binary: PathBuf,
}

impl Runtime {
    /// Its name for reports.
    pub(crate) fn name(&self) -> &'static str {
        if self.is_teu() { "teu" } else { "runc" }
    }

    pub(crate) fn is_teu(&self) -> bool {
        self.binary == *env!("CARGO_BIN_EXE_teu")
    }

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
