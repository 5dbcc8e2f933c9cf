//! The programs that are compared, and their command lines.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::error::{Context, Error, Result};
use crate::stage::{Stage, View};

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Teu,
    Crun,
    Runc,
    Floor,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Teu, Self::Crun, Self::Runc, Self::Floor];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Teu => "teu",
            Self::Crun => "crun",
            Self::Runc => "runc",
            Self::Floor => "floor",
        }
    }
}

/// A step in the life of a container, as a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Run,
    Create,
    Start,
    Delete,
}

/// A program that takes part.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    pub(crate) kind: Kind,
    /// `None` for the floor, which this program brings along.
    pub(crate) binary: Option<PathBuf>,
    /// What has to be in memory, so that no sample reads from a disk.
    files: Vec<PathBuf>,
}

impl Contestant {
    pub(crate) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Everyone who is asked for, or an error that says who is missing.
    pub(crate) fn find(args: &Args) -> Result<Vec<Self>> {
        let only = args.only.as_deref();
        if let Some(unknown) = only
            .unwrap_or_default()
            .iter()
            .find(|name| Kind::ALL.iter().all(|kind| kind.name() != *name))
        {
            return Err(Error(format!("--only: nobody here is called {unknown:?}")));
        }
        Kind::ALL
            .into_iter()
            .filter(|kind| only.is_none_or(|only| only.iter().any(|name| name == kind.name())))
            .map(|kind| {
                let binary = match kind {
                    Kind::Teu => Some(teu(args)?),
                    Kind::Crun => {
                        Some(installed(&["/usr/bin/crun", "/usr/local/bin/crun"], "crun")?)
                    }
                    Kind::Runc => Some(installed(
                        &["/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc"],
                        "runc",
                    )?),
                    Kind::Floor => None,
                };
                let files = binary.as_deref().map_or_else(Vec::new, with_libraries);
                Ok(Self { kind, binary, files })
            })
            .collect()
    }

    /// Reads what the program is made of: the kernel may have dropped it from memory.
    pub(crate) fn warm(&self) -> Result<()> {
        for file in &self.files {
            fs::read(file).context(|| format!("reading {}", file.display()))?;
        }
        Ok(())
    }

    /// The command line of a step of the container `id`.
    pub(crate) fn command(&self, step: Step, stage: &Stage, id: &str) -> Vec<OsString> {
        let Some(binary) = &self.binary else { return floor(step, stage, id) };
        let mut line: Vec<OsString> =
            vec![binary.into(), "--root".into(), stage.state(self.kind).into()];
        line.push(match step {
            Step::Run => "run".into(),
            Step::Create => "create".into(),
            Step::Start => "start".into(),
            Step::Delete => "delete".into(),
        });
        if matches!(step, Step::Run | Step::Create) {
            line.extend(["--bundle".into(), stage.bundle(self.kind).into()]);
        }
        if step == Step::Create {
            line.extend(["--pid-file".into(), stage.pid_file().into()]);
        }
        line.push(id.into());
        line
    }
}

fn floor(step: Step, stage: &Stage, id: &str) -> Vec<OsString> {
    let rootfs = OsString::from(stage.rootfs());
    let gate = OsString::from(stage.state(Kind::Floor).join(id));
    let cgroup: OsString = stage.cgroup(Kind::Floor, id).trim_start_matches('/').into();
    let mut line = vec![stage.floor().into()];
    match step {
        Step::Run => line.extend(["run".into(), rootfs, cgroup]),
        Step::Create => {
            line.extend(["create".into(), rootfs, cgroup, gate, stage.pid_file().into()])
        }
        Step::Start => line.extend(["start".into(), gate]),
        Step::Delete => line.extend(["delete".into(), gate, cgroup]),
    }
    if step != Step::Start
        && let View::V1(hierarchies) = stage.view()
    {
        line.extend(hierarchies.iter().map(OsString::from));
    }
    line
}

fn teu(args: &Args) -> Result<PathBuf> {
    let beside = || -> Result<PathBuf> {
        let this = std::env::current_exe().context(|| "finding this program".to_owned())?;
        Ok(this.with_file_name("teu"))
    };
    let path = args.teu.clone().map_or_else(beside, Ok)?;
    path.canonicalize().context(|| {
        format!(
            "{}: build teu with `cargo build --release -p runtime-cli`, or name one with --teu",
            path.display()
        )
    })
}

fn installed(paths: &[&str], package: &str) -> Result<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
        Error(format!(
            "{}: install the Debian package {package}, or leave it out with --only",
            paths[0]
        ))
    })
}

/// The program and the shared libraries that it loads.
fn with_libraries(binary: &Path) -> Vec<PathBuf> {
    let mut files = vec![binary.to_owned()];
    // ldd fails for a static program, which has none.
    if let Ok(output) = Command::new("ldd").arg(binary).output() {
        let text = String::from_utf8_lossy(&output.stdout);
        let paths = text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
        files.extend(paths.filter(|path| path.is_file()));
    }
    files
}
