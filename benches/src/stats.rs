//! Medians and the like.

/// What is reported of one column of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) p90: f64,
}

/// `None` without samples.
pub(crate) fn summary(values: &[f64]) -> Option<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let min = *sorted.first()?;
    let middle = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    };
    // Nearest rank: the smallest sample that at least 90 % do not exceed.
    let rank = (sorted.len() * 9).div_ceil(10);
    Some(Summary { median, min, p90: sorted[rank - 1] })
}

/// The median of the ratios within each round: what the two had in common, such as a busy machine,
/// falls out. Rounds have to be in the same order.
pub(crate) fn paired_ratio(of: &[f64], to: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to).collect();
    summary(&ratios).map(|summary| summary.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_min_and_p90() {
        let values: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        assert_eq!(summary(&values), Some(Summary { median: 5.5, min: 1.0, p90: 9.0 }));
        assert_eq!(summary(&[3.0, 1.0, 2.0]), Some(Summary { median: 2.0, min: 1.0, p90: 3.0 }));
        assert_eq!(summary(&[]), None);
    }

    #[test]
    fn ratio_is_of_pairs_not_of_medians() {
        assert_eq!(paired_ratio(&[1.0, 10.0, 3.0], &[2.0, 40.0, 3.0]), Some(0.5));
    }
}
