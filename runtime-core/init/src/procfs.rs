//! The host's procfs, verified once and then used by descriptor.
//!
//! Its path is the host's, in this process's copy of the host's mounts, before anything of the container is
//! mounted. Files in it are opened without crossing a mount or a magic link, so a file of procfs is what is
//! written to, or it is an error.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use teu_wire::{ProcessView, Step, SysctlView};

use crate::fail::{At, Fail, Result, Words, decimal};

const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const PROC_ROOT_INO: u64 = 1;

/// A verified procfs.
#[derive(Debug)]
pub struct Procfs(OwnedFd);

impl Procfs {
    /// Opens /proc.
    ///
    /// # Errors
    /// It is not the root of a procfs.
    pub fn open() -> Result<Self> {
        let step = Step::Procfs;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(c"/proc", flags, Mode::empty()).at(step, c"open", b"/proc")?;
        let kind = rustix::fs::fstatfs(&root).at(step, c"fstatfs", b"/proc")?.f_type;
        let inode = rustix::fs::fstat(&root).at(step, c"fstat", b"/proc")?.st_ino;
        if kind as i64 != PROC_SUPER_MAGIC || inode != PROC_ROOT_INO {
            return Err(Fail::found(step, c"not a procfs", b"/proc"));
        }
        Ok(Self(root))
    }

    /// Opens a file of it.
    ///
    /// # Errors
    /// As openat2(2), EXDEV where something else is mounted on it.
    pub fn file(&self, path: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => self.walk(path, flags),
            other => other,
        }
    }

    /// Before Linux 5.6: no link is followed but `self`, and everything on the way is of this procfs. A file of it
    /// that is bound on another one is not noticed.
    #[cold]
    #[inline(never)]
    fn walk(&self, path: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let device = rustix::fs::fstat(&self.0)?.st_dev;
        let open = |from: BorrowedFd<'_>, name: &CStr, flags| {
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(from, name, flags, Mode::empty())?;
            let ours = rustix::fs::fstat(&file)?.st_dev == device;
            if ours { Ok(file) } else { Err(Errno::XDEV) }
        };
        let mut here = open(self.0.as_fd(), c".", OFlags::PATH)?;
        let mut components = path.to_bytes().split(|byte| *byte == b'/').peekable();
        while let Some(component) = components.next() {
            let (mut name, mut space) = (Words::new(), [MaybeUninit::uninit(); 16]);
            name.push(match component {
                b"self" => rustix::fs::readlinkat_raw(&self.0, c"self", &mut space)?.0,
                other => other,
            });
            name.push(b"\0");
            let name = CStr::from_bytes_until_nul(name.as_bytes()).unwrap_or(c"");
            let next = open(here.as_fd(), name, OFlags::PATH)?;
            if components.peek().is_none() && !flags.contains(OFlags::PATH) {
                return open(here.as_fd(), name, flags);
            }
            here = next;
        }
        Ok(here)
    }

    /// Opens a file to be written to later.
    ///
    /// # Errors
    /// The file is not there.
    pub fn open_to_write(&self, step: Step, path: &CStr) -> Result<OwnedFd> {
        self.file(path, OFlags::WRONLY).at(step, c"open", path.to_bytes())
    }

    /// Writes to a file in one call, as files of procfs want it.
    ///
    /// # Errors
    /// The file is not there, or the kernel refuses the value.
    pub fn write(&self, step: Step, path: &CStr, value: &[u8]) -> Result<()> {
        let file = self.open_to_write(step, path)?;
        rustix::io::write(&file, value).at(step, c"write", path.to_bytes()).map(drop)
    }

    /// Sets a kernel parameter of one of the container's namespaces.
    ///
    /// # Errors
    /// As [`Procfs::write`].
    pub fn write_sysctl(&self, sysctl: &SysctlView<'_>) -> Result<()> {
        let mut path = Words::new();
        path.push(b"sys/").push(sysctl.file.to_bytes()).push(b"\0");
        let path = CStr::from_bytes_with_nul(path.as_bytes())
            .map_err(|_| Fail::found(Step::Sysctl, c"name too long", sysctl.file.to_bytes()))?;
        self.write(Step::Sysctl, path, sysctl.value.to_bytes())
    }

    /// Sets oom_score_adj of this process, and so of the workload (proc_pid_oom_score_adj(5)).
    ///
    /// # Errors
    /// The kernel refuses: a lower value needs CAP_SYS_RESOURCE.
    pub fn set_oom_score_adj(&self, process: &ProcessView<'_>) -> Result<()> {
        let Some(value) = process.oom_score_adj else { return Ok(()) };
        let mut digits = [0; 20];
        let digits = decimal(i64::from(value), &mut digits);
        match self.write(Step::OomScore, c"self/oom_score_adj", digits) {
            Err(fail) if process.oom_score_may_stay && fail.errno == Some(Errno::ACCESS) => Ok(()),
            other => other,
        }
    }

    /// The directory of this process's security labels, where one is to be set.
    ///
    /// # Errors
    /// It is not there.
    pub fn attributes(&self, process: &ProcessView<'_>) -> Result<Option<OwnedFd>> {
        if process.apparmor.is_none() && process.selinux.is_none() {
            return Ok(None);
        }
        let step =
            if process.selinux.is_some() { Step::SelinuxLabel } else { Step::AppArmorProfile };
        self.file(c"self/attr", OFlags::PATH | OFlags::DIRECTORY)
            .at(step, c"open", b"/proc/self/attr")
            .map(Some)
    }
}

impl AsFd for Procfs {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
