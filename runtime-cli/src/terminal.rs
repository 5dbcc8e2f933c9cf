//! The terminal that the command itself is used on: the size of its window, and raw mode for as long as a
//! container has it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, Once, PoisonError};

use runtime_core::WindowSize;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, OutputModes, Termios};

use crate::exit::Failure;

/// The window that the command is looked at in.
#[derive(Debug)]
pub(crate) struct Window(Option<OwnedFd>);

impl Window {
    /// The first of the standard streams that is a terminal, or else the controlling one. There may be none.
    pub(crate) fn find() -> Self {
        let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let terminal = match streams.into_iter().find(|stream| rustix::termios::isatty(stream)) {
            Some(stream) => rustix::io::fcntl_dupfd_cloexec(stream, 3),
            None => {
                let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
                rustix::fs::open("/dev/tty", flags, Mode::empty())
            }
        };
        Self(terminal.ok())
    }

    /// Its size; none where the terminal does not know it either, as on a serial line.
    pub(crate) fn size(&self) -> Option<WindowSize> {
        let size = rustix::termios::tcgetwinsize(self.0.as_ref()?).ok()?;
        let size = WindowSize { rows: size.ws_row, columns: size.ws_col };
        (size.rows > 0 && size.columns > 0).then_some(size)
    }
}

/// Raw mode of a terminal: every key goes to the container, which makes of it what its own terminal's modes
/// say. Whoever drops it gets the old modes back; so does a panic, which in a release build drops nothing.
#[derive(Debug)]
pub(crate) struct Raw(Termios);

/// The terminal in raw mode, with the modes to give back.
static ORIGINAL: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

impl Raw {
    /// Changes a terminal; none where `terminal` is something else, or one that belongs to others.
    ///
    /// # Errors
    /// tcsetattr(3) failed.
    pub(crate) fn set(terminal: impl AsFd) -> Result<Option<Self>, Failure> {
        let Ok(original) = rustix::termios::tcgetattr(&terminal) else { return Ok(None) };
        let mut raw = original.clone();
        raw.make_raw();
        // As runc: the container's lines end in a bare line feed (`Console::Returned`), like those of teu itself.
        raw.output_modes = original.output_modes | OutputModes::OPOST;
        let copy = rustix::io::fcntl_dupfd_cloexec(&terminal, 3)
            .map_err(|error| Failure::os("dup(terminal)", error))?;
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                previous(panic);
            }));
        });
        *ORIGINAL.lock().unwrap_or_else(PoisonError::into_inner) = Some((copy, original));
        let this = Self(raw);
        match this.enter(terminal) {
            Ok(()) => Ok(Some(this)),
            // A background process whose shell has gone (tcsetattr(3)): nobody will bring it to the front.
            Err(Errno::IO) => Ok(None),
            Err(error) => Err(Failure::os("tcsetattr(standard input)", error)),
        }
    }

    /// Sets the raw mode again, after the shell has given this process its terminal back. In the background
    /// the kernel stops the process here until then (SIGTTOU).
    pub(crate) fn enter(&self, terminal: impl AsFd) -> Result<(), Errno> {
        let set = || rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &self.0);
        rustix::io::retry_on_intr(set)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives a terminal its modes back, once. Also called while the process panics: it waits for nothing.
fn restore() {
    let Some((terminal, original)) = ORIGINAL.try_lock().ok().and_then(|mut held| held.take())
    else {
        return;
    };
    // In the background the terminal is another's, in modes of its own.
    let background = rustix::termios::tcgetpgrp(&terminal)
        .is_ok_and(|front| front != rustix::process::getpgrp());
    if !background {
        // Where the terminal has gone there is nothing to give back.
        let _gone = rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &original);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::termios::LocalModes;

    fn terminal() -> (OwnedFd, OwnedFd) {
        use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        (master, slave)
    }

    fn cooked(slave: &OwnedFd) -> bool {
        let modes = rustix::termios::tcgetattr(slave).unwrap();
        modes.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// One test, because a process has one terminal.
    #[test]
    fn the_modes_come_back() {
        let (_master, slave) = terminal();
        assert!(cooked(&slave));
        let raw = Raw::set(&slave).unwrap().unwrap();
        assert!(!cooked(&slave));
        drop(raw);
        assert!(cooked(&slave));

        // Nothing is dropped when a release build panics: the hook does it.
        let raw = Raw::set(&slave).unwrap().unwrap();
        assert!(!cooked(&slave));
        std::thread::spawn(|| panic!("on purpose")).join().unwrap_err();
        assert!(cooked(&slave));
        drop(raw);

        assert!(Raw::set(std::fs::File::open("/dev/null").unwrap()).unwrap().is_none());
    }
}
