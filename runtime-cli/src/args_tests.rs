//! Tests of the grammar.

use super::*;

const SYNTAX: Syntax = Syntax {
    name: "run",
    operands: "<container-id>",
    count: 1..=2,
    about: "",
    description: "",
    flags: &[
        Flag::with("bundle", "DIR", "").short('b'),
        Flag::with("pid-file", "FILE", ""),
        Flag::switch("no-subreaper", ""),
        Flag::switch("detach", "").short('d'),
        Flag::switch("force", "").short('f'),
    ],
};

fn line(args: &[&str]) -> Line {
    Line::read(args.iter().map(OsString::from))
}

fn run(args: &[&str]) -> Result<Matches, String> {
    let all: Vec<&str> = ["run"].iter().chain(args).copied().collect();
    let line = line(&all);
    assert!(line.failure.is_none());
    assert_eq!(line.command.as_deref(), Some(OsStr::new("run")));
    line.command(&SYNTAX).map_err(|failure| failure.to_string())
}

#[test]
fn values_in_every_form() {
    for args in [
        &["--bundle", "/b", "id"][..],
        &["--bundle=/b", "id"],
        &["-bundle", "/b", "id"],
        &["-bundle=/b", "id"],
        &["-b", "/b", "id"],
        &["-b=/b", "id"],
        &["id", "--bundle", "/b"],
        &["--bundle", "/a", "--bundle", "/b", "id"],
    ] {
        let matches = run(args).unwrap();
        assert_eq!(matches.value("bundle"), Some(OsStr::new("/b")), "{args:?}");
        assert_eq!(matches.operands, ["id"], "{args:?}");
    }
    // The value may look like a flag, and may be empty.
    assert_eq!(run(&["--bundle", "-d", "id"]).unwrap().value("bundle"), Some(OsStr::new("-d")));
    assert_eq!(run(&["--bundle=", "id"]).unwrap().value("bundle"), Some(OsStr::new("")));
    assert_eq!(run(&["--bundle=a=b", "id"]).unwrap().value("bundle"), Some(OsStr::new("a=b")));
}

#[test]
fn booleans_in_every_form() {
    for args in [
        &["--detach", "id"][..],
        &["--detach=true", "id"],
        &["-detach", "id"],
        &["-detach=true", "id"],
        &["-d", "id"],
        &["-d=1", "id"],
        &["-fd", "id"],
        &["--detach=false", "--detach", "id"],
    ] {
        assert!(run(args).unwrap().on("detach"), "{args:?}");
    }
    for args in [&["--detach=false", "id"][..], &["-d=false", "id"], &["-d", "-detach=0", "id"]] {
        assert!(!run(args).unwrap().on("detach"), "{args:?}");
    }
    assert_eq!(
        run(&["--detach=maybe", "id"]).unwrap_err(),
        "--detach: \"maybe\" is neither true nor false"
    );
}

#[test]
fn what_go_runc_writes() {
    let matches = run(&["-no-subreaper", "--pid-file", "/p", "--bundle", "/b", "id"]).unwrap();
    assert!(matches.on("no-subreaper"));
    let line =
        line(&["--root", "/r", "--log", "/l", "--log-format", "json", "--rootless=true", "run"]);
    assert_eq!(line.global.value("root"), Some(OsStr::new("/r")));
    assert_eq!(line.global.value("log-format"), Some(OsStr::new("json")));
    assert_eq!(line.global.value("rootless"), Some(OsStr::new("true")));
}

#[test]
fn operands() {
    assert_eq!(run(&["id", "-9"]).unwrap().operands, ["id", "-9"]);
    assert_eq!(run(&["--", "--detach"]).unwrap().operands, ["--detach"]);
    assert_eq!(run(&[]).unwrap_err(), "\"run\" requires 1 to 2 argument(s)");
    assert_eq!(run(&["a", "b", "c"]).unwrap_err(), "\"run\" requires 1 to 2 argument(s)");
    assert!(run(&["--help"]).unwrap().on("help"));
    assert!(run(&["-h"]).unwrap().on("help"));
}

#[test]
fn mistakes_name_the_nearest() {
    let text = |args| run(args).unwrap_err();
    assert_eq!(text(&["--bundel", "x", "id"]), "unknown flag --bundel, did you mean --bundle?");
    assert_eq!(text(&["--pid", "x", "id"]), "unknown flag --pid, did you mean --pid-file?");
    assert_eq!(text(&["--zzz", "id"]), "unknown flag --zzz");
    assert_eq!(text(&["-z", "id"]), "unknown flag -z");
    assert_eq!(text(&["--root", "/r", "id"]), "--root is a global flag: write it before \"run\"");
    assert_eq!(text(&["id", "--bundle"]), "--bundle needs a value: DIR");
    assert_eq!(text(&["id", "-bundle"]), "--bundle needs a value: DIR");
    assert_eq!(nearest("stat", ["start", "state"].into_iter()), Some("start"));
    assert_eq!(nearest("lsit", ["start", "list"].into_iter()), Some("list"));
    assert_eq!(nearest("exec", ["start", "list", "spec"].into_iter()), None);
    assert_eq!(nearest("crate", ["start", "create"].into_iter()), Some("create"));
}

#[test]
fn a_broken_global_flag_keeps_what_came_before() {
    let line = line(&["--log", "/l", "--what", "run"]);
    assert_eq!(line.global.value("log"), Some(OsStr::new("/l")));
    assert_eq!(line.failure.unwrap().to_string(), "unknown flag --what");
}
