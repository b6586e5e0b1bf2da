//! `access_times` and `max_load`: when clients are served at all.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The hours of the day in which clients are served (TIME-1); none: at any hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours(Vec<Interval>);

/// From one minute of the day to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Minutes since midnight, 0 to 1439.
    pub first: u16,
    /// Minutes since midnight, after `first`; 1440 is the end of the day (TIME-2).
    pub last: u16,
}

impl Hours {
    /// Served within any of `intervals`.
    #[must_use]
    pub const fn new(intervals: Vec<Interval>) -> Self {
        Self(intervals)
    }

    /// Whether every hour will do.
    #[must_use]
    pub const fn is_always(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether clients are served at `minute` since midnight.
    #[must_use]
    pub fn contain(&self, minute: u16) -> bool {
        let within = |interval: &Interval| (interval.first..=interval.last).contains(&minute);
        self.is_always() || self.0.iter().any(within)
    }

    /// The intervals, as they were given.
    pub fn iter(&self) -> impl Iterator<Item = Interval> {
        self.0.iter().copied()
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", first / 60, first % 60, last / 60, last % 60)
    }
}

/// A load average of one minute, in thousandths: the kernel gives hundredths. Below 0 is
/// below every load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Load(pub i64);

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        let part = format!("{part:03}");
        match part.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            part => write!(f, "{sign}{whole}.{part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_an_interval_belong_to_it() {
        let hours = Hours::new(vec![
            Interval { first: 300, last: 360 },
            Interval { first: 1380, last: 1440 },
        ]);
        for (minute, wanted) in
            [(0, false), (299, false), (300, true), (360, true), (361, false), (1439, true)]
        {
            assert_eq!(hours.contain(minute), wanted, "TIME-1: {minute}");
        }
        assert!(Hours::default().contain(0));
        let shown: Vec<_> = hours.iter().map(|interval| interval.to_string()).collect();
        assert_eq!(shown, ["05:00-06:00", "23:00-24:00"]);
    }

    #[test]
    fn a_load_is_shown_as_it_is_written() {
        for (load, wanted) in [(2500, "2.5"), (1, "0.001"), (3000, "3"), (-1500, "-1.5")] {
            assert_eq!(Load(load).to_string(), wanted);
        }
    }
}
