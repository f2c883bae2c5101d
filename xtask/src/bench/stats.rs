//! The median of few samples, and how far they lie apart.
//!
//! Takes samples; gives their quartiles. Pure.

use serde::Serialize;

/// A quarter of the samples is below `lower`, a half below `median`, a quarter above `upper`;
/// between two samples it is interpolated. In the unit of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quartiles {
    pub(super) lower: f64,
    pub(super) median: f64,
    pub(super) upper: f64,
}

impl Quartiles {
    /// Those of some samples; `None` of none, and of samples that are no numbers.
    pub(super) fn of(samples: &[f64]) -> Option<Self> {
        if samples.iter().any(|sample| sample.is_nan()) {
            return None;
        }
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Some(Self {
            lower: quarter(&sorted, 1)?,
            median: quarter(&sorted, 2)?,
            upper: quarter(&sorted, 3)?,
        })
    }

    /// `1.23 (1.20–1.30)`: the median between the others, in units of `unit`. `∞` is a ratio to
    /// nothing.
    pub(super) fn cell(self, unit: f64) -> String {
        let [lower, median, upper] = [self.lower, self.median, self.upper].map(|it| {
            if it.is_finite() {
                format!("{:.2}", it / unit)
            } else {
                "∞".to_owned()
            }
        });
        format!("{median} ({lower}–{upper})")
    }
}

/// What lies so many quarters of the way from the first to the last.
fn quarter(sorted: &[f64], quarters: usize) -> Option<f64> {
    let steps = quarters * sorted.len().checked_sub(1)?;
    let below = *sorted.get(steps / 4)?;
    let Some(above) = sorted.get(steps / 4 + 1) else {
        return Some(below);
    };
    match [0.0, 0.25, 0.5, 0.75].get(steps % 4) {
        // An infinite neighbour has no part in a sample that is hit exactly.
        None | Some(0.0) => Some(below),
        Some(part) => Some(below * (1.0 - part) + above * part),
    }
}

/// What `part` is of `whole`. Without a whole above 0 no ratio can be small.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        part / whole
    } else {
        f64::INFINITY
    }
}

/// A count as a number to reckon with: exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "no count of a measurement comes near 2^53"
)]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(samples: &[f64], expected: [f64; 3]) {
        let [lower, median, upper] = expected;
        let expected = Quartiles {
            lower,
            median,
            upper,
        };
        assert_eq!(Quartiles::of(samples), Some(expected), "{samples:?}");
    }

    #[test]
    fn quartiles_of_samples_in_any_order() {
        check(&[3.0], [3.0, 3.0, 3.0]);
        check(&[5.0, 1.0, 3.0, 2.0, 4.0], [2.0, 3.0, 4.0]);
        check(&[4.0, 1.0, 3.0, 2.0], [1.75, 2.5, 3.25]);
    }

    #[test]
    fn a_round_without_a_ratio_counts_as_the_worst() {
        let worst = f64::INFINITY;
        check(&[1.0, 2.0, 3.0, 4.0, worst], [2.0, 3.0, 4.0]);
        check(&[1.0, worst, worst], [worst, worst, worst]);
        check(&[ratio(1.0, 0.0), ratio(1.0, -2.0)], [worst, worst, worst]);
        check(&[ratio(1.0, 2.0)], [0.5, 0.5, 0.5]);
    }

    #[test]
    fn a_cell_is_in_its_unit_and_a_ratio_to_nothing_is_told() {
        let cell = |samples: &[f64]| Quartiles::of(samples).unwrap().cell(1000.0);
        assert_eq!(cell(&[1000.0, 2000.0, 3000.0]), "2.00 (1.50–2.50)");
        let endless = f64::INFINITY;
        assert_eq!(cell(&[1000.0, 1000.0, endless, endless]), "∞ (1.00–∞)");
    }

    #[test]
    fn nothing_has_no_quartiles() {
        assert_eq!(Quartiles::of(&[]), None);
        assert_eq!(Quartiles::of(&[1.0, f64::NAN]), None);
    }
}
