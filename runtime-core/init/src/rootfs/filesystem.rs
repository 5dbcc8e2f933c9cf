//! Making a filesystem (fsopen(2)): a detached mount comes out, to be attached by descriptor.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};
use teu_wire::{FilesystemView, FsOptionView, Step};

use crate::fail::{Fail, Result, Words};

/// fsconfig(2) takes strings of at most so many bytes.
const LONGEST: usize = 255;

/// An option that a security module may take for itself. Before Linux 5.17 SELinux answers then with 1, which is what
/// fsconfig(2) returns and rustix makes an error of, though the option is set (selinux_fs_context_parse_param).
pub(super) fn set_string(
    context: impl AsFd,
    key: &CStr,
    value: &CStr,
) -> core::result::Result<(), Errno> {
    const TAKEN: i32 = -1;
    match rustix::mount::fsconfig_set_string(context.as_fd(), key, value) {
        Err(errno) if errno.raw_os_error() == TAKEN => Ok(()),
        other => other,
    }
}

/// Makes it, with `mode` as a further option where it is given.
///
/// # Errors
/// The filesystem's own words are in the failure, where it has any.
pub fn make(step: Step, filesystem: &FilesystemView<'_>, mode: Option<u32>) -> Result<OwnedFd> {
    let kind = filesystem.kind;
    let opened = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC);
    if let (Err(Errno::PERM), Some(path)) = (&opened, filesystem.or_bind) {
        return bind(step, path);
    }
    let context = opened.map_err(|errno| refused(step, c"fsopen", errno, kind, None))?;
    match configure(&context, filesystem, mode) {
        Ok(mount) => Ok(mount),
        // The plan says so: without a namespace of its own the kernel may refuse a new instance, some already
        // when it is opened and some only now.
        Err((_, Errno::PERM | Errno::BUSY, _)) if filesystem.or_bind.is_some() => {
            bind(step, filesystem.or_bind.unwrap_or(c""))
        }
        Err((call, errno, option)) => {
            let mut fail = refused(step, call, errno, kind, Some(context.as_fd()));
            if let Some(option) = option {
                fail.detail.push(b", ").push(option.key.to_bytes());
                if let Some(value) = option.value {
                    fail.detail.push(b"=").push(value.to_bytes());
                }
            }
            Err(fail)
        }
    }
}

/// The call, the error, and the option that it was about.
type Refused<'a> = (&'static CStr, Errno, Option<FsOptionView<'a>>);

fn configure<'a>(
    context: &OwnedFd,
    filesystem: &FilesystemView<'a>,
    mode: Option<u32>,
) -> core::result::Result<OwnedFd, Refused<'a>> {
    if !filesystem.source.is_empty() {
        rustix::mount::fsconfig_set_string(context, c"source", filesystem.source)
            .map_err(|errno| (c"fsconfig(source)", errno, None))?;
    }
    for option in filesystem.options {
        set(context, &option).map_err(|(call, errno)| (call, errno, Some(option)))?;
    }
    if let Some(mode) = mode {
        rustix::mount::fsconfig_set_string(context, c"mode", octal(mode, &mut [0; 5]))
            .map_err(|errno| (c"fsconfig(mode)", errno, None))?;
    }
    rustix::mount::fsconfig_create(context).map_err(|errno| {
        // Before Linux 6.5 overlay looks at its layers only now, and does not say which of them it cannot take.
        let layers = filesystem.options.into_iter().find(|option| option.key == c"lowerdir");
        (c"fsconfig(FSCONFIG_CMD_CREATE)", errno, layers)
    })?;
    rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .map_err(|errno| (c"fsmount", errno, None))
}

fn set(
    context: &OwnedFd,
    option: &FsOptionView<'_>,
) -> core::result::Result<(), (&'static CStr, Errno)> {
    let Some(value) = option.value else {
        return rustix::mount::fsconfig_set_flag(context, option.key)
            .map_err(|errno| (c"fsconfig(flag)", errno));
    };
    let string = |key: &CStr, value: &CStr| {
        set_string(context, key, value).map_err(|errno| (c"fsconfig(string)", errno))
    };
    if value.count_bytes() <= LONGEST || option.key != c"lowerdir" {
        return string(option.key, value);
    }
    // overlay takes its layers one by one as well.
    let mut layer = [0_u8; LONGEST + 1];
    let mut rest = value.to_bytes();
    while !rest.is_empty() {
        let (length, used) =
            next_layer(rest, &mut layer).ok_or((c"fsconfig(lowerdir)", Errno::NAMETOOLONG))?;
        let text = CStr::from_bytes_until_nul(&layer).unwrap_or(c"");
        if length > 0 {
            string(c"lowerdir+", text)?;
        }
        rest = &rest[used..];
    }
    Ok(())
}

/// Permission bits as an option's value.
fn octal(mode: u32, text: &mut [u8; 5]) -> &CStr {
    for (place, digit) in text.iter_mut().take(4).rev().enumerate() {
        *digit = b'0' + (mode >> (3 * place) & 7) as u8;
    }
    CStr::from_bytes_until_nul(text).unwrap_or(c"")
}

/// Takes the next layer of a list, with `\:` for a colon in a name; its length, and what was used of the list.
fn next_layer(list: &[u8], layer: &mut [u8; LONGEST + 1]) -> Option<(usize, usize)> {
    let (mut length, mut used) = (0, 0);
    while let Some(byte) = list.get(used) {
        used += 1;
        let byte = match byte {
            b':' => break,
            b'\\' if used < list.len() => {
                used += 1;
                list[used - 1]
            }
            other => *other,
        };
        if length == LONGEST {
            return None;
        }
        layer[length] = byte;
        length += 1;
    }
    layer[length] = 0;
    Some((length, used))
}

/// Binds what the host has instead.
pub(crate) fn bind(step: Step, path: &CStr) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(CWD, path, flags)
        .map_err(|errno| refused(step, c"open_tree", errno, path, None))
}

/// The failure, with what the filesystem says of it: the context is a log to be read (fsopen(2)).
fn refused(
    step: Step,
    call: &'static CStr,
    errno: Errno,
    about: &CStr,
    context: Option<BorrowedFd<'_>>,
) -> Fail {
    let mut detail = Words::new();
    detail.push(about.to_bytes());
    if let Some(context) = context {
        let mut line = [0_u8; 256];
        while let Ok(length @ 1..) = rustix::io::read(context, &mut line) {
            // "e overlay: No changes allowed": the first letter is the level.
            let said = line[..length].trim_ascii();
            if said.starts_with(b"e ") {
                detail.push(b": ").push(&said[2..]);
            }
        }
    }
    Fail { step, index: 0, errno: Some(errno), call, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal() {
        for (mode, text) in [(0o1777, c"1777"), (0o755, c"0755"), (0, c"0000"), (0o7777, c"7777")] {
            assert_eq!(octal(mode, &mut [0; 5]), text);
        }
    }

    #[test]
    fn layers_are_split_at_colons_that_are_not_escaped() {
        let mut layer = [0; LONGEST + 1];
        let list = br"/a\:b:/c";
        let (length, used) = next_layer(list, &mut layer).unwrap();
        assert_eq!((&layer[..length], used), (&b"/a:b"[..], 6));
        let (length, used) = next_layer(&list[6..], &mut layer).unwrap();
        assert_eq!((&layer[..length], used), (&b"/c"[..], 2));
        assert!(next_layer(&[b'x'; 300], &mut layer).is_none());
    }
}
