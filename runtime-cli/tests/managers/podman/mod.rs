//! Podman with conmon, and Buildah: what their users type.

mod checkpoint;
mod home;
mod lines;
mod more;
mod rootless;
mod units;

use crate::support::lines::{no_cgroups_below, path_with_criu, play};
use crate::support::{Runtime, cgroup};

checks!(run_and_build; systemd: run_and_build, units);

mod checks {
    use super::*;

    pub(crate) fn run_and_build(runtime: Runtime) {
        let home = home::Home::new(&runtime);
        let who = format!("podman with {}", runtime.name());
        play(&who, lines::LINES, home.place(), &home.environment());
        if cgroup::has_cpuset() {
            play(&who, lines::CPUSET, home.place(), &home.environment());
        }
        play(&who, more::MORE, home.place(), &home.environment());
        if let Some(path) = path_with_criu() {
            let mut environment = home.environment();
            environment.retain(|(name, _)| name != "PATH");
            environment.push(("PATH".into(), path));
            play(&who, checkpoint::LINES, home.place(), &environment);
        }
        nothing_left(&who, &home);
    }

    pub(crate) fn units(runtime: Runtime) {
        let home = home::Home::new(&runtime);
        let who = format!("podman with {}", runtime.name());
        play(&who, super::units::LINES, home.place(), &home.environment());
        nothing_left(&who, &home);
    }

    fn nothing_left(who: &str, home: &home::Home) {
        play(who, lines::NOTHING_LEFT, home.place(), &home.environment());
        no_cgroups_below(home.parent(), None);
        home.place().no_processes();
    }
}
