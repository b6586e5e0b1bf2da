//! Datagrams that are read here: those of internal and redirected services, and of sensors.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::admit::Peer;
use crate::admit::Welcome;
use crate::engine::Engine;
use crate::engine::decide::{Caller, Means};
use crate::engine::internal::Reply;
use crate::engine::relay;
use crate::engine::visit;
use crate::ipc::Event;
use crate::ipc::ToMonitor;
use crate::plan::Denial;
use crate::plan::Duty;
use crate::plan::Internal;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::sys::datagram;
use crate::sys::datagram::Received;

/// The longest datagram there can be, in bytes.
pub(super) const LONGEST: usize = 65_535;

/// How many datagrams of one service are read before the others get their turn.
const DATAGRAMS_A_TURN: usize = 64;

/// Reads what has come to a door, as far as its turn goes.
pub(super) fn read(engine: &Rc<RefCell<Engine>>, service: ServiceIndex, socket: SocketIndex) {
    let mut buffer = std::mem::take(&mut engine.borrow_mut().buffer);
    for _ in 0..DATAGRAMS_A_TURN {
        let mut inner = engine.borrow_mut();
        let Some(received) = inner.next_datagram(service, socket, &mut buffer) else { break };
        let bytes = buffer.get(..received.length).unwrap_or_default();
        let at = Arrival { service, socket, received, is_counted: false };
        if inner.flows.pass_on(at, bytes) {
            continue;
        }
        let own = received.to.map(|own| own.to_canonical());
        let caller = Caller::sender(service, received.from, own);
        let verdict = inner.decide(caller);
        let is_counted = inner.doors.get(&service).is_some_and(|s| s.door.duty.is_lasting());
        let at = Arrival { is_counted, ..at };
        match verdict {
            Some(Ok(Welcome::In)) => {
                drop(inner);
                let_in(engine, at, bytes);
            }
            Some(Ok(Welcome::NameDecides)) => {
                inner.begin_visit(service);
                let engine = Rc::clone(engine);
                tokio::task::spawn_local(by_name(engine, caller, at, bytes.to_vec()));
            }
            Some(Err(why)) => inner.report_sender(service, received.from, why),
            None => break,
        }
    }
    engine.borrow_mut().buffer = buffer;
}

/// A datagram whose sender's name decides.
async fn by_name(
    engine: Rc<RefCell<Engine>>,
    caller: Caller<'static>,
    at: Arrival,
    bytes: Vec<u8>,
) {
    let Arrival { service, received, .. } = at;
    match visit::ask_for_name(&engine, caller).await {
        Some(Ok(())) => let_in(&engine, at, &bytes),
        Some(Err(why)) => engine.borrow_mut().report_sender(service, received.from, why),
        None => {}
    }
    engine.borrow_mut().end_visit(service);
}

/// What becomes of a datagram that has been let in.
fn let_in(engine: &Rc<RefCell<Engine>>, at: Arrival, bytes: &[u8]) {
    let mut inner = engine.borrow_mut();
    match inner.doors.get(&at.service).map(|state| &state.door.duty) {
        Some(&Duty::Reply(internal)) if !at.is_counted => {
            inner.answer_datagram(at, bytes, internal);
        }
        Some(Duty::Forward(_)) if at.is_counted => {
            drop(inner);
            relay::forward(engine, at, bytes);
        }
        // A reload has made something else of it.
        _ if at.is_counted => inner.uncount(at.service, at.source()),
        _ => {}
    }
}

/// A datagram that has been read, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) service: ServiceIndex,
    pub(super) socket: SocketIndex,
    pub(super) received: Received,
    /// It is the first of a client that stays, and is counted.
    pub(super) is_counted: bool,
}

impl Arrival {
    /// Who sent it.
    pub(super) fn source(&self) -> Source {
        self.received.from.ip().into()
    }
}

