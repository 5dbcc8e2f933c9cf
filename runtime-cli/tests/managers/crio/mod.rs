//! conmon, called as CRI-O calls it, and the runtime beside it. The daemon is no Debian package and takes no part.

mod checks;
mod container;
mod node;
mod units;

checks!(
    a_container,
    a_terminal,
    exec,
    failures,
    a_stop,
    what_the_daemon_asks_itself,
    readiness,
    out_of_memory;
    systemd:
    a_container,
    exec,
    a_stop,
    what_the_daemon_asks_itself,
    failures,
    out_of_memory,
    a_unit,
);
