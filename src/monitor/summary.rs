//! What `systemctl status` shows of the daemon, in a line: it is told when it changes, once a second at
//! most, and nobody wakes for it otherwise.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::diag::count;
use crate::monitor::Monitor;

/// How long nothing is told after something was.
const PAUSE: Duration = Duration::from_secs(1);

/// What a person wants to know first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Facts {
    services: usize,
    sessions: u64,
    left_out: usize,
    closed: usize,
    /// By an operator.
    held: usize,
    has_failed: bool,
}

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct Summary {
    told: Option<(Instant, Facts)>,
    /// When what is new may be told.
    due: Option<Instant>,
}

impl Summary {
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Facts {
    fn line(self) -> String {
        let Self { services, sessions, left_out, closed, held, has_failed } = self;
        let mut line = format!("{}, {}", count(services, "service"), count(sessions, "session"));
        if left_out > 0 {
            let _infallible = write!(line, "; {left_out} left out: see xinetctl check");
        }
        if closed > 0 {
            let _infallible = write!(line, "; {closed} paused by cps");
        }
        if held > 0 {
            let _infallible = write!(line, "; {held} paused or drained by hand");
        }
        if has_failed {
            line.push_str("; the last reload failed: the old configuration is in force");
        }
        line
    }
}

impl Monitor {
    fn facts(&self) -> Facts {
        Facts {
            services: self.services.available(),
            sessions: self.served(),
            left_out: self.left_out.len(),
            closed: self.closed.len(),
            held: self.gates.held(),
            has_failed: self.history.has_failed(),
        }
    }

    /// Tells what has changed, now or as soon as it is time.
    pub(super) fn sum_up(&mut self) {
        // Until the first news there is nothing to tell, and in the end nobody wants to know.
        if !self.manager.is_there() || self.news.is_some() || self.stop_at.is_some() {
            return;
        }
        let facts = self.facts();
        let now = Instant::now();
        self.summary.due = match self.summary.told {
            Some((_, told)) if told == facts => None,
            Some((at, _)) if now < at + PAUSE => Some(at + PAUSE),
            Some(_) | None => {
                self.manager.status(&facts.line());
                self.summary.told = Some((now, facts));
                None
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_there_and_what_is_wrong() {
        let good = Facts { services: 12, sessions: 3, ..Facts::default() };
        assert_eq!(good.line(), "12 services, 3 sessions");
        let bad =
            Facts { services: 1, sessions: 1, left_out: 1, closed: 2, held: 3, has_failed: true };
        assert_eq!(
            bad.line(),
            "1 service, 1 session; 1 left out: see xinetctl check; 2 paused by cps; 3 paused \
             or drained by hand; the last reload failed: the old configuration is in force"
        );
    }
}
