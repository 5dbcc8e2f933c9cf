//! Every command on a container in every status, by teu and by Debian's runc: exit code, whether something is on
//! stdout and stderr, the phrases of the error, and the status that the container is in afterwards.

use crate::stage::{self, End, Ran, Runtime, Stage, Status};

const COMMANDS: &[(&str, &[&str])] = &[
    ("state", &["state", "ID"]),
    ("list", &["list"]),
    ("list json", &["list", "--format=json"]),
    ("ps", &["ps", "ID"]),
    ("ps json", &["ps", "--format=json", "ID"]),
    ("events", &["events", "--stats", "ID"]),
    ("update", &["update", "--pids-limit=100", "ID"]),
    ("exec", &["exec", "ID", "true"]),
    ("exec detached", &["exec", "--detach", "ID", "true"]),
    ("exec missing", &["exec", "ID", "nope"]),
    ("update of nothing", &["update", "ID"]),
    ("create", &["create", "--bundle", "BUNDLE", "ID"]),
    ("run", &["run", "--bundle", "BUNDLE", "ID"]),
    ("resume", &["resume", "ID"]),
    ("pause", &["pause", "ID"]),
    ("start", &["start", "ID"]),
    ("kill 0", &["kill", "ID", "0"]),
    ("kill", &["kill", "ID", "KILL"]),
    ("kill all", &["kill", "--all", "ID", "KILL"]),
    ("delete", &["delete", "ID"]),
    ("delete force", &["delete", "--force", "ID"]),
];

/// What managers search for.
const PHRASES: &[&str] = &[
    "does not exist",
    "already exists",
    "container not running",
    "not paused",
    "cannot exec in a paused container (use --ignore-paused to override)",
    "cannot exec in a stopped container",
    "cannot start an already running container",
    "cannot start a container that has stopped",
    "that is not stopped: running",
    "that is not stopped: paused",
];

/// Status, command, what is compared, runc's outcome, teu's.
type Difference = (Status, &'static str, &'static str, &'static str, &'static str);

/// Where teu is not as runc 1.1, and why: nowhere so far. What is no longer so has to go.
const ALLOWED: &[(Difference, &str)] = &[];

/// What is compared, each with its name.
type Outcome = [(&'static str, String); 5];

fn outcome(ran: &Ran, status: String) -> Outcome {
    let filled = |text: &str| if text.is_empty() { "empty" } else { "text" }.to_owned();
    let phrases: Vec<&str> =
        PHRASES.iter().copied().filter(|phrase| ran.stderr.contains(phrase)).collect();
    [
        ("exit", format!("{:?}", ran.code.unwrap_or(-1))),
        ("stdout", filled(&ran.stdout)),
        ("stderr", filled(&ran.stderr)),
        ("phrase", phrases.join(", ")),
        ("status", status),
    ]
}

/// Runs all commands on containers in a status. One that is still in it afterwards serves for the next command, too.
fn outcomes(runtime: Runtime, status: Status) -> Vec<Outcome> {
    let stage = Stage::new(runtime);
    let mut id = stage.container(status);
    let mut outcomes = Vec::new();
    for (_, words) in COMMANDS {
        let end = End::of(stage.pid(&id));
        let bundle = stage.word(&format!("bundle-{id}"));
        if status == Status::Unknown && words.contains(&"BUNDLE") {
            // Nothing of that id is what `create` is for.
            outcomes.push(outcome(
                &Ran { code: None, stdout: String::new(), stderr: String::new() },
                "none".into(),
            ));
            continue;
        }
        let words: Vec<&str> = words
            .iter()
            .map(|word| match *word {
                "ID" => id.as_str(),
                "BUNDLE" => bundle.as_str(),
                word => word,
            })
            .collect();
        let ran = stage.call(&words);
        if words.contains(&"KILL") && ran.code == Some(0) {
            assert!(end.has_come(), "{runtime:?} {status:?} {words:?}: init lives on");
        }
        let after = stage.status(&id);
        let stays = after == status.word();
        outcomes.push(outcome(&ran, after));
        if !stays {
            stage.call(&["delete", "--force", &id]);
            id = stage.container(status);
        }
    }
    outcomes
}

fn compare(status: Status) {
    if !stage::can_compare() {
        return;
    }
    let (teu, runc) = std::thread::scope(|scope| {
        let runc = scope.spawn(|| outcomes(Runtime::Runc, status));
        (outcomes(Runtime::Teu, status), runc.join().unwrap())
    });
    let wrong = judge(status, &teu, &runc, ALLOWED);
    assert!(wrong.is_empty(), "(status, command, what, runc, teu)\n{}", wrong.join("\n"));
}

/// The differences that nobody has allowed, and those that were allowed and are gone.
fn judge(
    status: Status,
    teu: &[Outcome],
    runc: &[Outcome],
    allowed: &[(Difference, &str)],
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for ((name, _), (teu, runc)) in COMMANDS.iter().zip(teu.iter().zip(runc)) {
        for ((aspect, ours), (_, theirs)) in teu.iter().zip(runc) {
            // More phrases than runc has do no harm.
            let same = match *aspect {
                "phrase" => theirs.split(", ").all(|phrase| ours.contains(phrase)),
                _ => ours == theirs,
            };
            if same {
                continue;
            }
            let difference = (status, *name, *aspect, theirs.as_str(), ours.as_str());
            match allowed.iter().find(|allowed| allowed.0 == difference) {
                Some(allowed) => seen.push(allowed.0),
                None => wrong.push(format!("{difference:?}")),
            }
        }
    }
    for (difference, reason) in allowed.iter().filter(|allowed| allowed.0.0 == status) {
        if !seen.contains(difference) {
            wrong.push(format!("no longer different: {difference:?}, {reason}"));
        }
    }
    wrong
}

#[test]
fn only_what_is_allowed_may_differ() {
    let ran = |code, stderr: &str| Ran {
        code: Some(code),
        stdout: String::new(),
        stderr: stderr.to_owned(),
    };
    let (fine, failed) = (ran(0, ""), ran(1, "container does not exist"));
    let teu = [outcome(&fine, "none".into())];
    let runc = [outcome(&failed, "none".into())];
    assert_eq!(judge(Status::Unknown, &teu, &teu, &[]), Vec::<String>::new());
    let wrong = judge(Status::Unknown, &teu, &runc, &[]);
    assert_eq!(wrong.len(), 3, "exit, stderr and phrase: {wrong:?}");
    let name = COMMANDS[0].0;
    let allowed: [(Difference, &str); 3] = [
        ((Status::Unknown, name, "exit", "1", "0"), "why"),
        ((Status::Unknown, name, "stderr", "text", "empty"), "why"),
        ((Status::Unknown, name, "phrase", "does not exist", ""), "why"),
    ];
    assert_eq!(judge(Status::Unknown, &teu, &runc, &allowed), Vec::<String>::new());
    assert_eq!(judge(Status::Unknown, &teu, &teu, &allowed).len(), 3, "all of them are gone");
    assert_eq!(judge(Status::Running, &teu, &teu, &allowed).len(), 0, "of another status");
}

#[test]
fn unknown() {
    compare(Status::Unknown);
}

#[test]
fn created() {
    compare(Status::Created);
}

#[test]
fn running() {
    compare(Status::Running);
}

#[test]
fn paused() {
    compare(Status::Paused);
}

#[test]
fn stopped() {
    compare(Status::Stopped);
}
