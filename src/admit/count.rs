//! `instances` and `per_source`: how many servers of a service run, and for whom.

use std::collections::HashMap;
use std::net::IpAddr;

/// The servers of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    running: u32,
    by_source: HashMap<IpAddr, u32>,
}

impl Counts {
    /// One more for `source`.
    pub fn add(&mut self, source: IpAddr) {
        self.running += 1;
        *self.by_source.entry(source).or_default() += 1;
    }

    /// One less for `source` (LIM-6). An address nobody is counted for is forgotten.
    pub fn remove(&mut self, source: IpAddr) {
        let Some(count) = self.by_source.get_mut(&source) else { return };
        *count -= 1;
        if *count == 0 {
            self.by_source.remove(&source);
        }
        self.running -= 1;
    }

    /// Servers that run.
    #[must_use]
    pub const fn running(&self) -> u32 {
        self.running
    }

    /// Servers that run for `source`.
    #[must_use]
    pub fn running_from(&self, source: IpAddr) -> u32 {
        self.by_source.get(&source).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_can_be_removed_once() {
        let [a, b] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from);
        let mut counts = Counts::default();
        counts.add(a);
        counts.add(a);
        counts.add(b);
        assert_eq!((counts.running(), counts.running_from(a)), (3, 2));
        counts.remove(a);
        counts.remove(b);
        counts.remove(b);
        assert_eq!((counts.running(), counts.running_from(a), counts.running_from(b)), (1, 1, 0));
        counts.remove(a);
        assert_eq!(counts, Counts::default(), "nothing is remembered of clients that left");
    }
}
