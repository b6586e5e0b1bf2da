//! From a ready listener to a decision and an order.

use socket2::{SockAddr, SockRef, Socket};
use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::admit::Peer;
use crate::admit::Welcome;
use crate::engine::Engine;
use crate::engine::datagram;
use crate::engine::decide::{Caller, Means};
use crate::engine::door::Way;
use crate::engine::internal;
use crate::engine::lend;
use crate::engine::relay;
use crate::engine::visit;
use crate::ipc::Event;
use crate::ipc::Ticket;
use crate::ipc::ToMonitor;
use crate::plan::Duty;
use crate::plan::Generation;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::sys::socket;

/// How many clients of one service are accepted before the others get their turn.
const CLIENTS_A_TURN: usize = 16;

/// How long nothing is accepted when descriptors or memory have run out.
pub(super) const REST: Duration = Duration::from_millis(100);

/// Somebody at a door.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) service: ServiceIndex,
    pub(super) socket: Socket,
    pub(super) peer: Peer,
    /// How often its server could not be forked (RETRY-1).
    pub(super) failures: u8,
    /// What it is told first of all when it is let in (MUX-2).
    pub(super) greeting: &'static [u8],
    /// The plan in force when it came; `None`: it came before, and was with the monitor.
    pub(super) since: Option<Generation>,
}

impl Visitor {
    /// What is decided by.
    pub(super) fn caller(&self) -> Caller<'_> {
        let Self { service, peer, failures, .. } = *self;
        Caller { service, peer, means: Means::Connection(&self.socket), failures }
    }
}

/// Serves the doors that are ready; false when none was.
pub(super) fn accept_ready(engine: &Rc<RefCell<Engine>>) -> bool {
    let mut numbers = Vec::new();
    if engine.borrow().ready.ready(&mut numbers).is_err() {
        return false;
    }
    for socket in numbers.iter().copied().map(SocketIndex) {
        let way = engine.borrow().way_of(socket);
        match way {
            Some((service, Way::Accept)) => accept(engine, service, socket),
            Some((service, Way::Read)) => datagram::read(engine, service, socket),
            Some((service, Way::Lend)) => lend::lend(engine, service, socket),
            None => {}
        }
    }
    !numbers.is_empty()
}

fn accept(engine: &Rc<RefCell<Engine>>, service: ServiceIndex, socket: SocketIndex) {
    for _ in 0..CLIENTS_A_TURN {
        let visitor = engine.borrow_mut().next_visitor(service, socket);
        let Some(visitor) = visitor else { return };
        receive(engine, visitor);
    }
}

/// The quick way in; with waiting where there are banners, or names on the lists.
fn receive(engine: &Rc<RefCell<Engine>>, visitor: Visitor) {
    let mut inner = engine.borrow_mut();
    let banners = inner.doors.get(&visitor.service).map(|state| state.door.banners);
    match banners {
        Some(banners) if banners == crate::plan::DoorBanners::default() => {
            match inner.decide(visitor.caller()) {
                Some(Ok(Welcome::In)) if inner.asks_ident(visitor.service) => {
                    drop(inner);
                    tokio::task::spawn_local(visit::identify(Rc::clone(engine), visitor));
                }
                Some(Ok(Welcome::In)) => {
                    drop(inner);
                    enter(engine, visitor);
                }
                Some(Ok(Welcome::NameDecides)) => {
                    inner.begin_visit(visitor.service);
                    tokio::task::spawn_local(visit::by_name(Rc::clone(engine), visitor));
                }
                Some(Err(why)) => {
                    inner.report(visitor.service, visitor.peer.source, why);
                    if inner.asks_after(visitor.service, why) {
                        tokio::task::spawn_local(visit::name_refused(Rc::clone(engine), visitor));
                    }
                }
                None => {}
            }
        }
        Some(banners) => {
            inner.begin_visit(visitor.service);
            tokio::task::spawn_local(visit::with_banners(Rc::clone(engine), visitor, banners));
        }
        None => {}
    }
}

/// What becomes of a client that has been let in, and is counted.
pub(super) fn enter(engine: &Rc<RefCell<Engine>>, visitor: Visitor) {
    let mut inner = engine.borrow_mut();
    if !inner.has_its_way_in(&visitor) {
        return inner.uncount(visitor.service, visitor.peer.source);
    }
    let duty = inner.doors.get(&visitor.service).map(|state| &state.door.duty);
    match duty {
        Some(Duty::HandOver) => inner.hand_over(visitor),
        Some(Duty::Relay(_)) => {
            drop(inner);
            relay::serve(engine, visitor);
        }
        Some(&Duty::Answer(service)) => {
            drop(inner);
            internal::serve(engine, visitor, service);
        }
        // Gone meanwhile, or a sensor now; a door does not become one that lends.
        Some(Duty::Wait | Duty::Reply(_) | Duty::Forward(_) | Duty::LockOut(_)) | None => {
            inner.uncount(visitor.service, visitor.peer.source);
        }
    }
}

/// Decides again about clients whose servers could not be forked.
pub(super) fn receive_again(engine: &Rc<RefCell<Engine>>) {
    let returned = std::mem::take(&mut engine.borrow_mut().returned);
    for visitor in returned {
        engine.borrow_mut().begin_visit(visitor.service);
        tokio::task::spawn_local(visit::again(Rc::clone(engine), visitor));
    }
}

impl Engine {
    /// A client comes back from the monitor.
    pub(super) fn take_back(
        &mut self,
        service: ServiceIndex,
        source: Source,
        connection: OwnedFd,
        failures: u8,
    ) {
        let Some(state) = self.doors.get(&service) else { return };
        let is_ipv4 = source.ip().is_some_and(|address| address.is_ipv4());
        let mapped = is_ipv4 && state.is_dual_stack();
        let peer = Peer { source, mapped };
        let (socket, greeting) = (connection.into(), b"".as_slice());
        self.returned.push(Visitor { service, socket, peer, failures, greeting, since: None });
    }

