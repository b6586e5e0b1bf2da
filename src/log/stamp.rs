//! Time stamps of log lines, made once a second at most.

use crate::sys::clock;

/// The two forms of a stamp, remembered until the second changes.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    second: i64,
    file: String,
    syslog: String,
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
    }
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
    fn log_1_month_and_day_have_no_leading_zero() {
        let mut stamps = Stamps::default();
        let noon_of_2026_03_04 = 1_772_625_600;
        stamps.refresh(noon_of_2026_03_04);
        assert!(stamps.file.starts_with("26/3/"), "{}", stamps.file);
        assert!(stamps.syslog.starts_with("Mar  "), "{}", stamps.syslog);
        assert_eq!(stamps.syslog.len(), "Mar  4 12:00:00".len());
    }
}
