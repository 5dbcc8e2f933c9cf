//! process.execCPUAffinity.initial: the CPUs that a further process is born on.

use crate::error::{Error, ErrorKind, OsResult, Result};

/// Runs `work` on these CPUs; without any, right here.
///
/// What is cloned there inherits them, and so has them before it is in the container's cgroup on cgroup v2, too,
/// where it is born. The thread is made for it: the caller's own keep their CPUs.
///
/// # Errors
/// None of the CPUs may be used (sched_setaffinity(2), EINVAL), or the error of `work`.
pub(crate) fn on<T: Send>(cpus: &[u64], work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if cpus.is_empty() {
        return work();
    }
    let inside = || {
        crate::sys::process::set_affinity(cpus)
            .call(|| "process.execCPUAffinity.initial: sched_setaffinity")?;
        work()
    };
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("teu-affinity".into()).spawn_scoped(scope, inside);
        thread.call(|| "starting the thread that runs on other CPUs")?.join().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Os, "the thread that runs on other CPUs panicked"))
        })
    })
}