    /// Whether the socket is still there that a client has come to. A reload may have taken it
    /// since: then the client goes, as the servers there do (RELOAD-7), and the monitor would take
    /// it for a client of nobody's. Which tcpmux has led to a service the monitor finds out.
    fn has_its_way_in(&self, visitor: &Visitor) -> bool {
        let Visitor { service, socket, since, .. } = visitor;
        if *since == Some(self.generation) {
            return true;
        }
        let Some(state) = self.doors.get(service) else { return false };
        let port = socket::local_port(socket);
        let has_accepted = |listener: &OwnedFd| match port {
            0 => socket::is_unix_connection(socket, listener),
            port => socket::local_port(listener) == port,
        };
        state.door.behind.is_some() || state.listeners().any(has_accepted)
    }

    /// Whose socket this is, and what is done there.
    fn way_of(&self, socket: SocketIndex) -> Option<(ServiceIndex, Way)> {
        let service = *self.sockets.get(&socket)?;
        Some((service, self.doors.get(&service)?.way()))
    }

    /// Whether somebody may be let in at this door now; with `cps_action = pace` it is held
    /// until the next one is due.
    pub(super) fn is_due(&mut self, service: ServiceIndex) -> bool {
        if !self.may_accept() {
            return false;
        }
        let Some(state) = self.doors.get(&service).filter(|state| state.lets_in()) else {
            return false;
        };
        if state.door.duty.keeps_connections() && self.sessions.len() >= self.most_sessions() {
            self.hold_for(service, REST, Event::Full);
            return false;
        }
        let Some(wait) = state.turn() else { return true };
        self.hold_for(service, wait, Event::Paced);
        false
    }

    /// The next client at a socket; `None` when there is none now, or none may be taken.
    fn next_visitor(&mut self, service: ServiceIndex, socket: SocketIndex) -> Option<Visitor> {
        loop {
            if !self.is_due(service) {
                return None;
            }
            let state = self.doors.get_mut(&service)?;
            match SockRef::from(state.listener(socket)?).accept() {
                Ok((socket, address)) => {
                    state.take_turn();
                    let Some(peer) = peer(&socket, &address) else { continue };
                    let (since, greeting) = (Some(self.generation), b"".as_slice());
                    let failures = 0;
                    return Some(Visitor { service, socket, peer, failures, greeting, since });
                }
                Err(cause) => match Trouble::of(&cause) {
                    Trouble::NobodyThere => return None,
                    Trouble::NotListening => {
                        self.try_later(service);
                        return None;
                    }
                    Trouble::ClientGone => {}
                    Trouble::Exhausted => {
                        self.rest();
                        let event = Event::AcceptFailed(cause.raw_os_error().unwrap_or(0));
                        self.tell(&ToMonitor::Noticed { service, event });
                        return None;
                    }
                },
            }
        }
    }

    /// Takes nobody for a moment.
    pub(super) fn rest(&mut self) {
        self.resting_until = Some(Instant::now() + REST);
        self.wake.notify_one();
    }

    /// The name of one more server, or of one more session.
    pub(super) fn new_ticket(&mut self, service: ServiceIndex, peer: Source) -> Ticket {
        self.last_ticket = self.last_ticket.next();
        self.tickets.insert(self.last_ticket, (service, peer));
        self.last_ticket
    }

    /// Orders a server for a client that has been let in.
    fn hand_over(&mut self, visitor: Visitor) {
        let Visitor { service, socket, peer, failures, .. } = visitor;
        let ticket = self.new_ticket(service, peer.source);
        let start = ToMonitor::Start { ticket, service, peer: peer.source, failures };
        self.tell_with(&start, Some(OwnedFd::from(socket)));
    }
}

/// Who has connected. An IPv4 client on an IPv6 socket becomes one on an IPv4 socket where that
/// still works.
fn peer(socket: &Socket, address: &SockAddr) -> Option<Peer> {
    let Some(address) = address.as_socket() else {
        let source = Source::User(socket::peer_process(socket)?.uid);
        return Some(Peer { source, mapped: false });
    };
    let canonical = address.ip().to_canonical();
    let mapped = address.is_ipv6() && matches!(canonical, IpAddr::V4(_));
    if mapped {
        socket::become_ipv4(socket);
    }
    Some(Peer { source: Source::Ip(canonical), mapped })
}

/// Why accept(2) brought no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    NobodyThere,
    /// Somebody has taken the listening state away.
    NotListening,
    /// This client gave up; the next may be there.
    ClientGone,
    /// No descriptors, no memory.
    Exhausted,
}

/// Whether this is a lack of descriptors or memory.
pub(super) fn is_exhausted(cause: &io::Error) -> bool {
    Trouble::of(cause) == Trouble::Exhausted
}

impl Trouble {
    fn of(cause: &io::Error) -> Self {
        use crate::sys::Errno;
        match cause.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAGAIN) => Self::NobodyThere,
            Some(Errno::EINVAL) => Self::NotListening,
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => Self::Exhausted,
            _ => Self::ClientGone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Errno;

    #[test]
    fn only_a_lack_of_means_makes_the_engine_rest() {
        let trouble = |errno: Errno| Trouble::of(&io::Error::from(errno));
        assert_eq!(trouble(Errno::EAGAIN), Trouble::NobodyThere);
        assert_eq!(trouble(Errno::EINVAL), Trouble::NotListening);
        assert_eq!(trouble(Errno::ECONNABORTED), Trouble::ClientGone);
        assert_eq!(trouble(Errno::EMFILE), Trouble::Exhausted);
    }
}
