//! Docker: one dockerd, and what its users type.

mod daemon;
mod lines;
mod more;
mod options;
mod units;

use crate::support::Runtime;
use crate::support::lines::{no_cgroups_below, play};

checks!(run_and_build; systemd: units);

mod checks {
    use super::*;

    /// One dockerd for all lines: it takes longer to start than most of them.
    pub(crate) fn run_and_build(runtime: Runtime) {
        let daemon = daemon::Daemon::start(&runtime);
        let who = format!("docker with {}", runtime.name());
        play(&who, lines::LINES, daemon.place(), &daemon.environment());
        play(&who, options::OPTIONS, daemon.place(), &daemon.environment());
        play(&who, more::MORE, daemon.place(), &daemon.environment());
        if runtime.is_teu() {
            play(&who, lines::ONLY_TEU, daemon.place(), &daemon.environment());
        }
        nothing_left(&who, daemon);
    }

    pub(crate) fn units(runtime: Runtime) {
        let daemon = daemon::Daemon::start(&runtime);
        let who = format!("docker with {}", runtime.name());
        play(&who, super::units::LINES, daemon.place(), &daemon.environment());
        nothing_left(&who, daemon);
    }

    fn nothing_left(who: &str, daemon: daemon::Daemon) {
        play(who, lines::NOTHING_LEFT, daemon.place(), &daemon.environment());
        let parent = daemon.stop();
        // BuildKit makes one for its containers and leaves it.
        no_cgroups_below(&parent, Some("buildkit"));
    }
}
