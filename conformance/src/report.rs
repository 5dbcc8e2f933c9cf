//! What came out, in the three forms that people and machines read. Decides nothing.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::args::Format;

/// How one case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The calls that were made, for a failure.
    pub(crate) journal: Vec<String>,
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
            writeln!(out, "TAP version 13\n1..{total}")?;
        }
        Ok(Self { format, out, runtime: runtime.to_owned(), done: Vec::with_capacity(total) })
    }

    /// Takes one outcome; TAP and text are written at once, so that a reader can follow.
    pub(crate) fn add(&mut self, outcome: Outcome) -> io::Result<()> {
        let number = self.done.len() + 1;
        match self.format {
            Format::Tap => self.out.write_all(tap(number, &outcome).as_bytes())?,
            Format::Text => self.out.write_all(text(&outcome).as_bytes())?,
            Format::Junit => {}
        }
        self.out.flush()?;
        self.done.push(outcome);
        Ok(())
    }

    /// Ends the report; returns the summary line and whether nothing failed.
    pub(crate) fn finish(mut self, seconds: f64) -> io::Result<(String, bool)> {
        if self.format == Format::Junit {
            let xml = junit(&self.runtime, &self.done, seconds);
            self.out.write_all(xml.as_bytes())?;
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
        Ok((summary, failed == 0))
    }
}

fn tap(number: usize, outcome: &Outcome) -> String {
    let name = outcome.name;
    let reason = one_line(&outcome.reason);
    match outcome.verdict {
        Verdict::Passed => format!("ok {number} - {name}\n"),
        Verdict::Known => format!("ok {number} - {name} # TODO known: {reason}\n"),
        Verdict::Skipped => format!("ok {number} - {name} # SKIP {reason}\n"),
        Verdict::Failed => {
            let mut block = format!("not ok {number} - {name}\n  ---\n  message: |\n");
            for line in outcome.reason.lines() {
                block += &format!("    {line}\n");
            }
            block += "  journal: |\n";
            for line in outcome.journal.iter().flat_map(|entry| entry.lines()) {
                block += &format!("    {line}\n");
            }
            block + "  ...\n"
        }
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

fn junit(runtime: &str, outcomes: &[Outcome], seconds: f64) -> String {
    let of = |verdict| outcomes.iter().filter(|o| o.verdict == verdict).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"conformance {}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\">\n",
        escape(runtime),
        outcomes.len(),
        of(Verdict::Failed),
        of(Verdict::Skipped) + of(Verdict::Known),
    );
    for outcome in outcomes {
        let (area, name) = outcome.name.split_once('/').unwrap_or(("", outcome.name));
        let head = format!(
            "  <testcase classname=\"{area}\" name=\"{name}\" time=\"{:.3}\"",
            outcome.seconds
        );
        let reason = escape(&outcome.reason);
        xml += &match outcome.verdict {
            Verdict::Passed => format!("{head}/>\n"),
            Verdict::Failed => format!(
                "{head}><failure message=\"{reason}\">{}</failure></testcase>\n",
                escape(&outcome.journal.join("\n"))
            ),
            Verdict::Known => format!("{head}><skipped message=\"known: {reason}\"/></testcase>\n"),
            Verdict::Skipped => format!("{head}><skipped message=\"{reason}\"/></testcase>\n"),
        };
    }
    xml + "</testsuite>\n"
}

/// XML 1.0 forbids most control characters even when they are escaped, so they become blanks.
fn escape(raw: &str) -> String {
    let mut escaped = String::with_capacity(raw.len());
    for character in raw.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => {
                // Writing to a String cannot fail.
                write!(escaped, "&#{};", u32::from(character)).unwrap_or_default();
            }
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

fn one_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(verdict: Verdict, reason: &str) -> Outcome {
        Outcome {
            name: "area/name",
            verdict,
            reason: reason.into(),
            journal: vec!["runc state x\n  -> exit 1".into()],
            seconds: 0.5,
        }
    }

    #[test]
    fn tap_marks_what_is_known_and_keeps_one_line() {
        let line = tap(3, &outcome(Verdict::Known, "because\nof this"));
        assert_eq!(line, "ok 3 - area/name # TODO known: because of this\n");
        assert!(
            tap(1, &outcome(Verdict::Failed, "x")).starts_with("not ok 1 - area/name\n  ---\n")
        );
    }

    #[test]
    fn junit_survives_markup_and_control_characters() {
        let xml = junit("r", &[outcome(Verdict::Failed, "<a> & \"b\" \u{1b}[0m")], 1.0);
        assert!(xml.contains("&lt;a&gt; &amp; &quot;b&quot;  [0m"), "{xml}");
    }

    #[test]
    fn only_failures_make_the_run_fail() {
        let mut report = Report::begin(Format::Text, Box::new(io::sink()), "runc 1", 2).unwrap();
        report.add(outcome(Verdict::Known, "k")).unwrap();
        report.add(outcome(Verdict::Skipped, "s")).unwrap();
        let (summary, good) = report.finish(2.0).unwrap();
        assert!(good);
        assert_eq!(
            summary,
            "conformance: 0 passed, 0 failed, 1 known, 1 skipped (runtime runc 1, 2.0 s)"
        );
    }
}
