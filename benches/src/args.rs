//! The command line of the benchmark.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::error::{Error, Result};
use crate::measure::Scenario;

pub(crate) const USAGE: &str = "\
usage: benches [run|create|start|delete|all] [options]

Measures commands of teu, crun and runc, and a floor that makes only the kernel calls that the
container needs, in random order within each round. Run it as root on a machine that does nothing
else. Without a scenario it measures all.

  --rounds N    rounds to measure, after two that are dropped (default 50)
  --gap-ms N    pause before each sample; starts follow each other slowly in life (default 200)
  --teu PATH    the teu to measure (default: beside this program)
  --only NAMES  some of teu,crun,runc,floor, separated by commas
  --out DIR     where results.md, samples.csv and results.svg go (default target/bench)
  --check       fail unless `run` takes at most 0.4 times crun's median and teu's peak memory is
                below half of crun's
  --check-memory
                fail unless the latter holds, which does not depend on what else the machine does
  --help        this text
";

/// What is held against the project's bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    /// Time and memory.
    Whole,
    /// Memory alone.
    Memory,
}

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) rounds: u32,
    pub(crate) gap: Duration,
    pub(crate) teu: Option<PathBuf>,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) out: PathBuf,
    /// The parts of the bar that are judged.
    pub(crate) check: Option<Bar>,
}

impl Args {
    /// `None` when only the help was asked for.
    pub(crate) fn parse() -> Result<Option<Self>> {
        Self::read(lexopt::Parser::from_env()).map_err(|error| Error(format!("{error}\n\n{USAGE}")))
    }

    fn read(mut parser: lexopt::Parser) -> std::result::Result<Option<Self>, lexopt::Error> {
        let mut args = Self {
            scenarios: Vec::new(),
            rounds: 50,
            gap: Duration::from_millis(200),
            teu: None,
            only: None,
            out: PathBuf::from("target/bench"),
            check: None,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Value(name) => args.scenarios.extend(match name.string()?.as_str() {
                    "run" => vec![Scenario::Run, Scenario::Hot],
                    "create" => vec![Scenario::Create, Scenario::Init],
                    "start" => vec![Scenario::Start],
                    "delete" => vec![Scenario::Delete],
                    "all" => Scenario::ALL.to_vec(),
                    other => return Err(format!("unknown scenario {other:?}").into()),
                }),
                Long("rounds") => args.rounds = parser.value()?.parse()?,
                Long("gap-ms") => args.gap = Duration::from_millis(parser.value()?.parse()?),
                Long("teu") => args.teu = Some(parser.value()?.into()),
                Long("only") => {
                    args.only =
                        Some(parser.value()?.string()?.split(',').map(str::to_owned).collect());
                }
                Long("out") => args.out = parser.value()?.into(),
                Long("check") => args.check = Some(Bar::Whole),
                Long("check-memory") => args.check = Some(Bar::Memory),
                Short('h') | Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        if args.scenarios.is_empty() {
            args.scenarios = Scenario::ALL.to_vec();
        }
        if args.rounds == 0 {
            return Err("--rounds has to be at least 1".into());
        }
        if args.check.is_some() && !args.scenarios.contains(&Scenario::Run) {
            return Err("--check judges `run`, which is not among the scenarios".into());
        }
        Ok(Some(args))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> std::result::Result<Option<Args>, String> {
        Args::read(lexopt::Parser::from_args(line)).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_means_everything() {
        let args = read(&[]).unwrap().unwrap();
        assert_eq!(args.scenarios, Scenario::ALL);
        assert_eq!((args.rounds, args.gap.as_millis()), (50, 200));
    }

    #[test]
    fn run_brings_its_hot_form() {
        let args = read(&["run", "--rounds", "3", "--check"]).unwrap().unwrap();
        assert_eq!(args.scenarios, [Scenario::Run, Scenario::Hot]);
        assert_eq!(args.check, Some(Bar::Whole));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        assert!(read(&["--rounds", "0"]).is_err());
        assert!(read(&["delete", "--check"]).unwrap_err().contains("judges `run`"));
        assert!(read(&["sprint"]).unwrap_err().contains("sprint"));
    }
}
