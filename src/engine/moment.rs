//! What time it is, and how busy the machine, when a client comes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::admit::Moment;
use crate::plan::{Load, Policy};
use crate::sys::{clock, load};

/// How old a load average may be: the kernel makes a new one every five seconds.
const FRESH: Duration = Duration::from_secs(1);

/// Whole seconds that never step back and change when those of the wall clock do; the local
/// time; the load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    offset: Duration,
    load: Option<(Instant, Option<Load>)>,
}

impl Clock {
    pub(super) fn new() -> Self {
        let offset = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), offset, load: None }
    }

    /// All that `policy` asks about; what it does not ask about costs nothing.
    pub(super) fn moment(&mut self, policy: &Policy) -> Moment {
        let seconds = (self.start.elapsed() + self.offset).as_secs();
        let minute = if policy.hours.is_always() { 0 } else { clock::minute_of_day() };
        let load = policy.max_load.and_then(|_| self.load());
        Moment { seconds, minute, load }
    }

    fn load(&mut self) -> Option<Load> {
        let now = Instant::now();
        match self.load {
            Some((read, load)) if now.duration_since(read) < FRESH => load,
            _ => {
                let load = load::average().map(Load);
                self.load = Some((now, load));
                load
            }
        }
    }
}
