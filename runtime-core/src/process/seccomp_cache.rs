//! Compiled filters, kept below the state root: compiling Docker's profile takes libseccomp 7 milliseconds.
//!
//! A file holds the whole profile that it was made of, and that is compared byte for byte: the hash in the
//! name only finds the file, so no collision can load a wrong filter. Nothing here can fail a container:
//! without the cache the profile is compiled again.

use crate::error::{Error, Result};
use crate::process::seccomp;
use libseccomp::{ScmpArch, ScmpVersion};
use oci_spec::runtime::LinuxSeccomp;
use rustix::fs::{FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use tracing::debug;

/// Changes with everything that changes the program for the same profile.
const FORMAT: &str = concat!("teu seccomp 1 ", env!("CARGO_PKG_VERSION"));

/// BPF_MAXINSNS of the kernel (linux/bpf_common.h), eight bytes each.
const PROGRAM_LIMIT: usize = 4096 * 8;

/// Everything that the program depends on. Each part has its length in front, so that no two profiles have
/// the same key.
///
/// # Errors
/// libseccomp does not tell its version.
pub(crate) fn key(profile: &LinuxSeccomp) -> Result<Vec<u8>> {
    let version = ScmpVersion::current()
        .map_err(|error| Error::spec("linux.seccomp", format_args!("libseccomp: {error}")))?;
    let mut key = Key(Vec::with_capacity(8192));
    key.text(FORMAT);
    key.text(&format!("{version} {:?}", ScmpArch::native()));
    key.number(u64::from(u32::from(profile.default_action())));
    key.maybe(profile.default_errno_ret().map(u64::from));
    let architectures = profile.architectures().as_deref().unwrap_or_default();
    key.count(architectures.len());
    for arch in architectures {
        key.text(&format!("{:?}", seccomp::architecture(*arch)));
    }
    let rules = profile.syscalls().as_deref().unwrap_or_default();
    key.count(rules.len());
    for rule in rules {
        key.count(rule.names().len());
        rule.names().iter().for_each(|name| key.text(name));
        key.number(u64::from(u32::from(rule.action())));
        key.maybe(rule.errno_ret().map(u64::from));
        let args = rule.args().as_deref().unwrap_or_default();
        key.count(args.len());
        for arg in args {
            key.count(arg.index());
            key.number(arg.value());
            key.maybe(arg.value_two());
            key.number(arg.op() as u64);
        }
    }
    Ok(key.0)
}

struct Key(Vec<u8>);

impl Key {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    fn maybe(&mut self, number: Option<u64>) {
        self.0.push(u8::from(number.is_some()));
        self.number(number.unwrap_or(0));
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }
}

/// FNV-1a: short, and the same in every build.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The program of an earlier container with that profile.
pub(crate) fn load(state_root: &Path, key: &[u8]) -> Option<Vec<u8>> {
    let found = try_load(state_root, key);
    match found {
        Ok(program) => program,
        Err(Errno::NOENT) => None,
        Err(errno) => {
            debug!("seccomp cache not read: {errno:?}");
            None
        }
    }
}

fn try_load(state_root: &Path, key: &[u8]) -> rustix::io::Result<Option<Vec<u8>>> {
    let directory = open_directory(state_root)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&directory, name(key), flags, Mode::empty())?;
    // A filter that another user could have written is none.
    trusted(&file, FileType::RegularFile)?;
    let most = key.len() + PROGRAM_LIMIT + 32;
    let mut bytes = Vec::with_capacity(key.len() + 8192);
    File::from(file)
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(unpack(&bytes, key).map(<[u8]>::to_vec))
}

/// Puts a program where the next container finds it.
pub(crate) fn store(state_root: &Path, key: &[u8], program: &[u8]) {
    if let Err(errno) = try_store(state_root, key, program) {
        debug!("seccomp cache not written: {errno:?}");
    }
}

fn try_store(state_root: &Path, key: &[u8], program: &[u8]) -> rustix::io::Result<()> {
    for path in [".cache", ".cache/seccomp"] {
        match rustix::fs::mkdir(state_root.join(path), Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    let directory = open_directory(state_root)?;
    let name = name(key);
    // A name that no other process uses: two that compile the same profile do not meet in one file.
    let temporary = format!(".{name}.{}", rustix::process::getpid().as_raw_nonzero());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(&directory, &temporary, flags, Mode::RUSR | Mode::WUSR) {
        // Of a process of that number that was killed in the middle.
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(&directory, &temporary, rustix::fs::AtFlags::empty())?;
            rustix::fs::openat(&directory, &temporary, flags, Mode::RUSR | Mode::WUSR)?
        }
        other => other?,
    };
    let written = File::from(file)
        .write_all(&pack(key, program))
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        .and_then(|()| rustix::fs::renameat(&directory, &temporary, &directory, &name));
    if written.is_err() {
        rustix::fs::unlinkat(&directory, &temporary, rustix::fs::AtFlags::empty())?;
    }
    written
}

fn open_directory(state_root: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Each step by descriptor: a link in place of one of them leads nowhere.
    let cache = rustix::fs::open(state_root.join(".cache"), flags, Mode::empty())?;
    trusted(&cache, FileType::Directory)?;
    let directory = rustix::fs::openat(&cache, "seccomp", flags, Mode::empty())?;
    trusted(&directory, FileType::Directory)?;
    Ok(directory)
}

/// The caller's own, and nobody else may write to it.
fn trusted(file: impl AsFd, kind: FileType) -> rustix::io::Result<()> {
    const OTHERS_WRITE: RawMode = 0o022;
    let stat = rustix::fs::fstat(file)?;
    let mine = stat.st_uid == rustix::process::geteuid().as_raw();
    let right = FileType::from_raw_mode(stat.st_mode) == kind;
    if mine && right && stat.st_mode & OTHERS_WRITE == 0 { Ok(()) } else { Err(Errno::PERM) }
}

fn name(key: &[u8]) -> String {
    format!("{:016x}", hash(key))
}

/// The key's length, the key, the program's hash, the program. The hash is for files that a power failure
/// left with a hole; on purpose nobody but the owner can write here.
fn pack(key: &[u8], program: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + program.len() + 16);
    bytes.extend_from_slice(&(key.len() as u64).to_le_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&hash(program).to_le_bytes());
    bytes.extend_from_slice(program);
    bytes
}

fn unpack<'b>(bytes: &'b [u8], key: &[u8]) -> Option<&'b [u8]> {
    let rest = bytes.strip_prefix(&(key.len() as u64).to_le_bytes()[..])?.strip_prefix(key)?;
    let (sum, program) = rest.split_at_checked(8)?;
    let whole = !program.is_empty()
        && program.len() <= PROGRAM_LIMIT
        && program.len() % 8 == 0
        && sum == hash(program).to_le_bytes();
    whole.then_some(program)
}

#[cfg(test)]
#[path = "seccomp_cache_tests.rs"]
mod tests;
