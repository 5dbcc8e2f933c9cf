//! Terminals of a user without privilege: in the foreground, and handed to a console socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;

use rustix::process::Signal;
use serde_json::json;

use crate::console::master;
use crate::screen::Screen;
use crate::support::Lab;

fn with_terminal(lab: &Lab, script: &str) {
    lab.map_all();
    lab.edit(|spec| {
        spec["process"]["terminal"] = true.into();
        spec["process"]["args"] = json!(["sh", "-c", script]);
    });
}

#[test]
fn in_the_foreground() {
    let Some(lab) = Lab::new() else { return };
    let script = "stty size; tty; stat -c %u:%g /dev/console; read word; echo got $word; exit 7";
    with_terminal(&lab, script);
    let run = lab.command(&["run", "--bundle", &lab.word("bundle"), "c1"]);
    let mut screen = Screen::open(&run, (37, 91));
    // The terminal is the container's own, and its root's.
    assert_eq!(screen.see("0:0\r\n"), "37 91\r\n/dev/pts/0\r\n0:0\r\n");
    screen.press("word\r");
    screen.see("got word\r\n");
    assert_eq!(screen.end(), (Some(7), String::new(), true));
    lab.nothing_left();
}

#[test]
fn a_signal_is_passed_on() {
    let Some(lab) = Lab::new() else { return };
    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 1000 & wait $!; done";
    with_terminal(&lab, script);
    let run = lab.command(&["run", "--bundle", &lab.word("bundle"), "c1"]);
    let mut screen = Screen::open(&run, (37, 91));
    screen.see("ready\r\n");
    screen.signal(Signal::TERM);
    let (code, _, cooked) = screen.end();
    assert_eq!((code, cooked), (Some(5), true));
    lab.nothing_left();
}

#[test]
fn of_a_further_process() {
    let Some(lab) = Lab::new() else { return };
    lab.map_all();
    lab.run(&["run", "--detach", "--bundle", &lab.word("bundle"), "c1"]).ok();
    let script = "stty size; tty; id -u; read word; echo got $word; exit 9";
    let exec = ["exec", "--tty", "--user", "1000:1000", "c1", "sh", "-c", script];
    let mut screen = Screen::open(&lab.command(&exec), (14, 77));
    assert_eq!(screen.see("1000\r\n"), "14 77\r\n/dev/pts/0\r\n1000\r\n");
    screen.press("word\r");
    screen.see("got word\r\n");
    assert_eq!(screen.end(), (Some(9), String::new(), true));
    lab.run(&["delete", "--force", "c1"]).ok();
    lab.nothing_left();
}

#[test]
fn handed_to_a_console_socket() {
    let Some(lab) = Lab::new() else { return };
    with_terminal(&lab, "tty; read word; echo got $word");
    let socket = lab.file("runtime/console");
    let listener = UnixListener::bind(&socket).unwrap();
    std::os::unix::fs::chown(&socket, Some(lab.uid), Some(lab.uid)).unwrap();
    let console = socket.to_str().unwrap();
    let bundle = lab.word("bundle");
    lab.run(&["create", "--bundle", &bundle, "--console-socket", console, "c1"]).ok();
    let mut terminal = std::fs::File::from(master(&listener));
    lab.run(&["start", "c1"]).ok();
    terminal.write_all(b"word\n").unwrap();
    let (mut seen, mut bytes) = (Vec::new(), [0; 256]);
    // Its end reads as EIO.
    while let Ok(length @ 1..) = terminal.read(&mut bytes) {
        seen.extend(&bytes[..length]);
    }
    let seen = String::from_utf8(seen).unwrap();
    // The echo may come before the name.
    assert!(seen.contains("/dev/pts/0\r\n") && seen.ends_with("got word\r\n"), "{seen:?}");
    lab.wait_for("stopped");
    lab.run(&["delete", "c1"]).ok();
    lab.nothing_left();
}
