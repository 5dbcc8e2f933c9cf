//! The mounted resctrl file system.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::lower::{difference, lines_of};
use super::{RdtPlan, RdtRecord, Schemata};
use crate::cgroup::claim;
use crate::cgroup::file;
use crate::error::{Context, Error, ErrorKind, OsResult, Result};
use crate::undo::Undo;

/// RDTGROUP_SUPER_MAGIC (linux/magic.h).
const MAGIC: u32 = 0x0765_5821;

pub(super) const FIELD: &str = "linux.intelRdt";

/// The mount.
#[derive(Debug)]
pub(super) struct Resctrl {
    pub(super) root: OwnedFd,
    pub(super) path: PathBuf,
}

/// A `schemata` that was written, and what it said before.
#[derive(Debug)]
pub(crate) struct Written {
    resctrl: Resctrl,
    file: String,
    before: String,
}

/// Where resctrl itself, and not a directory of it, is mounted (proc_pid_mountinfo(5)).
fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (root == "/" && right.starts_with("resctrl ")).then(|| unescaped(point).into())
    })
}

/// A path of mountinfo, in which blanks and backslashes are octal numbers.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(path.to_owned(), |path, (number, plain)| path.replace(number, plain))
}

impl Resctrl {
    /// The mount; none where there is none.
    pub(super) fn find() -> Result<Option<Self>> {
        // Other mounts may have names that are no text.
        let mountinfo =
            std::fs::read("/proc/self/mountinfo").call(|| "read(/proc/self/mountinfo)")?;
        let mountinfo = String::from_utf8_lossy(&mountinfo);
        let Some(path) = mount_point(&mountinfo) else { return Ok(None) };
        let root = file::open_dir(rustix::fs::CWD, &path.to_string_lossy())
            .call(|| format!("open({})", path.display()))?;
        let magic = rustix::fs::fstatfs(&root).call(|| format!("statfs({})", path.display()))?;
        if magic.f_type as u32 != MAGIC {
            let text = format!("another mount covers resctrl at {}", path.display());
            return Err(Error::unsupported(FIELD, text));
        }
        Ok(Some(Self { root, path }))
    }

    pub(super) fn open() -> Result<Self> {
        Self::find()?.ok_or_else(|| {
            let text = "no resctrl file system is mounted: it needs a processor with Intel RDT or AMD QoS, and \
                        `mount -t resctrl resctrl /sys/fs/resctrl`";
            Error::unsupported(FIELD, text)
        })
    }

    /// A path below the mount, for people.
    pub(super) fn shown(&self, name: &str) -> String {
        match (self.path.display(), name.strip_prefix("./").unwrap_or(name)) {
            (path, ".") => path.to_string(),
            (path, name) => format!("{path}/{name}"),
        }
    }

    /// A failed call, with what the kernel says of it beyond the number.
    fn refused(&self, call: &str, name: &str, errno: Errno) -> Error {
        // Of a call that did not come so far it would be the status of an earlier one.
        let said = match errno {
            Errno::INVAL | Errno::NOSPC | Errno::PERM | Errno::BUSY => {
                self.text("info/last_cmd_status").unwrap_or_default()
            }
            _ => String::new(),
        };
        let why = match said.trim() {
            "" | "ok" => String::new(),
            said => format!(" ({})", said.replace('\n', "; ")),
        };
        Error::os(format!("{call}({}){why}", self.shown(name)), errno)
    }

