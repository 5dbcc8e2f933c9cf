//! A terminal in the foreground: teu on a real pty that is its controlling terminal, a container with a terminal
//! of its own, and what its user sees.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};

use rustix::process::Signal;
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use serde_json::{Value, json};

use crate::foreground::{bundle, id};
use crate::screen::Screen;
use crate::{directory, rooted, teu};

/// A bundle whose workload has a terminal.
fn with_terminal(dir: &Path, script: &str) -> Option<()> {
    bundle(dir, script)?;
    for name in ["stty", "tty", "seq", "echo"] {
        std::os::unix::fs::symlink("busybox", dir.join("rootfs/bin").join(name)).unwrap();
    }
    change(dir, |spec| spec["process"]["terminal"] = true.into());
    Some(())
}

fn change(dir: &Path, how: impl FnOnce(&mut Value)) {
    let path = dir.join("config.json");
    let mut spec: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    how(&mut spec);
    std::fs::write(&path, spec.to_string()).unwrap();
}

/// A container with a terminal, in the foreground on a screen of the usual size.
fn run(dir: &Path, id: &str) -> Screen {
    open(dir, (37, 91), &["run", "--bundle", dir.to_str().unwrap(), id])
}

fn open(dir: &Path, size: (u16, u16), args: &[&str]) -> Screen {
    let mut command = teu(&["--root"]);
    command.arg(dir.join("state")).args(args);
    Screen::open(&command, size)
}

#[test]
fn what_is_typed_goes_in_and_what_is_written_comes_out() {
    let dir = directory();
    let script = "stty size; tty; trap 'echo int' INT; echo ready; read word; echo got $word; \
                  until read word; do :; done; echo got $word; exit 7";
    let Some(()) = with_terminal(dir.path(), script) else { return };
    let mut screen = run(dir.path(), &id("typed"));
    // Its size is there before its first instruction.
    assert_eq!(screen.see("ready\r\n"), "37 91\r\n/dev/pts/0\r\nready\r\n");
    screen.press("one\r");
    // The echo is the container's, once.
    assert_eq!(screen.see("got one\r\n"), "one\r\ngot one\r\n");
    assert!(!screen.is_cooked());
    // Control-C is a key like any other: the container's terminal makes a signal of it.
    screen.press("\x03");
    screen.see("int\r\n");
    screen.press("two\r");
    screen.see("got two\r\n");
    assert_eq!(screen.end(), (Some(7), String::new(), true));
    assert_eq!(rooted(dir.path(), &["list", "-q"]).stdout, "");
}

#[test]
fn a_new_size_is_seen_inside() {
    let dir = directory();
    let script = "trap 'stty size' WINCH; trap 'exit 0' TERM; echo ready; \
                  while :; do sleep 1000 & wait $!; done";
    let Some(()) = with_terminal(dir.path(), script) else { return };
    let mut screen = run(dir.path(), &id("size"));
    screen.see("ready\r\n");
    let size = Winsize { ws_row: 11, ws_col: 222, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&screen.keyboard, size).unwrap();
    screen.see("11 222\r\n");
    screen.signal(Signal::TERM);
    assert_eq!(screen.end().0, Some(0));
}

/// What a shell does to a job that it stops and takes to the front again.
#[test]
fn a_job_that_is_continued_has_its_modes_again() {
    let dir = directory();
    let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 1000 & wait $!; done";
    let Some(()) = with_terminal(dir.path(), script) else { return };
    let mut screen = run(dir.path(), &id("continued"));
    let cooked = tcgetattr(&screen.line).unwrap();
    screen.see("ready\r\n");
    screen.press("a");
    screen.see("a");
    assert!(!screen.is_cooked());
    screen.signal(Signal::STOP);
    tcsetattr(&screen.line, OptionalActions::Now, &cooked).unwrap();
    tcsetwinsize(&screen.keyboard, Winsize { ws_row: 5, ws_col: 6, ws_xpixel: 0, ws_ypixel: 0 })
        .unwrap();
    screen.signal(Signal::CONT);
    // Raw, the terminal has no echo of its own: these are the container's only.
    while screen.is_cooked() {
        screen.press("b\r");
        screen.see("b\r\n");
    }
    screen.signal(Signal::TERM);
    let (code, _, cooked) = screen.end();
    assert_eq!((code, cooked), (Some(0), true));
}

#[test]
fn a_further_process_has_a_terminal_of_its_own() {
    let dir = directory();
    let script = "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";
    let Some(()) = with_terminal(dir.path(), script) else { return };
    change(dir.path(), |spec| spec["process"]["terminal"] = false.into());
    let id = id("exec");
    let bundle = dir.path().to_str().unwrap();
    // Its streams are not this test's pipes, which would never end.
    let run = ["--root", &format!("{bundle}/state"), "run", "--detach", "--bundle", bundle, &id];
    assert!(teu(&run).stdout(Stdio::null()).status().unwrap().success());
    let script = "stty size; echo ready; read word; echo got $word; exit 9";
    let args = ["exec", "--tty", &id, "sh", "-c", script];
    let mut screen = open(dir.path(), (14, 77), &args);
    assert_eq!(screen.see("ready\r\n"), "14 77\r\nready\r\n");
    screen.press("word\r");
    assert_eq!(screen.see("got word\r\n"), "word\r\ngot word\r\n");
    assert_eq!(screen.end(), (Some(9), String::new(), true));
    assert_eq!(rooted(dir.path(), &["delete", "--force", &id]).code, Some(0));
}

