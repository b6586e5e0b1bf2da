//! `instances` and `per_source`: how many servers of a service run, and for whom.

use crate::plan::Source;
use crate::plan::SourcePrefix;
use std::collections::HashMap;

/// The servers of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    running: u32,
    by_client: HashMap<Source, u32>,
    prefix: SourcePrefix,
    /// By source, where that is not the address itself.
    by_source: HashMap<Source, u32>,
}

impl Counts {
    /// One more for this client.
    pub fn add(&mut self, client: Source) {
        self.running += 1;
        *self.by_client.entry(client).or_default() += 1;
        if self.counts_networks() {
            *self.by_source.entry(self.prefix.of(client)).or_default() += 1;
        }
    }

    /// One less (LIM-6); false if nobody was counted for this client.
    pub fn remove(&mut self, client: Source) -> bool {
        if !one_less(&mut self.by_client, client) {
            return false;
        }
        self.running -= 1;
        if self.counts_networks() {
            one_less(&mut self.by_source, self.prefix.of(client));
        }
        true
    }

    /// What counts as one source from now on; those that run are counted anew.
    pub fn count_by(&mut self, prefix: SourcePrefix) {
        if prefix == self.prefix {
            return;
        }
        self.prefix = prefix;
        self.by_source.clear();
        if self.counts_networks() {
            for (client, count) in &self.by_client {
                *self.by_source.entry(prefix.of(*client)).or_default() += count;
            }
        }
    }

    fn counts_networks(&self) -> bool {
        self.prefix != SourcePrefix::default()
    }

    /// Whether the sums agree.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let sum = |counts: &HashMap<Source, u32>| counts.values().sum::<u32>();
        let sources = if self.counts_networks() { sum(&self.by_source) } else { self.running };
        sum(&self.by_client) == self.running && sources == self.running
    }

    /// Servers that run.
    #[must_use]
    pub const fn running(&self) -> u32 {
        self.running
    }

    /// Servers that run for the source of this client.
    #[must_use]
    pub fn running_from(&self, client: Source) -> u32 {
        let count = match self.counts_networks() {
            true => self.by_source.get(&self.prefix.of(client)),
            false => self.by_client.get(&client),
        };
        count.copied().unwrap_or(0)
    }
}

/// False if there was none.
fn one_less(counts: &mut HashMap<Source, u32>, key: Source) -> bool {
    let Some(count) = counts.get_mut(&key) else { return false };
    *count -= 1;
    if *count == 0 {
        counts.remove(&key);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn what_was_added_can_be_removed_once() {
        let [a, b] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from).map(Source::Ip);
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

    #[test]
    fn neighbours_are_one_source_and_counted_anew_when_that_changes() {
        let address = |text: &str| Source::Ip(text.parse::<IpAddr>().unwrap());
        let [a, b, c] = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(address);
        let [d, e] = ["192.0.2.1", "192.0.2.200"].map(address);
        let mut counts = Counts::default();
        for client in [a, b, d] {
            counts.add(client);
        }
        assert_eq!((counts.running_from(a), counts.running_from(e)), (1, 0), "LIM-3");
        counts.count_by(SourcePrefix { v6: 64, v4: 24 });
        assert_eq!((counts.running_from(a), counts.running_from(c)), (2, 0));
        assert_eq!((counts.running_from(e), counts.running()), (1, 3));
        counts.remove(b);
        assert_eq!(counts.running_from(b), 1);
        counts.count_by(SourcePrefix { v6: 0, v4: 32 });
        assert_eq!((counts.running_from(c), counts.running_from(e)), (1, 0));
        counts.remove(a);
        counts.remove(d);
        counts.count_by(SourcePrefix::default());
        assert_eq!(counts, Counts::default());
    }
}
