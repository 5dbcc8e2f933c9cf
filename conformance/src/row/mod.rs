//! The rows of the OCI runtime specification, version 1.3.0, by which a Linux runtime is judged, and
//! the cases that prove each.
//!
//! A row is one demand in one sentence of ours, with the file and section where the specification
//! makes it. `MUST` is also what a property means without a keyword: a runtime has to create the
//! environment as configured or to fail (runtime.md, Lifecycle). A row without a case says why.
//! Decides nothing about a runtime: a row is proven in a run when all of its cases passed there.

use std::collections::BTreeMap;

use crate::report::Verdict;

mod cgroup;
mod hook;
mod linux;
mod mount;
mod process;
mod seccomp;

/// How strongly the specification demands something (RFC 2119).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// MUST, REQUIRED, or what a property means.
    Must,
    /// SHOULD, RECOMMENDED.
    Should,
    /// MAY, OPTIONAL.
    May,
}

impl Level {
    /// The word of RFC 2119.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
        }
    }
}

/// Why a row is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    /// By these cases, all of which must pass.
    Cases(&'static [&'static str]),
    /// Not at all, for this reason.
    Unproven(&'static str),
}

/// One demand.
#[derive(Debug)]
pub(crate) struct Row {
    /// `area/name`; the area is not always that of the cases.
    pub(crate) id: &'static str,
    /// `file.md#section` of the specification.
    pub(crate) section: &'static str,
    /// How strong it is.
    pub(crate) level: Level,
    /// One sentence.
    pub(crate) text: &'static str,
    /// What proves it.
    pub(crate) proof: Proof,
}

/// A table: sections, in each a line `level "id" "sentence" => proof;`, where the proof is a list of
/// cases or `unproven("why")`.
macro_rules! rows {
    ($($section:literal { $($level:ident $id:literal $text:literal => $proof:expr;)+ })+) => {
        &[$($($crate::row::Row {
            id: $id,
            section: $section,
            level: $crate::row::Level::$level,
            text: $text,
            proof: $proof,
        },)+)+]
    };
}

const fn by(cases: &'static [&'static str]) -> Proof {
    Proof::Cases(cases)
}

const fn unproven(why: &'static str) -> Proof {
    Proof::Unproven(why)
}

use rows;

/// Every row, in the order of the specification's files.
pub(crate) fn all() -> Vec<&'static Row> {
    [process::ROWS, mount::ROWS, linux::ROWS, cgroup::ROWS, seccomp::ROWS, hook::ROWS]
        .into_iter()
        .flatten()
        .collect()
}

/// The rows whose ids contain one of the filters; all without filters.
pub(crate) fn matching(filters: &[String]) -> Vec<&'static Row> {
    all()
        .into_iter()
        .filter(|row| filters.is_empty() || filters.iter().any(|word| row.id.contains(word)))
        .collect()
}

/// What a run says about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All cases passed.
    Proven,
    /// A case failed, known or not.
    Broken,
    /// No case failed, but one was skipped or has not run.
    Open,
    /// It has no case.
    Unproven,
}

/// Judges a row by the verdicts of the cases that ran.
pub(crate) fn standing(row: &Row, verdicts: &BTreeMap<&str, Verdict>) -> Standing {
    let Proof::Cases(cases) = row.proof else { return Standing::Unproven };
    let of = |name: &&str| verdicts.get(name).copied();
    if cases.iter().any(|name| matches!(of(name), Some(Verdict::Failed | Verdict::Known))) {
        Standing::Broken
    } else if cases.iter().all(|name| of(name) == Some(Verdict::Passed)) {
        Standing::Proven
    } else {
        Standing::Open
    }
}

/// The last line of a run: how much of the specification it has proven.
pub(crate) fn coverage(verdicts: &BTreeMap<&str, Verdict>) -> String {
    let rows = all();
    let count =
        |wanted: Standing| rows.iter().filter(|row| standing(row, verdicts) == wanted).count();
    format!(
        "coverage: {} / {} rows of the specification proven ({} broken, {} skipped or not run, {} without a case)",
        count(Standing::Proven),
        rows.len(),
        count(Standing::Broken),
        count(Standing::Open),
        count(Standing::Unproven),
    )
}

/// The rows as `conformance rows` prints them.
pub(crate) fn print(filters: &[String]) -> String {
    let mut text = String::new();
    for row in matching(filters) {
        text += &format!("{:<6} {:<40} {} [{}]\n", row.level.word(), row.id, row.text, row.section);
        text += &match row.proof {
            Proof::Cases(cases) => format!("       {}\n", cases.join(", ")),
            Proof::Unproven(why) => format!("       unproven: {why}\n"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case;
    use std::collections::BTreeSet;

    /// The files of the specification that concern a Linux runtime.
    const FILES: [&str; 8] = [
        "bundle.md",
        "config.md",
        "config-linux.md",
        "runtime.md",
        "runtime-linux.md",
        "features.md",
        "features-linux.md",
        "glossary.md",
    ];

    #[test]
    fn every_row_has_its_own_id_a_section_and_a_sentence() {
        let mut seen = BTreeSet::new();
        for row in all() {
            assert!(seen.insert(row.id), "{} is there twice", row.id);
            assert_eq!(row.id.split('/').count(), 2, "{}", row.id);
            let (file, section) = row.section.split_once('#').unwrap_or((row.section, "-"));
            assert!(FILES.contains(&file) && !section.is_empty(), "{}: {}", row.id, row.section);
            assert!(row.text.ends_with('.'), "{} is no sentence: {}", row.id, row.text);
        }
    }

    #[test]
    fn every_row_names_cases_that_exist_or_says_why_none() {
        let cases: BTreeSet<&str> = case::all().into_iter().map(|case| case.name).collect();
        for row in all() {
            match row.proof {
                Proof::Cases(named) => {
                    assert!(!named.is_empty(), "{} has no case", row.id);
                    for name in named {
                        assert!(cases.contains(name), "{}: no case {name}", row.id);
                    }
                }
                Proof::Unproven(why) => assert!(why.len() > 10, "{} says no reason", row.id),
            }
        }
    }

    #[test]
    fn a_row_is_proven_only_when_all_of_its_cases_passed() {
        let row = Row {
            id: "a/b",
            section: "config.md",
            level: Level::Must,
            text: "A row.",
            proof: by(&["x", "y"]),
        };
        let with = |second: Option<Verdict>| {
            let mut verdicts = BTreeMap::from([("x", Verdict::Passed)]);
            verdicts.extend(second.map(|verdict| ("y", verdict)));
            standing(&row, &verdicts)
        };
        assert_eq!(with(Some(Verdict::Passed)), Standing::Proven);
        assert_eq!(with(Some(Verdict::Known)), Standing::Broken);
        assert_eq!(with(Some(Verdict::Failed)), Standing::Broken);
        assert_eq!(with(Some(Verdict::Skipped)), Standing::Open);
        assert_eq!(with(None), Standing::Open);
    }
}
