//! Measures `run`, `create`, `start` and `delete` of teu beside crun, runc and the floor: a program that
//! makes only the kernel calls that the same container needs (bin/floor).
//!
//! Every runtime gets the same bundle, busybox's `true`, in the same mount namespace (stage.rs). Samples
//! are interleaved in random order (measure.rs), so that what disturbs one disturbs all. Nothing else
//! should run meanwhile.

mod args;
mod contestant;
mod error;
mod host;
mod measure;
mod report;
mod stage;
mod stats;
mod sys;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use args::{Args, USAGE};
use contestant::Contestant;
use error::{Context, Error, Result};
use measure::Measurement;
use report::{Results, drawing, raw, table};
use stage::Stage;

fn main() -> ExitCode {
    match Args::parse().and_then(|args| args.map_or_else(help, |args| benchmark(&args))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("benches: {}", error.0);
            ExitCode::FAILURE
        }
    }
}

fn help() -> Result<bool> {
    print!("{USAGE}");
    Ok(true)
}

/// Whether the bar is met, if that was asked for.
fn benchmark(args: &Args) -> Result<bool> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error("starting containers, as the benchmark does, takes root".to_owned()));
    }
    let mut contestants = Contestant::find(args)?;
    // Orphaned containers come to us and can be waited for, as they come to a manager's monitor.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .context(|| "becoming the reaper of orphans".to_owned())?;
    let results = {
        let stage = Stage::build()?;
        contestants.retain(|contestant| {
            let can = measure::can_take_part(contestant, stage.view());
            if !can {
                eprintln!(
                    "benches: {} is left out: it knows cgroups of version 1 only",
                    contestant.name()
                );
            }
            can
        });
        measure(args, &stage, &contestants)?
    };
    let text = table::markdown(&results);
    print!("{text}");
    write_all(&args.out, &results, &text)?;
    let Some(bar) = args.check else { return Ok(true) };
    let (lines, met) = results.judge(bar).ok_or_else(|| {
        Error("--check compares teu with crun: both have to take part".to_owned())
    })?;
    println!();
    for line in lines {
        println!("{line}");
    }
    Ok(met)
}

fn measure(args: &Args, stage: &Stage, contestants: &[Contestant]) -> Result<Results> {
    stage.prepare(contestants)?;
    let mut facts = host::describe(contestants);
    let before = host::load();
    let mut measurement = Measurement::new(stage, contestants, args.gap, &args.scenarios);
    let samples = measurement.rounds(args.rounds)?;
    let mut system_calls = Vec::new();
    if args.scenarios.contains(&measure::Scenario::Run) {
        for contestant in contestants {
            if let Some(calls) = measurement.system_calls(contestant)? {
                system_calls.push((contestant.kind, calls));
            }
        }
    }
    facts.push(format!("cgroups: {}", stage.view().describe()));
    facts.push(format!("samples: {} rounds, {} ms apart", args.rounds, args.gap.as_millis()));
    facts.push(format!("load average before and after: {before}, {}", host::load()));
    Ok(Results {
        facts,
        kinds: contestants.iter().map(|contestant| contestant.kind).collect(),
        scenarios: args.scenarios.clone(),
        samples,
        system_calls,
    })
}

fn write_all(directory: &Path, results: &Results, text: &str) -> Result<()> {
    let files = [
        ("results.md", text.to_owned()),
        ("samples.csv", raw::csv(results)),
        ("results.svg", drawing::svg(results)),
    ];
    fs::create_dir_all(directory).context(|| format!("making {}", directory.display()))?;
    for (name, content) in files {
        let path = directory.join(name);
        fs::write(&path, content).context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
