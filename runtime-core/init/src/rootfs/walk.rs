//! What openat2(2) does with RESOLVE_IN_ROOT, for kernels before Linux 5.6: one component after the other.
//!
//! The kernel is never asked for `..` and never follows a link: a link is read and its text walked here, `..` takes
//! the last name back and goes down again from the root. So nobody who moves directories or changes links meanwhile
//! can lead the way out of the root.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ops::Range;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

/// PATH_MAX, which holds for what is left of the path with the links in it.
const LONGEST: usize = 4096;

/// NAME_MAX and the NUL.
const NAME: usize = 256;

/// As many links as the kernel follows (path_resolution(7)).
const LINKS: u32 = 40;

/// Opens what is at `path` below `root`; NO_SYMLINKS is all that it knows of `resolve`.
///
/// # Errors
/// As openat2(2), EAGAIN when a directory on the way was exchanged.
#[cold]
#[inline(never)]
pub fn open(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    let mut left = Path::new();
    left.prepend(path.to_bytes())?;
    let mut done = Path::new();
    let mut here = again(root, &done)?;
    let mut links = 0;
    let mut name = [0; NAME];
    while let Some(component) = left.take(&mut name)? {
        if component == c"." || component == c".." {
            // Of a file there is neither.
            here = step(here.as_fd(), c".", OFlags::PATH | OFlags::DIRECTORY)?;
            if component == c".." {
                done.drop_last();
                here = again(root, &done)?;
            }
        } else {
            let next = step(here.as_fd(), component, OFlags::PATH)?;
            let mode = rustix::fs::fstat(&next)?.st_mode;
            if FileType::from_raw_mode(mode) != FileType::Symlink {
                done.append(component.to_bytes())?;
                here = next;
                continue;
            }
            links += 1;
            if links > LINKS || resolve.contains(ResolveFlags::NO_SYMLINKS) {
                return Err(Errno::LOOP);
            }
            let mut text = [MaybeUninit::uninit(); LONGEST];
            let (text, _) = rustix::fs::readlinkat_raw(&next, c"", &mut text)?;
            if text.first() == Some(&b'/') {
                done = Path::new();
                here = again(root, &done)?;
            }
            left.prepend(text)?;
        }
    }
    if flags.contains(OFlags::PATH) && !flags.contains(OFlags::DIRECTORY) {
        return Ok(here);
    }
    // Once more, for what is wanted of it: by its name, and if that is a link by now, not at all.
    match done.drop_last() {
        Some(last) => {
            let parent = again(root, &done)?;
            step(parent.as_fd(), terminated(&done.bytes[last], &mut name)?, flags)
        }
        None => step(root, c".", flags),
    }
}

