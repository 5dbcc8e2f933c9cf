//! How a signal may be written, by teu and by runc.

use crate::stage::{self, End, Runtime, Stage};

/// What became of a workload that ends by 15 and by 37, and takes no notice of 64.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    code: Option<i32>,
    ended: bool,
}

/// What teu makes of a word, and whether runc 1.1 does the same.
const WORDS: &[(&str, Outcome, Option<&str>)] = &[
    ("15", ENDS, None),
    ("SIGTERM", ENDS, None),
    ("TERM", ENDS, None),
    ("sigterm", ENDS, None),
    ("0", STAYS, None),
    ("64", STAYS, None),
    (
        "SIGRTMIN+3",
        ENDS,
        Some("images that run systemd have it as stop signal, and CRI-O passes the name on"),
    ),
    ("RTMIN+3", ENDS, Some("the same word without SIG, as for all other names")),
    ("abc", UNKNOWN, None),
    ("-1", UNKNOWN, None),
    ("65", UNKNOWN, None),
    (
        "",
        UNKNOWN,
        Some("a variable that is empty by mistake is no wish for TERM; crun refuses it, too"),
    ),
];

const ENDS: Outcome = Outcome { code: Some(0), ended: true };
const STAYS: Outcome = Outcome { code: Some(0), ended: false };
const UNKNOWN: Outcome = Outcome { code: Some(1), ended: false };

const SCRIPT: &str = "trap 'exit 3' TERM; trap 'exit 4' 37; echo >/up; \
                      while :; do sleep 1000 & wait $!; done";

struct Victim<'s> {
    stage: &'s Stage,
    id: String,
    end: End,
}

fn victim(stage: &Stage) -> Victim<'_> {
    let id = stage.id();
    // A FIFO that is opened when the traps are set: the opening here waits for the other end.
    let fifo = stage.path(&format!("fifo-{id}"));
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let bundle = stage.bundle(&id, &["sh", "-c", SCRIPT], |config| {
        config["mounts"].as_array_mut().unwrap().push(serde_json::json!({
            "destination": "/up", "type": "bind", "source": fifo, "options": ["bind"]
        }));
    });
    stage.call(&["create", "--bundle", &bundle, &id]).ok();
    let end = End::of(stage.pid(&id));
    stage.call(&["start", &id]).ok();
    assert_eq!(std::fs::read_to_string(fifo).unwrap(), "\n");
    Victim { stage, id, end }
}

impl Victim<'_> {
    /// Sends it; whether it `ends` the workload is waited for, if it was sent.
    fn kill(&self, word: &str, ends: bool) -> Outcome {
        let ran = self.stage.call(&["kill", &self.id, word]);
        let ends = ends && ran.code == Some(0);
        // Nobody tells that nothing will come: what should not end it is seen to leave it alive.
        let ended = self.end.within(if ends { 20 } else { 0 });
        Outcome { code: ran.code, ended }
    }
}

/// The words in order; a container that has ended makes room for another.
fn outcomes(runtime: Runtime) -> Vec<Outcome> {
    let stage = Stage::new(runtime);
    let mut target = victim(&stage);
    let mut outcomes = Vec::new();
    for (word, wanted, _) in WORDS {
        let outcome = target.kill(word, *wanted != STAYS);
        if outcome.ended {
            target = victim(&stage);
        }
        outcomes.push(outcome);
    }
    // What came in between has done nothing to it either.
    assert_eq!(target.kill("TERM", true), ENDS);
    outcomes
}

#[test]
fn words() {
    if !stage::can_run() {
        return;
    }
    for ((word, wanted, _), outcome) in WORDS.iter().zip(outcomes(Runtime::Teu)) {
        assert_eq!(outcome, *wanted, "{word:?}");
    }
}

#[test]
fn words_as_in_runc() {
    if !stage::can_compare() {
        return;
    }
    for ((word, wanted, other), outcome) in WORDS.iter().zip(outcomes(Runtime::Runc)) {
        match other {
            None => assert_eq!(outcome, *wanted, "{word:?}"),
            Some(reason) => assert_ne!(outcome, *wanted, "no longer different: {word:?}, {reason}"),
        }
    }
}