#[test]
fn the_modes_come_back_after_a_failure_and_after_a_signal() {
    let dir = directory();
    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 1000 & wait $!; done";
    let Some(()) = with_terminal(dir.path(), script) else { return };
    let mut screen = run(dir.path(), &id("term"));
    screen.see("ready\r\n");
    // It is raw as soon as something can be typed.
    screen.press("x");
    screen.see("x");
    assert!(!screen.is_cooked());
    screen.signal(Signal::TERM);
    let (code, _, cooked) = screen.end();
    assert_eq!((code, cooked), (Some(5), true));

    change(dir.path(), |spec| spec["process"]["args"] = json!(["nope"]));
    let (code, text, cooked) = run(dir.path(), &id("failed")).end();
    assert_eq!((code, cooked), (Some(1), true));
    assert!(text.contains("executable file not found in $PATH"), "{text}");
}

/// The keyboard goes away, as when a connection breaks: the kernel tells teu, and teu the container.
#[test]
fn a_terminal_that_is_hung_up_is_a_signal() {
    let dir = directory();
    let script = "trap 'echo hup >/seen; exit 0' HUP; echo ready; \
                  while :; do sleep 1000 & wait $!; done";
    let Some(()) = with_terminal(dir.path(), script) else { return };
    change(dir.path(), |spec| spec["root"]["readonly"] = false.into());
    let mut screen = run(dir.path(), &id("hup"));
    screen.see("ready\r\n");
    let Screen { keyboard, line, child, .. } = &mut screen;
    // The end of the line that teu has is all that is left of the terminal.
    *keyboard = File::open("/dev/null").unwrap();
    *line = File::open("/dev/null").unwrap().into();
    let ended: ExitStatus = child.wait().unwrap();
    assert_eq!(ended.code(), Some(0));
    assert_eq!(std::fs::read_to_string(dir.path().join("rootfs/seen")).unwrap(), "hup\n");
    assert_eq!(rooted(dir.path(), &["list", "-q"]).stdout, "");
}

#[test]
fn nothing_that_was_written_is_lost() {
    let dir = directory();
    let Some(()) = with_terminal(dir.path(), "seq 1 60000") else { return };
    let (code, text, _) = run(dir.path(), &id("seq")).end();
    assert_eq!(code, Some(0));
    let numbers = text.lines().map(|line| line.parse::<u32>().unwrap());
    assert!(numbers.eq(1..=60_000), "of {} bytes", text.len());
}

/// Of others that still have the terminal open, and of one that nobody had open for a while.
#[test]
fn the_end_is_that_of_the_first_process() {
    let dir = directory();
    let Some(()) = with_terminal(dir.path(), "sleep 1000 & echo last; exit 3") else { return };
    let (code, text, _) = run(dir.path(), &id("children")).end();
    assert_eq!((code, text.as_str()), (Some(3), "last\r\n"));

    let closed = "echo first; exec <&- >&- 2>&-; sleep 0.2; echo again >/dev/console";
    change(dir.path(), |spec| spec["process"]["args"] = json!(["sh", "-c", closed]));
    let (code, text, _) = run(dir.path(), &id("reopened")).end();
    assert_eq!((code, text.as_str()), (Some(0), "first\r\nagain\r\n"));
}

/// Runs teu without a terminal of its own.
fn piped(dir: &Path, id: &str) -> (Child, ChildStdin) {
    let root = dir.join("state");
    let mut child = teu(&["--root", root.to_str().unwrap(), "run", "--bundle"])
        .args([dir.to_str().unwrap(), id])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    (child, stdin)
}

#[test]
fn without_a_terminal_of_its_own() {
    let dir = directory();
    let script = "stty -echo; stty size; echo ready; cat; echo end";
    let Some(()) = with_terminal(dir.path(), script) else { return };
    change(dir.path(), |spec| {
        spec["process"]["consoleSize"] = json!({"height": 12, "width": 34});
    });
    let (mut child, mut stdin) = piped(dir.path(), &id("piped"));
    let mut ready = [0; 12];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    // The configuration's size, and lines as a file has them.
    assert_eq!(std::str::from_utf8(&ready).unwrap(), "12 34\nready\n");
    stdin.write_all(b"one\ntwo").unwrap();
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    // The end of a pipe is the end of input, in the middle of a line too.
    assert_eq!((out.status.code(), text.as_str()), (Some(0), "one\ntwoend\n"));
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// Who writes much before it reads anything must not wait for ever, nor make the container wait whose reader has
/// gone.
#[test]
fn pipes_that_nobody_empties() {
    let dir = directory();
    let script = "stty -echo -icanon; echo ready; cat </dev/tty >/dev/null & seq 1 100000; exit 4";
    let Some(()) = with_terminal(dir.path(), script) else { return };
    let (mut child, mut stdin) = piped(dir.path(), &id("full"));
    let mut stdout = child.stdout.take().unwrap();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    // More than all buffers on the way hold, while nobody reads what the container writes.
    stdin.write_all(&vec![b'x'; 1 << 20]).unwrap();
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(4));
}
