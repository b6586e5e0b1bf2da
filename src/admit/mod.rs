//! May this client in? Pure decisions; time is an argument.

mod count;
mod pace;
mod rate;
mod welcome;
pub mod wrap;

pub use count::Counts;
pub use pace::Pace;
pub use rate::Rate;
pub use welcome::{ClientName, Welcome, decide_by_name, is_on};

use crate::plan::Denial;
use crate::plan::Limit;
use crate::plan::Load;
use crate::plan::Policy;
use crate::plan::RateAction;
use crate::plan::Source;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub source: Source,
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
) -> Result<Welcome, Denial> {
    if policy.rate_action == RateAction::Pause && rate.is_exceeded(policy.rate, now.seconds) {
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
    if policy.per_source.reached(counts.running_from(peer.source)) {
        return Err(Denial::PerSourceLimit);
    }
    if processes.limit.reached(processes.running) {
        return Err(Denial::ProcessLimit);
    }
    welcome::by_address(policy, peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{AccessList, Hours, Interval, RateLimit};
    use std::net::Ipv4Addr;

    const NOW: Moment = Moment { seconds: 5, minute: 600, load: Some(Load(2500)) };
    const FREE: Processes = Processes { running: 0, limit: Limit::Unlimited };

    fn peer(address: [u8; 4]) -> Peer {
        Peer { source: Source::Ip(Ipv4Addr::from(address).into()), mapped: false }
    }

    fn verdict(policy: &Policy, counts: &Counts, processes: Processes) -> Result<Welcome, Denial> {
        decide(policy, &mut Rate::default(), counts, processes, peer([127, 0, 0, 1]), NOW)
    }

    #[test]
    fn everybody_is_let_in_by_default() {
        let verdict = verdict(&Policy::default(), &Counts::default(), FREE);
        assert_eq!(verdict, Ok(Welcome::In));
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
}
