//! Medians, percentiles and the way a figure is written.

use std::{fmt, time::Duration};

/// The median of some rounds, with the extremes beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Nothing for no values; the mean of the middle two for an even number of them.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let upper = values.get(values.len() / 2)?;
        let lower = values.get((values.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(*lower, *upper),
            min: *values.first()?,
            max: *values.last()?,
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} [{}-{}]", Figure(self.median), Figure(self.min), Figure(self.max));
        f.pad(&text)
    }
}

/// A number with three digits that mean something.
pub(crate) struct Figure(pub(crate) f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0.abs() {
            n if n >= 100.0 => 0,
            n if n >= 10.0 => 1,
            _ => 2,
        };
        f.pad(&format!("{:.digits$}", self.0))
    }
}

/// The nearest-rank percentile of sorted durations, in microseconds; NaN for none.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(f64::NAN, |d| d.as_secs_f64() * 1e6)
}

/// Microseconds of `spent` for each of `count`; NaN for none.
pub(crate) fn per(spent: Duration, count: usize) -> f64 {
    if count == 0 { f64::NAN } else { spent.as_secs_f64() * 1e6 / count as f64 }
}

/// A number as JSON has it, which knows no NaN.
pub(crate) fn json(number: f64) -> String {
    if number.is_finite() { format!("{number:.3}") } else { "null".to_owned() }
}
