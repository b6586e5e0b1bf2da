//! `cps_action = pace`: connections one after the other at the rate of `cps`, nobody refused.

use std::time::{Duration, Instant};

use crate::plan::RateLimit;

/// When the next connection is due, if they come evenly: the generic cell rate algorithm,
/// with a burst of as many as the rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    due: Option<Instant>,
}

impl Pace {
    /// How long the next connection has to wait; `None`: it may come now. A rate of 0 is no
    /// limit (CPS-4).
    #[must_use]
    pub fn wait(&self, limit: RateLimit, now: Instant) -> Option<Duration> {
        let apart = Duration::from_secs(1).checked_div(limit.per_second)?;
        // Of the burst one is the connection itself.
        let burst = apart * (limit.per_second - 1);
        let early = self.due?.saturating_duration_since(now);
        early.checked_sub(burst).filter(|wait| !wait.is_zero())
    }

    /// Takes note of a connection.
    pub fn take(&mut self, limit: RateLimit, now: Instant) {
        let apart = Duration::from_secs(1).checked_div(limit.per_second);
        self.due = apart.map(|apart| self.due.map_or(now, |due| due.max(now)) + apart);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { per_second: 4, pause: 10 };

    /// Takes a connection if one may come; else how many milliseconds it has to wait.
    fn taken(pace: &mut Pace, limit: RateLimit, now: Instant) -> Result<(), u128> {
        match pace.wait(limit, now) {
            Some(wait) => Err(wait.as_millis()),
            None => {
                pace.take(limit, now);
                Ok(())
            }
        }
    }

    #[test]
    fn a_second_brings_as_many_as_the_rate_and_then_they_come_evenly() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let mut at = |millis| taken(&mut pace, LIMIT, now + Duration::from_millis(millis));
        assert!((0..4).all(|_| at(0).is_ok()));
        assert_eq!((at(0), at(100)), (Err(250), Err(150)));
        assert_eq!((at(250), at(250)), (Ok(()), Err(250)));
        assert!((0..4).all(|_| at(5000).is_ok()), "a rest gives the burst back");
        assert!(at(5000).is_err());
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept_however_often_one_asks() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let asked = (0..10_000).map(|millis| now + Duration::from_millis(millis));
        let count = asked.filter(|at| taken(&mut pace, LIMIT, *at).is_ok()).count();
        assert_eq!(count, 43, "ten seconds, and the burst of the first one");
    }

    #[test]
    fn cps_4_a_rate_of_zero_is_no_limit() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let limit = RateLimit { per_second: 0, pause: 10 };
        assert!((0..1000).all(|_| taken(&mut pace, limit, now).is_ok()));
    }
}
