//! What `xinetctl status` remembers of the daemon's own life.

use std::time::Instant;

use crate::control::Failure;
use crate::sys::clock;

/// By a clock that never steps; the wall clock is asked when somebody wants to know.
#[derive(Debug)]
pub(super) struct History {
    /// When the daemon began.
    pub began: Instant,
    /// When the configuration in force was put in force.
    pub loaded: Instant,
    /// When the last reload was refused, and why; `None`: it was not.
    failed: Option<(Instant, String)>,
    /// Engines that have died.
    pub engine_crashes: u64,
}

impl History {
    /// Of a daemon that begins now.
    pub(super) fn new() -> Self {
        let began = Instant::now();
        Self { began, loaded: began, failed: None, engine_crashes: 0 }
    }

    /// A new configuration is in force.
    pub(super) fn reloaded(&mut self) {
        self.loaded = Instant::now();
        self.failed = None;
    }

    /// The old one stays.
    pub(super) fn reload_failed(&mut self, why: String) {
        self.failed = Some((Instant::now(), why));
    }

    pub(super) const fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        let (at, why) = self.failed.as_ref()?;
        Some(Failure { at: wall_time(*at), why: why.clone() })
    }
}

/// A moment in seconds since 1970.
pub(super) fn wall_time(at: Instant) -> i64 {
    let (now, wall) = (Instant::now(), clock::wall_seconds());
    let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match at.checked_duration_since(now) {
        Some(ahead) => wall.saturating_add(seconds(ahead)),
        None => wall.saturating_sub(seconds(now - at)),
    }
}
