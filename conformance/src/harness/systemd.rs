//! What systemd says of its units, by systemctl(1).

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Result, cgroup, lacks};

/// Skips the case where systemd does not run the host (sd_booted(3)), or makes no cgroups for this caller.
pub(crate) fn needed() -> Result {
    if !is_running() {
        return lacks("systemd (/run/systemd/system)");
    }
    if cgroup::base().is_empty() { Ok(()) } else { lacks("the right to ask the host's systemd") }
}

fn is_running() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// One property of a unit, as `systemctl show` prints it; of a unit that is not there too.
pub(crate) fn property(unit: &str, name: &str) -> Result<String> {
    let output = Command::new("systemctl")
        .args(["show", "--value", "--property", name, "--", unit])
        .stdin(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `systemctl WORDS`, whatever comes out.
pub(crate) fn control(words: &[&str]) -> Result {
    Command::new("systemctl").args(words).stdin(Stdio::null()).output()?;
    Ok(())
}

/// Stops the slices of a case, which systemd keeps when they are empty, with whatever is left in them.
pub(crate) fn stop_named(token: &str) {
    if is_running() {
        let (own, below) = (format!("{token}.slice"), format!("{token}-*.slice"));
        control(&["stop", "--", &own, &below]).unwrap_or_default();
    }
}
