//! What a further process of a container is: as its file or the flags say, and never more than the container allows.

use serde_json::{Value, json};

use super::Case;
use super::exec::{exec, facts, facts_of, sleeper};
use crate::harness::{Lab, Result, ensure, ensure_eq};

const MANUAL: &str = "runc-exec(8)";
const USER: &str = "runc-exec(8) --user; CVE-2026-30892";

pub(super) const CASES: &[Case] = &[
    Case::new("exec/process-file", "--process: every property as given", MANUAL, process_file),
    Case::new("exec/umask", "--process: user.umask as given", MANUAL, umask)
        .known("runc 1.1 has one umask for all processes of a container"),
    Case::new(
        "exec/oom-score-adj",
        "the container's oom_score_adj holds for it",
        MANUAL,
        oom_score,
    ),
    Case::new("exec/own-oom-score-adj", "unless it has its own", MANUAL, own_oom_score)
        .known("runc 1.1 has one value for all processes of a container"),
    Case::new("exec/seccomp", "the container's filter holds for it", MANUAL, seccomp),
    Case::new("exec/flags", "flags change the configured process", MANUAL, flags),
    Case::new("exec/user-alone", "--user UID changes the uid only", USER, user_alone),
    Case::new("exec/user-strict", "what is not a number is no user", USER, user_strict),
    Case::new(
        "exec/capabilities-default",
        "a file that says nothing of capabilities means the container's",
        MANUAL,
        capabilities_default,
    ),
    Case::new(
        "exec/rlimits-default",
        "a file that says nothing of limits means the container's",
        MANUAL,
        rlimits_default,
    )
    .known("runc 1.1 sets none then"),
];

fn process_file(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let sets = json!(["CAP_KILL", "CAP_CHOWN"]);
    let facts = facts_of(
        lab,
        &container,
        &json!({
            "args": ["/probe", "facts"],
            "cwd": "/dev",
            "env": ["A=1", "B=two words"],
            "user": { "uid": 12, "gid": 34, "additionalGids": [56, 78], "umask": 0o027 },
            "capabilities": { "bounding": sets, "permitted": sets, "effective": ["CAP_KILL"],
                              "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"] },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 77, "soft": 77 }],
            "noNewPrivileges": false
        }),
    )?;
    for (name, want) in [("uid", 12), ("euid", 12), ("gid", 34), ("egid", 34)] {
        ensure_eq!(facts[name], want, "{name}");
    }
    ensure_eq!(facts["groups"], json!([56, 78]), "supplementary groups");
    ensure_eq!(facts["cwd"], "/dev", "working directory");
    ensure_eq!(facts["env"], json!(["A=1", "B=two words", "HOME=/"]), "environment");
    ensure_eq!(
        facts["rlimits"]["RLIMIT_NOFILE"],
        json!({ "soft": 77, "hard": 77 }),
        "RLIMIT_NOFILE"
    );
    ensure_eq!(facts["noNewPrivileges"], 0, "no_new_privs");
    // CAP_CHOWN is bit 0, CAP_KILL bit 5.
    let sets = &facts["capabilities"];
    for (set, want) in [
        ("bounding", 0x21),
        ("permitted", 0x20),
        ("effective", 0x20),
        ("inheritable", 0x20),
        ("ambient", 0x20),
    ] {
        ensure_eq!(sets[set].as_str().map(hexadecimal), Some(want), "{set} of {sets}");
    }
    Ok(())
}

fn hexadecimal(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(u64::MAX)
}

fn umask(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let mut process = bare();
    process["user"] = json!({ "uid": 0, "gid": 0, "umask": 0o027 });
    ensure_eq!(facts_of(lab, &container, &process)?["umask"], 0o027, "umask");
    Ok(())
}

