//! The engine's part of the consistency check (SIG-6).

use crate::engine::Engine;
use crate::ipc::ToMonitor;
use crate::sys::socket;

impl Engine {
    /// Answers the monitor's question.
    pub(super) fn answer_check(&mut self) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let answer = ToMonitor::Checked {
            tickets: number(self.tickets.len()),
            doors: number(self.doors.len()),
            errors: number(self.contradictions()),
        };
        self.tell(&answer);
    }

    /// How much does not add up: counts against tickets, and whether each door is as it should be.
    fn contradictions(&self) -> usize {
        let counted: u64 = self.counts.values().map(|counts| u64::from(counts.running())).sum();
        // Who is counted without a ticket is on the way in.
        let is_miscounted =
            counted != u64::from(self.running) || counted < self.tickets.len() as u64;
        let torn = self.counts.values().filter(|counts| !counts.is_sound()).count();
        let unknown =
            self.tickets.values().filter(|(index, _)| !self.counts.contains_key(index)).count();
        let open = self.doors.values().filter(|state| state.is_open());
        let deaf = open.filter(|state| !state.listeners().all(socket::accepts));
        let nameless = self.sessions.keys().filter(|ticket| !self.tickets.contains_key(ticket));
        usize::from(is_miscounted) + torn + unknown + deaf.count() + nameless.count()
    }
}
