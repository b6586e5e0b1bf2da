//! Time: monotonic for limits, local wall clock for log stamps.

use nix::sys::time::TimeValLike as _;
use nix::time::{ClockId, clock_gettime};
use std::ffi::CStr;

/// Broken-down local time, as localtime(3) gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// All digits, for instance 2026.
    pub year: i32,
    /// 1 to 12
    pub month: u32,
    /// 1 to 31
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    /// 0 is Sunday.
    pub weekday: u32,
}

impl LocalTime {
    const MONTHS: [&'static str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

    /// Three letters, `Jan` to `Dec`.
    #[must_use]
    pub fn month_name(&self) -> &'static str {
        let number = usize::try_from(self.month.saturating_sub(1)).unwrap_or(usize::MAX);
        Self::MONTHS.get(number).copied().unwrap_or("???")
    }
}

/// Seconds since 1970, by the wall clock.
#[must_use]
pub fn wall_seconds() -> i64 {
    clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(0, |t| t.tv_sec())
}

/// Microseconds of the monotonic clock, as systemd counts them.
#[must_use]
pub fn monotonic_micros() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.num_microseconds())
}

/// The local time of `seconds` since 1970.
#[must_use]
pub fn local(seconds: i64) -> LocalTime {
    let tm = broken_down(seconds);
    LocalTime {
        year: tm.tm_year + 1900,
        month: tm.tm_mon.unsigned_abs() + 1,
        day: tm.tm_mday.unsigned_abs(),
        hour: tm.tm_hour.unsigned_abs(),
        minute: tm.tm_min.unsigned_abs(),
        second: tm.tm_sec.unsigned_abs(),
        weekday: tm.tm_wday.unsigned_abs(),
    }
}

/// The name of the local time zone at `seconds` since 1970, as in `date +%Z`.
#[must_use]
pub fn zone_name(seconds: i64) -> String {
    let tm = broken_down(seconds);
    if tm.tm_zone.is_null() {
        return String::new();
    }
    // SAFETY: localtime_r made `tm_zone` point to a string of libc's, which lives at least until
    // the next tzset(3); that is called by this thread only, and not before the copy is made.
    let name = unsafe { CStr::from_ptr(tm.tm_zone) };
    name.to_string_lossy().into_owned()
}

fn broken_down(seconds: i64) -> libc::tm {
    let mut tm = libc::tm {
        tm_sec: 0,
        tm_min: 0,
        tm_hour: 0,
        tm_mday: 1,
        tm_mon: 0,
        tm_year: 70,
        tm_wday: 0,
        tm_yday: 0,
        tm_isdst: 0,
        tm_gmtoff: 0,
        tm_zone: std::ptr::null(),
    };
    // SAFETY: localtime_r reads one time_t and writes one tm; both live here. It may return
    // null (year overflow) and leave `tm` as it is.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut tm) };
    tm
}

/// Minutes since midnight, local time.
#[must_use]
pub fn minute_of_day() -> u16 {
    let now = local(wall_seconds());
    u16::try_from(now.hour * 60 + now.minute).unwrap_or_default()
}

/// Reads /etc/localtime and TZ again: localtime_r(3) alone need not.
pub fn reload_time_zone() {
    unsafe extern "C" {
        fn tzset();
    }
    // SAFETY: tzset takes nothing and only touches libc's own state, under the lock that
    // localtime_r takes too; it reads the environment, which nothing here ever changes.
    unsafe { tzset() };
}