    fn exists(&self, directory: &str) -> Result<bool> {
        match file::open_dir(&self.root, directory) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(Errno::NOTDIR) => {
                let text = format!("{} is a file of resctrl's own", self.shown(directory));
                Err(Error::spec(super::lower::CLOS_ID, text))
            }
            Err(errno) => Err(self.refused("open", directory, errno)),
        }
    }

    /// Makes a directory, with its step back once no process of the container lives.
    pub(super) fn make(
        self: &Rc<Self>,
        directory: &str,
        shared: bool,
        undo: &mut Undo<'_>,
    ) -> Result<()> {
        rustix::fs::mkdirat(&self.root, directory, claim::mode(!shared))
            .map_err(|errno| self.refused("mkdir", directory, errno))?;
        let (resctrl, directory) = (Rc::clone(self), directory.to_owned());
        undo.push(move || {
            // However the creation was called off.
            let _lock = resctrl.lock(None)?;
            // Its processes would lose their class without a word. Who is only about to join hears of it: the write
            // fails.
            let tasks = resctrl.text(&format!("{directory}/tasks")).unwrap_or_default();
            if shared && !tasks.trim().is_empty() {
                return Ok(());
            }
            resctrl.remove(&directory)
        });
        Ok(())
    }

    pub(super) fn remove(&self, directory: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.root, directory, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.refused("rmdir", directory, errno)),
        }
    }

    /// A file below the mount; none where it is not there.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        file::read(&self.root, path).ok()
    }

    /// The names in a directory below the mount, sorted.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = file::open_dir(&self.root, path).and_then(rustix::fs::Dir::new);
        let names = entries.into_iter().flatten().flatten();
        let mut names: Vec<String> =
            names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn tasks(&self, directory: &str) -> Result<OwnedFd> {
        let name = format!("{directory}/tasks");
        file::open(&self.root, &name, OFlags::WRONLY)
            .map_err(|errno| self.refused("open", &name, errno))
    }

    fn schemata(&self, class: &str) -> Result<String> {
        let name = format!("{class}/schemata");
        file::read(&self.root, &name).map_err(|errno| self.refused("read", &name, errno))
    }

    fn write(&self, class: &str, schemata: &Schemata) -> Result<()> {
        let name = format!("{class}/schemata");
        file::write(&self.root, &name, &schemata.lines).map_err(|errno| {
            let error = self.refused("write", &name, errno);
            error.context(format_args!("{:?}", schemata.lines.trim_end())).at(&schemata.field)
        })
    }

    /// That an old class says already what `schemata` asks for.
    fn compare(&self, class: &str, schemata: &[Schemata]) -> Result<()> {
        let Some(last) = schemata.last() else { return Ok(()) };
        let there = self.schemata(class)?;
        let step = self.text("info/MB/bandwidth_gran");
        let step = step.and_then(|text| text.trim().parse().ok()).filter(|step| *step > 0);
        let wanted: String = schemata.iter().map(|schemata| schemata.lines.as_str()).collect();
        let why = match difference(&wanted, &there, step) {
            Ok(None) => return Ok(()),
            Ok(Some(difference)) => format!("has {difference}"),
            Err(why) => why,
        };
        let text = format!(
            "the class {} exists and {why}: it is not changed; leave the schemata out to use it as it is, or remove it \
             (rmdir) where it is left of a create that was killed",
            self.shown(class)
        );
        Err(Error::new(ErrorKind::WrongState, text).at(&last.field))
    }
}

impl RdtPlan {
    /// Looks whether resctrl is there, and nothing of the container's own in it: what `delete` finds later it removes,
    /// so it has to be made by this container.
    ///
    /// # Errors
    /// There is no resctrl, or a directory is there already.
    pub(crate) fn check(&self) -> Result<()> {
        let resctrl = Resctrl::open()?;
        for directory in self.groups.own() {
            if resctrl.exists(&directory)? {
                let text = format!(
                    "{} exists already: it belongs to another container, or is left of one; give another id or \
                     closID, or remove it",
                    resctrl.shown(&directory)
                );
                return Err(Error::new(ErrorKind::WrongState, text).at(FIELD));
            }
        }
        Ok(())
    }

    /// Makes the class and the group, or looks whether the class that is there is the one that is meant. Returns the
    /// `tasks` files in the order in which a process is written to them, opened here: init is in another mount
    /// namespace when it writes.
    ///
    /// # Errors
    /// The kernel has no more classes or groups, refuses the schemata, or the class has others; another program keeps
    /// its lock; `cancel` is readable: the caller does not want to wait any longer.
    pub(crate) fn prepare(
        &self,
        undo: &mut Undo<'_>,
        cancel: Option<BorrowedFd<'_>>,
    ) -> Result<Vec<OwnedFd>> {
        let RdtRecord { class: name, shared, .. } = &self.groups;
        let resctrl = Rc::new(Resctrl::open()?);
        let _lock = resctrl.lock(cancel)?;
        let is_old = *shared && resctrl.exists(name)?;
        if *shared && !is_old && self.schemata.is_empty() {
            let text = format!(
                "there is no class {}, and without l3CacheSchema, memBwSchema or schemata it is not made",
                resctrl.shown(name)
            );
            return Err(Error::unsupported("linux.intelRdt.closID", text));
        }
        if !is_old {
            resctrl.make(name, *shared, undo).at(|| FIELD)?;
        }
        if is_old {
            resctrl.compare(name, &self.schemata)?;
        } else {
            self.schemata.iter().try_for_each(|schemata| resctrl.write(name, schemata))?;
        }
        if let Some(group) = self.groups.monitoring_directory() {
            resctrl.make(&group, false, undo).at(|| "linux.intelRdt.enableMonitoring")?;
        }
        self.groups.directories().map(|directory| resctrl.tasks(&directory)).collect()
    }
}

