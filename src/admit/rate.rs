//! `cps`: how many requests a service has seen lately.

use crate::plan::RateLimit;

/// The window that CPS-1 counts in; both numbers are 0 at load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    start: u64,
    count: u64,
}

impl Rate {
    /// Takes note of a request at `now` (whole seconds) and says whether it is one too many.
    ///
    /// This is CPS-1 to the letter: the rate is also the length of the window in seconds, and
    /// the average over it is what is compared. A rate of 0 switches it off (CPS-4).
    pub fn is_exceeded(&mut self, limit: RateLimit, now: u64) -> bool {
        let allowed = u64::from(limit.per_second);
        if allowed == 0 {
            return false;
        }
        let elapsed = now.saturating_sub(self.start);
        if self.count == 0 || elapsed >= allowed {
            *self = Self { start: now, count: 1 };
            return false;
        }
        self.count += 1;
        self.count / elapsed.max(1) > allowed
    }

    /// Forgets everything: a new window begins after a stop (CPS-8) and after a reload (RELOAD-9).
    pub const fn restart(&mut self) {
        *self = Self { start: 0, count: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(limit: u32, times: &[u64]) -> Vec<bool> {
        let mut rate = Rate::default();
        let limit = RateLimit { per_second: limit, pause: 1 };
        times.iter().map(|now| rate.is_exceeded(limit, *now)).collect()
    }

    #[test]
    fn cps_2_as_many_as_the_rate_pass_in_one_second_and_the_next_trips() {
        assert_eq!(requests(3, &[10, 10, 10, 10]), [false, false, false, true]);
    }

    #[test]
    fn cps_1_the_average_over_the_window_counts() {
        assert_eq!(requests(2, &[10, 10, 11, 11]), [false, false, true, true]);
        assert_eq!(requests(2, &[10, 12, 12, 12]), [false, false, false, true]);
    }

    #[test]
    fn cps_1_the_rate_is_the_length_of_the_window() {
        assert_eq!(requests(1, &[10, 11, 12, 13]), [false; 4]);
    }

    #[test]
    fn cps_4_a_rate_of_zero_is_no_limit() {
        assert_eq!(requests(0, &[10; 1000]), [false; 1000]);
    }

    #[test]
    fn cps_8_a_new_window_forgets_the_old_requests() {
        let mut rate = Rate::default();
        let limit = RateLimit { per_second: 1, pause: 1 };
        assert!(!rate.is_exceeded(limit, 10));
        assert!(rate.is_exceeded(limit, 10));
        rate.restart();
        assert!(!rate.is_exceeded(limit, 10));
    }
}
