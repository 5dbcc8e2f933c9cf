//! The contract of runc's command line, on real containers: what managers read of a failure, and every command on a
//! container in every status, beside Debian's runc.
//!
//! Needs root and a static busybox; the comparisons need runc 1.1, for which their lists of differences were
//! written. Without them a test says that it is skipped.

// A helper that cannot go on ends the test.
#![allow(clippy::unwrap_used)]

mod callers;
mod failure;
mod kill;
mod launch;
mod matrix;
mod pid_file;
mod stage;
mod surroundings;
