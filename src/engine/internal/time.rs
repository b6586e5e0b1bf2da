//! What the services `time` and `daytime` say.

use crate::sys::clock;

/// Seconds from 1900, where RFC 868 begins, to 1970.
const SINCE_1900: i64 = 2_208_988_800;

/// RFC 868: seconds since 1900, big endian (INTL-3); they run over in 2036.
pub(super) fn time(now: i64) -> [u8; 4] {
    let [.., a, b, c, d] = now.wrapping_add(SINCE_1900).to_be_bytes();
    [a, b, c, d]
}

/// RFC 867: `DD MON YYYY HH:MM:SS ZONE`, local time (INTL-4).
pub(super) fn daytime(now: i64) -> String {
    let t = clock::local(now);
    let (month, zone) = (t.month_name().to_ascii_uppercase(), clock::zone_name(now));
    let (day, year, h, m, s) = (t.day, t.year, t.hour, t.minute, t.second);
    format!("{day:02} {month} {year} {h:02}:{m:02}:{s:02} {zone}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_1900_and_runs_over_in_2036() {
        assert_eq!(time(0), 2_208_988_800_u32.to_be_bytes());
        assert_eq!(time(1_700_000_000), 3_908_988_800_u32.to_be_bytes());
        assert_eq!(time(2_085_978_496), [0; 4]);
    }

    #[test]
    fn daytime_has_two_digits_for_the_day_and_capitals_for_the_month() {
        let text = daytime(1_772_625_600); // noon of 4 March 2026, UTC
        let words: Vec<_> = text.trim_end_matches("\r\n").split(' ').collect();
        assert_eq!((words.len(), &words[..3]), (5, &["04", "MAR", "2026"][..]), "{text}");
        assert!(text.ends_with("\r\n"));
    }
}
