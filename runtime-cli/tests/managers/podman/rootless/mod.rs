//! Podman of a user without privilege: its own user namespace, network by slirp4netns, no cgroup or those of the
//! user's own systemd.

mod home;
mod lines;
mod units;

use home::Home;

use crate::support::Runtime;
use crate::support::lines::{Line, needs, play};

checks!(containers_of_a_user; systemd: containers_of_a_user, units_of_a_user);

mod checks {
    use super::*;

    pub(crate) fn containers_of_a_user(runtime: Runtime) {
        of_a_user(&runtime, lines::LINES);
    }

    pub(crate) fn units_of_a_user(runtime: Runtime) {
        of_a_user(&runtime, super::units::LINES);
    }

    fn of_a_user(runtime: &Runtime, lines: &[Line]) {
        needs("podman", "podman");
        needs("slirp4netns", "slirp4netns");
        if let Some(home) = Home::new(runtime) {
            let who = format!("podman without root with {}", runtime.name());
            play(&who, lines, home.place(), &[]);
        }
    }
}
