//! AppArmor profiles of a case: loaded by apparmor_parser(8), removed by the kernel's own file.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Lab, Result, ensure, lacks};

const PARSER: &str = "/usr/sbin/apparmor_parser";
const LOADED: &str = "/sys/kernel/security/apparmor/profiles";
const REMOVE: &str = "/sys/kernel/security/apparmor/.remove";

/// A profile that is loaded as long as this lives.
#[derive(Debug)]
pub(crate) struct Profile {
    /// Its name, which nobody else uses.
    pub(crate) name: String,
}

impl Profile {
    /// Loads a profile that allows all but what `rules` take away. Skips the case where that cannot be done.
    pub(crate) fn load(lab: &Lab, rules: &str) -> Result<Self> {
        needs_apparmor()?;
        lab.needs(PARSER, "apparmor_parser")?;
        let name = lab.new_id();
        // No rule of newer AppArmor: what a profile of the old kind does not know of is allowed.
        let all =
            "capability, network, mount, remount, umount, pivot_root, ptrace, signal, unix, file,";
        let flags = "flags=(attach_disconnected,mediate_deleted)";
        let text =
            format!("profile \"{name}\" {flags} {{\n  {all}\n  change_profile,\n  {rules}\n}}\n");
        let path = lab.folder.join(format!("{name}.apparmor"));
        fs::write(&path, text)?;
        let parser =
            Command::new(PARSER).args(["--replace", "--skip-cache"]).arg(&path).output()?;
        let said = String::from_utf8_lossy(&parser.stderr).into_owned();
        ensure!(parser.status.success(), "the suite cannot load its AppArmor profile: {said}");
        Ok(Self { name })
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // What stays is removed by the runner.
        fs::write(REMOVE, &self.name).unwrap_or_default();
    }
}

/// Skips the case on a host without AppArmor.
pub(crate) fn needs_apparmor() -> Result {
    if is_enabled() { Ok(()) } else { lacks("AppArmor, enabled and with securityfs") }
}

/// Whether profiles can be loaded and mean something.
pub(crate) fn is_enabled() -> bool {
    let enabled = fs::read("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
    enabled.starts_with(b"Y") && Path::new(LOADED).exists()
}

/// The profile of a process, and its mode: `NAME (enforce)`.
pub(crate) fn confinement(pid: i32) -> Result<String> {
    let own = format!("/proc/{pid}/attr/apparmor/current");
    // Before Linux 5.8.
    let shared = format!("/proc/{pid}/attr/current");
    let text = fs::read_to_string(own).or_else(|_| fs::read_to_string(shared))?;
    Ok(text.trim_end().to_owned())
}

/// Removes the profiles whose names contain `word`, of a case that was killed.
pub(crate) fn remove_named(word: &str) {
    for line in fs::read_to_string(LOADED).unwrap_or_default().lines() {
        if let Some((name, _mode)) = line.rsplit_once(" (")
            && name.contains(word)
        {
            fs::write(REMOVE, name).unwrap_or_default();
        }
    }
}
