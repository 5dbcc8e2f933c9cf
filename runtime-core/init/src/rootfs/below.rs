//! The mounts below a mount, for kernels whose mount_setattr(2) does not find them itself (before Linux 5.12).
//!
//! mountinfo tells where they are, as paths: each is opened once, and is taken for that mount only if its descriptor
//! says so. One that another covers cannot be reached, by nobody in the container either.

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::io::{Errno, Result};

use crate::fail::{Words, decimal};
use crate::procfs::Procfs;

/// As many mounts are looked after; more are an error.
const MOST: usize = 256;

/// PATH_MAX.
const LONGEST: usize = 4096;

/// Calls `act` with every mount below `top`, which is attached; the host's procfs is on /proc.
///
/// # Errors
/// procfs is not there, there are too many mounts, or `act` failed.
#[cold]
#[inline(never)]
pub fn each(top: BorrowedFd<'_>, mut act: impl FnMut(BorrowedFd<'_>) -> Result<()>) -> Result<()> {
    let procfs = Procfs::open().map_err(|fail| fail.errno.unwrap_or(Errno::NOENT))?;
    let mut known = [0_u64; MOST];
    known[0] = id(&procfs, top)?;
    let mut count = 1;
    let mut lines = Lines::open(&procfs)?;
    // A mount is listed after the one that it is on.
    while let Some(mount) = lines.next()? {
        if !known[..count].contains(&mount.parent) {
            continue;
        }
        *known.get_mut(count).ok_or(Errno::MFILE)? = mount.id;
        count += 1;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::open(lines.path(), flags, Mode::empty())?;
        if id(&procfs, found.as_fd())? == mount.id {
            act(found.as_fd())?;
        }
    }
    Ok(())
}

/// The number of the mount that a descriptor is of: by statx(2), before Linux 5.8 by its file in procfs
/// (proc_pid_fdinfo(5)), which a process that has entered a user namespace may not read.
fn id(procfs: &Procfs, fd: BorrowedFd<'_>) -> Result<u64> {
    let stat = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    if StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID) {
        return Ok(stat.stx_mnt_id);
    }
    let (mut path, mut digits, mut text) = (Words::new(), [0; 20], [0; 256]);
    path.push(b"self/fdinfo/").push(decimal(fd.as_raw_fd().into(), &mut digits)).push(b"\0");
    let path = CStr::from_bytes_until_nul(path.as_bytes()).unwrap_or(c"");
    let length = rustix::io::read(procfs.file(path, OFlags::RDONLY)?, &mut text)?;
    let mut lines = text[..length].split(|byte| *byte == b'\n');
    let id = lines.find_map(|line| line.strip_prefix(b"mnt_id:"));
    number(id.unwrap_or_default().trim_ascii()).ok_or(Errno::INVAL)
}

fn number(digits: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(digits).ok()?;
    text.parse().ok()
}

/// The first two fields of a line of mountinfo.
struct Mount {
    id: u64,
    parent: u64,
}

/// mountinfo, line by line; of each only the first five fields are kept, since the options may be long.
struct Lines {
    file: OwnedFd,
    buffer: [u8; 1024],
    at: usize,
    end: usize,
    path: [u8; LONGEST],
}

impl Lines {
    fn open(procfs: &Procfs) -> Result<Self> {
        let file = procfs.file(c"self/mountinfo", OFlags::RDONLY)?;
        Ok(Self { file, buffer: [0; 1024], at: 0, end: 0, path: [0; LONGEST] })
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        if self.at == self.end {
            self.end = rustix::io::read(&self.file, &mut self.buffer)?;
            self.at = 0;
            if self.end == 0 {
                return Ok(None);
            }
        }
        self.at += 1;
        Ok(Some(self.buffer[self.at - 1]))
    }

    /// The next mount; its path is kept until the one after it.
    fn next(&mut self) -> Result<Option<Mount>> {
        const MOUNT_POINT: usize = 4;
        let (mut numbers, mut field, mut length) = ([0_u64; 2], 0, 0);
        loop {
            let Some(byte) = self.byte()? else { return Ok(None) };
            match byte {
                b'\n' => break,
                b' ' => field += 1,
                digit if field < 2 => {
                    numbers[field] = numbers[field] * 10 + u64::from(digit.wrapping_sub(b'0'));
                }
                byte if field == MOUNT_POINT => {
                    *self.path.get_mut(length).ok_or(Errno::NAMETOOLONG)? = byte;
                    length += 1;
                }
                _ => {}
            }
        }
        let length = unescape(&mut self.path, length);
        *self.path.get_mut(length).ok_or(Errno::NAMETOOLONG)? = 0;
        Ok(Some(Mount { id: numbers[0], parent: numbers[1] }))
    }

    fn path(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.path).unwrap_or(c"")
    }
}

/// Takes back the octal escapes of mountinfo, in place; the new length.
fn unescape(text: &mut [u8], length: usize) -> usize {
    let (mut from, mut to) = (0, 0);
    while from < length {
        let digits = text.get(from + 1..from + 4).filter(|_| from + 4 <= length);
        text[to] = match (text[from], digits) {
            (b'\\', Some(&[a, b, c])) => {
                from += 3;
                ((a & 7) << 6) | ((b & 7) << 3) | (c & 7)
            }
            (byte, _) => byte,
        };
        from += 1;
        to += 1;
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_back() {
        let mut text = *br"/a\040b\134c\011";
        let length = text.len();
        let length = unescape(&mut text, length);
        assert_eq!(&text[..length], b"/a b\\c\t");
        let mut cut = *br"/a\04";
        assert_eq!(unescape(&mut cut, 5), 5);
    }

    #[test]
    fn mountinfo_is_read_as_it_is() {
        let procfs = Procfs::open().unwrap();
        let mut lines = Lines::open(&procfs).unwrap();
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        for line in text.lines() {
            let mount = lines.next().unwrap().unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words[..2], [mount.id.to_string(), mount.parent.to_string()]);
            if !words[4].contains('\\') {
                assert_eq!(lines.path().to_str(), Ok(words[4]));
            }
        }
        assert!(lines.next().unwrap().is_none());
    }
}
