//! From a plan to a process that runs init.
//!
//! Owns the sealed memory that holds the init program and the memory that holds one plan; what happens
//! between clone3 and execveat is in `sys::clone`.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags};
use teu_wire::{Fds, Work, encode};

use crate::error::{OsResult, Result};
use crate::link::{self, Link};
use crate::sys::clone::{Start, Stubbed};

/// The program, built by this crate's build script.
const PROGRAM: &[u8] = include_bytes!(env!("TEU_INIT_PROGRAM"));

/// What a new process gets besides its plan. The numbers in `fds` are those of this process's table: the
/// child starts with a copy of it.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    /// CLONE_NEW* for the clone.
    pub namespaces: u32,
    /// The cgroup2 directory to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// Init's end of the link.
    pub link: BorrowedFd<'a>,
    /// The process waits for a byte on the link before it runs its program.
    pub wait: bool,
    /// It becomes root of a new user namespace then, whose maps it has waited for.
    pub become_root: bool,
    /// Every descriptor of the plan, by number.
    pub fds: Fds,
    /// Descriptors 3 to 3 + so many go on to the workload.
    pub preserve: u32,
    /// The calling thread has entered no mount namespace: /proc is the host's.
    pub trusted_proc: bool,
}

/// Makes the process.
///
/// # Errors
/// Memory or the clone was refused; nothing is left then.
pub(crate) fn spawn(work: &Work, birth: &Birth<'_>) -> Result<Stubbed> {
    let plan = plan_memory(&birth.fds, work)?;
    let argument = CString::new(plan.as_raw_fd().to_string()).unwrap_or_default();
    let opens = matches!(work, Work::Create(init) if !init.sources.is_empty());
    let mut keep = numbers(&birth.fds, opens);
    keep.push(plan.as_raw_fd());
    keep.extend((0..birth.preserve).map(|n| n.cast_signed() + 3));
    crate::sys::clone::spawn(Start {
        namespaces: u64::from(birth.namespaces),
        cgroup: birth.cgroup,
        link: birth.link,
        program: program()?,
        argument,
        wait: birth.wait,
        become_root: birth.become_root,
        keep,
        trusted_proc: birth.trusted_proc,
    })
}

/// Makes the process outside of its cgroup, because the kernel does not let this caller make it inside, and has
/// systemd put it there while it waits.
///
/// # Errors
/// It cannot be put there; it has ended then.
pub(crate) fn attached(
    work: &Work,
    mut birth: Birth<'_>,
    link: &Link,
    attach: impl FnOnce(i32) -> Result<()>,
) -> Result<Stubbed> {
    birth.cgroup = None;
    // A new user namespace waits anyway, and is told when it has its maps.
    let waits_for_maps = std::mem::replace(&mut birth.wait, true);
    let stubbed = spawn(work, &birth)?;
    let told = attach(stubbed.pid)
        .and_then(|()| if waits_for_maps { Ok(()) } else { link.send(teu_wire::ToInit::Mapped) });
    match told {
        Ok(()) => Ok(stubbed),
        Err(mut error) => {
            if let Err(failure) = crate::operation::child::end(&stubbed.pidfd) {
                error.attach(failure);
            }
            Err(error)
        }
    }
}

/// A process that does nothing: it waits, without a program of its own, for its owner's end, by SIGKILL too. It
/// keeps a cgroup that would be removed if it were empty.
///
/// It is a stub that waits for an answer on its link which never comes, so it shares the caller's memory, costs
/// nothing, and holds no other descriptor. It blocks all signals but SIGKILL.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Taken when its end is waited for.
    process: Option<(Link, Stubbed)>,
}

impl Keeper {
    /// Makes it, in the caller's own cgroup.
    ///
    /// # Errors
    /// The clone was refused.
    pub(crate) fn start() -> Result<Self> {
        let (ours, theirs) = link::pair(None)?;
        let stubbed = crate::sys::clone::spawn(Start {
            namespaces: 0,
            cgroup: None,
            link: theirs.as_fd(),
            program: program()?,
            argument: CString::default(),
            wait: true,
            become_root: false,
            keep: Vec::new(),
            trusted_proc: true,
        })?;
        Ok(Self { process: Some((ours, stubbed)) })
    }

