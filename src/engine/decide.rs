//! May this caller in? The verdict, what it is counted by, and who hears of a refusal.

use socket2::Socket;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::admit;
use crate::admit::Peer;
use crate::admit::Processes;
use crate::admit::Rate;
use crate::admit::Welcome;
use crate::engine::Engine;
use crate::engine::wrap::Facts;
use crate::ipc::Refusal;
use crate::ipc::ToMonitor;
use crate::plan::Denial;
use crate::plan::Door;
use crate::plan::Duty;
use crate::plan::ServiceIndex;
use crate::plan::Source;
use crate::sys::socket;

/// All that is decided by: who asks, and at which door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'c> {
    pub(super) service: ServiceIndex,
    pub(super) peer: Peer,
    pub(super) means: Means<'c>,
    /// How often its server could not be forked (RETRY-1).
    pub(super) failures: u8,
}

/// What a caller came by. Most rules do not ask, so the kernel is asked only by those that do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Means<'c> {
    Connection(&'c Socket),
    /// To this address of ours; `None`: nobody can say.
    Datagram(Option<IpAddr>),
    /// Only the server that gets the socket is going to see.
    Unseen,
}

/// Both ends of a connection: the client's and ours. `None`: the client has gone, or there is
/// no connection.
pub(super) type Ends = Option<(SocketAddr, SocketAddr)>;

/// Both ends of this connection.
pub(super) fn ends(connection: &Socket) -> Ends {
    Some((socket::remote_end(connection)?, socket::local_end(connection)?))
}

impl Caller<'_> {
    /// The address of ours that was called; `None`: nobody can say.
    pub(super) fn own(self) -> Option<IpAddr> {
        match self.means {
            Means::Connection(connection) => socket::local_end(connection).map(|end| end.ip()),
            Means::Datagram(to) => to,
            Means::Unseen => None,
        }
    }

    pub(super) fn ends(self) -> Ends {
        match self.means {
            Means::Connection(connection) => ends(connection),
            Means::Datagram(_) | Means::Unseen => None,
        }
    }
}

impl Engine {
    /// May this caller in? `None` when its door is gone. Who may, and stays, is counted from now on.
    pub(super) fn decide(&mut self, caller: Caller<'_>) -> Option<Result<Welcome, Denial>> {
        let mut verdict = self.decide_by_rules(caller)?;
        if verdict == Ok(Welcome::In) {
            verdict = self.decide_by_wrappers(caller);
        }
        match verdict {
            Ok(_) => self.count(caller),
            Err(Denial::Cps) => self.pause(caller.service),
            Err(Denial::Address) => self.sense(caller),
            Err(_) => {}
        }
        Some(verdict)
    }

    /// One caller more who stays (LIM-2).
    fn count(&mut self, caller: Caller<'_>) {
        let Caller { service, peer, .. } = caller;
        if self.doors.get(&service).is_some_and(|state| state.door.duty.is_lasting()) {
            self.counts.entry(service).or_default().add(peer.source);
            self.running += 1;
        }
    }

    /// By what the configuration says, and by who came to a sensor.
    fn decide_by_rules(&mut self, caller: Caller<'_>) -> Option<Result<Welcome, Denial>> {
        let Caller { service, peer, failures, .. } = caller;
        let processes = Processes { running: self.running, limit: self.process_limit };
        let state = self.doors.get_mut(&service)?;
        let counts = self.counts.entry(service).or_default();
        let Door { policy, duty, .. } = &state.door;
        let now = self.clock.moment(policy);
        // Who comes back has been counted: it is no new connection.
        let mut at_rest = Rate::default();
        let rate = if failures == 0 { &mut state.rate } else { &mut at_rest };
        let verdict = admit::decide(policy, rate, counts, processes, peer, now);
        let address = peer.source.ip();
        let is_locked_out =
            address.is_some_and(|address| self.locked_out.contains(address, Instant::now()));
        let is_refused = is_locked_out || matches!(duty, Duty::LockOut(_));
        Some(if is_refused { verdict.and(Err(Denial::Address)) } else { verdict })
    }

    /// By hosts.allow and hosts.deny, as far as that goes without asking anybody.
    fn decide_by_wrappers(&mut self, caller: Caller<'_>) -> Result<Welcome, Denial> {
        match self.wrap(caller, &Facts::default()) {
            Ok(true) => Ok(Welcome::In),
            Ok(false) => Err(Denial::Libwrap),
            Err(_) => Ok(Welcome::NameDecides),
        }
    }

    /// SENS-1: at a sensor, whoever comes is locked out of everything.
    fn sense(&mut self, caller: Caller<'_>) {
        let service = caller.service;
        let duty = self.doors.get(&service).map(|state| &state.door.duty);
        let (Some(&Duty::LockOut(time)), Source::Ip(peer)) = (duty, caller.peer.source) else {
            return;
        };
        if self.locked_out.add(peer, time, Instant::now()).is_some() {
            self.tell(&ToMonitor::Sensed { service, peer });
        }
    }

    /// Whether it is asked whose connection this is before a server starts (IDENT-1).
    pub(super) fn asks_ident(&self, service: ServiceIndex) -> bool {
        self.doors.get(&service).is_some_and(|state| state.door.ident.on_success)
    }

    /// Whether it is asked about a client that was refused (IDENT-6).
    pub(super) fn asks_after(&self, service: ServiceIndex, why: Denial) -> bool {
        let state = self.doors.get(&service);
        why.is_by_limits() && state.is_some_and(|state| state.door.ident.on_failure)
    }

    /// Tells the monitor of a refusal, where somebody reads about it.
    pub(super) fn report(&mut self, service: ServiceIndex, peer: Source, why: Denial) {
        let reports = self.doors.get(&service).is_some_and(|state| state.door.reports_refusals);
        // The daemon's log has a word about these, too (LIM-4, WRAP-1).
        if reports || matches!(why, Denial::Load | Denial::Libwrap) {
            self.tell(&ToMonitor::Refused(Refusal { service, why, peer }));
        } else {
            self.count_client(service, Some(why));
        }
    }
}
