//! Every sample as a line of CSV, for other programs.

use std::fmt::Write as _;

use super::Results;

/// A head line and one line for each sample, in the order in which they were taken.
pub(crate) fn csv(results: &Results) -> String {
    let mut text =
        String::from("round,scenario,runtime,wall_us,user_us,system_us,peak_kib,minor_faults\n");
    for sample in &results.samples {
        let cost = &sample.cost;
        writeln!(
            text,
            "{},{},{},{:.1},{},{},{},{}",
            sample.round,
            sample.scenario.name().replace(", ", "-"),
            sample.kind.name(),
            cost.wall_us,
            cost.user_us,
            cost.system_us,
            cost.peak_kib,
            cost.minor_faults,
        )
        .unwrap_or_else(|_| unreachable!("a string takes every text"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn one_line_a_sample() {
        let text = csv(&example());
        assert_eq!(text.lines().count(), 7);
        assert_eq!(text.lines().nth(2), Some("0,run,teu,2000.0,500,1500,1000,7"));
    }
}
