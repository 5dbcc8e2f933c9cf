//! Paths inside the root: each is turned into a descriptor once, and never used again.
//!
//! openat2(2) with RESOLVE_IN_ROOT keeps `..` and absolute links below the root, whatever somebody in another
//! container that shares a directory does meanwhile (CVE-2021-30465, CVE-2024-45310).

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use teu_wire::Step;

use super::walk;
use crate::fail::{At, Fail, Result};

/// What a path is to be when it has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory, 0755.
    Directory,
    /// An empty file, 0644, for something that is not a directory to be mounted on.
    File,
}

/// openat2(2) gives up with EAGAIN when somebody renames on its way; it is not to be tried for ever.
const TRIES: u32 = 64;

/// A path component is at most that long (NAME_MAX).
const NAME: usize = 255;

/// Opens what is at `path` below `root`.
///
/// # Errors
/// As openat2(2).
pub fn open(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    more: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
    let path = if path.is_empty() { c"." } else { path };
    let mut result = Err(Errno::AGAIN);
    for _ in 0..TRIES {
        result = rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        // Before Linux 5.6, or behind a filter from before it.
        if matches!(result, Err(Errno::NOSYS | Errno::PERM)) {
            result = walk::open(root, path, flags, more);
        }
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    result
}

/// A handle of what is at `path`, links followed inside the root; none when there is nothing.
///
/// # Errors
/// As openat2(2).
pub fn find(root: BorrowedFd<'_>, path: &CStr) -> rustix::io::Result<Option<OwnedFd>> {
    match open(root, path, OFlags::PATH, ResolveFlags::empty()) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// A handle of what is at `path`; what is missing of it is made.
///
/// # Errors
/// It is of another kind, cannot be made, or with `no_links` leads through a symbolic link.
pub fn make(
    step: Step,
    root: BorrowedFd<'_>,
    path: &CStr,
    kind: Kind,
    no_links: bool,
) -> Result<OwnedFd> {
    let more = if no_links { ResolveFlags::NO_SYMLINKS } else { ResolveFlags::empty() };
    match open(root, path, OFlags::PATH, more) {
        Ok(found) => return check(step, found, path, kind),
        Err(Errno::NOENT) => (),
        Err(Errno::LOOP) if no_links => {
            return Err(Fail::found(
                step,
                c"a symbolic link in the root file system stands in the way; refused",
                path.to_bytes(),
            ));
        }
        Err(errno) => return Err(errno).at(step, c"openat2", path.to_bytes()),
    }
    make_all(step, root, path, kind, more)
}

fn check(step: Step, found: OwnedFd, path: &CStr, kind: Kind) -> Result<OwnedFd> {
    let mode = rustix::fs::fstat(&found).at(step, c"fstat", path.to_bytes())?.st_mode;
    let directory = FileType::from_raw_mode(mode) == FileType::Directory;
    match (directory, kind) {
        (true, Kind::Directory) | (false, Kind::File) => Ok(found),
        (true, Kind::File) => Err(Errno::ISDIR).at(step, c"mount point", path.to_bytes()),
        (false, Kind::Directory) => Err(Errno::NOTDIR).at(step, c"mount point", path.to_bytes()),
    }
}

/// Component by component, from descriptor to descriptor: what exists is resolved in the root as a whole
/// prefix, so that links mean what they mean inside; what does not is made in the directory just opened.
fn make_all(
    step: Step,
    root: BorrowedFd<'_>,
    path: &CStr,
    kind: Kind,
    more: ResolveFlags,
) -> Result<OwnedFd> {
    let bytes = path.to_bytes();
    let detail = bytes;
    let mut prefix = Prefix::new();
    let mut here: Option<OwnedFd> = None;
    let mut components =
        bytes.split(|byte| *byte == b'/').filter(|c| !c.is_empty() && *c != b".").peekable();
    while let Some(component) = components.next() {
        let last = components.peek().is_none();
        if component.len() > NAME || !prefix.push(component) {
            return Err(Errno::NAMETOOLONG).at(step, c"mount point", detail);
        }
        match open(root, prefix.as_c_str(), OFlags::PATH, more) {
            Ok(found) => here = Some(found),
            Err(Errno::NOENT) => {
                let parent = here.as_ref().map_or(root, AsFd::as_fd);
                let kind = if last { kind } else { Kind::Directory };
                here = Some(make_one(step, parent, component, kind, detail)?);
            }
            Err(errno) => return Err(errno).at(step, c"openat2", detail),
        }
    }
    match here {
        Some(found) => check(step, found, path, kind),
        None => Err(Errno::NOENT).at(step, c"mount point", detail),
    }
}

/// Makes one component and opens exactly what was made: never through a link that was put there meanwhile.
fn make_one(
    step: Step,
    parent: BorrowedFd<'_>,
    name: &[u8],
    kind: Kind,
    detail: &[u8],
) -> Result<OwnedFd> {
    let mut terminated = [0; NAME + 1];
    terminated[..name.len()].copy_from_slice(name);
    let name = CStr::from_bytes_until_nul(&terminated).unwrap_or(c"");
    let nofollow = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match kind {
        Kind::Directory => {
            match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => (),
                Err(errno) => return Err(errno).at(step, c"mkdirat", detail),
            }
            rustix::fs::openat(
                parent,
                name,
                OFlags::PATH | OFlags::DIRECTORY | nofollow,
                Mode::empty(),
            )
            .at(step, c"openat", detail)
        }
        Kind::File => {
            let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | nofollow;
            match rustix::fs::openat(parent, name, create, Mode::from_raw_mode(0o644)) {
                Ok(_) | Err(Errno::EXIST) => (),
                Err(errno) => return Err(errno).at(step, c"openat", detail),
            }
            rustix::fs::openat(parent, name, OFlags::PATH | nofollow, Mode::empty())
                .at(step, c"openat", detail)
        }
    }
}

/// A growing prefix of a path.
struct Prefix {
    bytes: [u8; 4096],
    length: usize,
}

impl Prefix {
    fn new() -> Self {
        Self { bytes: [0; 4096], length: 0 }
    }

    fn push(&mut self, component: &[u8]) -> bool {
        let slash = usize::from(self.length > 0);
        let end = self.length + slash + component.len();
        if end >= self.bytes.len() {
            return false;
        }
        if slash == 1 {
            self.bytes[self.length] = b'/';
        }
        self.bytes[self.length + slash..end].copy_from_slice(component);
        self.length = end;
        true
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// Opens the directory of `path` (made when missing) and gives the name in it.
///
/// # Errors
/// As [`make`]; or the path has no name.
pub fn parent<'a>(step: Step, root: BorrowedFd<'_>, path: &'a CStr) -> Result<(OwnedFd, &'a CStr)> {
    let bytes = path.to_bytes();
    let cut = bytes.iter().rposition(|byte| *byte == b'/');
    let name = cut.map_or(path, |at| {
        CStr::from_bytes_with_nul(&path.to_bytes_with_nul()[at + 1..]).unwrap_or(c"")
    });
    if name.is_empty() || name == c".." || name == c"." {
        return Err(Errno::INVAL).at(step, c"path", bytes);
    }
    let mut prefix = Prefix::new();
    if let Some(at) = cut
        && at > 0
        && !prefix.push(&bytes[..at])
    {
        return Err(Errno::NAMETOOLONG).at(step, c"path", bytes);
    }
    let directory = make(step, root, prefix.as_c_str(), Kind::Directory, false)?;
    Ok((directory, name))
}
