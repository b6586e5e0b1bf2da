//! What goes wrong many times a second when descriptors or processes run out: said at once, then
//! once a minute with a count, and once more when it is over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::monitor::Monitor;
use crate::plan::ServiceIndex;

/// How often the same trouble is said while it lasts.
const AGAIN: Duration = Duration::from_secs(60);

/// A trouble that has not come back for so long is over. Longer than a client waits for another
/// fork, which is no end of it.
const OVER: Duration = Duration::from_secs(10);

/// What is taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trouble {
    /// The engine cannot accept a client.
    Accept,
    /// A connection arrived without its descriptor.
    Descriptors,
    /// A server cannot be forked.
    Fork,
    /// ... and is not tried again.
    GivenUp,
    /// A service's servers fail at this step on the way to their program.
    Step(ServiceIndex, u32),
    /// The target of a redirected service is not reached, with this error number.
    Target(ServiceIndex, i32),
    /// There is no engine.
    Engine,
}

/// One time of trouble.
#[derive(Debug)]
struct Spell {
    /// As it was said first.
    text: String,
    began: Instant,
    last: Instant,
    said: Instant,
    count: u32,
    unsaid: u32,
}

/// All that is going on.
#[derive(Debug, Default)]
pub(super) struct Troubles(HashMap<Trouble, Spell>);

impl Troubles {
    /// Takes note of one more, and gives what is to be said about it now.
    fn one_more(&mut self, trouble: Trouble, text: String, now: Instant) -> Option<String> {
        let Some(spell) = self.0.get_mut(&trouble) else {
            let spell =
                Spell { text: text.clone(), began: now, last: now, said: now, count: 1, unsaid: 0 };
            self.0.insert(trouble, spell);
            return Some(text);
        };
        spell.last = now;
        spell.count = spell.count.saturating_add(1);
        spell.unsaid += 1;
        if now.duration_since(spell.said) < AGAIN {
            return None;
        }
        spell.said = now;
        let times = std::mem::take(&mut spell.unsaid);
        Some(format!("{text}; {times} times since this was last said"))
    }

    /// When something may be over.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|spell| spell.last + OVER).min()
    }

    /// Forgets what is over, and gives what is to be said about it.
    fn take_over(&mut self, now: Instant) -> Vec<String> {
        let over = self.0.extract_if(|_, spell| spell.last + OVER <= now);
        // What came once has been said.
        let worth_it = over.filter(|(_, spell)| spell.count > 1);
        worth_it
            .map(|(_, Spell { text, began, last, count, .. })| {
                let seconds = last.duration_since(began).as_secs();
                let quiet = OVER.as_secs();
                format!("{text}; {count} times in {seconds} seconds, and not in the last {quiet}")
            })
            .collect()
    }
}

impl Monitor {
    /// An error, unless it is one of many.
    pub(super) fn complain(&mut self, trouble: Trouble, text: String) {
        if let Some(text) = self.troubles.one_more(trouble, text, Instant::now()) {
            tracing::error!("{text}");
        }
    }

    /// Says what is over.
    pub(super) fn say_what_is_over(&mut self, now: Instant) {
        for text in self.troubles.take_over(now) {
            tracing::warn!("{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_three_lines_a_minute_apart_and_its_end_is_one() {
        let (mut troubles, start) = (Troubles::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        let mut said = Vec::new();
        for tenth in 0..=1300 {
            said.extend(troubles.one_more(Trouble::Fork, "fork".into(), at(tenth * 100)));
        }
        let again = "fork; 600 times since this was last said";
        assert_eq!(said, ["fork", again, again]);
        assert_eq!(troubles.next(), Some(at(140_000)));
        assert!(troubles.take_over(at(139_999)).is_empty());
        let end = "fork; 1301 times in 130 seconds, and not in the last 10";
        assert_eq!(troubles.take_over(at(140_000)), [end]);
        assert_eq!(troubles.next(), None);
        assert!(troubles.one_more(Trouble::Fork, "fork".into(), at(140_001)).is_some(), "anew");
    }

    #[test]
    fn what_happens_once_is_said_once() {
        let (mut troubles, now) = (Troubles::default(), Instant::now());
        for trouble in [Trouble::Fork, Trouble::Step(ServiceIndex(1), 2)] {
            assert!(troubles.one_more(trouble, "x".into(), now).is_some());
        }
        assert!(troubles.take_over(now + OVER).is_empty());
        assert_eq!(troubles.next(), None);
    }
}
