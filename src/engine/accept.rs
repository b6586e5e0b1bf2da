//! From a ready listener to a decision and an order.

use socket2::{SockRef, Socket};
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::admit;
use crate::admit::Peer;
use crate::admit::Processes;
use crate::admit::Rate;
use crate::admit::Welcome;
use crate::engine::Engine;
use crate::engine::internal;
use crate::engine::visit;
use crate::engine::wrap::Facts;
use crate::ipc::Event;
use crate::ipc::Refusal;
use crate::ipc::Ticket;
use crate::ipc::ToMonitor;
use crate::plan::Denial;
use crate::plan::Door;
use crate::plan::Duty;
use crate::plan::Policy;
use crate::plan::RateAction;
use crate::plan::ServiceIndex;
use crate::sys::socket;

/// How many clients of one service are accepted before the others get their turn.
const CLIENTS_A_TURN: usize = 16;

/// How long nothing is accepted when descriptors or memory have run out.
const REST: Duration = Duration::from_millis(100);

/// Somebody at a door.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) service: ServiceIndex,
    pub(super) socket: Socket,
    pub(super) peer: Peer,
    /// How often its server could not be forked (RETRY-1).
    pub(super) failures: u8,
}

/// Serves the doors that are ready; false when none was.
pub(super) fn accept_ready(engine: &Rc<RefCell<Engine>>) -> bool {
    let mut numbers = Vec::new();
    if engine.borrow().ready.ready(&mut numbers).is_err() {
        return false;
    }
    for number in &numbers {
        for _ in 0..CLIENTS_A_TURN {
            let Some(visitor) = engine.borrow_mut().next_visitor(ServiceIndex(*number)) else {
                break;
            };
            receive(engine, visitor);
        }
    }
    !numbers.is_empty()
}

