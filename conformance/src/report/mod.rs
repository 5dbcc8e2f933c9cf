//! What came out, in the forms that people and machines read. Decides nothing.

mod json;
mod junit;
mod tap;

#[cfg(test)]
pub(crate) use json::VERSION;
pub(crate) use json::{CaseResult, Run, read};

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::args::Format;
use crate::page;
use crate::row;

/// How one case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As promised.
    Passed,
    /// Not as promised, or the suite's own expectation is wrong.
    Failed,
    /// Not as promised, for a reason that is written down for this runtime.
    Known,
    /// The host lacks something.
    Skipped,
}

/// One finished case.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `area/case-name`.
    pub(crate) name: &'static str,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// One line: why it failed, is known, or was skipped.
    pub(crate) reason: String,
    /// What was found wrong, also when the reason is a written one.
    pub(crate) found: String,
    /// The calls that were made, for a failure.
    pub(crate) journal: Vec<String>,
    /// How the configurations differ from the suite's default, for what did not pass.
    pub(crate) configs: Vec<serde_json::Value>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Writes outcomes as they come, and counts them.
pub(crate) struct Report<'w> {
    format: Format,
    out: Box<dyn Write + 'w>,
    runtime: String,
    done: Vec<Outcome>,
}

impl std::fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Report")
            .field("format", &self.format)
            .field("done", &self.done.len())
            .finish_non_exhaustive()
    }
}

impl<'w> Report<'w> {
    /// Begins a report about `runtime` that will have `total` cases.
    pub(crate) fn begin(
        format: Format,
        mut out: Box<dyn Write + 'w>,
        runtime: &str,
        total: usize,
    ) -> io::Result<Self> {
        if format == Format::Tap {
            out.write_all(tap::head(total).as_bytes())?;
        }
        Ok(Self { format, out, runtime: runtime.to_owned(), done: Vec::with_capacity(total) })
    }

    /// Takes one outcome; TAP and text are written at once, so that a reader can follow.
    pub(crate) fn add(&mut self, outcome: Outcome) -> io::Result<()> {
        let number = self.done.len() + 1;
        match self.format {
            Format::Tap => self.out.write_all(tap::point(number, &outcome).as_bytes())?,
            Format::Text => self.out.write_all(text(&outcome).as_bytes())?,
            Format::Junit | Format::Json | Format::Html => {}
        }
        self.out.flush()?;
        self.done.push(outcome);
        Ok(())
    }

    /// Ends the report; returns the summary with its line on coverage, and whether nothing failed.
    pub(crate) fn finish(mut self, seconds: f64) -> io::Result<(String, bool)> {
        match self.format {
            Format::Junit => {
                let xml = junit::document(&self.runtime, &self.done, seconds);
                self.out.write_all(xml.as_bytes())?;
            }
            Format::Json => {
                let run = json::run(&self.runtime, &self.done, seconds);
                serde_json::to_writer_pretty(&mut self.out, &run)?;
                self.out.write_all(b"\n")?;
            }
            Format::Html => {
                let run = json::run(&self.runtime, &self.done, seconds);
                self.out.write_all(page::of(run)?.as_bytes())?;
            }
            Format::Tap | Format::Text => {}
        }
        self.out.flush()?;
        let of = |verdict| self.done.iter().filter(|o| o.verdict == verdict).count();
        let failed = of(Verdict::Failed);
        let summary = format!(
            "conformance: {} passed, {failed} failed, {} known, {} skipped (runtime {}, {seconds:.1} s)",
            of(Verdict::Passed),
            of(Verdict::Known),
            of(Verdict::Skipped),
            self.runtime,
        );
        let verdicts = self.done.iter().map(|outcome| (outcome.name, outcome.verdict)).collect();
        let summary = format!("{summary}\n{}", row::coverage(&verdicts));
        Ok((summary, failed == 0))
    }
}

fn text(outcome: &Outcome) -> String {
    let word = match outcome.verdict {
        Verdict::Passed => "ok",
        Verdict::Failed => "FAIL",
        Verdict::Known => "known",
        Verdict::Skipped => "skip",
    };
    let mut line = format!("{word:<6}{:<48}{:6.2} s", outcome.name, outcome.seconds);
    if !outcome.reason.is_empty() {
        line += &format!("  {}", one_line(&outcome.reason));
    }
    line.push('\n');
    if outcome.verdict == Verdict::Failed {
        for entry in outcome.journal.iter().flat_map(|entry| entry.lines()) {
            line += &format!("        {entry}\n");
        }
    }
    line
}

fn one_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn outcome(name: &'static str, verdict: Verdict, reason: &str) -> Outcome {
        Outcome {
            name,
            verdict,
            reason: reason.into(),
            found: if verdict == Verdict::Passed { String::new() } else { "got a, want b".into() },
            journal: vec!["runc state x\n  ... # -> exit 1".into(), "---".into()],
            configs: vec![serde_json::json!({ "process": { "cwd": "/x" } })],
            seconds: 0.5,
        }
    }

    /// An outcome of each kind, with what the forms must escape.
    pub(super) fn every_verdict() -> [Outcome; 4] {
        [
            outcome("area/passed", Verdict::Passed, ""),
            outcome(
                "area/failed",
                Verdict::Failed,
                "want <a> & \"b\"\n  ...\nnot ok 9 - \u{1b}[0m",
            ),
            outcome("area/known", Verdict::Known, "because\nof this"),
            outcome("area/skipped", Verdict::Skipped, "the host lacks y"),
        ]
    }

    /// A whole report of these.
    pub(crate) fn written(format: Format) -> String {
        let mut bytes = Vec::new();
        let mut report =
            Report::begin(format, Box::new(&mut bytes), "a <runtime> & \"more\"", 4).unwrap();
        for outcome in every_verdict() {
            report.add(outcome).unwrap();
        }
        report.finish(1.0).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_has_a_line_for_each_case_and_the_journal_of_a_failure() {
        let text = written(Format::Text);
        let begins: Vec<_> =
            text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(begins, ["ok", "FAIL", "runc", "...", "---", "known", "skip"], "{text}");
    }

    #[test]
    fn only_failures_make_the_run_fail() {
        let mut report = Report::begin(Format::Text, Box::new(io::sink()), "runc 1", 2).unwrap();
        report.add(outcome("a/k", Verdict::Known, "k")).unwrap();
        report.add(outcome("a/s", Verdict::Skipped, "s")).unwrap();
        let (summary, good) = report.finish(2.0).unwrap();
        assert!(good);
        assert_eq!(
            summary.lines().next().unwrap(),
            "conformance: 0 passed, 0 failed, 1 known, 1 skipped (runtime runc 1, 2.0 s)"
        );
    }
}
