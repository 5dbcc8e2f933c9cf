//! The XML that continuous integration servers read: one suite, a case for each case.

use std::fmt::Write as _;

use super::{Outcome, Verdict};

/// The whole document; it has the counts at its top, so it can only be written at the end.
pub(super) fn document(runtime: &str, outcomes: &[Outcome], seconds: f64) -> String {
    let of = |verdict| outcomes.iter().filter(|o| o.verdict == verdict).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"conformance {}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{seconds:.3}\">\n",
        escape(runtime),
        outcomes.len(),
        of(Verdict::Failed),
        of(Verdict::Skipped) + of(Verdict::Known),
    );
    for outcome in outcomes {
        let (area, name) = outcome.name.split_once('/').unwrap_or(("", outcome.name));
        let head = format!(
            "  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
            escape(area),
            escape(name),
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

/// XML 1.0 forbids most control characters even when they are escaped, and two others; all of these
/// become blanks.
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
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::{every_verdict, written};
    use crate::args::Format;

    #[test]
    fn an_xml_parser_reads_what_was_meant() {
        let text = written(Format::Junit);
        let document = roxmltree::Document::parse(&text).expect("well-formed XML");
        let suite = document.root_element();
        assert_eq!(suite.tag_name().name(), "testsuite");
        let number = |name| suite.attribute(name).and_then(|text| text.parse::<usize>().ok());
        assert_eq!(number("tests"), Some(4));
        assert_eq!(number("failures"), Some(1));
        assert_eq!(number("skipped"), Some(2));
        assert_eq!(suite.attribute("name"), Some("conformance a <runtime> & \"more\""));

        let cases: Vec<_> = suite.children().filter(roxmltree::Node::is_element).collect();
        let wanted = every_verdict();
        assert_eq!(cases.len(), wanted.len());
        for (case, outcome) in cases.iter().zip(&wanted) {
            let name = outcome.name.strip_prefix("area/");
            assert_eq!(case.attribute("classname"), Some("area"));
            assert_eq!(case.attribute("name"), name);
        }
        let child = |index: usize| cases[index].first_element_child();
        assert!(child(0).is_none());
        let failure = child(1).unwrap();
        assert_eq!(failure.tag_name().name(), "failure");
        // The escape character is no character of XML 1.0.
        let message = wanted[1].reason.replace('\u{1b}', " ");
        assert_eq!(failure.attribute("message"), Some(message.as_str()));
        assert_eq!(failure.text(), Some(wanted[1].journal.join("\n").as_str()));
        assert_eq!(
            child(2).unwrap().attribute("message"),
            Some("known: because\nof this"),
            "a known failure is a skip with its reason"
        );
        assert_eq!(child(3).unwrap().attribute("message"), Some("the host lacks y"));
    }
}
