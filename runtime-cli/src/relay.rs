//! The container's terminal shown in the command's own: bytes both ways, without a thread, and without waiting
//! in any read or write.
//!
//! Waiting in one of them could end in a deadlock: a caller that writes all its input before it reads any output
//! would wait for this process, and this process for it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, epoll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{LocalModes, SpecialCodeIndex, Winsize};

use crate::exit::Failure;
use crate::foreground::Source;
use crate::terminal::{Raw, Window};

/// What is held at most in one direction; a pty gives no more at once.
const CHUNK: usize = 4096;
/// More than a pty holds (64 KiB, drivers/tty/tty_buffer.c): what is read after the end of the container's first
/// process beyond it was written later, by a process that may never stop.
const HELD_BY_A_PTY: usize = 1 << 20;
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A terminal of a container, and who uses it.
#[derive(Debug)]
pub(crate) struct Relay {
    window: Window,
    raw: Option<Raw>,
    /// The container's terminal, from outside.
    master: OwnedFd,
    /// Says by an edge that the terminal can be read or written to. A level would not do: it stays at "hung up"
    /// while nobody in the container has it open, though somebody may open it again.
    edges: OwnedFd,
    readable: bool,
    writable: bool,
    /// None after its end.
    input: Option<OwnedFd>,
    /// None when nobody reads it any more.
    output: Option<OwnedFd>,
    /// Read from the input and not yet typed.
    typed: Vec<u8>,
    /// Read from the terminal and not yet shown.
    shown: Vec<u8>,
    /// The last thing typed was the end of a line, or nothing.
    at_line_start: bool,
}

