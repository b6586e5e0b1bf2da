//! Time stamps of log lines, made once a second at most.

use crate::sys::clock;

/// The forms of a stamp, remembered until the second changes.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    second: i64,
    file: String,
    syslog: String,
    utc: String,
}

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Local time as ctime(3) writes it, without the end of the line.
#[must_use]
pub fn ctime(seconds: i64) -> String {
    let t = clock::local(seconds);
    let day = usize::try_from(t.weekday).ok().and_then(|number| DAYS.get(number));
    let (day, month) = (day.unwrap_or(&"???"), t.month_name());
    let (h, m, s) = (t.hour, t.minute, t.second);
    format!("{day} {month} {:>2} {h:02}:{m:02}:{s:02} {}", t.day, t.year)
}

impl Stamps {
    /// `YY/M/D@hh:mm:ss`, local time (LOG-1).
    pub(super) fn file(&mut self) -> &str {
        self.refresh(clock::wall_seconds());
        &self.file
    }

    /// `Mon dd hh:mm:ss`, local time (RFC 3164 section 4.1.2).
    pub(super) fn syslog(&mut self) -> &str {
        self.refresh(clock::wall_seconds());
        &self.syslog
    }

    /// `YYYY-MM-DDThh:mm:ssZ` (RFC 3339).
    pub(super) fn utc(&mut self) -> &str {
        self.refresh(clock::wall_seconds());
        &self.utc
    }

    fn refresh(&mut self, now: i64) {
        if now == self.second && !self.file.is_empty() {
            return;
        }
        self.second = now;
        let t = clock::local(now);
        let (h, m, s) = (t.hour, t.minute, t.second);
        self.file =
            format!("{:02}/{}/{}@{h:02}:{m:02}:{s:02}", t.year.rem_euclid(100), t.month, t.day);
        let month = t.month_name();
        self.syslog = format!("{month} {:>2} {h:02}:{m:02}:{s:02}", t.day);
        self.utc = utc(now);
    }
}

/// The time of `seconds` since 1970 as RFC 3339 writes it, in UTC.
fn utc(seconds: i64) -> String {
    const DAY: i64 = 86_400;
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

/// The date of a day, counted from 1970-01-01, in the Gregorian calendar: year, month, day. Years
/// begin in March here, so that the odd day is the last one of a year.
fn date(day: i64) -> (i64, i64, i64) {
    const DAYS_BEFORE_1970: i64 = 719_468; // since 0000-03-01
    const IN_400_YEARS: i64 = 146_097;
    let day = day + DAYS_BEFORE_1970;
    let (era, day) = (day.div_euclid(IN_400_YEARS), day.rem_euclid(IN_400_YEARS));
    let year = (day - day / 1460 + day / 36_524 - day / (IN_400_YEARS - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_ctime_does() {
        let text = ctime(1_772_625_600);
        assert!(text.starts_with("Wed Mar  4 ") && text.ends_with(":00 2026"), "{text}");
    }

    #[test]
    fn utc_is_written_as_rfc_3339_does() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_772_625_600, "2026-03-04T12:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (13_569_465_600, "2400-01-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    /// Every day of eight hundred years comes after the one before it, and no day is left out.
    #[test]
    fn dates_follow_each_other() {
        let mut before = date(-200_000);
        for day in -199_999..100_000 {
            let (year, month, of_month) = date(day);
            let is_next = match before {
                (y, m, d) if (y, m) == (year, month) => of_month == d + 1,
                (y, m, d) if y == year => month == m + 1 && of_month == 1 && d >= 28,
                (y, m, d) => (year, month, of_month) == (y + 1, 1, 1) && (m, d) == (12, 31),
            };
            assert!(is_next, "{before:?} {year}-{month}-{of_month}");
            before = (year, month, of_month);
        }
    }

    #[test]
    fn log_1_month_and_day_have_no_leading_zero() {
        let mut stamps = Stamps::default();
        let noon_of_2026_03_04 = 1_772_625_600;
        stamps.refresh(noon_of_2026_03_04);
        assert!(stamps.file.starts_with("26/3/"), "{}", stamps.file);
        assert!(stamps.syslog.starts_with("Mar  "), "{}", stamps.syslog);
        assert_eq!(stamps.syslog.len(), "Mar  4 12:00:00".len());
    }
}