/// Writes a process to the files. What it makes from then on is there as well (resctrl.rst, "tasks").
///
/// # Errors
/// The class or the group has been removed meanwhile, or the process has ended.
pub(crate) fn add(tasks: &[OwnedFd], pid: i32) -> Result<()> {
    tasks.iter().try_for_each(|file| {
        file::write_to(file, &pid.to_string()).call(|| format!("write({pid} to tasks of resctrl)"))
    })
}

impl RdtRecord {
    /// The `tasks` files for a further process. Where the class or the group was removed, the processes of the
    /// container are in the one above, and so is this one.
    ///
    /// # Errors
    /// They cannot be opened.
    pub(crate) fn join(&self) -> Result<Vec<OwnedFd>> {
        let Some(resctrl) = Resctrl::find()? else { return Ok(Vec::new()) };
        let mut tasks = Vec::new();
        for directory in self.directories() {
            if !resctrl.exists(&directory)? {
                break;
            }
            tasks.push(resctrl.tasks(&directory)?);
        }
        Ok(tasks)
    }

    /// Writes other schemata for the class, whoever else is in it.
    ///
    /// # Errors
    /// The kernel refuses them; the old ones hold then.
    pub(crate) fn update(&self, schemata: &Schemata) -> Result<Written> {
        let resctrl = Resctrl::open()?;
        let lock = resctrl.lock(None)?;
        let before = resctrl.schemata(&self.class)?;
        resctrl.write(&self.class, schemata)?;
        let resource = |line: &str| line.split(':').next().map(|word| word.trim().to_owned());
        let written: Vec<_> = schemata.lines.lines().map(resource).collect();
        let same = before.lines().filter(|line| written.contains(&resource(line)));
        let before = lines_of(same);
        drop(lock);
        Ok(Written { file: format!("{}/schemata", self.class), before, resctrl })
    }

    /// A file of the directory where the container's use is counted.
    pub(super) fn counted(&self) -> String {
        self.monitoring_directory().unwrap_or_else(|| self.class.clone())
    }
}

impl Written {
    /// Makes it say what it said before.
    ///
    /// # Errors
    /// The kernel refuses its own words.
    pub(crate) fn put_back(self) -> Result<()> {
        let Self { resctrl, file, before } = self;
        file::write(&resctrl.root, &file, &before)
            .map_err(|errno| resctrl.refused("write", &file, errno))
            .context(|| format!("putting {before:?} back"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_mount_is_found_wherever_it_is() {
        let line =
            "36 25 0:32 / /sys/fs/resctrl rw,nosuid shared:15 - resctrl resctrl rw,mba_MBps\n";
        let other = "23 28 0:21 / /sys rw,nosuid - sysfs sysfs rw\n";
        let found = |text: &str| mount_point(text);
        assert_eq!(found(&format!("{other}{line}")), Some("/sys/fs/resctrl".into()));
        assert_eq!(found(other), None);
        assert_eq!(found(""), None);
        // A directory of it that is bound elsewhere is no root, and a name is no type.
        assert_eq!(found("36 25 0:32 /class /mnt rw - resctrl resctrl rw\n"), None);
        assert_eq!(found("36 25 0:32 / /resctrl rw - tmpfs resctrl rw\n"), None);
        let blank = "36 25 0:32 / /mnt/a\\040b\\134c rw - resctrl none rw\n";
        assert_eq!(found(blank).as_deref(), Some(Path::new("/mnt/a b\\c")));
    }
}
