//! The suite itself: every broken runtime of `faulty list` must fail each case that is written beside the fault, and
//! the same wrapper without a fault must pass all of them.
//!
//! The runtime below is teu, or what `CONFORMANCE_RUNTIME` names. With `CONFORMANCE_AREAS`, areas of cases with blanks
//! between them, only faults that these areas are to catch, by their cases: for a host that has what they need. Needs root.

#![allow(clippy::unwrap_used)]

#[path = "support/runtime.rs"]
mod runtime;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

const SUITE: &str = env!("CARGO_BIN_EXE_conformance");
const FAULTY: &str = env!("CARGO_BIN_EXE_faulty");

struct Fault {
    name: String,
    what: String,
    cases: BTreeSet<String>,
}

fn faults() -> Vec<Fault> {
    let output = Command::new(FAULTY).arg("list").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            let (name, what) = (fields.next().unwrap(), fields.next().unwrap());
            let cases = fields.next().unwrap().split_whitespace().map(str::to_owned).collect();
            Fault { name, what, cases }
        })
        .collect()
}

/// What the suite says of `cases` with this fault: `ok`, `FAIL`, `skip` or `known`, and the line.
fn judge(
    fault: &str,
    cases: &BTreeSet<String>,
    runtime: &Path,
) -> BTreeMap<String, (String, String)> {
    let mut suite = Command::new(SUITE);
    suite.args(["run", "--runtime", FAULTY, "--runtime-arg", fault, "--runtime-arg"]).arg(runtime);
    for case in cases {
        suite.args(["--filter", case]);
    }
    let output = suite.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code().is_some_and(|code| code < 2),
        "{fault}: the suite did not run: {said}"
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .filter_map(|line| {
            let (word, rest) = line.split_once(' ')?;
            let name = rest.split_whitespace().next()?;
            cases.contains(name).then(|| (name.to_owned(), (word.to_owned(), line.to_owned())))
        })
        .collect()
}

/// Does `work` for each of `list`, two at a time for each processor: most of the time is spent in waiting.
fn for_each<T: Sync>(list: &[T], work: impl Fn(&T) -> Vec<String> + Sync) -> Vec<String> {
    let queue = Mutex::new(list.iter().collect::<VecDeque<_>>());
    let found = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(2, |count| 2 * count.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop_front();
                    let Some(item) = next else { return };
                    let lines = work(item);
                    found.lock().unwrap().extend(lines);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn every_fault_is_caught_and_no_fault_is_none() {
    let runtime = runtime::runtime();
    let all = faults();
    assert!(all.len() > 25, "there are only {} faults", all.len());
    let names: BTreeSet<&str> = all.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "two faults have the same name");
    let (control, mut broken): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|fault| fault.name == "none");
    assert_eq!(control.len(), 1);
    if let Ok(areas) = std::env::var("CONFORMANCE_AREAS") {
        let areas: BTreeSet<&str> = areas.split_whitespace().collect();
        for fault in &mut broken {
            fault.cases.retain(|case| areas.contains(case.split('/').next().unwrap()));
        }
        broken.retain(|fault| !fault.cases.is_empty());
    }

    let cases: BTreeSet<String> = broken.iter().flat_map(|fault| fault.cases.clone()).collect();
    let verdicts = judge("none", &cases, &runtime);
    let mut wrong = Vec::new();
    let mut lacking = BTreeSet::new();
    for case in &cases {
        match verdicts.get(case) {
            None => {
                wrong.push(format!("there is no case {case}"));
                lacking.insert(case.clone());
            }
            Some((word, line)) if word == "skip" || word == "known" => {
                println!("not judged: {line}");
                lacking.insert(case.clone());
            }
            Some((word, line)) if word != "ok" => wrong.push(format!("without a fault: {line}")),
            Some(_) => {}
        }
    }

    wrong.extend(for_each(&broken, |fault| {
        let cases: BTreeSet<String> = fault.cases.difference(&lacking).cloned().collect();
        assert!(!fault.cases.is_empty(), "{}: no case is named", fault.name);
        if cases.is_empty() {
            return Vec::new();
        }
        let verdicts = judge(&fault.name, &cases, &runtime);
        let mut missed = Vec::new();
        for case in &cases {
            match verdicts.get(case) {
                Some((word, line)) if word == "FAIL" => println!("{:<20} {line}", fault.name),
                _ => missed
                    .push(format!("{} ({}): {case} does not catch it", fault.name, fault.what)),
            }
        }
        missed
    }));
    // A host or a runtime that lacks much must not make this test one that cannot fail.
    let judged = broken.iter().filter(|fault| !fault.cases.is_subset(&lacking)).count();
    println!("{judged} of {} faults judged", broken.len());
    assert!(judged * 2 > broken.len(), "only {judged} of {} faults were judged", broken.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
