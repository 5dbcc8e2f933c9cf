//! The path of a container's cgroup: the rules of `linux.cgroupsPath`. Pure.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};

const FIELD: &str = "linux.cgroupsPath";

/// The container's cgroup, absolute inside every hierarchy.
///
/// The specification takes an absolute path from the mount point and leaves a relative one to the runtime:
/// here both start at the root of each hierarchy (docs/decision/0005). Without one the
/// container gets a single level of its own, so that nothing is left after its removal.
///
/// For a caller without privilege they start at the cgroup that was `delegated` to it, if any was.
pub(super) fn lower(
    cgroups_path: Option<&Path>,
    id: &str,
    delegated: Option<&str>,
) -> Result<String> {
    let start = delegated.unwrap_or_default().trim_end_matches('/');
    let Some(given) = cgroups_path.filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(format!("{start}/teu-{id}"));
    };
    let Some(text) = given.to_str() else {
        let lossy = String::from_utf8_lossy(given.as_os_str().as_bytes());
        return Err(Error::spec(FIELD, format!("\"{lossy}\" is not UTF-8")));
    };
    let mut path = if given.is_absolute() { String::new() } else { start.to_owned() };
    for part in text.split('/').filter(|part| !part.is_empty()) {
        check_component(text, part)?;
        path.push('/');
        path.push_str(part);
    }
    if text.split('/').all(str::is_empty) {
        let message = format!("\"{text}\" is the root of the hierarchy, not a cgroup of its own");
        return Err(Error::spec(FIELD, message));
    }
    if path.len() > 2048 {
        return Err(Error::spec(FIELD, "the path is longer than 2048 bytes"));
    }
    Ok(path)
}

/// What to say of a path that is meant for the systemd driver, perhaps. It is a path all the same: BuildKit in Docker
/// gives one where Docker has that driver, and calls the runtime without the flag.
pub(super) fn warning(cgroups_path: Option<&Path>) -> Option<String> {
    let text = cgroups_path?.to_str()?;
    let is_unit = !text.contains('/') && text.matches(':').count() == 2;
    is_unit.then(|| {
        format!(
            "{FIELD}: {text:?} has the form slice:prefix:name of the systemd driver; without --systemd-cgroup it is \
             the path of a cgroup"
        )
    })
}

fn check_component(text: &str, part: &str) -> Result<()> {
    let why = if part == "." || part == ".." {
        "components \".\" and \"..\" are refused"
    } else if part.contains(|c: char| c.is_control()) {
        "control characters are refused"
    } else if part.len() > 255 {
        "a component is longer than 255 bytes"
    } else {
        return Ok(());
    };
    Err(Error::spec(FIELD, format!("{text:?}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let long = "a".repeat(256);
        let cases: &[(Option<&str>, Result<&str, &str>)] = &[
            (None, Ok("/teu-c1")),
            (Some(""), Ok("/teu-c1")),
            (Some("/docker/abc"), Ok("/docker/abc")),
            (Some("docker//abc/"), Ok("/docker/abc")),
            (Some("/k8s:x/a:b:c"), Ok("/k8s:x/a:b:c")),
            (Some("/"), Err("the root of the hierarchy")),
            (Some("/a/../b"), Err("\"..\" are refused")),
            (Some("./b"), Err("\".\" and")),
            (Some("/a\0b"), Err("control characters")),
            (Some("/a\nb"), Err("control characters")),
            (Some("system.slice:runc:abc"), Ok("/system.slice:runc:abc")),
            (Some(&long), Err("255 bytes")),
        ];
        for (given, expected) in cases {
            match (lower(given.map(Path::new), "c1", None), expected) {
                (Ok(path), Ok(wanted)) => assert_eq!(&path, wanted, "{given:?}"),
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{given:?}: {error}");
                    assert_eq!(error.path(), Some(FIELD));
                }
                (got, _) => panic!("{given:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn what_looks_like_a_unit_is_warned_of() {
        let warned = |path: &str| warning(Some(Path::new(path))).is_some();
        assert!(warned("system.slice:runc:abc") && warned("::abc"));
        assert!(!warned("/a/b:c:d") && !warned("a:b") && warning(None).is_none());
    }

    #[test]
    fn without_privilege_below_what_was_delegated() {
        let of =
            |given: Option<&str>, start| lower(given.map(Path::new), "c1", Some(start)).unwrap();
        assert_eq!(of(None, "/user.slice/app"), "/user.slice/app/teu-c1");
        assert_eq!(of(Some("pods/a"), "/user.slice/app"), "/user.slice/app/pods/a");
        assert_eq!(of(Some("/pods/a"), "/user.slice/app"), "/pods/a");
        assert_eq!(of(None, "/"), "/teu-c1");
    }
}
