//! Writing the id maps of a new user namespace from outside, while its process waits.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::idmap::{IdMaps, IdRange, render};
use crate::error::{Error, ErrorKind, OsResult, Result};

/// Writes both maps of `pid`.
///
/// With CAP_SETUID in the parent namespace the kernel takes any map; otherwise newuidmap(1) and newgidmap(1)
/// write what /etc/subuid and /etc/subgid allow. A caller without either may map itself only, and only after
/// setgroups(2) is denied for good (CVE-2014-8989).
///
/// # Errors
/// The kernel or the helper refused a map.
pub(crate) fn write(pid: i32, maps: &IdMaps, privileged: bool) -> Result<()> {
    if privileged {
        write_file(pid, "gid_map", &render(&maps.gid))?;
        return write_file(pid, "uid_map", &render(&maps.uid));
    }
    if is_one(&maps.gid, rustix::process::getegid().as_raw()) {
        write_file(pid, "setgroups", "deny")?;
        write_file(pid, "gid_map", &render(&maps.gid))?;
    } else {
        run_helper("newgidmap", pid, &maps.gid)?;
    }
    if is_one(&maps.uid, rustix::process::geteuid().as_raw()) {
        write_file(pid, "uid_map", &render(&maps.uid))
    } else {
        run_helper("newuidmap", pid, &maps.uid)
    }
}

/// Compares the maps of the user namespace that `pid` has joined with those of the configuration, which cannot change
/// them. As runc since 1.2: who gives both a path and maps relies on them.
///
/// # Errors
/// They differ.
pub(crate) fn check_joined(pid: i32, maps: &IdMaps) -> Result<()> {
    for (file, field, wanted) in [
        ("uid_map", "linux.uidMappings", render(&maps.uid)),
        ("gid_map", "linux.gidMappings", render(&maps.gid)),
    ] {
        let path = format!("/proc/{pid}/{file}");
        let text = std::fs::read_to_string(&path).call(|| format!("read({path})"))?;
        if lines(&text) != lines(&wanted) {
            let found = lines(&text).into_iter().collect::<Vec<_>>().join(", ");
            let message = format!("the joined user namespace has another map: {found}");
            return Err(Error::spec(field, message));
        }
    }
    Ok(())
}

/// The lines of a map without their padding; the order means nothing.
fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// A caller without rights may map one id only: its own.
fn is_one(ranges: &[IdRange], own: u32) -> bool {
    matches!(ranges, [IdRange { size: 1, host, .. }] if *host == own)
}

fn write_file(pid: i32, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    // One write: the kernel takes a map whole or not at all.
    std::fs::write(Path::new(&path), text).call(|| format!("write({path}, {:?})", text.trim_end()))
}

fn run_helper(program: &str, pid: i32, ranges: &[IdRange]) -> Result<()> {
    let path = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"]
        .iter()
        .map(|directory| Path::new(directory).join(program))
        .find(|path| path.exists())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("{program} is not installed, and without it this user may map only its own id (package uidmap)"),
            )
        })?;
    // The helper is set-user-ID and runs on the host: it gets an empty environment.
    let output = Command::new(&path)
        .env_clear()
        .current_dir("/")
        .arg(pid.to_string())
        .args(ranges.iter().flat_map(|r| [r.container, r.host, r.size]).map(|n| n.to_string()))
        .output()
        .call(|| format!("execve({})", path.display()))?;
    if output.status.success() {
        return Ok(());
    }
    // The helper knows the ids by user name, and says little more than that it will not.
    let file = if program == "newuidmap" { "/etc/subuid" } else { "/etc/subgid" };
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(
        ErrorKind::Os,
        format!(
            "{program}: {}: {}; are these ids this user's in {file}?",
            output.status,
            said.trim().replace('\n', "; ")
        ),
    ))
}
