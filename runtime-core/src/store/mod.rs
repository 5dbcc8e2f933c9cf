//! The state root: one directory a container, with its record, and its gate until it is started.
//!
//! The directory itself is the lock (flock(2)): it is there before anything else of a container and goes
//! last, and the kernel gives the lock back when its holder dies.

pub(crate) mod gate;
pub(crate) mod record;
pub(crate) mod status;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};

use crate::error::{Error, ErrorKind, OsResult, Result};
use crate::id::ContainerId;
use record::Record;

/// The state root.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

/// The locked directory of one container.
#[derive(Debug)]
pub(crate) struct Entry {
    directory: OwnedFd,
    path: PathBuf,
    id: ContainerId,
}

impl Store {
    /// Takes the state root; makes it, for its owner only, when it is not there.
    ///
    /// # Errors
    /// It cannot be made, or others could write in it.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let found = match std::fs::symlink_metadata(root) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(root)
                    .call(|| format!("mkdir({})", root.display()))?;
                // mkdir(2) has taken the caller's umask off, which may leave nothing.
                std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700))
                    .call(|| format!("chmod({})", root.display()))?;
                std::fs::symlink_metadata(root).call(|| format!("stat({})", root.display()))?
            }
            Err(error) => return Err(error).call(|| format!("stat({})", root.display())),
        };
        let euid = rustix::process::geteuid().as_raw();
        if !found.is_dir() || found.mode() & 0o022 != 0 || (found.uid() != euid && found.uid() != 0)
        {
            return Err(Error::new(
                ErrorKind::SafetyViolation,
                format!(
                    "state root {}: must be a directory that only its owner can write in (chmod 700, chown {euid})",
                    root.display()
                ),
            ));
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The path of the state root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Refuses an id that is taken, before anything is asked of the host; [`Store::reserve`] decides.
    ///
    /// # Errors
    /// The id is taken.
    pub(crate) fn check_free(&self, id: &ContainerId) -> Result<()> {
        match std::fs::symlink_metadata(self.root.join(id.as_str())) {
            Ok(_) => Err(taken(id)),
            Err(_) => Ok(()),
        }
    }

    /// Makes the directory of a new container, locks it, and writes the record of what is about to be made.
    ///
    /// # Errors
    /// The id is taken.
    pub(crate) fn reserve(&self, id: &ContainerId, record: &Record) -> Result<Entry> {
        let path = self.root.join(id.as_str());
        match rustix::fs::mkdir(&path, Mode::RWXU) {
            Ok(()) => (),
            Err(rustix::io::Errno::EXIST) => return Err(taken(id)),
            Err(errno) => return Err(errno).call(|| format!("mkdir({})", path.display())),
        }
        let directory = match open_directory(&path) {
            Ok(directory) => directory,
            Err(mut error) => {
                let removed =
                    rustix::fs::rmdir(&path).call(|| format!("rmdir({})", path.display()));
                removed.unwrap_or_else(|failure| error.attach(failure));
                return Err(error);
            }
        };
        let entry = Entry { directory, path, id: id.clone() };
        let written = entry.lock(FlockOperation::LockExclusive).and_then(|()| entry.write(record));
        if let Err(mut error) = written {
            if let Err(failure) = entry.remove() {
                error.attach(failure);
            }
            return Err(error);
        }
        Ok(entry)
    }

    /// Locks a container for itself and reads its record; none when its creator died before writing one.
    ///
    /// # Errors
    /// No such container, or its record cannot be read.
    pub(crate) fn lock(&self, id: &ContainerId) -> Result<(Entry, Option<Record>)> {
        let entry = self.find(id)?;
        entry.lock(FlockOperation::LockExclusive)?;
        // Whoever held the lock may have deleted the container meanwhile.
        if entry.is_gone()? {
            return Err(missing(id));
        }
        let record = entry.read()?;
        Ok((entry, record))
    }

    /// Reads the record of a container without waiting for its lock: records are replaced whole.
    ///
    /// # Errors
    /// No such container, or its record cannot be read.
    pub(crate) fn peek(&self, id: &ContainerId) -> Result<(Entry, Option<Record>)> {
        let entry = self.find(id)?;
        let record = entry.read()?;
        Ok((entry, record))
    }

    fn find(&self, id: &ContainerId) -> Result<Entry> {
        let path = self.root.join(id.as_str());
        match open_directory(&path) {
            Ok(directory) => Ok(Entry { directory, path, id: id.clone() }),
            Err(error) if error.errno() == Some(libc::ENOENT) => Err(missing(id)),
            Err(error) => Err(error),
        }
    }

    /// The ids of all containers, sorted.
    ///
    /// # Errors
    /// The state root cannot be read.
    pub(crate) fn ids(&self) -> Result<Vec<ContainerId>> {
        let entries =
            std::fs::read_dir(&self.root).call(|| format!("opendir({})", self.root.display()))?;
        let mut ids: Vec<ContainerId> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .filter_map(|name| ContainerId::new(&name).ok())
            .collect();
        ids.sort();
        Ok(ids)
    }
}

