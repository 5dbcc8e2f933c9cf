//! One case in one process.
//!
//! Because the worker is a subreaper in a mount namespace of its own, all that a case starts or
//! mounts is found below it, and nothing that others do meanwhile is mistaken for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::process::{Signal, set_child_subreaper, set_parent_process_death_signal};

use crate::case;
use crate::harness::lab::Target;
use crate::harness::leak::Baseline;
use crate::harness::{Lab, Stop, cgroup, process};
use crate::sys::close_on_exec_from;

/// The file that says what to do.
pub(crate) const JOB: &str = "job.json";
/// The file that says what came out.
pub(crate) const RESULT: &str = "result.json";

/// What the runner asks of a worker.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Job {
    /// The name of the case.
    pub(crate) case: String,
    /// The word that marks everything of this case.
    pub(crate) token: String,
    /// The runtime under test.
    pub(crate) target: Target,
    /// Where the shared programs are.
    pub(crate) image: PathBuf,
}

/// What a worker found.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Findings {
    /// Why the case stopped early.
    pub(crate) stop: Option<Stop>,
    /// What it left behind.
    pub(crate) leaks: Vec<String>,
    /// The calls it made.
    pub(crate) journal: Vec<String>,
}

/// Runs the case that `job.json` in `folder` names, and writes `result.json` beside it.
pub(crate) fn main(folder: &Path) -> ExitCode {
    match work(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn work(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_child_subreaper(rustix::process::getpid().into())?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    // Private, so that neither our mounts arrive on the host nor those of others arrive here.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)?;

    // What the suite's own caller left open must not look like a leak of the runtime.
    close_on_exec_from(3)?;

    let job: Job = serde_json::from_slice(&fs::read(folder.join(JOB))?)?;
    let case = case::all()
        .into_iter()
        .find(|case| case.name == job.case)
        .ok_or_else(|| format!("no case is named {}", job.case))?;
    let lab = Lab::new(folder.to_path_buf(), job.token, job.target, job.image);

    let baseline = Baseline::take();
    let stop = (case.run)(&lab).err();
    let leaks = baseline.leaks(&lab);
    for (pid, _) in process::settle(std::time::Duration::ZERO) {
        process::kill(pid);
    }
    cgroup::remove_named(&lab.token);
    let findings = Findings { stop, leaks, journal: lab.journal() };
    fs::write(folder.join(RESULT), serde_json::to_vec(&findings)?)?;
    Ok(())
}
