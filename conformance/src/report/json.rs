//! One JSON object with everything that a run found out, for machines and for `conformance page`.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Outcome, Verdict};
use crate::harness::{apparmor, cgroup, selinux};

/// A saved run. A field is added freely; a change of meaning raises `version`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Version of this form.
    pub(crate) version: u32,
    /// The first line of the runtime's `--version`.
    pub(crate) runtime: String,
    /// `uname -srm` of the host, and what of it decides which cases can run.
    pub(crate) host: String,
    /// How long the run took.
    pub(crate) seconds: f64,
    /// The cases that ran.
    pub(crate) cases: Vec<CaseResult>,
}

/// One case of a saved run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CaseResult {
    /// `area/case-name`.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// Why it failed, is known, or was skipped; empty when it passed.
    pub(crate) reason: String,
    /// What was found wrong, also when the reason is a written one.
    #[serde(default)]
    pub(crate) found: String,
    /// How long it took.
    pub(crate) seconds: f64,
    /// The calls that were made, for what did not pass.
    pub(crate) journal: Vec<String>,
    /// How the configurations of the case differ from the suite's default, for what did not pass.
    #[serde(default)]
    pub(crate) configs: Vec<serde_json::Value>,
}

/// The current form.
pub(crate) const VERSION: u32 = 1;

impl Run {
    /// Whether a case of it was skipped.
    pub(crate) fn skipped(&self, name: &str) -> bool {
        self.cases.iter().any(|case| case.name == name && case.verdict == Verdict::Skipped)
    }
}

/// A saved run from its file.
pub(crate) fn read(file: &Path) -> Result<Run, Box<dyn Error>> {
    let run: Run = serde_json::from_slice(&fs::read(file)?)?;
    if run.version != VERSION {
        return Err(format!("form {} is not {VERSION}; run the suite again", run.version).into());
    }
    Ok(run)
}

/// Everything about a finished run.
pub(super) fn run(runtime: &str, outcomes: &[Outcome], seconds: f64) -> Run {
    Run {
        version: VERSION,
        runtime: runtime.to_owned(),
        host: host(),
        seconds,
        cases: outcomes.iter().map(case).collect(),
    }
}

fn host() -> String {
    let uname = rustix::system::uname();
    let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let system = [word(uname.sysname()), word(uname.release()), word(uname.machine())].join(" ");
    let cgroups = if cgroup::is_unified() { "cgroup v2" } else { "cgroup v1" };
    let modules = [(apparmor::is_enabled(), "AppArmor"), (selinux::is_enabled(), "SELinux")];
    let modules = modules.iter().filter(|(enabled, _)| *enabled).map(|(_, name)| *name);
    let words: Vec<&str> = [system.as_str(), cgroups].into_iter().chain(modules).collect();
    words.join(", ")
}

fn case(outcome: &Outcome) -> CaseResult {
    let passed = outcome.verdict == Verdict::Passed;
    CaseResult {
        name: outcome.name.to_owned(),
        verdict: outcome.verdict,
        reason: outcome.reason.clone(),
        found: outcome.found.clone(),
        seconds: outcome.seconds,
        journal: if passed { Vec::new() } else { outcome.journal.clone() },
        configs: outcome.configs.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{every_verdict, written};
    use crate::args::Format;

    #[test]
    fn every_verdict_and_reason_is_there_by_its_documented_name() {
        let run: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
        assert_eq!(run["version"], 1);
        assert_eq!(run["runtime"], "a <runtime> & \"more\"");
        assert!(run["host"].as_str().unwrap().starts_with("Linux "), "{run}");
        for (got, wanted) in run["cases"].as_array().unwrap().iter().zip(every_verdict()) {
            assert_eq!(got["name"], wanted.name);
            assert_eq!(got["name"], format!("area/{}", got["verdict"].as_str().unwrap()));
            assert_eq!(got["reason"], wanted.reason);
        }
        assert_eq!(run["cases"][1]["journal"][0], every_verdict()[1].journal[0]);
        assert_eq!(run["cases"][1]["configs"][0]["process"]["cwd"], "/x");
        assert_eq!(run["cases"][2]["found"], "got a, want b");
        assert_eq!(run["cases"][0]["journal"].as_array().map(Vec::len), Some(0));
    }
}
