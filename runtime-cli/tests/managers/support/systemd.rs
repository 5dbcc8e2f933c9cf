//! systemd where it is the host's init: the slice of a test, and what systemd says of the units in it.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::process::DEADLINE;

/// Whether systemd is the host's init, as sd_booted(3) finds out.
pub(crate) fn is_init() -> bool {
    std::fs::symlink_metadata("/run/systemd/system").is_ok_and(|found| found.is_dir())
}

/// The program of `conformance/vm` that runs a command in a login session of a user who has a systemd of his own.
pub(crate) const AS_USER: &str = "as-user";

/// That user's name; says so where there is none.
pub(crate) fn user() -> Option<String> {
    let name = Command::new(AS_USER).args(["id", "-un"]).stdin(Stdio::null()).output();
    if let Some(output) = name.ok().filter(|output| output.status.success()) {
        return Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    super::skipped("no user with a systemd of his own is known (as-user of conformance/vm)");
    None
}

/// `systemctl WORDS`, which has to succeed; what it prints.
pub(crate) fn control(words: &[&str]) -> String {
    run("systemctl", words)
}

fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// One property of a unit, as `systemctl show` prints it; of a unit that is not there, too.
pub(crate) fn property(unit: &str, name: &str) -> String {
    control(&["show", "--value", "--property", name, "--", unit])
}

/// Insists on these properties.
pub(crate) fn has(unit: &str, wanted: &[(&str, &str)]) {
    for (name, value) in wanted {
        assert_eq!(property(unit, name), *value, "{name} of {unit}");
    }
}

/// The text of a file of a unit's cgroup; `None` where the host has no such file.
pub(crate) fn file(unit: &str, name: &str) -> Option<String> {
    let cgroup = property(unit, "ControlGroup");
    assert!(cgroup.len() > 1, "{unit} has no cgroup: it is {}", property(unit, "ActiveState"));
    let text = std::fs::read_to_string(format!("/sys/fs/cgroup{cgroup}/{name}")).ok()?;
    Some(text.trim_end().to_owned())
}

/// Insists on these files of its cgroup, as far as the host has them.
pub(crate) fn holds(unit: &str, wanted: &[(&str, &str)]) {
    for (name, value) in wanted {
        let found = file(unit, name);
        assert!(found.is_none() || found.as_deref() == Some(value), "{name} of {unit}: {found:?}");
    }
}

/// What an upgrade of any package of the host does, and what has systemd write all files of this unit again.
pub(crate) fn reload(unit: &str) {
    control(&["daemon-reload"]);
    let weight = property(unit, "IOWeight") == "321";
    let other = if weight { "IOWeight=322" } else { "IOWeight=321" };
    control(&["set-property", "--runtime", unit, other]);
}

/// Makes a slice with these properties (name, type on D-Bus, value) as a kubelet makes the one of a pod.
pub(crate) fn make_slice(name: &str, limits: &[(&str, &str, &str)]) {
    let (stem, _) = name.rsplit_once('-').expect("a slice below another");
    let parent = format!("{stem}.slice");
    let mut words = vec!["call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1"];
    words.extend(["org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))"]);
    let count = (limits.len() + 6).to_string();
    words.extend([name, "replace", &count, "Wants", "as", "1", &parent]);
    for accounting in ["MemoryAccounting", "CPUAccounting", "IOAccounting", "TasksAccounting"] {
        words.extend([accounting, "b", "true"]);
    }
    words.extend(["DefaultDependencies", "b", "false"]);
    words.extend(limits.iter().flat_map(|(name, kind, value)| [name, kind, value]));
    words.push("0");
    run("busctl", &words);
    // The answer comes before the slice does.
    control(&["start", name]);
}

/// All units that systemd knows in a slice and in those below it, with their states.
fn below(slice: &str) -> Vec<String> {
    let stem = slice.strip_suffix(".slice").expect("the name of a slice");
    let nested = format!("{stem}-");
    let words = ["show", "--all", "--property", "Id,Slice,LoadState,ActiveState"];
    let text = control(&[&words[..], &["*.scope", "*.slice", "*.service"]].concat());
    let units = text.split("\n\n").filter_map(|unit| {
        let value = |name: &str| {
            unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
        };
        let (id, inside, active) = (value("Id"), value("Slice"), value("ActiveState"));
        let ours = inside == slice || inside.starts_with(&nested) || id.starts_with(&nested);
        // What others only speak of is no unit.
        let is_name = value("LoadState") == "not-found" && active == "inactive";
        (ours && !is_name).then(|| format!("{id} ({active})"))
    });
    units.collect()
}

/// Fails when units are left in the slice, failed ones among them; ends the slice.
pub(crate) fn nothing_below(slice: &str) {
    // systemd hears of the end of a scope by itself, and nothing tells when it has let go of it.
    let until = Instant::now() + DEADLINE / 6;
    let mut left = below(slice);
    while !left.is_empty() && Instant::now() < until {
        left = below(slice);
    }
    assert!(left.is_empty(), "units are left in {slice}: {left:?}");
    stop(slice);
    // The name of a slice is a unit whether it is there or not.
    has(slice, &[("ActiveState", "inactive")]);
}

/// Waits until systemd knows no such unit; fails when it stays, failed for example.
pub(crate) fn gone(unit: &str) {
    let until = Instant::now() + DEADLINE / 6;
    while property(unit, "LoadState") != "not-found" {
        assert!(Instant::now() < until, "{unit} is still {}", property(unit, "ActiveState"));
    }
}

/// Ends a slice with all that is in it; one that is not there is fine.
pub(crate) fn stop(slice: &str) {
    let stop = Command::new("systemctl").args(["stop", "--", slice]).stderr(Stdio::null()).status();
    if let Err(error) = stop {
        eprintln!("systemctl: {error}");
    }
}
