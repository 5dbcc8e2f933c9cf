//! The private surroundings of one case: its folder, its names, the runtime under test, its journal.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::call::Call;
use super::{Bundle, Container, Result, cgroup, lacks};

/// The runtime under test.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Target {
    /// Absolute path of the program.
    pub(crate) path: PathBuf,
    /// Global arguments of every call.
    pub(crate) args: Vec<String>,
    /// A refusal counts, whatever it says.
    pub(crate) any_words: bool,
    /// First line of `--version`.
    pub(crate) version: String,
    /// It is called with `--systemd-cgroup`, so cgroupsPath is no path.
    pub(crate) systemd: bool,
}

/// The argument that has systemd make the cgroups.
pub(crate) const SYSTEMD: &str = "--systemd-cgroup";

impl Target {
    /// The `known_runc` reasons were written for the 1.1 series and judge nothing else.
    pub(crate) fn is_runc_1_1(&self) -> bool {
        self.version.starts_with("runc version 1.1.")
    }
}

/// The private surroundings of one case.
#[derive(Debug)]
pub(crate) struct Lab {
    /// The folder of the case; removed by the runner afterwards.
    pub(crate) folder: PathBuf,
    /// A word that no other case has; part of every id and cgroup path of this case.
    pub(crate) token: String,
    /// The runtime under test.
    pub(crate) target: Target,
    /// Files that every root file system is made of.
    pub(crate) image: PathBuf,
    journal: RefCell<Vec<String>>,
    serial: Cell<u32>,
}

impl Lab {
    /// The surroundings in `folder`, which exists.
    pub(crate) fn new(folder: PathBuf, token: String, target: Target, image: PathBuf) -> Self {
        Self { folder, token, target, image, journal: RefCell::default(), serial: Cell::new(0) }
    }

    /// The state root (`--root`) of the runtime; the runtime makes it.
    pub(crate) fn state_root(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// A number that was not given out before in this case.
    pub(crate) fn next(&self) -> u32 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    /// A container id that nobody else uses.
    pub(crate) fn new_id(&self) -> String {
        format!("{}-{}", self.token, self.next())
    }

    /// A fresh empty folder of the case.
    pub(crate) fn new_folder(&self, word: &str) -> Result<PathBuf> {
        let folder = self.folder.join(format!("{word}-{}", self.next()));
        std::fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// A bundle with the default configuration, edited by `edit`.
    pub(crate) fn bundle(&self, edit: impl FnOnce(&mut Value)) -> Result<Bundle> {
        Bundle::make(self, edit)
    }

    /// A container with a new id; nothing is called yet.
    pub(crate) fn container(&self, bundle: Bundle) -> Container<'_> {
        Container::new(self, self.new_id(), bundle)
    }

    /// Short for a container whose workload is `args` in the default configuration.
    pub(crate) fn with_args(&self, args: &[&str]) -> Result<Container<'_>> {
        Ok(self.container(self.bundle(|config| config["process"]["args"] = args.into())?))
    }

    /// A call of the runtime: `RUNTIME [ARGS] --root STATE words…`.
    pub(crate) fn call<W: AsRef<str>>(&self, words: impl IntoIterator<Item = W>) -> Call<'_> {
        Call::new(self, words.into_iter().map(|word| word.as_ref().to_owned()).collect())
    }

    /// `linux.cgroupsPath` of a cgroup that nobody else has, under a parent that the runner can recognise.
    pub(crate) fn cgroups_path(&self, leaf: &str) -> String {
        let token = &self.token;
        if self.target.systemd {
            format!("{token}.slice:{token}:{leaf}")
        } else {
            format!("/{}/{token}-{leaf}", self.cgroup())
        }
    }

    /// The parent of all cgroups of this case without systemd, without the leading slash.
    pub(crate) fn cgroup(&self) -> String {
        format!("{}/{}", cgroup::base(), self.token).trim_start_matches('/').to_owned()
    }

    /// Adds a line to what is shown when the case fails.
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.journal.borrow_mut().push(line.into());
    }

    /// All notes so far.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.journal.borrow().clone()
    }

    /// Skips the case where cgroupsPath is no path.
    pub(crate) fn needs_cgroup_paths(&self) -> Result {
        if self.target.systemd {
            return lacks("cgroups by their paths: systemd makes them");
        }
        cgroup::needs_any()
    }

    /// Skips the case unless the path exists on the host.
    pub(crate) fn needs(&self, path: &str, what: &str) -> Result {
        if Path::new(path).exists() { Ok(()) } else { lacks(&format!("{what} ({path})")) }
    }
}
