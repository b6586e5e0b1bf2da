//! May this client in? Pure decisions; time is an argument.

mod count;
mod rate;

pub use count::Counts;
pub use rate::Rate;

use std::net::IpAddr;

use crate::plan::Denial;
use crate::plan::Limit;
use crate::plan::Load;
use crate::plan::Policy;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// An IPv4 client is an IPv4 address here, however it is connected (BIND-11).
    pub address: IpAddr,
    /// It is an IPv4 client on an IPv6 socket (ADDR-12).
    pub mapped: bool,
}

/// Servers of all services against `-limit` (LIM-5).
#[derive(Clone, Copy, Debug)]
pub struct Processes {
    pub running: u32,
    pub limit: Limit,
}

/// When a request comes in.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Whole seconds of a clock that never steps.
    pub seconds: u64,
    /// Minutes since midnight, local time; asked of the wall clock (TIME-1).
    pub minute: u16,
    /// `None`: the system does not say, and `max_load` is not looked at.
    pub load: Option<Load>,
}

/// Decides about one request, in the original's order (ACC-1): rate, load, time,
/// `instances`, `per_source`, process limit, addresses. The first failing check is the
/// reason (ACC-2); `rate` takes note of the request.
///
/// # Errors
/// The reason to turn the client away.
pub fn decide(
    policy: &Policy,
    rate: &mut Rate,
    counts: &Counts,
    processes: Processes,
    peer: Peer,
    now: Moment,
) -> Result<(), Denial> {
    if rate.is_exceeded(policy.rate, now.seconds) {
        return Err(Denial::Cps);
    }
    if policy.max_load.is_some_and(|most| now.load.is_some_and(|load| load >= most)) {
        return Err(Denial::Load);
    }
    if !policy.hours.contain(now.minute) {
        return Err(Denial::Time);
    }
    if policy.instances.reached(counts.running()) {
        return Err(Denial::ServiceLimit);
    }
    if policy.per_source.reached(counts.running_from(peer.address)) {
        return Err(Denial::PerSourceLimit);
    }
    if processes.limit.reached(processes.running) {
        return Err(Denial::ProcessLimit);
    }
    if is_welcome(policy, peer) { Ok(()) } else { Err(Denial::Address) }
}

/// `only_from` and `no_access`: who matches both is refused, whatever the manual says (ADDR-2).
fn is_welcome(policy: &Policy, peer: Peer) -> bool {
    let invited =
        policy.only_from.as_ref().is_none_or(|list| list.contains(peer.address, peer.mapped));
    let banned =
        policy.no_access.as_ref().is_some_and(|list| list.contains(peer.address, peer.mapped));
    invited && !banned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{AccessList, Hours, Interval, RateLimit};
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    const NOW: Moment = Moment { seconds: 5, minute: 600, load: Some(Load(2500)) };
    const FREE: Processes = Processes { running: 0, limit: Limit::Unlimited };

    fn peer(address: [u8; 4]) -> Peer {
        Peer { address: Ipv4Addr::from(address).into(), mapped: false }
    }

    fn list(from: [u8; 4], to: [u8; 4]) -> AccessList {
        AccessList::new([(from.into(), to.into())], [])
    }

    fn verdict(policy: &Policy, counts: &Counts, processes: Processes) -> Result<(), Denial> {
        decide(policy, &mut Rate::default(), counts, processes, peer([127, 0, 0, 1]), NOW)
    }

    #[test]
    fn everybody_is_let_in_by_default() {
        assert_eq!(verdict(&Policy::default(), &Counts::default(), FREE), Ok(()));
    }

    #[test]
    fn acc_1_the_first_failing_check_is_the_reason() {
        let full = Processes { running: 3, limit: Limit::Max(3) };
        let mut policy = Policy {
            rate: RateLimit { per_second: 1, pause: 1 },
            max_load: Some(Load(2500)),
            hours: Hours::new(vec![Interval { first: 0, last: 599 }]),
            instances: Limit::Max(0),
            per_source: Limit::Max(0),
            only_from: Some(AccessList::default()),
            ..Policy::default()
        };
        let counts = Counts::default();
        let mut rate = Rate::default();
        let mut twice = || decide(&policy, &mut rate, &counts, full, peer([127, 0, 0, 1]), NOW);
        assert_eq!((twice(), twice()), (Err(Denial::Load), Err(Denial::Cps)));
        policy.max_load = Some(Load(2501));
        assert_eq!(verdict(&policy, &counts, full), Err(Denial::Time));
        policy.hours = Hours::default();
        assert_eq!(verdict(&policy, &counts, full), Err(Denial::ServiceLimit));
        policy.instances = Limit::Unlimited;
        assert_eq!(verdict(&policy, &counts, full), Err(Denial::PerSourceLimit));
        policy.per_source = Limit::Unlimited;
        assert_eq!(verdict(&policy, &counts, full), Err(Denial::ProcessLimit));
        assert_eq!(verdict(&policy, &counts, FREE), Err(Denial::Address));
    }

    #[test]
    fn addr_2_no_access_always_wins() {
        let all = list([0; 4], [255; 4]);
        let policy =
            Policy { only_from: Some(all.clone()), no_access: Some(all), ..Policy::default() };
        assert_eq!(verdict(&policy, &Counts::default(), FREE), Err(Denial::Address));
    }

    proptest! {
        #[test]
        fn a_longer_no_access_never_admits_more(
            client in any::<[u8; 4]>(),
            short in any::<([u8; 4], [u8; 4])>(),
            more in any::<([u8; 4], [u8; 4])>(),
        ) {
            let range = |(a, b): ([u8; 4], [u8; 4])| (a.min(b).into(), a.max(b).into());
            let policy = |ranges: Vec<(Ipv4Addr, Ipv4Addr)>| Policy {
                no_access: Some(AccessList::new(ranges, [])),
                ..Policy::default()
            };
            let before = is_welcome(&policy(vec![range(short)]), peer(client));
            let after = is_welcome(&policy(vec![range(short), range(more)]), peer(client));
            prop_assert!(before || !after);
        }
    }
}