impl Caller<'static> {
    /// Somebody at a socket that a server is to have.
    pub(super) const fn unknown(service: ServiceIndex) -> Self {
        let peer = Peer { source: Source::Unknown, mapped: false };
        Self { service, peer, means: Means::Unseen, failures: 0 }
    }

    /// The sender of a datagram.
    pub(super) fn sender(service: ServiceIndex, from: SocketAddr, to: Option<IpAddr>) -> Self {
        let address = from.ip().to_canonical();
        let mapped = from.is_ipv6() && address.is_ipv4();
        let peer = Peer { source: Source::Ip(address), mapped };
        Self { service, peer, means: Means::Datagram(to), failures: 0 }
    }
}

impl Engine {
    /// The next datagram for a service; `None` when there is none, or none may be taken.
    fn next_datagram(
        &mut self,
        service: ServiceIndex,
        socket: SocketIndex,
        buffer: &mut [u8],
    ) -> Option<Received> {
        if !self.is_due(service) {
            return None;
        }
        let state = self.doors.get_mut(&service)?;
        let received = datagram::receive(state.listener(socket)?, buffer).ok()?;
        state.take_turn();
        Some(received)
    }

    /// Answers a datagram that has been let in, from the address that it was sent to. What
    /// cannot be sent is lost, as on any wire.
    fn answer_datagram(&mut self, at: Arrival, bytes: &[u8], internal: Internal) {
        let Arrival { service, socket, received, .. } = at;
        let Some(state) = self.doors.get(&service) else { return };
        let Some(listener) = state.listener(socket) else { return };
        let Received { from, to, .. } = received;
        match self.replies.to(internal, bytes, &received, Instant::now()) {
            Reply::None => {}
            Reply::Say(reply) => {
                datagram::send(listener, &reply, from, to).ok();
            }
            Reply::Ignore => return,
            Reply::Withhold => return self.say_once_a_minute(service, Event::Withheld),
        }
        if state.door.reports_answers {
            self.tell(&ToMonitor::Answered { service, peer: at.source() });
        } else {
            self.count_client(service, None);
        }
    }

    /// Reports that a datagram was refused. By its address a sender is refused for every
    /// datagram anew; the log hears of it once a minute (ACC-8).
    pub(super) fn report_sender(&mut self, service: ServiceIndex, from: SocketAddr, why: Denial) {
        if why == Denial::Address && !self.told.is_news(service, from, Instant::now()) {
            return self.count_client(service, Some(why));
        }
        self.report(service, from.ip().into(), why);
    }
}

/// Refusals that the log has heard of, not long ago.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<(ServiceIndex, SocketAddr), Instant>);

impl Told {
    /// How long nothing more is said about the same sender at the same door (ACC-8).
    const SILENCE: Duration = Duration::from_secs(60);

    /// Senders that are remembered, at most. Addresses of datagrams can be forged, and a flood
    /// of them is no reason to be silent about the next one.
    const MOST: usize = 1024;

    /// Whether this is worth a line; then it is remembered.
    fn is_news(&mut self, service: ServiceIndex, from: SocketAddr, now: Instant) -> bool {
        let is_recent = |at: &Instant| now.duration_since(*at) < Self::SILENCE;
        if self.0.get(&(service, from)).is_some_and(is_recent) {
            return false;
        }
        if self.0.len() >= Self::MOST {
            self.0.retain(|_, at| is_recent(at));
        }
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert((service, from), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_8_a_sender_is_news_once_a_minute_at_each_door() {
        let (mut told, start) = (Told::default(), Instant::now());
        let from = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let mut is_news = |service, port, seconds| {
            told.is_news(ServiceIndex(service), from(port), start + Duration::from_secs(seconds))
        };
        assert!(is_news(1, 5, 0) && is_news(2, 5, 0) && is_news(1, 6, 0));
        assert!(!is_news(1, 5, 59));
        assert!(is_news(1, 5, 60) && !is_news(1, 5, 119));
    }

    #[test]
    fn however_many_there_are_only_so_many_are_remembered() {
        let (mut told, now) = (Told::default(), Instant::now());
        for number in 0..5000 {
            let from = SocketAddr::from((std::net::Ipv4Addr::from_bits(number), 5));
            assert!(told.is_news(ServiceIndex(1), from, now));
            assert!(told.0.len() <= Told::MOST);
        }
    }
}
