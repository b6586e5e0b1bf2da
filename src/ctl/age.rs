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

/// The seconds that `text` says, one at least: a number and `s`, `m`, `h` or `d`.
///
/// # Errors
/// For everything else, and for more than a daemon takes.
pub(super) fn parse(text: &str) -> Result<u32, String> {
    const UNITS: [(char, u32); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let parsed = UNITS.iter().find_map(|(unit, seconds)| {
        let number: u32 = text.strip_suffix(*unit)?.parse().ok()?;
        number.checked_mul(*seconds).filter(|seconds| *seconds > 0)
    });
    parsed.ok_or_else(|| "a span of time is such as 30s, 10m, 2h or 1d".to_owned())
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
    fn a_span_is_a_number_and_a_unit() {
        let all = ["30s", "10m", "2h", "1d"].map(parse);
        assert_eq!(all, [Ok(30), Ok(600), Ok(7200), Ok(86_400)]);
        for text in ["", "s", "10", "0s", "-1s", "1w", "1.5h", "10 m", "4294967295m", "1x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_is_told_in_the_unit_that_fits() {
        let all = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(span);
        assert_eq!(all, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
    }
}
