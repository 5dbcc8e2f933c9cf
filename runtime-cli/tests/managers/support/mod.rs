//! What the tests of all managers share.

pub(crate) mod cgroup;
pub(crate) mod image;
pub(crate) mod lines;
pub(crate) mod private;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod systemd;

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Says why a test does nothing, past the test harness, which shows nothing that a passing test prints.
pub(crate) fn skipped(why: &str) {
    writeln!(std::io::stderr(), "skipped: {why}").expect("standard error");
}

/// The program that a manager is told to call.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    pub(crate) binary: PathBuf,
    /// Whether the manager has to use the systemd driver for cgroups, instead of cgroupfs.
    pub(crate) systemd: bool,
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
        Self { binary: PathBuf::from(env!("CARGO_BIN_EXE_teu")), systemd: false }
    }

    pub(crate) fn runc() -> Self {
        let binary = PathBuf::from("/usr/sbin/runc");
        assert!(
            binary.exists(),
            "{} is missing: install the Debian package runc",
            binary.display()
        );
        Self { binary, systemd: false }
    }

    /// The same with the systemd driver; says so where systemd is not the host's init.
    pub(crate) fn with_systemd(self) -> Option<Self> {
        if systemd::is_init() {
            return Some(Self { systemd: true, ..self });
        }
        skipped("systemd is not the init of this host (no /run/systemd/system)");
        None
    }

    /// A name for the cgroup or, with the systemd driver, the slice that a test's containers are in.
    pub(crate) fn parent(&self, manager: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        if self.systemd {
            // Without a dash, which would put it below other slices.
            format!("teu{manager}{process}x{number}.slice")
        } else {
            format!("teu-{manager}-{process}-{number}")
        }
    }
}
