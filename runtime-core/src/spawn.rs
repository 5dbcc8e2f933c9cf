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
    /// A new user namespace: the process waits for its maps.
    pub wait_for_maps: bool,
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
        wait_for_maps: birth.wait_for_maps,
        keep,
        trusted_proc: birth.trusted_proc,
    })
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