    /// Its id in the caller's pid namespace.
    pub(crate) fn pid(&self) -> i32 {
        self.process.as_ref().map_or(0, |(_, stubbed)| stubbed.pid)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let Some((link, stubbed)) = self.process.take() else { return };
        drop(link);
        let Stubbed { pidfd, .. } = &stubbed;
        // It ends by itself and cannot fail to; a status that somebody else has taken is not missed.
        drop(crate::operation::child::reap(pidfd));
    }
}

/// Those that are open here: not the trees that the new process opens itself.
fn numbers(fds: &Fds, opens_trees: bool) -> Vec<i32> {
    let none = Vec::new();
    let trees = if opens_trees { &none } else { &fds.trees };
    let lists = [&fds.stdio, &fds.tasks, &fds.namespaces, trees];
    [fds.link, fds.gate, fds.console, fds.root]
        .into_iter()
        .chain(lists.into_iter().flatten().copied())
        .filter(|fd| *fd > 2)
        .collect()
}

fn plan_memory(fds: &Fds, work: &Work) -> Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("teu-plan", MemfdFlags::CLOEXEC)
        .call(|| "memfd_create(teu-plan)")?;
    let mut bytes = encode::<Fds>(fds);
    bytes.extend(encode::<Work>(work));
    write_all(memory.as_fd(), &bytes)?;
    Ok(memory)
}

/// The sealed program: made once per process. A container can open it through /proc/self/exe, and nobody can
/// write to it (CVE-2019-5736); the caller's own program file never enters the container.
fn program() -> Result<BorrowedFd<'static>> {
    static SEALED: OnceLock<OwnedFd> = OnceLock::new();
    if SEALED.get().is_none() {
        // Two threads may both get here: the loser's copy is dropped.
        drop(SEALED.set(seal()?));
    }
    SEALED.get().map(AsFd::as_fd).ok_or(0).call(|| "sealing the init program")
}

fn seal() -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know MFD_EXEC and make every memfd executable.
    let memory = match rustix::fs::memfd_create("teu-init", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => rustix::fs::memfd_create("teu-init", flags),
        // vm.memfd_noexec is 2: no memory of this host may hold a program.
        Err(Errno::ACCESS) => return file(),
        other => other,
    }
    .call(|| "memfd_create(teu-init)")?;
    write_all(memory.as_fd(), PROGRAM)?;
    rustix::fs::fcntl_add_seals(
        &memory,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )
    .call(|| "fcntl(teu-init, F_ADD_SEALS)")?;
    Ok(memory)
}

/// The same where memory may hold no program: a file on a tmpfs of its own, which is read-only from then on, has no
/// path, and goes when nobody uses the file any more.
fn file() -> Result<OwnedFd> {
    let why = |call: &'static str| move || format!("{call} for init, since vm.memfd_noexec is 2");
    let context =
        rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).call(why("fsopen(tmpfs)"))?;
    rustix::mount::fsconfig_create(&context).call(why("fsconfig(FSCONFIG_CMD_CREATE)"))?;
    let (cloexec, attributes) = (FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NOSUID);
    let mount =
        rustix::mount::fsmount(&context, cloexec, attributes).call(why("fsmount(tmpfs)"))?;
    let open = |flags| {
        let flags = flags | OFlags::CLOEXEC;
        rustix::fs::openat(&mount, "teu-init", flags, Mode::from_raw_mode(0o555))
            .call(why("open(tmpfs)"))
    };
    let written = open(OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
    write_all(written.as_fd(), PROGRAM)?;
    // The kernel executes nothing that is open for writing, and makes nothing read-only that has such a file.
    drop(written);
    // The file system and not the mount alone, which others could bind again.
    let picked = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = rustix::mount::fspick(&mount, "", picked).call(why("fspick"))?;
    rustix::mount::fsconfig_set_flag(&context, "ro").call(why("fsconfig(ro)"))?;
    rustix::mount::fsconfig_reconfigure(&context)
        .call(why("fsconfig(FSCONFIG_CMD_RECONFIGURE)"))?;
    open(OFlags::RDONLY)
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let written =
            rustix::io::retry_on_intr(|| rustix::io::write(fd, bytes)).call(|| "write(memfd)")?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
