//! The program: found while it can still be told to `create`, executed at the end.

use core::ffi::CStr;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use teu_wire::{ProcessView, Step};

use crate::fail::{At, Fail, Result, Words, decimal};
use crate::sys::call;

/// A program with its arguments and environment as execve(2) wants them.
#[derive(Debug)]
pub struct Found {
    path: &'static CStr,
    argv: &'static [usize],
    envp: &'static [usize],
}

/// Looks for it with the user's rights, and prepares its arrays.
///
/// # Errors
/// Nothing is there (ENOENT), a directory is (EISDIR), or the user may not execute it (EACCES).
pub fn find(process: &ProcessView<'static>) -> Result<Found> {
    call::set_fs_ids(process.uid, process.gid);
    let found = search(process);
    // The root of this process's user namespace again, whatever the search has said.
    call::set_fs_ids(0, 0);
    let path = found.map_err(|errno| refused(process, errno))?;
    Ok(Found { path, argv: arguments(process)?, envp: environment(process)? })
}

fn search(process: &ProcessView<'static>) -> core::result::Result<&'static CStr, Errno> {
    let mut worst = Errno::NOENT;
    for candidate in process.candidates {
        match look(process, candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::NOENT | Errno::NOTDIR) => (),
            // Like execvp(3): go on looking, but remember that something was there.
            Err(errno) => worst = errno,
        }
    }
    Err(worst)
}

fn look(process: &ProcessView<'_>, path: &CStr) -> core::result::Result<(), Errno> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::empty())?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    match call::may_execute(path) {
        // Before Linux 5.8, or behind a filter from before it.
        Err(Errno::NOSYS | Errno::PERM) => {
            let no_exec = rustix::fs::statvfs(path)?.f_flag.contains(StatVfsMountFlags::NOEXEC);
            let may = !no_exec && may_execute(process, stat.st_mode, (stat.st_uid, stat.st_gid));
            if may { Ok(()) } else { Err(Errno::ACCESS) }
        }
        other => other,
    }
}

/// By the permission bits alone, as a file system without access control lists has it (inode(7)).
fn may_execute(process: &ProcessView<'_>, mode: u32, (uid, gid): (u32, u32)) -> bool {
    let in_group = process.gid == gid
        || process.groups.is_some_and(|groups| groups.iter().any(|group| group == gid));
    let bits = match process.uid {
        0 => 0o111,
        user if user == uid => 0o100,
        _ if in_group => 0o010,
        _ => 0o001,
    };
    mode & bits != 0
}

fn refused(process: &ProcessView<'_>, errno: Errno) -> Fail {
    let name = process.args.get(0).unwrap_or(c"");
    // In a search through PATH a directory of that name is nothing executable.
    let errno = match errno {
        Errno::ISDIR if !name.to_bytes().contains(&b'/') => Errno::ACCESS,
        other => other,
    };
    let mut detail = Words::new();
    detail.push(name.to_bytes());
    Fail { step: Step::Program, index: 0, errno: Some(errno), call: c"", detail }
}

fn arguments(process: &ProcessView<'static>) -> Result<&'static [usize]> {
    // The last word stays null, as execve wants it.
    let array = call::words(process.args.len() + 1).at(Step::Program, c"mmap", b"arguments")?;
    for (word, argument) in array.iter_mut().zip(process.args) {
        *word = call::pointer(argument);
    }
    Ok(array)
}

fn environment(process: &ProcessView<'static>) -> Result<&'static [usize]> {
    let array = call::words(process.env.len() + 2).at(Step::Program, c"mmap", b"environment")?;
    for (word, entry) in array.iter_mut().zip(process.env) {
        *word = call::pointer(entry);
    }
    let length = process.env.len();
    if process.home {
        array[length] = call::pointer(home(process.uid)?);
        return Ok(array);
    }
    Ok(&array[..=length])
}

/// HOME=… of the user, by the container's /etc/passwd; `/` for who is not in it.
fn home(uid: u32) -> Result<&'static CStr> {
    let space = call::words(128).at(Step::Program, c"mmap", b"HOME")?;
    let mut text = Words::new();
    text.push(b"HOME=");
    let mut digits = [0; 20];
    if !look_up(decimal(i64::from(uid), &mut digits), &mut text) {
        text.push(b"/");
    }
    text.push(b"\0");
    Ok(call::keep(space, text.as_bytes()))
}

fn look_up(uid: &[u8], home: &mut Words) -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let Ok(file) = rustix::fs::open(c"/etc/passwd", flags, Mode::empty()) else { return false };
    let mut buffer = [0_u8; 4096];
    let mut held = 0;
    loop {
        let Ok(got) = rustix::io::read(&file, &mut buffer[held..]) else { return false };
        held += got;
        let end = match buffer[..held].iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            // The last line may lack its newline; a longer line than the buffer is no account.
            None => held,
        };
        if let Some(found) =
            buffer[..end].split(|byte| *byte == b'\n').find_map(|line| home_of(line, uid))
        {
            home.push(found);
            return true;
        }
        if got == 0 {
            return false;
        }
        buffer.copy_within(end..held, 0);
        held -= end;
    }
}

/// The home directory in a line of passwd(5), if it is that user's.
fn home_of<'a>(line: &'a [u8], uid: &[u8]) -> Option<&'a [u8]> {
    let mut fields = line.split(|byte| *byte == b':');
    (fields.nth(2)? == uid).then_some(())?;
    fields.nth(2).filter(|home| !home.is_empty())
}

impl Found {
    /// Becomes it; comes back only to say why not.
    #[must_use]
    pub fn execute(&self) -> Fail {
        let errno = call::execve(self.path, self.argv, self.envp);
        Fail::call(Step::Exec, c"execve", errno, self.path.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::home_of;

    #[test]
    fn home_is_the_sixth_field_of_the_users_line() {
        assert_eq!(home_of(b"root:x:0:0:root:/root:/bin/sh", b"0"), Some(&b"/root"[..]));
        // CVE-2016-3697: a name that looks like a number is still a name.
        assert_eq!(home_of(b"1000:x:0:0::/evil:/bin/sh", b"1000"), None);
        for line in [&b""[..], b"x", b"x:y:5", b"x:y:5:5:z:", b"x:y:50:5:z:/h"] {
            assert_eq!(home_of(line, b"5"), None);
        }
    }
}
