//! One door: its sockets, who may come in now, and what becomes of those who come.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::admit::{Pace, Rate};
use crate::engine::lend::Loans;
use crate::engine::relay::Target;
use crate::ipc::Gate;
use crate::plan::Door;
use crate::plan::Duty;
use crate::plan::Policy;
use crate::plan::RateAction;
use crate::plan::SocketIndex;
use crate::sys::datagram;
use crate::sys::readiness::ReadySet;
use crate::sys::socket;

/// Datagrams that a socket may hold when its door is opened again.
const MOST_QUEUED: usize = 4096;

/// Clients of one service that wait for a banner or for their name, at most: slow readers at
/// one door hold up nobody at another.
pub(super) const MOST_PENDING_HERE: usize = 64;

/// One door: whom to let in, and the sockets they come through.
#[derive(Debug)]
pub(super) struct DoorState {
    pub(super) door: Door,
    /// None behind tcpmux; more than one with several addresses.
    pub(super) listeners: Vec<(SocketIndex, OwnedFd)>,
    pub(super) rate: Rate,
    /// For `cps_action = pace`.
    pub(super) pace: Pace,
    /// Where its clients are passed on to.
    pub(super) target: Option<Rc<Target>>,
    /// When it was last said that clients have to wait, or get no answer.
    pub(super) said_at: Option<Instant>,
    /// Why nobody is let in for a while; until when is in [`super::Engine::paused`].
    pub(super) pause: Option<Pause>,
    /// What an operator has made of it, as [`super::Engine::gates`] has it.
    pub(super) gate: Gate,
    /// Clients of this door that wait for a banner or for their name.
    pub(super) pending: usize,
    /// Servers in a row that have had a socket and left undone what they were started for.
    pub(super) undone: u32,
}

/// Why a door is not watched for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Closed by `cps`, or not listening: who comes is refused.
    Closed,
    /// Closed by nobody: who comes waits in the queue of the socket.
    Held,
}

/// How those who come to a door are dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Connections are accepted here.
    Accept,
    /// Datagrams are read here.
    Read,
    /// A server gets the socket (WAIT-1).
    Lend,
}

impl DoorState {
    /// Whether clients can connect: neither `cps` nor anybody else has closed it.
    pub(super) fn is_open(&self) -> bool {
        self.pause != Some(Pause::Closed) && self.gate != Gate::Closed
    }

    /// Whether who names the service to tcpmux gets there: no queue is in front of it.
    pub(super) fn can_be_named(&self) -> bool {
        self.is_open() && self.gate == Gate::Open
    }

    /// Whether somebody may be let in now.
    pub(super) const fn lets_in(&self) -> bool {
        self.pause.is_none() && matches!(self.gate, Gate::Open) && self.has_room()
    }

    pub(super) const fn way(&self) -> Way {
        match (&self.door.duty, self.door.socket_type.has_connections()) {
            (Duty::Wait, _) => Way::Lend,
            (_, true) => Way::Accept,
            (_, false) => Way::Read,
        }
    }

    /// How long the next one has to wait for its turn, with `cps_action = pace`.
    pub(super) fn turn(&self) -> Option<Duration> {
        let Policy { rate, rate_action, .. } = self.door.policy;
        (rate_action == RateAction::Pace).then(|| self.pace.wait(rate, Instant::now())).flatten()
    }

    /// Somebody has been let in, and has taken a turn.
    pub(super) fn take_turn(&mut self) {
        let Policy { rate, rate_action, .. } = self.door.policy;
        if rate_action == RateAction::Pace {
            self.pace.take(rate, Instant::now());
        }
    }

    /// Has an operator's word for it; what it was before.
    pub(super) const fn turn_gate(&mut self, gate: Gate) -> Gate {
        std::mem::replace(&mut self.gate, gate)
    }

    /// Whether clients are accepted who wait for a banner or for their name.
    pub(super) const fn has_pending(&self) -> bool {
        self.pending > 0
    }

    /// Whether one more client may wait here.
    pub(super) const fn has_room(&self) -> bool {
        self.pending < MOST_PENDING_HERE
    }

    /// The listening socket of this number.
    pub(super) fn listener(&self, socket: SocketIndex) -> Option<&OwnedFd> {
        self.listeners.iter().find(|(index, _)| *index == socket).map(|(_, listener)| listener)
    }

    /// Whether its IPv4 clients come through a socket of IPv6 (ADDR-12).
    pub(super) fn is_dual_stack(&self) -> bool {
        self.listeners().any(socket::is_dual_stack)
    }

    pub(super) fn listeners(&self) -> impl Iterator<Item = &OwnedFd> {
        self.listeners.iter().map(|(_, listener)| listener)
    }

    /// Nobody is reported any more. The monitor may hold the same sockets on: closing them would
    /// not be enough.
    pub(super) fn ignore(&self, ready: &ReadySet) {
        for listener in self.listeners() {
            let _ = ready.remove(listener);
        }
    }

    fn has_connections(&self) -> bool {
        self.door.socket_type.has_connections()
    }

    /// The sockets that no server has.
    fn free<'s>(&'s self, loans: &'s Loans) -> impl Iterator<Item = &'s OwnedFd> {
        let free = self.listeners.iter().filter(|(number, _)| !loans.contains_key(number));
        free.map(|(_, listener)| listener)
    }

    /// Who comes is refused, and nobody else can take the ports.
    pub(super) fn close(&self, loans: &Loans) {
        for listener in self.free(loans) {
            let _best_effort = match self.has_connections() {
                true => socket::hold_port(listener),
                false => datagram::refuse_all(listener),
            };
        }
    }

    /// All sockets take in who comes, whatever they did before.
    pub(super) fn listen(&self, loans: &Loans) -> io::Result<()> {
        self.free(loans).try_for_each(|listener| match self.has_connections() {
            true => socket::listen(listener),
            false => datagram::take_all(listener),
        })
    }

    /// Undoes [`close`](Self::close). What had come before is refused, too: of connections it is
    /// gone already.
    pub(super) fn reopen(&self, loans: &Loans) -> io::Result<()> {
        if !self.has_connections() {
            for listener in self.free(loans) {
                (0..MOST_QUEUED).all(|_| datagram::discard(listener).is_ok());
            }
        }
        self.listen(loans)
    }
}