impl Relay {
    /// Connects the terminal whose master this is with the standard input and output of the command.
    ///
    /// # Errors
    /// A call failed.
    pub(crate) fn new(window: Window, master: OwnedFd) -> Result<Self, Failure> {
        let failed = |what: &'static str| move |error: Errno| Failure::os(what, error);
        rustix::io::ioctl_fionbio(&master, true).map_err(failed("ioctl(FIONBIO)"))?;
        let edges = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("epoll_create1"))?;
        let events = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&edges, &master, epoll::EventData::new_u64(0), events)
            .map_err(failed("epoll_ctl"))?;
        let input = unblocked(rustix::stdio::stdin(), OFlags::RDONLY).map_err(failed("dup(0)"))?;
        let output =
            unblocked(rustix::stdio::stdout(), OFlags::WRONLY).map_err(failed("dup(1)"))?;
        // Last: nothing can fail any more.
        let raw = Raw::set(rustix::stdio::stdin())?;
        Ok(Self {
            window,
            raw,
            master,
            edges,
            readable: true,
            writable: true,
            input: Some(input),
            output: Some(output),
            typed: Vec::with_capacity(CHUNK),
            shown: Vec::with_capacity(CHUNK),
            at_line_start: true,
        })
    }

    /// What has to be waited for.
    pub(crate) fn watch<'a>(&'a self, watched: &mut Vec<(Source, PollFd<'a>)>) {
        let mut add = |source, fd: &'a OwnedFd, flags| {
            watched.push((source, PollFd::new(fd, flags)));
        };
        add(Source::Terminal, &self.edges, PollFlags::IN);
        if let Some(input) = self.input.as_ref().filter(|_| self.typed.is_empty()) {
            add(Source::Input, input, PollFlags::IN);
        }
        if let Some(output) = self.output.as_ref().filter(|_| !self.shown.is_empty()) {
            add(Source::Output, output, PollFlags::OUT);
        }
    }

    /// Something can be done without waiting.
    pub(crate) fn is_busy(&self) -> bool {
        (self.readable && self.shown.is_empty()) || (self.writable && !self.typed.is_empty())
    }

    /// Moves what can be moved.
    pub(crate) fn serve(&mut self, ready: &[Source]) {
        if ready.contains(&Source::Terminal) {
            let mut events = [epoll::Event {
                flags: epoll::EventFlags::empty(),
                data: epoll::EventData::new_u64(0),
            }];
            let _taken = epoll::wait(&self.edges, &mut events[..], Some(&NOW));
            (self.readable, self.writable) = (true, true);
        }
        if ready.contains(&Source::Output) {
            self.show();
        }
        if self.readable && self.shown.is_empty() {
            self.read_terminal();
        }
        if ready.contains(&Source::Input) {
            self.read_input();
        }
        if self.writable && !self.typed.is_empty() {
            self.type_in();
        }
    }

    /// The window has another size: the kernel tells the container's foreground processes (SIGWINCH).
    pub(crate) fn resize(&self) {
        if let Some(size) = self.window.size() {
            let (ws_row, ws_col) = (size.rows, size.columns);
            let size = Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
            // It fails only on what is no terminal.
            let _set = rustix::termios::tcsetwinsize(&self.master, size);
        }
    }

    /// The command goes on after it was stopped: its shell has changed the terminal's modes meanwhile.
    pub(crate) fn resume(&self) {
        if let Some(raw) = &self.raw {
            let _gone = raw.enter(rustix::stdio::stdin());
        }
        self.resize();
    }

    /// After the end of the container's first process: shows what was written until then, unless `interrupted`
    /// says that nobody wants to wait for a slow reader.
    ///
    /// Reading without waiting sees all of it: an empty buffer makes n_tty_read(drivers/tty/n_tty.c) fetch what
    /// is still on its way.
    pub(crate) fn finish(mut self, interrupted: impl Fn(&OwnedFd) -> bool) {
        let mut total = 0;
        self.readable = true;
        while let Some(output) = &self.output {
            if !self.shown.is_empty() {
                if interrupted(output) {
                    break;
                }
                self.show();
            } else if self.readable && total < HELD_BY_A_PTY {
                self.read_terminal();
                total += self.shown.len();
            } else {
                break;
            }
        }
    }

    fn read_terminal(&mut self) {
        let mut bytes = [0; CHUNK];
        match rustix::io::read(&self.master, &mut bytes) {
            // Nobody reads it, but the container must not wait for that.
            Ok(1..) if self.output.is_none() => {}
            Ok(count @ 1..) => self.shown.extend_from_slice(bytes.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => {}
            // Nothing there, or nobody in the container has the terminal open (EIO).
            Ok(0) | Err(_) => self.readable = false,
        }
    }

    fn show(&mut self) {
        let Some(output) = &self.output else { return };
        match rustix::io::write(output, &self.shown) {
            Ok(count) => drop(self.shown.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Its reader has gone, or its disk is full: the container goes on, as it does without a terminal.
            Err(_) => {
                self.output = None;
                self.shown.clear();
            }
        }
    }

    fn read_input(&mut self) {
        let Some(input) = &self.input else { return };
        let mut bytes = [0; CHUNK];
        match rustix::io::read(input, &mut bytes) {
            Ok(count @ 1..) => {
                self.typed.extend_from_slice(bytes.get(..count).unwrap_or_default());
                self.at_line_start = matches!(self.typed.last(), Some(b'\n' | b'\r'));
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(0) | Err(_) => self.end_input(),
        }
    }

    /// Types what means the end of input, so that it ends for the container, too (termios(3), VEOF): twice after
    /// a line without its end, which the first one only hands over. Without lines nothing means it.
    fn end_input(&mut self) {
        self.input = None;
        let Ok(modes) = rustix::termios::tcgetattr(&self.master) else { return };
        let key = modes.special_codes[SpecialCodeIndex::VEOF];
        if modes.local_modes.contains(LocalModes::ICANON) && key != 0 {
            self.typed.extend(std::iter::repeat_n(key, if self.at_line_start { 1 } else { 2 }));
        }
    }

    fn type_in(&mut self) {
        match rustix::io::write(&self.master, &self.typed) {
            Ok(count) => drop(self.typed.drain(..count)),
            Err(Errno::AGAIN) => self.writable = false,
            Err(Errno::INTR) => {}
            // Nobody has the terminal open: as on every terminal that is hung up, the keys are lost.
            Err(_) => self.typed.clear(),
        }
    }
}

/// The stream, by a description that no other process has and that does not block, where the kernel opens it
/// again. Otherwise a copy, which at least does not wait for a chunk after poll(2) has said that it is ready.
fn unblocked(stream: BorrowedFd<'_>, access: OFlags) -> Result<OwnedFd, Errno> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(stream)?.st_mode);
    if kind == FileType::Fifo || rustix::termios::isatty(stream) {
        let path = format!("/proc/self/fd/{}", stream.as_fd().as_raw_fd());
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if let Ok(again) = rustix::fs::open(path, flags, Mode::empty()) {
            return Ok(again);
        }
    }
    rustix::io::fcntl_dupfd_cloexec(stream, 3)
}
