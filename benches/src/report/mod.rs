//! What the samples say, as numbers; the forms are in the modules below.

pub(crate) mod drawing;
pub(crate) mod raw;
pub(crate) mod table;

use crate::args::Bar;
use crate::contestant::Kind;
use crate::measure::{Cost, Sample, Scenario};
use crate::stats::{Summary, paired_ratio, summary};

/// The bar that the project has set itself for `run`, against crun.
const MOST_TIME: f64 = 0.4;
const MOST_MEMORY: f64 = 0.5;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) facts: Vec<String>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) system_calls: Vec<(Kind, u64)>,
}

impl Results {
    /// One column of one row, by round.
    fn column(&self, scenario: Scenario, kind: Kind, value: impl Fn(&Cost) -> f64) -> Vec<f64> {
        self.samples
            .iter()
            .filter(|sample| sample.scenario == scenario && sample.kind == kind)
            .map(|sample| value(&sample.cost))
            .collect()
    }

    fn wall_ms(&self, scenario: Scenario, kind: Kind) -> Vec<f64> {
        self.column(scenario, kind, |cost| cost.wall_us / 1e3)
    }

    fn wall(&self, scenario: Scenario, kind: Kind) -> Option<Summary> {
        summary(&self.wall_ms(scenario, kind))
    }

    fn median(&self, scenario: Scenario, kind: Kind, value: impl Fn(&Cost) -> f64) -> Option<f64> {
        summary(&self.column(scenario, kind, value)).map(|summary| summary.median)
    }

    fn peak_kib(&self, scenario: Scenario, kind: Kind) -> Option<f64> {
        self.median(scenario, kind, |cost| cost.peak_kib as f64)
    }

    /// The median against crun's median, and the median of the ratios within rounds.
    fn ratios(&self, scenario: Scenario, kind: Kind) -> Option<(f64, f64)> {
        let medians = self.wall(scenario, kind)?.median / self.wall(scenario, Kind::Crun)?.median;
        let paired =
            paired_ratio(&self.wall_ms(scenario, kind), &self.wall_ms(scenario, Kind::Crun))?;
        Some((medians, paired))
    }

    /// Holds the figures against the project's bar: a line for each part, and whether all are met.
    /// `None` when teu or crun did not take part.
    pub(crate) fn judge(&self, bar: Bar) -> Option<(Vec<String>, bool)> {
        let (time, _) = self.ratios(Scenario::Run, Kind::Teu)?;
        let memory =
            self.peak_kib(Scenario::Run, Kind::Teu)? / self.peak_kib(Scenario::Run, Kind::Crun)?;
        let verdict = |met: bool| if met { "met" } else { "MISSED" };
        let judged = [
            (Bar::Whole, time <= MOST_TIME, "median time", time, format!("at most {MOST_TIME}")),
            (
                Bar::Memory,
                memory < MOST_MEMORY,
                "peak memory",
                memory,
                format!("below {MOST_MEMORY}"),
            ),
        ];
        let judged: Vec<_> =
            judged.into_iter().filter(|(part, ..)| bar == Bar::Whole || bar == *part).collect();
        let met = judged.iter().all(|(_, met, ..)| *met);
        let line = |(_, met, what, ratio, wanted): (Bar, bool, &str, f64, String)| {
            format!("run, {what}, teu to crun: {ratio:.3} ({wanted}): {}", verdict(met))
        };
        Some((judged.into_iter().map(line).collect(), met))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three rounds in which crun takes 10, 20 and 30 ms and teu a fifth of it, with half the memory.
    pub(crate) fn example() -> Results {
        let sample = |round: u32, kind, wall_us, peak_kib| Sample {
            round,
            scenario: Scenario::Run,
            kind,
            cost: Cost { wall_us, user_us: 500, system_us: 1500, peak_kib, minor_faults: 7 },
        };
        let samples = (0..3)
            .flat_map(|round| {
                let crun = f64::from(round + 1) * 10_000.0;
                [sample(round, Kind::Crun, crun, 2000), sample(round, Kind::Teu, crun / 5.0, 1000)]
            })
            .collect();
        Results {
            facts: vec!["kernel: <any> & all".to_owned()],
            kinds: vec![Kind::Teu, Kind::Crun],
            scenarios: vec![Scenario::Run],
            samples,
            system_calls: vec![(Kind::Teu, 300), (Kind::Crun, 1000)],
        }
    }

    #[test]
    fn the_bar_is_below_half_the_memory() {
        let mut results = example();
        let (lines, met) = results.judge(Bar::Whole).unwrap();
        assert!(!met, "half is not below half");
        assert!(lines[0].ends_with("0.200 (at most 0.4): met"), "{lines:?}");
        assert!(lines[1].ends_with("0.500 (below 0.5): MISSED"), "{lines:?}");
        for sample in results.samples.iter_mut().filter(|sample| sample.kind == Kind::Teu) {
            sample.cost.peak_kib = 999;
        }
        assert!(results.judge(Bar::Whole).unwrap().1);
    }

    #[test]
    fn no_verdict_without_crun() {
        let mut results = example();
        results.samples.retain(|sample| sample.kind == Kind::Teu);
        assert!(results.judge(Bar::Whole).is_none());
    }
}