fn taken(id: &ContainerId) -> Error {
    Error::new(ErrorKind::AlreadyExists, format!("container with given ID already exists: {id}"))
}

fn missing(id: &ContainerId) -> Error {
    Error::new(ErrorKind::NotFound, format!("container does not exist: {id}"))
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .call(|| format!("open({})", path.display()))
}

impl Entry {
    fn lock(&self, how: FlockOperation) -> Result<()> {
        rustix::io::retry_on_intr(|| rustix::fs::flock(&self.directory, how))
            .call(|| format!("flock({})", self.path.display()))
    }

    /// Its directory on disk.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its id.
    pub(crate) fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Replaces the record: a reader sees the old one or the new one, whenever this process is killed.
    pub(crate) fn write(&self, record: &Record) -> Result<()> {
        let json = serde_json::to_vec(record)
            .map_err(|error| Error::new(ErrorKind::Os, format!("writing the record: {error}")))?;
        self.write_file(".record.new", &json)?;
        rustix::fs::renameat(&self.directory, ".record.new", &self.directory, record::FILE)
            .call(|| format!("rename({}/{})", self.path.display(), record::FILE))
    }

    /// Keeps the configuration. Written before the record names an init, so whoever finds one finds this.
    pub(crate) fn write_config(&self, config: &[u8]) -> Result<()> {
        self.write_file(record::CONFIG, config)
    }

    /// Writes another configuration beside the one that holds.
    pub(crate) fn stage_config(&self, config: &[u8]) -> Result<()> {
        self.write_file(".config.new", config)
    }

    /// Lets the staged configuration hold.
    pub(crate) fn take_staged_config(&self) -> Result<()> {
        rustix::fs::renameat(&self.directory, ".config.new", &self.directory, record::CONFIG)
            .call(|| format!("rename({}/{})", self.path.display(), record::CONFIG))
    }

    fn write_file(&self, name: &str, content: &[u8]) -> Result<()> {
        let file = rustix::fs::openat(
            &self.directory,
            name,
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::RUSR | Mode::WUSR,
        )
        .call(|| format!("open({}/{name})", self.path.display()))?;
        std::io::Write::write_all(&mut std::fs::File::from(file), content)
            .call(|| format!("write({}/{name})", self.path.display()))
    }

    fn read(&self) -> Result<Option<Record>> {
        let Some(bytes) = self.read_file(record::FILE)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let path = self.path.join(record::FILE);
            Error::new(
                ErrorKind::Os,
                format!(
                    "record {}: {error}; `delete --force` removes the container",
                    path.display()
                ),
            )
        })
    }

    /// The configuration that the container was made from.
    ///
    /// # Errors
    /// It cannot be read, or the container was made by a version that kept none.
    pub(crate) fn config(&self) -> Result<Vec<u8>> {
        self.read_file(record::CONFIG)?.ok_or_else(|| {
            let path = self.path.join(record::CONFIG);
            Error::new(
                ErrorKind::Os,
                format!(
                    "{} is missing: the container's configuration was not kept",
                    path.display()
                ),
            )
        })
    }

    fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let file = rustix::fs::openat(
            &self.directory,
            name,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let file = match file {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            other => other.call(|| format!("open({}/{name})", self.path.display()))?,
        };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut bytes)
            .call(|| format!("read({}/{name})", self.path.display()))?;
        Ok(Some(bytes))
    }

    /// Whether the directory has been removed. Only who holds the lock removes it, so its holder may rely on the answer.
    fn is_gone(&self) -> Result<bool> {
        let stat = rustix::fs::fstat(&self.directory);
        stat.call(|| format!("stat({})", self.path.display())).map(|stat| stat.st_nlink == 0)
    }

    /// Removes the directory and all in it; what is gone already is fine.
    pub(crate) fn remove(&self) -> Result<()> {
        // `delete` may have come between mkdir(2) and the lock; what has the name then is another container's.
        if self.is_gone()? {
            return Ok(());
        }
        for name in [gate::FILE, ".record.new", ".config.new", record::CONFIG, record::FILE] {
            match rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => (),
                Err(errno) => {
                    return Err(errno).call(|| format!("unlink({}/{name})", self.path.display()));
                }
            }
        }
        match rustix::fs::rmdir(&self.path) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            // The directory that the container had in its sight may hold anything.
            Err(rustix::io::Errno::NOTEMPTY) => std::fs::remove_dir_all(&self.path)
                .call(|| format!("removing {}", self.path.display())),
            Err(errno) => Err(errno).call(|| format!("rmdir({})", self.path.display())),
        }
    }
}

impl AsFd for Entry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_was_removed_takes_no_other_along() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let id = ContainerId::new("a").unwrap();
        let entry = |path: &Path| Entry {
            directory: open_directory(path).unwrap(),
            path: path.to_owned(),
            id: id.clone(),
        };
        std::fs::create_dir(&path).unwrap();
        let first = entry(&path);
        entry(&path).remove().unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("something"), "").unwrap();
        first.remove().unwrap();
        assert!(path.join("something").exists());
        entry(&path).remove().unwrap();
        assert!(!path.exists());
    }
}
