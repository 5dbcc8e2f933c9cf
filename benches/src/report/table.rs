//! The figures as Markdown.

use std::fmt::Write as _;

use super::Results;
use crate::contestant::Kind;
use crate::measure::Scenario;

const NOTE: &str = "
CPU, peak memory and minor faults are medians too, of the command and all that it waited for. Peak memory
counts pages of the program's file that the kernel mapped around the ones that were used. The kernel
counts memory in batches, so a program of a few pages shows 0.";

/// The host and one table for each scenario.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = String::from("# teu beside crun and runc\n\n");
    for fact in &results.facts {
        line(&mut text, &format!("- {fact}"));
    }
    line(&mut text, NOTE);
    for scenario in &results.scenarios {
        text.push('\n');
        if scenario.is_timed() {
            timed(&mut text, results, *scenario)
        } else {
            init(&mut text, results)
        }
    }
    if !results.system_calls.is_empty() {
        text.push_str("\n## system calls of one `run`, with those of the container\n\n");
        text.push_str("| runtime | calls |\n|-|-:|\n");
        for (kind, calls) in &results.system_calls {
            line(&mut text, &format!("| {} | {calls} |", kind.name()));
        }
    }
    text
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

fn timed(text: &mut String, results: &Results, scenario: Scenario) {
    line(text, &format!("## {}\n", scenario.name()));
    line(
        text,
        "| runtime | median ms | min | p90 | × crun (of medians) | × crun (median of rounds) | CPU ms | peak KiB | \
         minor faults |\n|-|-:|-:|-:|-:|-:|-:|-:|-:|",
    );
    for kind in &results.kinds {
        let Some(wall) = results.wall(scenario, *kind) else { continue };
        let (medians, paired) = results.ratios(scenario, *kind).map_or_else(
            || ("–".to_owned(), "–".to_owned()),
            |(medians, paired)| (format!("{medians:.2}"), format!("{paired:.2}")),
        );
        let mut row = format!(
            "| {} | **{:.2}** | {:.2} | {:.2} | {medians} | {paired} ",
            kind.name(),
            wall.median,
            wall.min,
            wall.p90
        );
        resources(&mut row, results, scenario, *kind);
        line(text, &row);
    }
}

fn init(text: &mut String, results: &Results) {
    line(text, "## init: the container's first process, from `create` to its end\n");
    line(text, "| runtime | CPU ms | peak KiB | minor faults |\n|-|-:|-:|-:|");
    for kind in &results.kinds {
        let mut row = format!("| {} ", kind.name());
        resources(&mut row, results, Scenario::Init, *kind);
        line(text, &row);
    }
}

fn resources(row: &mut String, results: &Results, scenario: Scenario, kind: Kind) {
    let cpu = results.median(scenario, kind, |cost| (cost.user_us + cost.system_us) as f64 / 1e3);
    let faults = results.median(scenario, kind, |cost| cost.minor_faults as f64);
    for (value, digits) in [(cpu, 2), (results.peak_kib(scenario, kind), 0), (faults, 0)] {
        match value {
            Some(value) => write!(row, "| {value:.digits$} "),
            None => write!(row, "| – "),
        }
        .unwrap_or_else(|_| unreachable!("a string takes every text"));
    }
    row.push('|');
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn a_row_holds_the_figures() {
        let text = markdown(&example());
        assert!(
            text.contains("| teu | **4.00** | 2.00 | 6.00 | 0.20 | 0.20 | 2.00 | 1000 | 7 |"),
            "{text}"
        );
        assert!(
            text.contains("| crun | **20.00** | 10.00 | 30.00 | 1.00 | 1.00 | 2.00 | 2000 | 7 |"),
            "{text}"
        );
        assert!(text.contains("| crun | 1000 |"), "{text}");
    }
}
