//! Test Anything Protocol, version 14 (testanything.org/tap-version-14-specification.html).

use super::{Outcome, Verdict, one_line};

/// The first lines of a stream of `total` test points.
pub(super) fn head(total: usize) -> String {
    format!("TAP version 14\n1..{total}\n")
}

/// One test point; a failure carries its message and journal as a YAML block.
///
/// A failure for a known reason is `not ok` with a TODO directive, which a harness counts as no
/// failure; `ok` with TODO would mean that it passed unexpectedly.
pub(super) fn point(number: usize, outcome: &Outcome) -> String {
    let name = description(outcome.name);
    let reason = one_line(&outcome.reason);
    match outcome.verdict {
        Verdict::Passed => format!("ok {number} - {name}\n"),
        Verdict::Known => format!("not ok {number} - {name} # TODO known: {reason}\n"),
        Verdict::Skipped => format!("ok {number} - {name} # SKIP {reason}\n"),
        Verdict::Failed => format!("not ok {number} - {name}\n{}", block(outcome)),
    }
}

/// In a description `#` would begin a directive and a backslash an escape.
fn description(name: &str) -> String {
    name.replace('\\', "\\\\").replace('#', "\\#")
}

/// JSON strings are YAML scalars whatever they hold, so nothing of a runtime's output can end the
/// block early.
fn block(outcome: &Outcome) -> String {
    let mut block = format!("  ---\n  message: {}\n", quoted(&outcome.reason));
    if !outcome.journal.is_empty() {
        block += "  journal:\n";
        for line in outcome.journal.iter().flat_map(|entry| entry.lines()) {
            block += &format!("    - {}\n", quoted(line));
        }
    }
    block + "  ...\n"
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{every_verdict, written};
    use super::*;
    use crate::args::Format;

    /// One test point as a version 14 harness understands it.
    #[derive(Debug)]
    struct Point {
        ok: bool,
        description: String,
        directive: Option<(String, String)>,
        yaml: Vec<String>,
    }

    /// Reads a stream by the rules of version 14; panics where a harness would find it invalid.
    fn parse(stream: &str) -> Vec<Point> {
        let mut lines = stream.lines().peekable();
        assert_eq!(lines.next(), Some("TAP version 14"), "the version is the first line");
        let plan = lines.next().and_then(|line| line.strip_prefix("1..")).expect("a plan");
        let mut points = Vec::new();
        while let Some(line) = lines.next() {
            let (ok, rest) = match line.strip_prefix("not ok ") {
                Some(rest) => (false, rest),
                None => (true, line.strip_prefix("ok ").unwrap_or_else(|| panic!("{line:?}"))),
            };
            let (number, rest) = rest.split_once(" - ").expect("number, dash, description");
            assert_eq!(number.parse(), Ok(points.len() + 1), "ids count up");
            let (description, directive) = split_directive(rest);
            let mut yaml = Vec::new();
            if lines.next_if_eq(&"  ---").is_some() {
                loop {
                    let line = lines.next().expect("a YAML block ends with ...");
                    if line == "  ..." {
                        break;
                    }
                    yaml.push(line.strip_prefix("  ").expect("indented by two").to_owned());
                }
            }
            points.push(Point { ok, description, directive, yaml });
        }
        assert_eq!(plan.parse(), Ok(points.len()), "as many as planned");
        points
    }

    /// The directive begins at the first `#` that is not escaped and has a blank before it.
    fn split_directive(text: &str) -> (String, Option<(String, String)>) {
        let mut description = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => description.extend(characters.next()),
                '#' => {
                    let directive = characters.as_str().trim();
                    let (word, reason) = directive.split_once(' ').unwrap_or((directive, ""));
                    assert!(["TODO", "SKIP"].contains(&word), "directive {word:?}");
                    return (
                        description.trim_end().to_owned(),
                        Some((word.to_owned(), reason.to_owned())),
                    );
                }
                other => description.push(other),
            }
        }
        (description, None)
    }

    #[test]
    fn a_harness_reads_what_was_meant() {
        let points = parse(&written(Format::Tap));
        let [passed, failed, known, skipped] = &points[..] else { panic!("{points:?}") };
        assert!(passed.ok && passed.directive.is_none() && passed.yaml.is_empty());
        assert_eq!(passed.description, "area/passed");

        assert!(!failed.ok && failed.directive.is_none());
        let message = failed.yaml[0].strip_prefix("message: ").unwrap();
        let message: String = serde_json::from_str(message).unwrap();
        assert_eq!(message, every_verdict()[1].reason);
        assert_eq!(failed.yaml[1], "journal:");
        let line: String =
            serde_json::from_str(failed.yaml[3].trim_start().strip_prefix("- ").unwrap()).unwrap();
        assert_eq!(line, "  ... # -> exit 1");

        let directive = |point: &Point| point.directive.clone().unwrap();
        assert!(!known.ok, "TODO is for what does not pass");
        assert_eq!(directive(known), ("TODO".into(), "known: because of this".into()));
        assert!(skipped.ok);
        assert_eq!(directive(skipped), ("SKIP".into(), "the host lacks y".into()));
    }

    #[test]
    fn marks_in_a_description_are_escaped() {
        let (text, directive) = split_directive(&description("a#b\\c"));
        assert_eq!((text.as_str(), directive), ("a#b\\c", None));
    }
}
