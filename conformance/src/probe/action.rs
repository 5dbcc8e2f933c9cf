//! One small thing at a time, with the result on standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};
use rustix::process::{getpid, kill_process};

use crate::sys::number_call;

/// System calls that take integers only, so that they can be tried without any memory.
const CALLS: [(&str, i64); 24] = [
    ("acct", libc::SYS_acct),
    ("chroot", libc::SYS_chroot),
    ("clone", libc::SYS_clone),
    ("close", libc::SYS_close),
    ("dup", libc::SYS_dup),
    ("getcpu", libc::SYS_getcpu),
    ("getpid", libc::SYS_getpid),
    ("getpriority", libc::SYS_getpriority),
    ("getsid", libc::SYS_getsid),
    ("getuid", libc::SYS_getuid),
    ("keyctl", libc::SYS_keyctl),
    ("kill", libc::SYS_kill),
    ("mkdir", libc::SYS_mkdir),
    ("mount", libc::SYS_mount),
    ("personality", libc::SYS_personality),
    ("ptrace", libc::SYS_ptrace),
    ("reboot", libc::SYS_reboot),
    ("setgid", libc::SYS_setgid),
    ("setns", libc::SYS_setns),
    ("setsid", libc::SYS_setsid),
    ("setuid", libc::SYS_setuid),
    ("socket", libc::SYS_socket),
    ("sync", libc::SYS_sync),
    ("unshare", libc::SYS_unshare),
];

/// Ends this process by a signal.
pub(crate) fn signal(number: &str) -> io::Result<()> {
    let signal = named(number)?;
    SigSet::from_iter([signal]).thread_unblock()?;
    // Twice, because Rust's own handler of SIGSEGV only restores the default the first time.
    nix::sys::signal::raise(signal)?;
    nix::sys::signal::raise(signal)?;
    Err(io::Error::other("the signal did not end the process"))
}

/// Says "ready" and waits for ever. Process 1 of a pid namespace survives signals without a handler,
/// so the usual ones are taken from a set.
pub(crate) fn sleep() -> io::Result<()> {
    let ending = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    ending.thread_block()?;
    say("ready")?;
    let got = ending.wait()?;
    std::process::exit(128 + got as i32)
}

/// Says "ready", waits for one signal and names it.
pub(crate) fn trap(number: &str) -> io::Result<()> {
    let set = SigSet::from_iter([named(number)?]);
    set.thread_block()?;
    say("ready")?;
    let got = set.wait()?;
    say(&format!("got {}", got as i32))
}

/// Makes the system call `name` and prints its result, or `errno N`.
pub(crate) fn syscall(name: &str, words: &[&str]) -> io::Result<()> {
    let number =
        CALLS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number).ok_or_else(
            || io::Error::other(format!("probe does not know the system call {name}")),
        )?;
    let mut arguments = [0_i64; 6];
    for (slot, word) in arguments.iter_mut().zip(words) {
        *slot = word.parse().map_err(io::Error::other)?;
    }
    // A clone with no flags is a fork: only the parent may go on and print.
    if name == "clone" {
        arguments[0] |= i64::from(libc::SIGCHLD);
    }
    match number_call(number, arguments) {
        Ok(0) if name == "clone" => std::process::exit(0),
        Ok(value) => say(&format!("result {}", if name == "clone" { 1 } else { value })),
        Err(error) => say_errno(&error),
    }
}

/// Opens a file for reading.
pub(crate) fn open(path: &str) -> io::Result<()> {
    // Non-blocking, because a FIFO or a terminal would wait for somebody.
    outcome(
        rustix::fs::open(
            path,
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .map(drop)
        .map_err(io::Error::from),
    )
}

/// Opens a file for writing (making it when it is missing) and writes `text`.
pub(crate) fn write(path: &str, text: &str) -> io::Result<()> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    outcome(file.and_then(|mut file| file.write_all(text.as_bytes())))
}

/// Prints a file.
pub(crate) fn cat(path: &str) -> io::Result<()> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => io::stdout().write_all(&bytes),
        Err(error) => say_errno(&error),
    }
}

/// Touches every page of that many bytes.
pub(crate) fn alloc(bytes: &str) -> io::Result<()> {
    say(&format!("ok {}", std::hint::black_box(&used(bytes)?).len()))
}

/// Uses so much memory until it is killed.
pub(crate) fn hold(bytes: &str) -> io::Result<()> {
    let memory = used(bytes)?;
    sleep()?;
    drop(std::hint::black_box(memory));
    Ok(())
}

fn used(bytes: &str) -> io::Result<Vec<u8>> {
    const PAGE: usize = 4096;
    let bytes: usize = bytes.parse().map_err(io::Error::other)?;
    let mut memory = vec![0_u8; bytes];
    for page in memory.chunks_mut(PAGE) {
        page[0] = 1;
    }
    Ok(memory)
}

/// Starts sleeping children until `count` or an error, and prints how many it has.
pub(crate) fn fork(count: &str) -> io::Result<()> {
    let count: usize = count.parse().map_err(io::Error::other)?;
    let mut children = Vec::new();
    let mut error = None;
    for _ in 0..count {
        let mut command = Command::new("/proc/self/exe");
        // Without this name the binary would take itself for the suite.
        command.arg0(super::FILE_NAME).arg("sleep").stdout(Stdio::null());
        match command.spawn() {
            Ok(child) => children.push(child),
            Err(refused) => {
                error = Some(refused);
                break;
            }
        }
    }
    say(&format!("children {}", children.len()))?;
    for child in &mut children {
        child.kill()?;
        child.wait()?;
    }
    error.map_or(Ok(()), |error| say_errno(&error))
}

/// Tells the service manager each text, in a message of its own (sd_notify(3)).
pub(crate) fn notify(texts: &[&str]) -> io::Result<()> {
    let address = std::env::var_os("NOTIFY_SOCKET").ok_or_else(|| io::Error::other("no socket"))?;
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    socket.connect(address)?;
    for text in texts {
        socket.send(text.as_bytes())?;
    }
    say("sent")
}

/// What a hook got: `FOLDER/order` gains a line, `NAME.state` is its input, `NAME.facts` its facts.
pub(crate) fn record(folder: &str, name: &str, facts: &serde_json::Value) -> io::Result<()> {
    let folder = Path::new(folder);
    let mut state = Vec::new();
    io::stdin().read_to_end(&mut state)?;
    std::fs::write(folder.join(format!("{name}.state")), state)?;
    std::fs::write(folder.join(format!("{name}.facts")), facts.to_string())?;
    let mut order = OpenOptions::new().create(true).append(true).open(folder.join("order"))?;
    writeln!(order, "{name}")
}

fn named(number: &str) -> io::Result<Signal> {
    let number: i32 = number.parse().map_err(io::Error::other)?;
    if number == libc::SIGKILL {
        // SIGKILL cannot be waited for, only sent.
        kill_process(getpid(), rustix::process::Signal::KILL)?;
    }
    Ok(Signal::try_from(number)?)
}

fn outcome(result: io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => say("ok"),
        Err(error) => say_errno(&error),
    }
}

fn say_errno(error: &io::Error) -> io::Result<()> {
    say(&format!("errno {}", error.raw_os_error().unwrap_or(0)))
}

/// Prints a line at once: somebody may be waiting for it.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}
