//! A further process joins the cgroups of a container (`exec`), or cgroups below them.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use super::prepare;
use super::prepared::Prepared;
use super::{CgroupRecord, Version, file, systemd};
use crate::error::{Error, ErrorKind, OsResult, Result};

/// The cgroups below the container's that a process is put in: by controller, or for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Below(BTreeMap<String, String>);

impl Below {
    /// Reads `PATH` or `CONTROLLER[,CONTROLLER…]:PATH`, as runc's `exec --cgroup` takes them.
    ///
    /// # Errors
    /// Several paths without a controller, a controller given twice, or a path that leads up.
    pub fn parse(given: &[String]) -> Result<Self> {
        let bad = |argument: &str, why: &str| {
            let text = format!("--cgroup {argument:?}: {why}");
            Error::new(ErrorKind::InvalidArgument, text)
        };
        let mut below = BTreeMap::new();
        for argument in given {
            let (controllers, path) = match argument.split_once(':') {
                Some((_, path)) if path.contains(':') => {
                    return Err(bad(argument, "not PATH or CONTROLLER[,CONTROLLER]:PATH"));
                }
                Some((controllers, path)) => (controllers, path),
                None if given.len() > 1 => {
                    return Err(bad(
                        argument,
                        "of several paths each needs its CONTROLLER: prefix",
                    ));
                }
                None => ("", argument.as_str()),
            };
            let mut clean = String::new();
            for part in path.split('/').filter(|part| !part.is_empty()) {
                if part == "." || part == ".." {
                    return Err(bad(argument, "the path leads out of the container's cgroup"));
                }
                clean.push('/');
                clean.push_str(part);
            }
            for controller in controllers.split(',') {
                if below.insert(controller.to_owned(), clean.clone()).is_some() {
                    return Err(bad(argument, "a controller is given twice"));
                }
            }
        }
        Ok(Self(below))
    }

    /// The path for a hierarchy's directory, which is named after its controllers.
    fn path(&self, directory: &str) -> &str {
        let mut names = std::iter::once("").chain(directory.split(','));
        names.find_map(|name| self.0.get(name)).map_or("", String::as_str)
    }

    /// Every controller has to be one of the host's: one that is not would be left out in silence.
    fn check(&self, directories: &[(String, Version)]) -> Result<()> {
        let known = |name: &String| {
            name.is_empty()
                || directories.iter().any(|(directory, _)| directory.split(',').any(|n| n == name))
        };
        match self.0.keys().find(|name| !known(name)) {
            Some(name) => Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("--cgroup: the container has no cgroup of the controller {name:?}"),
            )),
            None => Ok(()),
        }
    }
}

impl CgroupRecord {
    /// Opens what a further process needs to join.
    ///
    /// # Errors
    /// A directory is not there.
    pub fn join(&self, below: &Below) -> Result<Prepared> {
        below.check(&self.directories)?;
        let root = self.open()?;
        let mut prepared = Prepared::new(Vec::with_capacity(self.directories.len()), None);
        for (directory, version) in &self.directories {
            let path = below.path(directory);
            let base = format!("{}{path}", file::base(directory, &self.path));
            match version {
                Version::V1 => prepared.tasks.push(prepare::open_tasks(&root, &base)?),
                Version::V2 => prepared.unified = Some(open(&root, &base)?),
            }
        }
        Ok(prepared)
    }

    /// Whether the cgroup is systemd's.
    pub(crate) fn has_unit(&self) -> bool {
        self.unit.is_some()
    }

    /// Whether systemd puts processes there, which it does for scopes alone: they are delegated.
    pub(crate) fn has_scope(&self) -> bool {
        self.unit.as_ref().is_some_and(systemd::UnitRecord::is_scope)
    }

    /// Has systemd put a process where [`CgroupRecord::join`] would. That is for a caller whom the kernel does not let do it: a user outside of the cgroups that are the user's.
    ///
    /// # Errors
    /// systemd refuses, or does not answer, or has nothing to do with the cgroup.
    pub(crate) fn attach(&self, below: &Below, pid: i32) -> Result<()> {
        let Some(unit) = &self.unit else {
            let text = format!("cgroup {} is not systemd's", self.path);
            return Err(Error::new(ErrorKind::Unsupported, text));
        };
        systemd::manager::attach(unit, below.path(""), pid)
    }

    /// The cgroup2 directory of a process of the container: where its own has controllers for those below it, no
    /// process may be in it (cgroups(7), "no internal processes"), and init has moved.
    ///
    /// # Errors
    /// The process has ended, or is outside of the container's cgroup.
    pub fn unified_of(&self, pid: i32) -> Result<OwnedFd> {
        let path = format!("/proc/{pid}/cgroup");
        let text = std::fs::read_to_string(&path).call(|| format!("read({path})"))?;
        let found = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        let root = self.open()?;
        let unified = self.directories.iter().find(|(_, version)| *version == Version::V2);
        match unified {
            Some((directory, _)) if found.strip_prefix(&self.path).is_some_and(is_below) => {
                open(&root, &file::base(directory, found))
            }
            _ => Err(Error::new(
                ErrorKind::SafetyViolation,
                format!("process {pid} is in cgroup {found:?}, outside of {:?}", self.path),
            )),
        }
    }
}

fn is_below(rest: &str) -> bool {
    rest.is_empty() || (rest.starts_with('/') && !rest.split('/').any(|part| part == ".."))
}

fn open(root: &OwnedFd, base: &str) -> Result<OwnedFd> {
    file::open_dir(root, base).call(|| format!("open({base})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(given: &[&str]) -> Result<Below> {
        Below::parse(&given.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn paths_go_to_their_hierarchies() {
        let all = parse(&["/a//b"]).unwrap();
        assert_eq!((all.path("memory"), all.path("")), ("/a/b", "/a/b"));
        let some = parse(&["cpu,memory:x", "pids:y"]).unwrap();
        assert_eq!(some.path("cpu,cpuacct"), "/x");
        assert_eq!(some.path("pids"), "/y");
        assert_eq!(some.path("freezer"), "");
        assert!(some.check(&[("cpu,cpuacct".into(), Version::V1)]).is_err());
    }

    #[test]
    fn what_is_not_below_is_refused() {
        for bad in [&["../x"][..], &["a", "b"], &["cpu:a", "cpu:b"], &["cpu:a:b"], &["cpu:a/../.."]]
        {
            assert_eq!(parse(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad:?}");
        }
        assert!(is_below("") && is_below("/init.scope") && !is_below("2") && !is_below("/../x"));
    }
}
