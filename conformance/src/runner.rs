//! Runs cases, each in a worker process with a deadline, and reports.
//!
//! A case that hangs, crashes or leaks harms nobody else: the runner kills everything below its
//! worker, removes its cgroups and its folder, and goes on.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use rustix::process::set_child_subreaper;

use crate::args::{Format, RunOptions};
use crate::case::{self, Case, Fails};
use crate::harness::lab::{SYSTEMD, Target};
use crate::harness::{Stop, apparmor, bundle, cgroup, event, image, process, resctrl, systemd};
use crate::report::{self, Outcome, Report, Verdict};
use crate::worker::{Findings, JOB, Job, RESULT};

/// What all cases of a run share.
#[derive(Debug)]
struct Surroundings<'o> {
    options: &'o RunOptions,
    target: Target,
    folder: tempfile::TempDir,
}

/// Runs what was asked for; true when nothing failed.
pub(crate) fn run(options: &RunOptions) -> Result<bool, Box<dyn std::error::Error>> {
    if !rustix::process::geteuid().is_root() {
        return Err("the suite needs root: it asks the kernel about namespaces and cgroups".into());
    }
    // Containers of a worker that was killed come to us, so that they can be waited for.
    set_child_subreaper(rustix::process::getpid().into())?;
    cgroup::settle_in().map_err(|error| format!("the cgroup of the suite: {error}"))?;
    let mut args = options.runtime_args.clone();
    if options.systemd_cgroup {
        args.push(SYSTEMD.into());
    }
    let target = Target {
        path: fs::canonicalize(&options.runtime)
            .map_err(|error| format!("--runtime {}: {error}", options.runtime.display()))?,
        any_words: options.any_words,
        systemd: args.iter().any(|arg| arg == SYSTEMD),
        args,
        version: String::new(),
    };
    let target = Target { version: version_of(&target)?, ..target };
    let folder = tempfile::Builder::new().prefix("conformance-").tempdir()?;
    fs::create_dir(folder.path().join("image"))?;
    image::prepare(&folder.path().join("image"))?;
    let surroundings = Surroundings { options, target, folder };

    let mut cases = case::matching(&options.filters);
    cases.retain(|case| !options.skips.iter().any(|word| case.name.contains(word)));
    if cases.is_empty() {
        return Err("no case is left by --filter and --skip".into());
    }
    if let Some(file) = &options.skipped_in {
        let run = report::read(file)
            .map_err(|error| format!("--skipped-in {}: {error}", file.display()))?;
        cases.retain(|case| run.skipped(case.name));
    }
    let out: Box<dyn io::Write> = match &options.output {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout()),
    };
    let begin = Instant::now();
    let name = surroundings.target.version.replace(" version", "");
    let mut report = Report::begin(options.format, out, &name, cases.len())?;
    run_all(&surroundings, cases, &mut report)?;
    let (summary, good) = report.finish(begin.elapsed().as_secs_f64())?;
    // What a machine reads on standard output must have nothing else.
    if options.format != Format::Text && options.output.is_none() {
        eprintln!("{summary}");
    } else {
        println!("{summary}");
    }
    Ok(good)
}

fn version_of(target: &Target) -> Result<String, Box<dyn std::error::Error>> {
    let output = Command::new(&target.path).args(&target.args).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = text.lines().next().unwrap_or_default().trim().to_owned();
    if !output.status.success() || first.is_empty() {
        return Err(format!("{} --version says nothing", target.path.display()).into());
    }
    Ok(first)
}

fn run_all(
    surroundings: &Surroundings<'_>,
    cases: Vec<&'static Case>,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let queue = Mutex::new(cases.into_iter().enumerate().collect::<VecDeque<_>>());
    let (sender, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..surroundings.options.jobs {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.pop_front());
                    let Some((number, case)) = next else { return };
                    // The receiver lives until all threads ended, unless the report failed.
                    if sender.send(one(surroundings, number, case)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for outcome in outcomes {
            report.add(outcome)?;
        }
        Ok(())
    })
}

/// Runs one case and judges it.
fn one(surroundings: &Surroundings<'_>, number: usize, case: &'static Case) -> Outcome {
    let begin = Instant::now();
    let token = format!("conf{}x{number}", std::process::id());
    let folder = surroundings.folder.path().join(&token);
    let job = Job {
        case: case.name.to_owned(),
        token: token.clone(),
        target: surroundings.target.clone(),
        image: surroundings.folder.path().join("image"),
    };
    let findings = supervise(&folder, &job, case).unwrap_or_else(|error| Findings {
        stop: Some(Stop::Fail(format!("the suite could not run the case: {error}"))),
        leaks: Vec::new(),
        journal: Vec::new(),
    });
    cgroup::remove_named(&token);
    resctrl::remove_named(&format!("{token}-"));
    systemd::stop_named(&token);
    apparmor::remove_named(&token);
    let configs = configs_in(&folder);
    // A folder that cannot be removed is removed with the folder of the run, or reported there.
    fs::remove_dir_all(&folder).unwrap_or_default();
    let journal = findings.journal.clone();
    let found = found(&findings);
    let target = &surroundings.target;
    let passed = findings.stop.is_none() && findings.leaks.is_empty();
    let known = case.known_runc.filter(|known| {
        target.is_runc_1_1()
            && match known.fails {
                Fails::Always => true,
                Fails::OnV2 => cgroup::is_unified(),
                Fails::AtTimes => !passed,
            }
            // Written for runc's words, too: a pass without them makes no reason stale.
            && !(passed && target.any_words)
    });
    let known = known.map(|known| known.reason);
    let (verdict, reason) = judge(findings, known, surroundings.options.must_run);
    let configs = if verdict == Verdict::Passed { Vec::new() } else { configs };
    let seconds = begin.elapsed().as_secs_f64();
    Outcome { name: case.name, verdict, reason, found, journal, configs, seconds }
}

