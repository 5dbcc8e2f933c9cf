//! Drives real managers, once with teu below them and once, as a control, with Debian's runc.
//!
//! Every check is a function that takes the runtime to judge; [`checks!`] makes a test of each for either
//! runtime, so that a failure says at once whether the runtime or the test is to blame. Each test has a
//! manager of its own with private root, state and sockets, and ends by asking the kernel and the manager
//! what is left over.
//!
//! Needs root and the Debian packages that `scripts/install-packages test` installs.

/// A test of each named function of `checks` for either runtime; of those behind `systemd` one with the systemd
/// driver, too, or instead.
macro_rules! checks {
    ($($check:ident),* $(,)?) => { checks!($($check),*; systemd:); };
    ($($check:ident),* $(,)?; systemd: $($unit:ident),* $(,)?) => {
        checks!(@of teu [$($check)*] [$($unit)*]);
        checks!(@of runc [$($check)*] [$($unit)*]);
    };
    (@of $runtime:ident [$($check:ident)*] [$($unit:ident)*]) => {
        mod $runtime {
            use crate::support::Runtime;
            $(#[test] fn $check() { super::checks::$check(Runtime::$runtime()); })*
            mod systemd {
                $(#[test] fn $unit() {
                    if let Some(runtime) = super::Runtime::$runtime().with_systemd() {
                        super::super::checks::$unit(runtime);
                    }
                })*
            }
        }
    };
}

mod containerd;
mod cri;
mod crio;
mod docker;
mod podman;
mod support;
