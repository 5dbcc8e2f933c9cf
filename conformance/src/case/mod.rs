//! The cases, a file for each area. Each case is a function that gets its [`Lab`] and stops early
//! with a [`Stop`](crate::harness::Stop).
//!
//! To add one, write a function in the file of its area and list it in that file's `CASES`:
//!
//! ```ignore
//! pub(super) const CASES: &[Case] = &[Case::new(
//!     "process/cwd",
//!     "the workload starts in process.cwd",
//!     "OCI runtime-spec config.md#process cwd",
//!     cwd,
//! )];
//! fn cwd(lab: &Lab) -> Result {
//!     let bundle = lab.bundle(|config| config["process"]["cwd"] = "/tmp".into())?;
//!     let facts = lab.container(bundle).facts()?; // `run` the probe, read what it printed
//!     ensure_eq!(facts["cwd"], "/tmp", "working directory");
//!     Ok(())
//! }
//! ```
//!
//! Cleaning up is not the case's business: containers are deleted when they go out of scope, and
//! what is left on the host after that fails the case. A case whose promise runc 1.1 breaks says so
//! with [`Case::known`]; the suite then insists that it still breaks it.

use std::time::Duration;

use crate::harness::{Lab, Result};

mod apparmor;
mod cgroup;
mod cgroup_device;
mod cgroup_limit;
mod cgroup_rare;
mod cgroup_v2;
mod cli;
mod config;
mod device;
mod events;
mod exec;
mod exec_affinity;
mod exec_process;
mod feature;
mod hook;
mod hook_failure;
mod hostile;
mod idmap;
mod layer;
mod lifecycle;
mod lifecycle_race;
mod mask;
mod mount_source;
mod namespace;
mod network_device;
mod notify;
mod operation;
mod option;
mod pause;
mod planted;
mod process;
mod process_privilege;
mod propagation;
mod rdt;
mod resource;
mod rollback;
mod rootfs;
mod schedule;
mod seccomp;
mod seccomp_argument;
mod seccomp_listener;
mod security;
mod selinux;
mod signal;
mod surroundings;
mod sysctl;
mod systemd;
mod systemd_failure;
mod systemd_limit;
mod terminal;
mod update;
mod user_namespace;
mod value;

/// Why runc 1.1 fails a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// One line.
    pub(crate) reason: &'static str,
    /// When it does.
    pub(crate) fails: Fails,
}

/// When a case fails for a known reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fails {
    /// Each time: a pass makes the reason stale.
    Always,
    /// Each time on hosts with cgroup v2 alone, and nowhere else.
    OnV2,
    /// In a race, which a run may win.
    AtTimes,
}

/// One promise and how to check it.
#[derive(Debug)]
pub(crate) struct Case {
    /// `area/case-name`.
    pub(crate) name: &'static str,
    /// One sentence.
    pub(crate) what: &'static str,
    /// Where the promise is written: specification section, manual, man page, CVE.
    pub(crate) proves: &'static str,
    /// Why runc 1.1 does not keep it.
    pub(crate) known_runc: Option<Known>,
    /// After this the case is killed and fails.
    pub(crate) deadline: Duration,
    /// The check.
    pub(crate) run: fn(&Lab) -> Result,
}

impl Case {
    const fn new(
        name: &'static str,
        what: &'static str,
        proves: &'static str,
        run: fn(&Lab) -> Result,
    ) -> Self {
        let deadline = Duration::from_secs(30);
        Self { name, what, proves, known_runc: None, deadline, run }
    }

    /// Writes down why runc 1.1 fails this case.
    const fn known(mut self, reason: &'static str) -> Self {
        self.known_runc = Some(Known { reason, fails: Fails::Always });
        self
    }

    /// Writes down why runc 1.1 fails this case on cgroup v2; elsewhere it passes.
    const fn known_on_v2(mut self, reason: &'static str) -> Self {
        self.known_runc = Some(Known { reason, fails: Fails::OnV2 });
        self
    }

    /// Writes down why runc 1.1 fails this case in some runs and passes it in others.
    const fn known_at_times(mut self, reason: &'static str) -> Self {
        self.known_runc = Some(Known { reason, fails: Fails::AtTimes });
        self
    }

    /// Another deadline than 30 seconds.
    const fn deadline(mut self, seconds: u64) -> Self {
        self.deadline = Duration::from_secs(seconds);
        self
    }
}

/// Every case, in the order of the areas.
pub(crate) fn all() -> Vec<&'static Case> {
    [
        lifecycle::CASES,
        lifecycle_race::CASES,
        signal::CASES,
        cli::CASES,
        exec::CASES,
        exec_affinity::CASES,
        exec_process::CASES,
        pause::CASES,
        update::CASES,
        events::CASES,
        surroundings::CASES,
        hook::CASES,
        hook_failure::CASES,
        hostile::CASES,
        idmap::CASES,
        rollback::CASES,
        rootfs::CASES,
        mount_source::CASES,
        propagation::CASES,
        device::CASES,
        mask::CASES,
        layer::CASES,
        security::CASES,
        planted::CASES,
        process::CASES,
        seccomp::CASES,
        sysctl::CASES,
        terminal::CASES,
        network_device::CASES,
        notify::CASES,
        namespace::CASES,
        user_namespace::CASES,
        cgroup::CASES,
        cgroup_limit::CASES,
        cgroup_rare::CASES,
        cgroup_device::CASES,
        cgroup_v2::CASES,
        process_privilege::CASES,
        config::CASES,
        value::CASES,
        schedule::CASES,
        option::CASES,
        seccomp_listener::CASES,
        feature::CASES,
        resource::CASES,
        rdt::CASES,
        operation::CASES,
        seccomp_argument::CASES,
        systemd::CASES,
        systemd_failure::CASES,
        systemd_limit::CASES,
        apparmor::CASES,
        selinux::CASES,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The cases whose names contain one of the filters; all without filters.
pub(crate) fn matching(filters: &[String]) -> Vec<&'static Case> {
    all()
        .into_iter()
        .filter(|case| filters.is_empty() || filters.iter().any(|word| case.name.contains(word)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_have_an_area() {
        let mut seen = BTreeSet::new();
        for case in all() {
            assert!(seen.insert(case.name), "{} is there twice", case.name);
            assert_eq!(case.name.split('/').count(), 2, "{}", case.name);
            assert!(!case.what.is_empty() && !case.proves.is_empty(), "{}", case.name);
        }
    }
}
