//! Drives a real containerd with `ctr`, once with teu and once, as a control, with Debian's runc.
//!
//! Every check is a function that takes the runtime to judge; the two modules at the end make a test of
//! each for either runtime, so that a failure says at once whether the runtime or the test is to blame.
//! Each test has a containerd of its own with private root, state and sockets, and ends by asking the
//! kernel and containerd what is left over.
//!
//! Needs root and the Debian packages `containerd`, `runc` and `busybox-static`.

mod checks;
mod ctr;
mod daemon;
mod image;
mod leftovers;
mod process;

use std::path::PathBuf;

/// The program that containerd's shim is told to call.
#[derive(Debug, Clone)]
struct Runtime {
    binary: PathBuf,
}

impl Runtime {
    fn teu() -> Self {
        Self { binary: PathBuf::from(env!("CARGO_BIN_EXE_teu")) }
    }

    fn runc() -> Self {
        let binary = PathBuf::from("/usr/sbin/runc");
        assert!(
            binary.exists(),
            "{} is missing: install the Debian package runc",
            binary.display()
        );
        Self { binary }
    }
}

macro_rules! tests {
    ($($check:ident),* $(,)?) => {
        mod teu {
            $(#[test] fn $check() { crate::checks::$check(crate::Runtime::teu()); })*
        }
        mod runc {
            $(#[test] fn $check() { crate::checks::$check(crate::Runtime::runc()); })*
        }
    };
}

tests!(
    output_and_exit_code,
    detached_output_kill_delete,
    signal_reaches_the_workload,
    options_of_run_take_effect,
    missing_program_is_named,
    twenty_in_a_row,
    ten_at_once,
    killed_shim_leaves_nothing,
);
