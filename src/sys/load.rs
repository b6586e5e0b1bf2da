//! The load average, as proc(5) and getloadavg(3) give it.

use std::fs;

/// The load of the last minute in thousandths; `None` where the system does not say.
#[must_use]
pub fn average() -> Option<i64> {
    in_loadavg(&fs::read_to_string("/proc/loadavg").ok()?)
}

/// The first field: `WHOLE.HUNDREDTHS`.
fn in_loadavg(text: &str) -> Option<i64> {
    let (whole, part) = text.split_ascii_whitespace().next()?.split_once('.')?;
    let digits: String = part.chars().chain(['0'; 3]).take(3).collect();
    let thousandths: u32 = digits.parse().ok()?;
    whole.parse::<u32>().ok().map(|whole| i64::from(whole) * 1000 + i64::from(thousandths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_of_the_last_minute_is_the_first_number() {
        assert_eq!(in_loadavg("0.25 1.50 3.00 2/345 6789\n"), Some(250));
        assert_eq!(in_loadavg("12.07 0 0"), Some(12_070));
        for text in ["", "x", "1 2 3", "-1.00 0 0", "1.x"] {
            assert_eq!(in_loadavg(text), None, "{text}");
        }
    }
}
