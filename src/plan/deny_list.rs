//! Clients that came to a SENSOR, or that an operator keeps out: every service refuses them while
//! they are listed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::plan::DenyTime;

/// Addresses, and until when; `None` is for ever (SENS-2, SENS-3).
///
/// By a clock that never steps (HARD-5). Who comes again is listed anew (SENS-6).
#[derive(Clone, Debug, Default)]
pub struct DenyList {
    until: HashMap<IpAddr, Option<Instant>>,
}

/// What became of an address that was to be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    New,
    /// It was listed already, and is for longer now.
    Again,
    /// There is no room.
    Full,
}

impl DenyList {
    /// Addresses at a time, at most (SENS-5).
    pub const MOST: usize = 10_240;

    /// Lists `address` from `now` on; [`DenyTime::Never`] lists nobody.
    pub fn add(&mut self, address: IpAddr, time: DenyTime, now: Instant) -> Option<Listed> {
        let until = match time {
            DenyTime::Never => return None,
            DenyTime::Forever => None,
            DenyTime::Minutes(minutes) => Some(now + Duration::from_secs(u64::from(minutes) * 60)),
        };
        Some(self.add_until(address, until, now))
    }

    /// [`add`](Self::add), with the end of the time.
    pub fn add_until(&mut self, address: IpAddr, until: Option<Instant>, now: Instant) -> Listed {
        let known = self.contains(address, now);
        if !known && self.until.len() >= Self::MOST {
            self.until.retain(|_, until| until.is_none_or(|until| until > now));
            if self.until.len() >= Self::MOST {
                return Listed::Full;
            }
        }
        let entry = self.until.entry(address).or_insert(until);
        // `None` is the longest of all.
        *entry = entry.zip(until).map(|(old, new)| old.max(new));
        if known { Listed::Again } else { Listed::New }
    }

    /// Takes `address` off the list; until when it was on it.
    pub fn remove(&mut self, address: IpAddr) -> Option<Option<Instant>> {
        self.until.remove(&address)
    }

    /// Whether `address` is listed now.
    #[must_use]
    pub fn contains(&self, address: IpAddr, now: Instant) -> bool {
        let until = self.until.get(&address);
        until.is_some_and(|until| until.is_none_or(|until| until > now))
    }

    /// Who is listed now, and until when.
    pub fn iter(&self, now: Instant) -> impl Iterator<Item = (IpAddr, Option<Instant>)> {
        let entries = self.until.iter().map(|(address, until)| (*address, *until));
        entries.filter(move |(_, until)| until.is_none_or(|until| until > now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn an_address_is_listed_for_its_minutes_and_longer_if_it_comes_again() {
        let (mut list, now) = (DenyList::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(list.add(address(1), DenyTime::Never, now), None, "SENS-3");
        assert_eq!(list.add(address(1), DenyTime::Minutes(1), now), Some(Listed::New));
        assert!(list.contains(address(1), after(59)) && !list.contains(address(1), after(60)));
        assert!(!list.contains(address(2), now), "SENS-2");
        assert_eq!(list.add(address(1), DenyTime::Minutes(1), after(30)), Some(Listed::Again));
        assert!(list.contains(address(1), after(89)), "SENS-6");
        assert_eq!(list.iter(after(89)).count(), 1);
        assert_eq!(list.iter(after(90)).count(), 0);
    }

    #[test]
    fn who_is_taken_off_is_listed_no_more() {
        let (mut list, now) = (DenyList::default(), Instant::now());
        list.add(address(1), DenyTime::Forever, now);
        assert_eq!((list.remove(address(1)), list.remove(address(1))), (Some(None), None));
        assert!(!list.contains(address(1), now));
    }

    #[test]
    fn for_ever_is_longer_than_any_time() {
        let (mut list, now) = (DenyList::default(), Instant::now());
        let later = now + Duration::from_secs(1 << 30);
        list.add(address(1), DenyTime::Forever, now);
        list.add(address(1), DenyTime::Minutes(1), now);
        list.add(address(2), DenyTime::Minutes(1), now);
        list.add(address(2), DenyTime::Forever, now);
        assert!(list.contains(address(1), later) && list.contains(address(2), later));
    }

    #[test]
    fn a_full_list_takes_new_addresses_when_old_ones_have_expired() {
        let (mut list, now) = (DenyList::default(), Instant::now());
        for number in 0..DenyList::MOST {
            list.add(address(u32::try_from(number).unwrap()), DenyTime::Minutes(1), now);
        }
        let one_more = address(u32::MAX);
        assert_eq!(list.add(one_more, DenyTime::Forever, now), Some(Listed::Full), "SENS-5");
        let later = now + Duration::from_secs(61);
        assert_eq!(list.add(one_more, DenyTime::Forever, later), Some(Listed::New));
    }
}
