//! Standard streams, and the terminal where there is one.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, Uid, makedev};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, OutputModes, Winsize};
use teu_wire::{FdsView, ProcessView, Step, TerminalView};

use crate::fail::{At, Result, Words};
use crate::sys::call;

const STEP: Step = Step::Console;

/// Makes a terminal the workload's controlling one and its standard streams, and hands its master to whoever
/// waits for it.
///
/// # Errors
/// A call failed, or the console socket is closed.
pub fn attach_terminal(
    master: BorrowedFd<'_>,
    slave: BorrowedFd<'_>,
    fds: &FdsView<'_>,
    process: &ProcessView<'_>,
    terminal: &TerminalView<'_>,
) -> Result<()> {
    if terminal.height != 0 || terminal.width != 0 {
        let size =
            Winsize { ws_row: terminal.height, ws_col: terminal.width, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(slave, size).at(STEP, c"ioctl(TIOCSWINSZ)", b"")?;
    }
    if terminal.bare_lines {
        let mut modes = rustix::termios::tcgetattr(slave).at(STEP, c"ioctl(TCGETS2)", b"")?;
        modes.output_modes -= OutputModes::ONLCR;
        rustix::termios::tcsetattr(slave, OptionalActions::Now, &modes).at(
            STEP,
            c"ioctl(TCSETS2)",
            b"",
        )?;
    }
    own(slave, process.uid)?;

    let number = call::terminal_number(master).at(STEP, c"ioctl(TIOCGPTN)", b"")?;
    let mut name = Words::new();
    name.push(b"/dev/pts/").push_number(i64::from(number));
    call::send_with_descriptor(call::inherited(fds.console), name.as_bytes(), master).at(
        STEP,
        c"sendmsg(console socket)",
        b"",
    )?;

    for stream in 0..3 {
        call::duplicate_to(slave, stream).at(STEP, c"dup3", b"terminal")?;
    }
    rustix::process::ioctl_tiocsctty(slave).at(STEP, c"ioctl(TIOCSCTTY)", b"")
}

/// Puts the planned descriptors on 0, 1 and 2.
///
/// # Errors
/// dup3(2) failed.
pub fn attach(fds: &FdsView<'_>, process: &ProcessView<'_>) -> Result<()> {
    for (stream, number) in fds.stdio.iter().enumerate() {
        let stream = stream as i32;
        if number != stream {
            call::duplicate_to(call::inherited(number), stream).at(
                STEP,
                c"dup3",
                b"standard stream",
            )?;
        }
        if process.uid != 0 && !is_null(stream) {
            own(call::inherited(stream), process.uid)?;
        }
    }
    Ok(())
}

/// The null device, which belongs to nobody.
fn is_null(stream: i32) -> bool {
    is_null_device(call::inherited(stream))
}

fn is_null_device(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && stat.st_rdev == makedev(1, 3)
    })
}

/// Opens the null device of the container in place of the caller's: what has no mount in the container cannot be
/// found again by who looks for it there, criu(8) above all, and is a descriptor of the host. Where the container
/// has no null device at its place, the caller's stays.
///
/// # Errors
/// dup3(2) failed.
pub fn reopen_null() -> Result<()> {
    let mut null = None;
    for stream in 0..3 {
        if !is_null(stream) {
            continue;
        }
        if null.is_none() {
            null = open_null();
        }
        let Some(null) = &null else { return Ok(()) };
        call::duplicate_to(null.as_fd(), stream).at(STEP, c"dup3", b"/dev/null")?;
    }
    Ok(())
}

/// The container's /dev/null. Looked at before it is opened: opening another device can have effects.
fn open_null() -> Option<OwnedFd> {
    let open = |how| rustix::fs::open(c"/dev/null", how | OFlags::CLOEXEC, Mode::empty()).ok();
    let found = open(OFlags::PATH | OFlags::NOFOLLOW)?;
    let null = || open(OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NOCTTY);
    is_null_device(found.as_fd()).then(null).flatten()
}

/// The user can open its own streams again through /proc/self/fd.
fn own(stream: BorrowedFd<'_>, uid: u32) -> Result<()> {
    match rustix::fs::fchown(stream, Some(Uid::from_raw(uid)), None) {
        // What belongs to nobody of this user namespace, cannot change, or is closed, is used as it is.
        Ok(())
        | Err(
            Errno::PERM | Errno::ROFS | Errno::INVAL | Errno::OVERFLOW | Errno::NOSYS | Errno::BADF,
        ) => Ok(()),
        Err(errno) => Err(errno).at(STEP, c"fchown", b"standard stream"),
    }
}