fn step(from: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::openat(from, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Goes down from the root by names that were directories a moment ago.
fn again(root: BorrowedFd<'_>, done: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let mut here = step(root, c".", flags)?;
    let mut name = [0; NAME];
    for component in done.bytes[..done.end].split(|byte| *byte == b'/') {
        if component.is_empty() {
            continue;
        }
        here = step(here.as_fd(), terminated(component, &mut name)?, flags).map_err(|errno| {
            match errno {
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Errno::AGAIN,
                other => other,
            }
        })?;
    }
    Ok(here)
}

fn terminated<'a>(name: &[u8], space: &'a mut [u8; NAME]) -> Result<&'a CStr> {
    space.get_mut(..name.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(name);
    *space.get_mut(name.len()).ok_or(Errno::NAMETOOLONG)? = 0;
    CStr::from_bytes_until_nul(space).map_err(|_| Errno::NAMETOOLONG)
}

/// Components with a slash between each two.
struct Path {
    bytes: [u8; LONGEST],
    end: usize,
}

impl Path {
    fn new() -> Self {
        Self { bytes: [0; LONGEST], end: 0 }
    }

    fn append(&mut self, name: &[u8]) -> Result<()> {
        let at = self.end;
        let end = at + 1 + name.len();
        let space = self.bytes.get_mut(at..end).ok_or(Errno::NAMETOOLONG)?;
        space[0] = b'/';
        space[1..].copy_from_slice(name);
        self.end = end;
        Ok(())
    }

    /// Takes the last name away, and tells where it was: its bytes stay until the next change.
    fn drop_last(&mut self) -> Option<Range<usize>> {
        let slash = self.bytes[..self.end].iter().rposition(|byte| *byte == b'/')?;
        let name = slash + 1..self.end;
        self.end = slash;
        Some(name)
    }

    fn prepend(&mut self, text: &[u8]) -> Result<()> {
        let shift = text.len() + 1;
        if self.end + shift > LONGEST {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes.copy_within(..self.end, shift);
        self.bytes[..text.len()].copy_from_slice(text);
        self.bytes[text.len()] = b'/';
        self.end += shift;
        Ok(())
    }

    /// Takes the first component.
    fn take<'a>(&mut self, space: &'a mut [u8; NAME]) -> Result<Option<&'a CStr>> {
        let Some(start) = self.bytes[..self.end].iter().position(|byte| *byte != b'/') else {
            return Ok(None);
        };
        let rest = &self.bytes[start..self.end];
        let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let name = terminated(&rest[..length], space)?;
        self.bytes.copy_within(start + length..self.end, 0);
        self.end -= start + length;
        Ok(Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    /// A tree whose links try to lead out of `root`.
    fn tree() -> (PathBuf, OwnedFd) {
        let own = format!("teu-walk-{}-{:?}", std::process::id(), std::thread::current().id());
        let top = std::env::temp_dir().join(own.replace(['(', ')'], "-"));
        let root = top.join("root");
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        std::fs::write(root.join("a/b/longer-name"), "").unwrap();
        std::fs::write(root.join("a/f"), "inside").unwrap();
        std::fs::write(top.join("f"), "outside").unwrap();
        for (link, text) in [
            ("up", "../../.."),
            ("absolute", "/a/b"),
            ("relative", "a/./b"),
            ("a/b/back", "../f"),
            ("twice", "absolute/back"),
            ("loop", "loop"),
            ("out", "../f"),
            ("gone", "nowhere"),
        ] {
            symlink(text, root.join(link)).unwrap();
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(root.to_str().unwrap(), flags, Mode::empty()).unwrap();
        (top, fd)
    }

    fn both(root: &OwnedFd, path: &str, resolve: ResolveFlags) -> [Result<u64>; 2] {
        let path = CString::new(path).unwrap();
        let kernel = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | resolve;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        [
            rustix::fs::openat2(root, path.as_c_str(), flags, Mode::empty(), kernel),
            open(root.as_fd(), &path, OFlags::PATH, resolve),
        ]
        .map(|found| rustix::fs::fstat(found?).map(|stat| stat.st_ino))
    }

    #[test]
    fn finds_what_openat2_finds() {
        let (top, root) = tree();
        for path in [
            ".",
            "/",
            "..",
            "a",
            "/a/b/c",
            "a//b/../f",
            "a/b/longer-name",
            "../../a/f",
            "up",
            "up/a",
            "absolute",
            "absolute/c",
            "relative/back",
            "twice",
            "loop",
            "out",
            "gone",
            "gone/x",
            "a/f/x",
            "a/f/..",
            "a/f/.",
            "a/b/c/../../../../../a/f",
            "nothing",
            "a/b/back/x",
        ] {
            let [kernel, own] = both(&root, path, ResolveFlags::empty());
            assert_eq!(kernel, own, "{path}");
            let [kernel, own] = both(&root, path, ResolveFlags::NO_SYMLINKS);
            assert_eq!(kernel, own, "{path} without links");
        }
        std::fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn opens_for_real_what_it_has_found() {
        let (top, root) = tree();
        let read = |path: &CStr| {
            let file = open(root.as_fd(), path, OFlags::RDONLY, ResolveFlags::empty())?;
            let mut text = [0; 16];
            let length = rustix::io::read(&file, &mut text)?;
            Ok::<_, Errno>(String::from_utf8_lossy(&text[..length]).into_owned())
        };
        assert_eq!(read(c"twice").as_deref(), Ok("inside"));
        assert_eq!(read(c"a/b/longer-name").as_deref(), Ok(""));
        assert_eq!(read(c"a/b/longer-name/../../f"), Err(Errno::NOTDIR));
        assert_eq!(read(c"out"), Err(Errno::NOENT), "there is none of that name inside");
        std::fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn never_leaves_while_others_exchange_directories_for_links() {
        let (top, root) = tree();
        let inside = top.join("root");
        let work = |stop: &std::sync::atomic::AtomicBool| {
            let (real, aside) = (inside.join("a/b"), inside.join("a/aside"));
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::rename(&real, &aside).unwrap();
                symlink("../../..", &real).unwrap();
                std::fs::remove_file(&real).unwrap();
                std::fs::rename(&aside, &real).unwrap();
            }
        };
        let outside = std::fs::metadata(Path::new("/")).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| work(&stop));
            for _ in 0..20_000 {
                let found = open(root.as_fd(), c"a/b/c/../..", OFlags::PATH, ResolveFlags::empty());
                let Ok(found) = found else { continue };
                let stat = rustix::fs::fstat(&found).unwrap();
                use std::os::unix::fs::MetadataExt;
                let top = std::fs::metadata(&top).unwrap();
                assert_ne!((stat.st_dev, stat.st_ino), (top.dev(), top.ino()));
                assert_ne!((stat.st_dev, stat.st_ino), (outside.dev(), outside.ino()));
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        std::fs::remove_dir_all(top).unwrap();
    }
}
