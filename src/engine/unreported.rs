//! Clients that no log has a line about: the monitor hears of them by number, once a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::ipc::ToMonitor;
use crate::plan::Denial;
use crate::plan::ServiceIndex;

/// How late the monitor may be.
const LATE: Duration = Duration::from_secs(1);

/// How many, by service and by what became of them; `None`: they were answered.
#[derive(Debug, Default)]
pub(super) struct Unreported {
    counts: HashMap<(ServiceIndex, Option<Denial>), u32>,
    /// When the monitor is to hear of them; `None`: there are none.
    due: Option<Instant>,
}

impl Unreported {
    /// When the monitor is to hear of them.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Engine {
    /// One more.
    pub(super) fn count_client(&mut self, service: ServiceIndex, refused: Option<Denial>) {
        let count = self.unreported.counts.entry((service, refused)).or_default();
        *count = count.saturating_add(1);
        self.unreported.due.get_or_insert_with(|| Instant::now() + LATE);
    }

    /// Tells the monitor, if it is time to.
    pub(super) fn report_counts(&mut self, now: Instant) {
        if self.unreported.due.take_if(|due| *due <= now).is_none() {
            return;
        }
        for ((service, refused), clients) in std::mem::take(&mut self.unreported.counts) {
            self.tell(&ToMonitor::Counted { service, refused, clients });
        }
    }
}
