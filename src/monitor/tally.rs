//! How many clients each service has let in and turned away since the daemon was started.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::monitor::services::Services;
use crate::plan::Denial;
use crate::plan::ServiceIndex;

/// One service's.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub accepted: u64,
    /// When the last one was let in.
    pub last: Option<Instant>,
    refused: [u64; Denial::ALL.len()],
}

impl Tally {
    /// Whom it has turned away, by the words of the FAIL line; reasons that nobody met are left out.
    pub(super) fn refused(&self) -> BTreeMap<String, u64> {
        let all = Denial::ALL.iter().zip(self.refused).filter(|(_, count)| *count > 0);
        all.map(|(why, count)| (why.to_string(), count)).collect()
    }
}

/// All of them. A service that a reload opens anew begins anew.
#[derive(Debug, Default)]
pub(super) struct Tallies(HashMap<ServiceIndex, Tally>);

impl Tallies {
    /// A client has been let in.
    pub(super) fn accept(&mut self, index: ServiceIndex, at: Instant) {
        let tally = self.0.entry(index).or_default();
        tally.accepted += 1;
        tally.last = Some(at);
    }

    /// A client has been turned away.
    pub(super) fn refuse(&mut self, index: ServiceIndex, why: Denial) {
        self.add(index, Some(why), 1);
    }

    /// Several have been turned away for one reason, or let in not long ago.
    pub(super) fn add(&mut self, index: ServiceIndex, refused: Option<Denial>, clients: u32) {
        let tally = self.0.entry(index).or_default();
        let Some(why) = refused else {
            tally.accepted += u64::from(clients);
            tally.last = Some(Instant::now());
            return;
        };
        let counts = Denial::ALL.iter().zip(&mut tally.refused);
        counts.filter(|(of, _)| **of == why).for_each(|(_, count)| *count += u64::from(clients));
    }

    pub(super) fn of(&self, index: ServiceIndex) -> Tally {
        self.0.get(&index).cloned().unwrap_or_default()
    }

    /// Forgets services that are gone.
    pub(super) fn keep(&mut self, services: &Services) {
        self.0.retain(|index, _| services.find(*index).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_counted_by_service_and_reason() {
        let (mut tallies, pop3) = (Tallies::default(), ServiceIndex(1));
        tallies.accept(pop3, Instant::now());
        tallies.refuse(pop3, Denial::Address);
        tallies.refuse(pop3, Denial::Address);
        tallies.refuse(pop3, Denial::Libwrap);
        let tally = tallies.of(pop3);
        assert_eq!((tally.accepted, tally.last.is_some()), (1, true));
        let refused: Vec<_> = tally.refused().into_iter().collect();
        assert_eq!(refused, [("address".to_owned(), 2), ("libwrap".to_owned(), 1)]);
        assert_eq!(tallies.of(ServiceIndex(2)).accepted, 0);
        tallies.keep(&Services::default());
        assert_eq!(tallies.of(pop3).accepted, 0);
    }
}
