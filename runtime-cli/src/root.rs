//! Where the state of containers is kept when `--root` does not say it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use crate::exit::Failure;

/// The state root of this caller: `/run/teu` for root, a directory in `$XDG_RUNTIME_DIR` otherwise.
///
/// The rule is runc's, because Podman passes no `--root` and has to find its containers again: inside
/// a user namespace, root is somebody else's user and honours `XDG_RUNTIME_DIR` too.
pub(crate) fn default() -> Result<PathBuf, Failure> {
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    let euid = rustix::process::geteuid().as_raw();
    match choose(runtime_dir, euid, in_user_namespace, std::env::var_os("USER")) {
        Some(Choice::Run) => Ok("/run/teu".into()),
        Some(Choice::Runtime(path)) => {
            keep(&path)?;
            Ok(path)
        }
        None => Err(Failure::Other(
            "no place for the state of containers: XDG_RUNTIME_DIR is not set; \
             set it, or give --root DIR"
                .into(),
        )),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Run,
    Runtime(PathBuf),
}

fn choose(
    runtime_dir: Option<OsString>,
    euid: u32,
    in_user_namespace: impl FnOnce() -> bool,
    user: Option<OsString>,
) -> Option<Choice> {
    let runtime = |dir: OsString| Choice::Runtime(Path::new(&dir).join("teu"));
    if euid != 0 {
        return runtime_dir.map(runtime);
    }
    match runtime_dir {
        Some(dir) if in_user_namespace() && user.is_none_or(|user| user != "root") => {
            Some(runtime(dir))
        }
        _ => Some(Choice::Run),
    }
}

/// The initial user namespace maps every id to itself (user_namespaces(7)).
fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| !map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

/// Makes the directory with the sticky bit: systemd removes old files below `$XDG_RUNTIME_DIR`
/// without it (XDG Base Directory Specification).
fn keep(path: &Path) -> Result<(), Failure> {
    let mode = Mode::RWXU | Mode::SVTX;
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(Failure::os(format!("mkdir({})", path.display()), error)),
    }
    rustix::fs::chmod(path, mode)
        .map_err(|error| Failure::os(format!("chmod({})", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gets_which() {
        let dir = || Some(OsString::from("/run/user/7"));
        let own = || Some(Choice::Runtime("/run/user/7/teu".into()));
        let root = || Some(OsString::from("root"));
        assert_eq!(choose(None, 0, || false, None), Some(Choice::Run));
        assert_eq!(choose(dir(), 0, || false, None), Some(Choice::Run));
        assert_eq!(choose(dir(), 0, || true, None), own());
        assert_eq!(choose(dir(), 0, || true, root()), Some(Choice::Run));
        assert_eq!(choose(dir(), 1000, || true, root()), own());
        assert_eq!(choose(None, 1000, || false, None), None);
    }
}
