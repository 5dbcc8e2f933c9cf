//! A bundle (bundle.md of the specification): the directory with config.json and the root file system.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};

use crate::error::{Error, ErrorKind, OsResult, Result};

/// An opened bundle with its configuration.
#[derive(Debug)]
pub struct Bundle {
    /// Its absolute path.
    pub path: PathBuf,
    /// The directory.
    pub directory: OwnedFd,
    /// What config.json says.
    pub spec: Spec,
    /// config.json as it was read.
    pub config: Vec<u8>,
    /// What it says that the specification wants a warning for.
    pub warnings: Vec<String>,
}

/// No configuration of a container comes near this; what is larger is an accident or an attack.
const LARGEST: u64 = 16 << 20;

impl Bundle {
    /// Opens the bundle and reads its configuration.
    ///
    /// # Errors
    /// The directory or config.json is not there, or config.json breaks the specification.
    pub fn open(path: &Path) -> Result<Self> {
        let absolute = std::path::absolute(path).call(|| {
            format!(
                "finding the bundle {:?} (was the working directory deleted? name it absolutely)",
                path
            )
        })?;
        let directory = rustix::fs::open(
            &absolute,
            OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .call(|| format!("open(bundle {})", absolute.display()))
        .map_err(|error| error.with_kind(ErrorKind::InvalidArgument))?;
        let config = absolute.join("config.json");
        let file = rustix::fs::openat(
            &directory,
            "config.json",
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
            Mode::empty(),
        );
        let file = match file {
            Err(rustix::io::Errno::NOENT) => {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!("JSON specification file {} not found", config.display()),
                ));
            }
            other => other.call(|| format!("open({})", config.display()))?,
        };
        let mut bytes = Vec::with_capacity(16 << 10);
        std::fs::File::from(file)
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .call(|| format!("read({})", config.display()))?;
        if bytes.len() as u64 > LARGEST {
            return Err(Error::new(
                ErrorKind::InvalidSpec,
                format!("config.json: larger than {} MiB", LARGEST >> 20),
            ));
        }
        let (spec, warnings) = crate::spec::parse(&bytes)?;
        Ok(Self { path: absolute, directory, spec, config: bytes, warnings })
    }

    /// Opens the bundle with a configuration that was kept of it.
    ///
    /// # Errors
    /// The directory is not there any more, or the configuration breaks the specification.
    pub(crate) fn open_with(path: &Path, config: Vec<u8>) -> Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())
            .call(|| format!("open(bundle {})", path.display()))?;
        let (spec, warnings) = crate::spec::parse(&config)?;
        Ok(Self { path: path.to_owned(), directory, spec, config, warnings })
    }

    /// root.path, absolute.
    ///
    /// # Errors
    /// The configuration has no root.
    pub fn root(&self) -> Result<PathBuf> {
        let root = self.spec.root().as_ref().ok_or_else(|| Error::spec("root", "missing"))?;
        Ok(self.path.join(root.path()))
    }
}
