//! Spans of time as people say them.

use std::time::{SystemTime, UNIX_EPOCH};

/// `seconds` in the unit that fits: `7 s`, `12 min`, `3 h`, `40 days`.
#[must_use]
pub(super) fn span(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / MINUTE),
        7200..172_800 => format!("{} h", seconds / HOUR),
        _ => format!("{} days", seconds / DAY),
    }
}

/// How long ago a point in time was, in seconds since 1970; 0 for what is to come.
#[must_use]
pub(super) fn since(at: i64) -> u64 {
    u64::try_from(now().saturating_sub(at)).unwrap_or(0)
}

/// How long it is until then.
#[must_use]
pub(super) fn until(at: i64) -> u64 {
    u64::try_from(at.saturating_sub(now())).unwrap_or(0)
}

fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_unit_that_fits() {
        let all = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(span);
        assert_eq!(all, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
    }
}
