//! Drives real managers, once with teu below them and once, as a control, with Debian's runc.
//!
//! Every check is a function that takes the runtime to judge; [`checks!`] makes a test of each for either
//! runtime, so that a failure says at once whether the runtime or the test is to blame. Each test has a
//! manager of its own with private root, state and sockets, and ends by asking the kernel and the manager
//! what is left over.
//!
//! Needs root and the Debian packages that `scripts/install-packages test` installs.

/// A test of each named function of `checks` for either runtime.
macro_rules! checks {
    ($($check:ident),* $(,)?) => {
        mod teu {
            $(#[test] fn $check() { super::checks::$check(crate::support::Runtime::teu()); })*
        }
        mod runc {
            $(#[test] fn $check() { super::checks::$check(crate::support::Runtime::runc()); })*
        }
    };
}

mod containerd;
mod cri;
mod crio;
mod docker;
mod podman;
mod support;
