//! Writing the id maps of a new user namespace from outside, while its process waits.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use super::idmap::{IdMaps, IdRange, render};
use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::link::Link;
use crate::program::{self, Program};

/// Writes both maps of `pid`.
///
/// With CAP_SETUID in the parent namespace the kernel takes any map; otherwise newuidmap(1) and newgidmap(1)
/// write what /etc/subuid and /etc/subgid allow. A caller without either may map itself only, and only after
/// setgroups(2) is denied for good (CVE-2014-8989).
///
/// # Errors
/// The kernel or the helper refused a map, or the helper does not end; or the creation was called off meanwhile.
pub(crate) fn write(pid: i32, maps: &IdMaps, privileged: bool, link: &Link) -> Result<()> {
    if privileged {
        return write_privileged(pid, maps);
    }
    let cancel = link.cancel();
    if is_one(&maps.gid, rustix::process::getegid().as_raw()) {
        write_file(pid, "setgroups", "deny")?;
        write_file(pid, "gid_map", &render(&maps.gid))?;
    } else {
        run_helper("newgidmap", pid, &maps.gid, cancel)?;
    }
    if is_one(&maps.uid, rustix::process::geteuid().as_raw()) {
        write_file(pid, "uid_map", &render(&maps.uid))
    } else {
        run_helper("newuidmap", pid, &maps.uid, cancel)
    }
}

/// The same for a caller who has CAP_SETUID in the parent namespace.
///
/// # Errors
/// The kernel refused a map.
pub(crate) fn write_privileged(pid: i32, maps: &IdMaps) -> Result<()> {
    write_file(pid, "gid_map", &render(&maps.gid))?;
    write_file(pid, "uid_map", &render(&maps.uid))
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

/// How long newuidmap(1) may take: it may ask a directory service for the ids (subid in nsswitch.conf(5)).
const PATIENCE: Duration = Duration::from_secs(10);

fn run_helper(
    name: &str,
    pid: i32,
    ranges: &[IdRange],
    cancel: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let path = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"]
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.exists())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("{name} is not installed, and without it this user may map only its own id (package uidmap)"),
            )
        })?;
    let numbers = ranges.iter().flat_map(|range| [range.container, range.host, range.size]);
    let words = [name.to_owned(), pid.to_string()].into_iter();
    let argv = words.chain(numbers.map(|number| number.to_string()));
    // The helper is set-user-ID and runs on the host: it gets an empty environment.
    let program = Program {
        path: &path,
        argv: argv.filter_map(|word| CString::new(word).ok()).collect(),
        envp: Vec::new(),
        cwd: Path::new("/"),
        input: "",
        timeout: Some(PATIENCE),
    };
    let ended = program::run(&program, cancel)
        .map_err(|error| error.context(format_args!("execve({})", path.display())))?;
    let Err(failure) = ended else { return Ok(()) };
    // The helper knows the ids by user name, and says little more than that it will not.
    let hint = match (name, failure.is_late()) {
        (_, true) => {
            "does it ask a directory service that does not answer (subid in /etc/nsswitch.conf)?"
        }
        ("newuidmap", _) => "are these ids this user's in /etc/subuid?",
        _ => "are these ids this user's in /etc/subgid?",
    };
    Err(Error::new(ErrorKind::Os, format!("{name}: {failure}; {hint}")))
}