/// The quick way in; with waiting where there are banners, or names on the lists.
fn receive(engine: &Rc<RefCell<Engine>>, visitor: Visitor) {
    let mut inner = engine.borrow_mut();
    let banners = inner.doors.get(&visitor.service).map(|state| state.door.banners);
    match banners {
        Some(banners) if banners == crate::plan::DoorBanners::default() => {
            match inner.decide(&visitor) {
                Some(Ok(Welcome::In)) if inner.asks_ident(visitor.service) => {
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
                    inner.refuse(&visitor, why);
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
    let duty = inner.doors.get(&visitor.service).map(|state| &state.door.duty);
    match duty {
        Some(Duty::HandOver) => inner.hand_over(visitor),
        Some(&Duty::Answer(service)) => {
            drop(inner);
            internal::serve(engine, visitor, service);
        }
        // Gone meanwhile, or a sensor now.
        Some(Duty::LockOut(_)) | None => inner.uncount(visitor.service, visitor.peer.address),
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
        address: IpAddr,
        connection: OwnedFd,
        failures: u8,
    ) {
        let Some(state) = self.doors.get(&service) else { return };
        let mapped = address.is_ipv4() && socket::is_ipv6(&state.listener);
        let peer = Peer { address, mapped };
        self.returned.push(Visitor { service, socket: connection.into(), peer, failures });
    }

    /// The next client of a service; `None` when there is none now, or none may be taken.
    fn next_visitor(&mut self, service: ServiceIndex) -> Option<Visitor> {
        if !self.may_accept() {
            return None;
        }
        loop {
            let state = self.doors.get_mut(&service).filter(|state| state.has_room())?;
            let Policy { rate, rate_action, .. } = state.door.policy;
            let is_paced = rate_action == RateAction::Pace;
            if let Some(wait) = state.pace.wait(rate, Instant::now()).filter(|_| is_paced) {
                self.hold(service, wait);
                return None;
            }
            match SockRef::from(&state.listener).accept() {
                Ok((socket, address)) => {
                    if is_paced {
                        state.pace.take(rate, Instant::now());
                    }
                    let Some(address) = address.as_socket() else { continue };
                    return Some(visitor(service, socket, address));
                }
                Err(cause) => match Trouble::of(&cause) {
                    Trouble::NobodyThere => return None,
                    Trouble::NotListening => {
                        self.try_later(service);
                        return None;
                    }
                    Trouble::ClientGone => {}
                    Trouble::Exhausted => {
                        self.rest(service, &cause);
                        return None;
                    }
                },
            }
        }
    }

    fn rest(&mut self, service: ServiceIndex, cause: &io::Error) {
        self.resting_until = Some(Instant::now() + REST);
        let event = Event::AcceptFailed(cause.raw_os_error().unwrap_or(0));
        self.port.send(&ToMonitor::Noticed { service, event }, None);
    }

    /// May this client in? `None` when its door is gone. Who may, and stays, is counted from now on.
    pub(super) fn decide(&mut self, visitor: &Visitor) -> Option<Result<Welcome, Denial>> {
        let mut verdict = self.decide_by_rules(visitor)?;
        if verdict == Ok(Welcome::In) {
            verdict = self.decide_by_wrappers(visitor);
        }
        match verdict {
            Ok(_) => self.count(visitor),
            Err(Denial::Cps) => self.pause(visitor.service),
            Err(Denial::Address) => self.sense(visitor),
            Err(_) => {}
        }
        Some(verdict)
    }

    /// One client more who stays (LIM-2).
    fn count(&mut self, visitor: &Visitor) {
        let Visitor { service, peer, .. } = visitor;
        if self.doors.get(service).is_some_and(|state| state.door.duty.is_lasting()) {
            self.counts.entry(*service).or_default().add(peer.address);
            self.running += 1;
        }
    }

    /// By what the configuration says, and by who came to a sensor.
    fn decide_by_rules(&mut self, visitor: &Visitor) -> Option<Result<Welcome, Denial>> {
        let Visitor { service, peer, .. } = visitor;
        let processes = Processes { running: self.running, limit: self.process_limit };
        let state = self.doors.get_mut(service)?;
        let counts = self.counts.entry(*service).or_default();
        let Door { policy, duty, .. } = &state.door;
        let now = self.clock.moment(policy);
        // Who comes back has been counted: it is no new connection.
        let mut at_rest = Rate::default();
        let rate = if visitor.failures == 0 { &mut state.rate } else { &mut at_rest };
        let verdict = admit::decide(policy, rate, counts, processes, *peer, now);
        let is_locked_out = self.locked_out.contains(peer.address, Instant::now());
        Some(match duty {
            Duty::HandOver | Duty::Answer(_) if !is_locked_out => verdict,
            Duty::HandOver | Duty::Answer(_) | Duty::LockOut(_) => {
                verdict.and(Err(Denial::Address))
            }
        })
    }

    /// By hosts.allow and hosts.deny, as far as that goes without asking anybody.
    fn decide_by_wrappers(&mut self, visitor: &Visitor) -> Result<Welcome, Denial> {
        match self.wrap(visitor, &Facts::default()) {
            Ok(true) => Ok(Welcome::In),
            Ok(false) => Err(Denial::Libwrap),
            Err(_) => Ok(Welcome::NameDecides),
        }
    }

    /// SENS-1: at a sensor, whoever comes is locked out of everything.
    fn sense(&mut self, visitor: &Visitor) {
        let (service, peer) = (visitor.service, visitor.peer.address);
        let duty = self.doors.get(&service).map(|state| &state.door.duty);
        let Some(&Duty::LockOut(time)) = duty else { return };
        if self.locked_out.add(peer, time, Instant::now()).is_some() {
            self.port.send(&ToMonitor::Sensed { service, peer }, None);
        }
    }

    /// The name of one more server, or of one more session.
    pub(super) fn new_ticket(&mut self, service: ServiceIndex, peer: IpAddr) -> Ticket {
        self.last_ticket = self.last_ticket.next();
        self.tickets.insert(self.last_ticket, (service, peer));
        self.last_ticket
    }

    /// Orders a server for a client that has been let in.
    fn hand_over(&mut self, visitor: Visitor) {
        let Visitor { service, socket, peer, failures } = visitor;
        let ticket = self.new_ticket(service, peer.address);
        let start = ToMonitor::Start { ticket, service, peer: peer.address, failures };
        self.port.send(&start, Some(OwnedFd::from(socket)));
    }

    /// Whether the client's host is asked before a server starts (IDENT-1).
    fn asks_ident(&self, service: ServiceIndex) -> bool {
        self.doors.get(&service).is_some_and(|state| state.door.ident.on_success)
    }

    /// Whether it is asked about a client that was refused (IDENT-6).
    pub(super) fn asks_after(&self, service: ServiceIndex, why: Denial) -> bool {
        let state = self.doors.get(&service);
        why.is_by_limits() && state.is_some_and(|state| state.door.ident.on_failure)
    }

    /// Reports a refusal; the connection closes when the visitor goes out of scope.
    pub(super) fn refuse(&mut self, visitor: &Visitor, why: Denial) {
        self.report(visitor.service, visitor.peer.address, why);
    }

    /// Tells the monitor of a refusal, where somebody reads about it.
    pub(super) fn report(&mut self, service: ServiceIndex, peer: IpAddr, why: Denial) {
        let reports = self.doors.get(&service).is_some_and(|state| state.door.reports_refusals);
        // The daemon's log has a word about these, too (LIM-4, WRAP-1).
        if reports || matches!(why, Denial::Load | Denial::Libwrap) {
            self.port.send(&ToMonitor::Refused(Refusal { service, why, peer }), None);
        }
    }
}

/// An IPv4 client on an IPv6 socket becomes one on an IPv4 socket where that still works.
fn visitor(service: ServiceIndex, socket: Socket, address: SocketAddr) -> Visitor {
    let canonical = address.ip().to_canonical();
    let mapped = address.is_ipv6() && matches!(canonical, IpAddr::V4(_));
    if mapped {
        socket::become_ipv4(&socket);
    }
    Visitor { service, socket, peer: Peer { address: canonical, mapped }, failures: 0 }
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