/// How the configurations of a case differ from the suite's default, in the order of making.
fn configs_in(folder: &Path) -> Vec<serde_json::Value> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut bundles: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            Some((name.strip_prefix("bundle-")?.parse().ok()?, entry.path()))
        })
        .collect();
    bundles.sort();
    bundles
        .iter()
        // A case may have written what is no JSON on purpose; its journal says so.
        .filter_map(|(_, bundle)| fs::read(bundle.join("config.json")).ok())
        .filter_map(|text| serde_json::from_slice(&text).ok())
        .map(|config| bundle::difference(&bundle::default_config(), &config))
        .collect()
}

/// What was found wrong, before it is judged.
fn found(findings: &Findings) -> String {
    let stop = match &findings.stop {
        Some(Stop::Fail(reason)) => Some(reason),
        Some(Stop::Skip(_)) | None => None,
    };
    stop.into_iter().chain(&findings.leaks).cloned().collect::<Vec<_>>().join("\n")
}

/// What a finding means for this runtime.
fn judge(findings: Findings, known: Option<&str>, must_run: bool) -> (Verdict, String) {
    let mut failures = findings.leaks;
    match findings.stop {
        Some(Stop::Skip(reason)) if failures.is_empty() => {
            let verdict = if must_run { Verdict::Failed } else { Verdict::Skipped };
            return (verdict, reason);
        }
        Some(Stop::Skip(reason) | Stop::Fail(reason)) => failures.insert(0, reason),
        None => {}
    }
    match (failures.is_empty(), known) {
        (true, None) => (Verdict::Passed, String::new()),
        (false, None) => (Verdict::Failed, failures.join("\n")),
        (false, Some(reason)) => (Verdict::Known, reason.to_owned()),
        (true, Some(reason)) => (
            Verdict::Failed,
            format!("passes, so the written reason for a failure is stale: {reason}"),
        ),
    }
}

/// Starts the worker, waits for it until the deadline, and ends everything below it.
fn supervise(folder: &Path, job: &Job, case: &Case) -> io::Result<Findings> {
    fs::create_dir(folder)?;
    fs::write(folder.join(JOB), serde_json::to_vec(job)?)?;
    let errors = folder.join("worker.err");
    let mut worker = Command::new("/proc/self/exe")
        .arg("--worker")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&errors)?)
        .spawn()?;
    let pid = i32::try_from(worker.id()).map_err(io::Error::other)?;
    let in_time = process::handle(pid)
        .and_then(|handle| event::readable(handle, case.deadline))
        .map_err(|stop| io::Error::other(format!("{stop:?}")))?;
    if !in_time {
        end_below(pid);
        worker.kill()?;
    }
    let status = worker.wait()?;
    if let Ok(bytes) = fs::read(folder.join(RESULT)) {
        return Ok(serde_json::from_slice(&bytes)?);
    }
    let said = fs::read_to_string(&errors).unwrap_or_default();
    let why = if in_time {
        format!("the worker ended with {status} and left no result: {}", said.trim())
    } else {
        format!("not finished after {:?}; everything it started was killed", case.deadline)
    };
    Ok(Findings { stop: Some(Stop::Fail(why)), leaks: Vec::new(), journal: calls_in(folder) })
}

/// Kills the descendants of a worker until there are none, while it still adopts orphans.
fn end_below(worker: i32) {
    for _ in 0..50 {
        let below = process::descendants(worker);
        if below.is_empty() {
            return;
        }
        for pid in below {
            process::end(pid, Duration::from_millis(100));
        }
    }
}

/// What the calls of a killed worker had said, since its journal died with it.
fn calls_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut lines: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("call-"))
        .filter_map(|entry| {
            let text = fs::read(entry.path()).ok().filter(|text| !text.is_empty())?;
            let text = String::from_utf8_lossy(&text).into_owned();
            let text = crate::harness::call::shorten(&text);
            Some(format!("{}: {text}", entry.file_name().to_string_lossy()))
        })
        .collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(stop: Option<Stop>, leaks: &[&str]) -> Findings {
        Findings {
            stop,
            leaks: leaks.iter().map(|leak| (*leak).to_owned()).collect(),
            journal: Vec::new(),
        }
    }

    #[test]
    fn a_leak_fails_a_case_that_passed_or_skipped() {
        assert_eq!(judge(findings(None, &["x"]), None, false).0, Verdict::Failed);
        let skip = || Some(Stop::Skip("the host lacks y".into()));
        assert_eq!(judge(findings(skip(), &["x"]), None, false).0, Verdict::Failed);
        assert_eq!(judge(findings(skip(), &[]), None, false).0, Verdict::Skipped);
        assert_eq!(judge(findings(skip(), &[]), None, true).0, Verdict::Failed);
    }

    #[test]
    fn a_known_reason_excuses_a_failure_and_nothing_else() {
        let fail = || Some(Stop::Fail("z".into()));
        assert_eq!(judge(findings(fail(), &[]), Some("k"), false), (Verdict::Known, "k".into()));
        let (verdict, reason) = judge(findings(None, &[]), Some("k"), false);
        assert_eq!(verdict, Verdict::Failed);
        assert!(reason.contains("stale"), "{reason}");
    }
}