fn oom_score(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| config["process"]["oomScoreAdj"] = 123.into())?;
    let process =
        json!({ "args": ["/probe", "facts"], "cwd": "/", "user": { "uid": 0, "gid": 0 } });
    let facts = facts_of(lab, &container, &process)?;
    ensure_eq!(facts["oomScoreAdj"], "123", "oom_score_adj");
    Ok(())
}

fn own_oom_score(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let process = json!({ "args": ["/probe", "facts"], "cwd": "/", "oomScoreAdj": 321 });
    ensure_eq!(facts_of(lab, &container, &process)?["oomScoreAdj"], "321", "oom_score_adj");
    Ok(())
}

fn seccomp(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["sched_getscheduler"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95 }]
        });
    })?;
    for privileges in ["--no-new-privs=true", "--no-new-privs=false"] {
        let facts = facts(lab, &container, &[privileges])?;
        ensure_eq!(facts["seccomp"], 2, "a filter is there");
        ensure_eq!(facts["scheduler"], Value::Null, "the call is refused");
    }
    Ok(())
}

fn flags(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        config["process"]["user"]["additionalGids"] = json!([5]);
    })?;
    let words = [
        "--user",
        "11:22",
        "--additional-gids",
        "33",
        "--additional-gids",
        "44",
        "-e",
        "A=1",
        "-e",
        "TERM=dumb",
        "--cwd",
        "/sys",
        "--cap",
        "CAP_CHOWN",
    ];
    let facts = facts(lab, &container, &words)?;
    ensure_eq!((&facts["uid"], &facts["gid"]), (&json!(11), &json!(22)), "uid and gid");
    ensure_eq!(facts["groups"], json!([5, 33, 44]), "groups are added");
    let has = |entry: &str| facts["env"].as_array().is_some_and(|env| env.contains(&entry.into()));
    ensure!(has("A=1") && has("TERM=dumb") && !has("TERM=xterm"), "variables: {}", facts["env"]);
    ensure_eq!(facts["cwd"], "/sys", "working directory");
    ensure_eq!(facts["noNewPrivileges"], 1, "what is not said stays");
    let bounding = facts["capabilities"]["bounding"].as_str().map(hexadecimal);
    ensure!(
        bounding.is_some_and(|set| set & 0x21 == 0x21),
        "CAP_CHOWN beside CAP_KILL: {bounding:x?}"
    );
    Ok(())
}

fn user_alone(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        config["process"]["user"] = json!({ "uid": 3, "gid": 4 });
    })?;
    let facts = facts(lab, &container, &["--user", "1"])?;
    ensure_eq!((&facts["uid"], &facts["gid"]), (&json!(1), &json!(4)), "uid and gid");
    Ok(())
}

fn user_strict(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    for bad in ["root", "1x", "x1", "-1", "1:x", "1:", "0x1", "1:2:3", "99999999999999999999"] {
        exec(lab, &container, &["--user", bad], &["/probe", "exit", "0"]).run()?.fails(255, "")?;
    }
    Ok(())
}

/// A process that says no more than it has to.
fn bare() -> Value {
    json!({ "args": ["/probe", "facts"], "cwd": "/" })
}

fn capabilities_default(lab: &Lab) -> Result {
    let container = sleeper(lab, |_| {})?;
    let facts = facts_of(lab, &container, &bare())?;
    // CAP_KILL, CAP_NET_BIND_SERVICE and CAP_AUDIT_WRITE.
    let bounding = facts["capabilities"]["bounding"].as_str().map(hexadecimal);
    ensure_eq!(bounding, Some(0x2000_0420), "bounding set");
    Ok(())
}

fn rlimits_default(lab: &Lab) -> Result {
    let container = sleeper(lab, |config| {
        config["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "hard": 88, "soft": 88 }]);
    })?;
    let facts = facts_of(lab, &container, &bare())?;
    ensure_eq!(facts["rlimits"]["RLIMIT_NOFILE"], json!({ "soft": 88, "hard": 88 }), "limit");
    Ok(())
}
