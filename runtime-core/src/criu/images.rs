//! The directories that criu writes to and reads from, and its log.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::CriuOptions;
use super::message::Options;
use crate::error::{Error, ErrorKind, OsResult, Result};

/// How many lines of the log go into an error: what failed, and what failed because of it.
const SHOWN: usize = 3;

/// The opened directories.
#[derive(Debug)]
pub(crate) struct Images {
    images: Directory,
    work: Option<Directory>,
    log: PathBuf,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    fd: OwnedFd,
}

impl Directory {
    fn open(path: PathBuf) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty())
            .call(|| format!("open(image directory {})", path.display()))
            .map_err(|error| error.with_kind(ErrorKind::InvalidArgument))?;
        Ok(Self { path, fd })
    }

    /// Images hold the memory of the container: for its owner only.
    fn make(path: &Path) -> Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(path);
        made.call(|| format!("mkdir({})", path.display()))
    }
}

/// How errors begin that do not say why: the limit of descriptors is raised for comfort, and the helper for cgroups
/// complains about the end of criu.
const NO_CAUSE: [&str; 3] = ["rlimit:", "cg: cgroupd:", "cgroupd:"];

impl Images {
    /// Opens them; `make` says whether the one of the images may be new.
    ///
    /// # Errors
    /// One cannot be made or opened.
    pub(crate) fn open(options: &CriuOptions, log: &str, make: bool) -> Result<Self> {
        let path = |path: &Path| {
            std::path::absolute(path).call(|| format!("finding the directory {}", path.display()))
        };
        let images = path(&options.images)?;
        let work = options.work.as_deref().map(path).transpose()?;
        let log = work.as_ref().unwrap_or(&images).join(log);
        if make {
            Directory::make(&images)?;
        }
        let images = Directory::open(images)?;
        work.as_deref().map(Directory::make).transpose()?;
        let images = Self { images, work: work.map(Directory::open).transpose()?, log };
        // The errors of an earlier run are not those of this one.
        match std::fs::remove_file(&images.log) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).call(|| format!("unlink({})", images.log.display()))
            }
            _ => Ok(images),
        }
    }

    /// The same in the mount namespace of the calling thread: criu mounts in its working directory, which it can
    /// do only where the directory is of its own namespace.
    ///
    /// # Errors
    /// One cannot be opened.
    pub(crate) fn open_here(&self) -> Result<Self> {
        let work = self.work.as_ref().map(|work| work.path.clone());
        Ok(Self {
            images: Directory::open(self.images.path.clone())?,
            work: work.map(Directory::open).transpose()?,
            log: self.log.clone(),
        })
    }

    /// The directory of the images.
    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.images.fd
    }

    /// What the options of both directions have in common.
    pub(crate) fn options(&self, options: &CriuOptions) -> Options {
        const CLONE_NEWNET: u32 = 0x4000_0000;
        Options {
            images_dir_fd: self.images.fd.as_raw_fd(),
            work_dir_fd: self.work.as_ref().map(|work| work.fd.as_raw_fd()),
            log_level: Some(4),
            log_file: self.log.file_name().map(|name| name.to_string_lossy().into_owned()),
            notify_scripts: Some(true),
            ext_unix_sk: Some(options.external_unix_sockets),
            tcp_established: Some(options.tcp_established),
            shell_job: Some(options.shell_job),
            file_locks: Some(options.file_locks),
            lazy_pages: Some(options.lazy_pages),
            auto_dedup: Some(options.auto_dedup),
            empty_ns: options.empty_network.then_some(CLONE_NEWNET),
            manage_cgroups: Some(true),
            manage_cgroups_mode: Some(options.cgroups.number()),
            orphan_pts_master: Some(true),
            ..Options::default()
        }
    }

    /// What the log says of a failure of criu's, which has at best the first error in its answer, and an error
    /// number.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if !error.to_string().starts_with(super::FAILED) {
            return error;
        }
        let text = std::fs::read(&self.log).unwrap_or_default();
        let lines = errors(&String::from_utf8_lossy(&text)).join("; ");
        let (kind, log) = (error.kind(), self.log.display());
        match lines.as_str() {
            "" => Error::new(kind, format!("{error} (log: {log})")),
            lines => Error::new(kind, format!("{}: {lines} (log: {log})", super::FAILED)),
        }
    }
}

/// The last errors of a log, without the time and the place in criu's source.
fn errors(log: &str) -> Vec<String> {
    let of = |line: &str| {
        let (_, rest) = line.split_once("Error (")?;
        let (_, said) = rest.split_once("): ")?;
        let said = said.trim();
        // That dumping or restoring has failed is known; the others are of no consequence, or a consequence.
        let idle = said.ends_with("FAILED.") || NO_CAUSE.iter().any(|word| said.starts_with(word));
        (!idle).then(|| said.to_owned())
    };
    let all: Vec<String> = log.lines().filter_map(of).collect();
    all[all.len().saturating_sub(SHOWN)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_log_without_their_places() {
        let log = "(00.01) fine\n(00.02) Error (criu/files.c:12): Can't lookup mount=3 for fd=0\n\
                   (00.03)     12: Error (criu/x.c:1): next\n\
                   (00.04) Error (criu/cr-dump.c:2128): Dumping FAILED.\n\
                   (00.05) Error (criu/cgroup.c:2): cg: cgroupd: recv req error\n\
                   (00.00) Error (criu/util.c:2): rlimit: Can't setup RLIMIT_NOFILE for self\n";
        assert_eq!(errors(log), ["Can't lookup mount=3 for fd=0", "next"]);
        assert_eq!(errors("(00.1) Error (a.c:1): only\n"), ["only"]);
        assert!(errors("").is_empty());
    }
}
