//! Internal services over datagrams: whom they answer, with what, and how often.
//!
//! The sender of a datagram may be anybody's address, so an answer is never much, never goes
//! where it would be answered in turn, and where it is longer than the question it is rare.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::engine::internal::{chargen, time};
use crate::plan::Internal;
use crate::plan::{Source, SourcePrefix};
use crate::sys::clock;
use crate::sys::datagram::Received;

/// The longest datagram that is returned whole, in bytes (INTL-6).
const LONGEST_ECHO: usize = 2048;

/// Ports below this are those of services, and of nobody who asks (INTL-7).
const FIRST_OF_CLIENTS: u16 = 1024;

/// What a dgram service says to a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Reply<'d> {
    /// There is nothing to say to it.
    None,
    Say(Cow<'d, [u8]>),
    /// It is as if the datagram had not come: an answer could hurt somebody (INTL-7).
    Ignore,
    /// Too many have been answered in this second.
    Withhold,
}

/// What all dgram services go by.
#[derive(Debug, Default)]
pub(in crate::engine) struct Replies {
    /// Our own ports at which datagrams are answered.
    ports: HashSet<u16>,
    /// The line with which `chargen` goes on (INTL-6).
    next_line: usize,
    budget: Budget,
}

impl Replies {
    /// The ports at which datagrams are answered from now on.
    pub(in crate::engine) fn answer_at(&mut self, ports: impl Iterator<Item = u16>) {
        self.ports = ports.collect();
    }

    /// What `service` says to `datagram`.
    pub(in crate::engine) fn to<'d>(
        &mut self,
        service: Internal,
        datagram: &'d [u8],
        received: &Received,
        now: Instant,
    ) -> Reply<'d> {
        if service == Internal::Discard {
            return Reply::None;
        }
        if !self.may_answer(received) {
            return Reply::Ignore;
        }
        if service != Internal::Echo && !self.budget.has_one_for(received.from.ip(), now) {
            return Reply::Withhold;
        }
        Reply::Say(match service {
            Internal::Echo => datagram.get(..LONGEST_ECHO).unwrap_or(datagram).into(),
            Internal::Chargen => chargen::datagram(&mut self.next_line).into(),
            Internal::Daytime => time::daytime(clock::wall_seconds()).into_bytes().into(),
            Internal::Time => time::time(clock::wall_seconds()).to_vec().into(),
            Internal::Discard | Internal::Tcpmux | Internal::Services | Internal::Servers => {
                return Reply::None;
            }
        })
    }

    /// INTL-7: two services that answer each other would never stop, and what is sent to many
    /// addresses is answered by many.
    fn may_answer(&self, Received { from, to, .. }: &Received) -> bool {
        let is_for_one = to.is_none_or(|to| is_of_one(to.to_canonical()));
        let port = from.port();
        let is_client = port >= FIRST_OF_CLIENTS && !self.ports.contains(&port);
        is_client && is_for_one && is_of_one(from.ip().to_canonical())
    }
}

/// Whether this is the address of one host, as far as an address tells.
fn is_of_one(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_multicast() || address.is_unspecified() || is_broadcast)
}

/// How many datagrams are answered with more than they brought: so many in one second, and
/// not all of them to one network.
#[derive(Debug, Default)]
struct Budget {
    /// When the second began, and what has been spent in it.
    begun: Option<Instant>,
    spent: u32,
    by_network: HashMap<Source, u32>,
}

impl Budget {
    const SECOND: Duration = Duration::from_secs(1);
    const ALL: u32 = 200;
    const NETWORK: u32 = 20;

    /// What counts as one network: what a site usually has.
    const PREFIX: SourcePrefix = SourcePrefix { v6: 48, v4: 24 };

    /// Spends one on `to`, if there is one.
    fn has_one_for(&mut self, to: IpAddr, now: Instant) -> bool {
        if self.begun.is_none_or(|begun| now.duration_since(begun) >= Self::SECOND) {
            *self = Self { begun: Some(now), ..Self::default() };
        }
        if self.spent >= Self::ALL {
            return false;
        }
        let network = Self::PREFIX.of(to.into());
        let of_network = self.by_network.entry(network).or_default();
        if *of_network >= Self::NETWORK {
            return false;
        }
        *of_network += 1;
        self.spent += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn from(address: &str) -> Received {
        let to = Some(IpAddr::from([192, 0, 2, 1]));
        Received { length: 0, from: address.parse::<SocketAddr>().unwrap(), to }
    }

    fn said(replies: &mut Replies, service: Internal, received: &Received) -> Option<usize> {
        match replies.to(service, &[b'x'; 3000], received, Instant::now()) {
            Reply::Say(bytes) => Some(bytes.len()),
            Reply::None | Reply::Ignore | Reply::Withhold => None,
        }
    }

    #[test]
    fn intl_7_nobody_is_answered_who_might_answer() {
        let mut replies = Replies::default();
        replies.answer_at([20_007].into_iter());
        for service in [Internal::Echo, Internal::Chargen, Internal::Daytime, Internal::Time] {
            for port in [0, 7, 9, 13, 17, 19, 37, 53, 1023, 20_007] {
                let reply = said(&mut replies, service, &from(&format!("192.0.2.9:{port}")));
                assert_eq!(reply, None, "{service:?} {port}");
            }
            assert!(said(&mut replies, service, &from("192.0.2.9:1024")).is_some(), "{service:?}");
        }
    }

    #[test]
    fn nobody_is_answered_who_is_many_or_writes_to_many() {
        let mut replies = Replies::default();
        for many in ["224.0.0.1:5000", "255.255.255.255:5000", "0.0.0.0:5000", "[ff02::1]:5000"] {
            assert_eq!(said(&mut replies, Internal::Echo, &from(many)), None, "{many}");
        }
        for to in ["224.0.0.1", "255.255.255.255", "::ffff:224.0.0.1", "ff02::1"] {
            let received = Received { to: Some(to.parse().unwrap()), ..from("192.0.2.9:5000") };
            assert_eq!(said(&mut replies, Internal::Echo, &received), None, "{to}");
        }
        let received = Received { to: None, ..from("192.0.2.9:5000") };
        assert_eq!(said(&mut replies, Internal::Echo, &received), Some(2048), "INTL-6");
    }

    #[test]
    fn what_is_longer_than_its_question_is_rare() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let mut spend = |network: u8, host, millis| {
            budget.has_one_for(
                IpAddr::from([10, 0, network, host]),
                start + Duration::from_millis(millis),
            )
        };
        assert!((0..20).all(|host| spend(0, host, 10)));
        assert!(!spend(0, 99, 20), "a network has no more than others");
        assert!((1..10).all(|network| (0..20).all(|host| spend(network, host, 30))));
        assert!(!spend(10, 0, 999), "and all of them have an end");
        assert!(spend(0, 99, 1010) && spend(10, 0, 1010), "until the next second");
    }
}
