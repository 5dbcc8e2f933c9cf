//! What root of a user namespace may not do for itself: it is done from outside, by the host's root.

use std::fs;

use teu_wire::Process;

use crate::error::{Context, OsResult, Result};
use crate::sys::process::raise_limit;

/// Raises the hard limits of a process that is in a user namespace of its own from birth as far as its workload is to
/// have them, and sets its OOM score adjustment: both need CAP_SYS_RESOURCE of the host (getrlimit(2),
/// proc_pid_oom_score_adj(5)). The limits themselves the process sets last.
///
/// # Errors
/// The kernel refused.
pub(crate) fn raise(pid: i32, process: &Process) -> Result<()> {
    if let Some(value) = process.oom_score_adj {
        let path = format!("/proc/{pid}/oom_score_adj");
        fs::write(&path, value.to_string())
            .call(|| format!("write({path}, {value})"))
            .at(|| "process.oomScoreAdj")?;
    }
    for (index, limit) in process.rlimits.iter().enumerate() {
        raise_limit(pid, limit.resource, limit.hard)
            .call(|| format!("prlimit(hard {})", limit.hard))
            .at(|| format!("process.rlimits[{index}]"))?;
    }
    Ok(())
}
