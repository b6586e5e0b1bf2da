//! The watchdog of a service manager (sd_watchdog_enabled(3)): it is fed as long as this loop turns,
//! and an engine that does not answer is replaced before it is.

use std::env;
use std::process;
use std::time::{Duration, Instant};

use crate::ipc::State;
use crate::monitor::Monitor;

/// When it is fed next, and how often: three times as often as it has to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watchdog {
    next: Instant,
    pause: Duration,
}

impl Watchdog {
    /// `None`: nobody watches.
    pub(super) fn new() -> Option<Self> {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let patience = number("WATCHDOG_USEC").filter(|_| is_ours)?;
        Some(Self { next: Instant::now(), pause: Duration::from_micros(patience) / 3 })
    }

    pub(super) const fn next(&self) -> Instant {
        self.next
    }
}

impl Monitor {
    /// Feeds it if it is time. The engine has until the next time to answer.
    pub(super) fn feed_watchdog(&mut self, now: Instant) {
        let Some(watchdog) = self.watchdog.filter(|watchdog| watchdog.next <= now) else { return };
        let Watchdog { next, pause } = watchdog;
        self.watchdog = Some(Watchdog { next: now + pause, pause });
        self.manager.alive();
        // Who has been stopped, or did not listen, has to listen before he judges.
        let is_late = now - next > pause / 2 || self.deaf_until.is_some();
        if !is_late && self.has_waited_for_engine(pause, now) {
            self.replace_hung_engine();
        } else if self.stop_at.is_none() {
            self.ask_engine_again(is_late, now);
        }
    }

    fn replace_hung_engine(&mut self) {
        if let Some(engine) = self.engine.as_mut().filter(|engine| !engine.ended) {
            engine.give_up("does not answer");
        }
    }

    fn ask_engine_again(&mut self, is_late: bool, now: Instant) {
        let state = self.engine.as_ref().map(|engine| engine.state);
        match &mut self.question {
            Some(question) if is_late => question.asked = now,
            None if matches!(state, Some(State::Serving | State::Reloading)) => self.ask(false, 0),
            Some(_) | None => {}
        }
    }

    /// Whether a question has been open for so long.
    fn has_waited_for_engine(&self, pause: Duration, now: Instant) -> bool {
        let asked = self.question.as_ref().map(|question| question.asked);
        // Asked a moment after the last time is as good.
        asked.is_some_and(|asked| now.duration_since(asked) >= pause / 2)
    }
}
