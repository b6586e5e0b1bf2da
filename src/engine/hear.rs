//! What the monitor says, and what follows from it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::engine::Engine;
use crate::engine::Stop;
use crate::engine::door::Way;
use crate::engine::doors::Arriving;
use crate::ipc::Ending;
use crate::ipc::Incoming;
use crate::ipc::Kind;
use crate::ipc::Message;
use crate::ipc::Ticket;
use crate::ipc::ToEngine;
use crate::ipc::Violation;
use crate::plan::Denial;
use crate::plan::Door;
use crate::plan::Limit;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::plan::decode_doors;
use crate::sys::clock;
use crate::sys::fd;

/// How many messages are heard before clients get their turn again.
const MESSAGES_A_TURN: usize = 64;

/// How far [`Engine::hear`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Everything,
    /// There may be more.
    Some,
    /// The monitor is gone.
    End,
    /// Something that is needed could not be taken in: a new engine may have more room.
    Unable,
}

const fn no_ticket(kind: Kind) -> Violation {
    Violation::Contradiction(kind, "no such ticket")
}

/// The doors in a plan of so many bytes.
fn doors(memory: OwnedFd, length: u32) -> Result<Vec<Door>, Violation> {
    let length = usize::try_from(length).map_err(|_| Violation::Malformed)?;
    let bytes = fd::read_sealed(memory, length).map_err(|_| Violation::Malformed)?;
    decode_doors(&bytes).map_err(|_| Violation::Malformed)
}

fn turns(number: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(
        usize::try_from(number).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS),
    ))
}

impl Engine {
    pub(super) fn hear(&mut self) -> Result<Heard, Violation> {
        for _ in 0..MESSAGES_A_TURN {
            match self.port.receive()? {
                Incoming::Message(message, with) => self.follow(message, with)?,
                // A banner is shown or not; without its plan or a socket an engine is useless.
                Incoming::Stripped(message @ ToEngine::Banner { .. }) => {
                    self.follow(message, None)?;
                }
                Incoming::Stripped(ToEngine::Again { ticket, .. }) => self.lose(ticket)?,
                Incoming::Stripped(_) => return Ok(Heard::Unable),
                Incoming::Nothing => return Ok(Heard::Everything),
                Incoming::End => return Ok(Heard::End),
            }
        }
        Ok(Heard::Some)
    }

    fn follow(&mut self, message: ToEngine, with: Option<OwnedFd>) -> Result<(), Violation> {
        let kind = message.kind();
        match (message, with) {
            (
                ToEngine::Plan { generation, length, last_ticket, process_limit, log_processes },
                Some(memory),
            ) => {
                self.refused_turns.get_or_insert_with(|| turns(log_processes));
                self.last_ticket = self.last_ticket.max(last_ticket);
                self.process_limit = match process_limit {
                    0 => Limit::Unlimited,
                    max => Limit::Max(max),
                };
                let doors = doors(memory, length)?;
                self.arriving = Some(Arriving { generation, doors, listeners: HashMap::new() });
            }
            (ToEngine::Listener { socket }, Some(listener)) => {
                let arriving = self.arriving.as_mut();
                let arriving = arriving.ok_or(Violation::Contradiction(kind, "without a plan"))?;
                arriving.listeners.insert(socket, listener);
            }
            (ToEngine::Running { ticket, service, peer, lent }, _) => {
                self.take_over(ticket, service, peer, lent);
            }
            (ToEngine::LockOut { peer, seconds }, _) => self.lock_out(peer, seconds),
            (ToEngine::Commit { generation }, _) => {
                clock::reload_time_zone();
                self.adopt(generation)?;
            }
            (ToEngine::NotStarted { ticket } | ToEngine::Exited { ticket }, _) => {
                self.server_gone(ticket, kind)?;
            }
            (ToEngine::Again { ticket, failures }, Some(connection)) => {
                let (service, peer) = self.forget(ticket).ok_or(no_ticket(kind))?;
                self.take_back(service, peer, connection, failures);
            }
            (ToEngine::Banner { number }, file) => {
                let waiting = self.banners.remove(&number);
                let waiting = waiting.ok_or(Violation::Contradiction(kind, "not asked for"))?;
                // The connection may have been given up meanwhile.
                drop(waiting.send(file));
            }
            (ToEngine::End { ticket }, _) => self.end_session(ticket, Ending::CutOff),
            (ToEngine::Gate { service, gate }, _) => self.set_gate(service, gate),
            (ToEngine::LetIn { peer }, _) => {
                self.locked_out.remove(peer);
            }
            (ToEngine::Check, _) => self.answer_check(),
            (ToEngine::Stop, _) => {
                self.begin_stop();
                self.cut_off_all();
            }
            (ToEngine::Drain, _) => self.begin_drain(Stop::Draining),
            (ToEngine::Leave, _) => self.begin_drain(Stop::Leaving),
            (ToEngine::Plan { .. } | ToEngine::Listener { .. } | ToEngine::Again { .. }, None) => {
                return Err(Violation::Descriptor(kind));
            }
        }
        Ok(())
    }

    /// For so many seconds; 0: for ever.
    fn lock_out(&mut self, peer: IpAddr, seconds: u32) {
        let now = Instant::now();
        let until = now + Duration::from_secs(seconds.into());
        self.locked_out.add_until(peer, (seconds > 0).then_some(until), now);
    }

    /// A server that an earlier engine ordered.
    fn take_over(
        &mut self,
        ticket: Ticket,
        service: ServiceIndex,
        peer: Source,
        lent: Option<SocketIndex>,
    ) {
        if let Some(socket) = lent {
            self.take_over_loan(ticket, service, socket);
        }
        self.counts.entry(service).or_default().add(peer);
        self.tickets.insert(ticket, (service, peer));
        self.running += 1;
    }

    fn server_gone(&mut self, ticket: Ticket, kind: Kind) -> Result<(), Violation> {
        let (service, _) = *self.tickets.get(&ticket).ok_or(no_ticket(kind))?;
        if self.doors.get(&service).is_none_or(|state| state.way() == Way::Lend) {
            self.end_loan(ticket, kind == Kind::Exited);
        }
        self.forget(ticket);
        Ok(())
    }

    /// A server has ended, or was never started.
    pub(super) fn forget(&mut self, ticket: Ticket) -> Option<(ServiceIndex, Source)> {
        let (service, peer) = self.tickets.remove(&ticket)?;
        self.uncount(service, peer);
        Some((service, peer))
    }

    /// A client that came back, for which there was no descriptor.
    fn lose(&mut self, ticket: Ticket) -> Result<(), Violation> {
        let (service, peer) = self.forget(ticket).ok_or(no_ticket(Kind::Again))?;
        self.report(service, peer, Denial::Fork);
        Ok(())
    }

    /// One server less, of all and of this service, if one was counted for this client.
    pub(super) fn uncount(&mut self, service: ServiceIndex, peer: Source) {
        if let Some(counts) = self.counts.get_mut(&service) {
            if counts.remove(peer) {
                self.running = self.running.saturating_sub(1);
            }
            if counts.running() == 0 && !self.doors.contains_key(&service) {
                self.counts.remove(&service);
            }
        }
    }
}
