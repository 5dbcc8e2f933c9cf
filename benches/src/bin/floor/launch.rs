//! `floor launch PROGRAM ARGUMENT...`: runs the program and writes what it cost to standard output.
//!
//! The peak memory that the kernel reports for a program begins with the memory of the process that
//! called execve for it, so whoever launches must be smaller than anything that is measured.

use crate::sys::call::{self, Failure};
use crate::sys::start;

/// Writes nine numbers of 64 bits: wait status, nanoseconds of wall time, microseconds of user and of
/// system time, peak memory in KiB, minor and major faults, voluntary and involuntary switches.
pub(crate) fn launch() -> Result<i32, Failure> {
    // The program gets /dev/null, which standard input is, in place of the pipe to the benchmark.
    let report = call::duplicate_above_stdio(call::STDOUT)?;
    call::replace(call::STDOUT, call::STDIN)?;
    let began = call::monotonic();
    let child = call::spawn(start::arguments_after(2))?;
    let ended = call::wait(child)?;
    let wall = call::monotonic() - began;
    let numbers = [
        i64::from(ended.status),
        wall,
        ended.user,
        ended.system,
        ended.peak,
        ended.minor_faults,
        ended.major_faults,
        ended.voluntary,
        ended.involuntary,
    ];
    for number in numbers {
        call::write(report, &number.to_le_bytes())?;
    }
    Ok(0)
}
