//! Clients that the engine serves itself: internal services and `redirect`.
//!
//! No process belongs to them, so nothing is reaped: the engine says when one begins and ends.
//! In the log they look like the others, with the engine's process id; and when an engine dies,
//! so do they.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::time::Instant;

use crate::ipc::Ending;
use crate::ipc::Kind;
use crate::ipc::Ports;
use crate::ipc::Ticket;
use crate::ipc::Violation;
use crate::log;
use crate::monitor::Monitor;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::plan::SocketType;
use crate::plan::Source;
use crate::plan::Wait;
use crate::sys::process::End;
use crate::sys::signal::Name;

/// How a session that was cut off is logged: as a server that was told to end (SIG-2).
const CUT_OFF: End = End::Signal(Name::SIGTERM as i32);

/// One client of the engine's.
#[derive(Debug)]
pub(super) struct Session {
    pub index: ServiceIndex,
    /// As it was when the session began.
    pub service: Rc<Service>,
    pub peer: Source,
    pub ports: Ports,
    pub started: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_ticket: HashMap<Ticket, Session>,
    /// How many each service has; no service without one.
    by_service: HashMap<ServiceIndex, usize>,
}

impl Sessions {
    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Ticket, &Session)> {
        self.by_ticket.iter().map(|(ticket, session)| (*ticket, session))
    }

    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.by_ticket.is_empty()
    }

    /// Sessions of all services.
    #[must_use]
    pub(super) fn count(&self) -> u64 {
        self.by_ticket.len() as u64
    }

    /// Sessions of one service.
    #[must_use]
    pub(super) fn of(&self, index: ServiceIndex) -> usize {
        self.by_service.get(&index).copied().unwrap_or(0)
    }

    fn add(&mut self, ticket: Ticket, session: Session) {
        *self.by_service.entry(session.index).or_default() += 1;
        self.by_ticket.insert(ticket, session);
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Session> {
        let session = self.by_ticket.remove(&ticket)?;
        if let Entry::Occupied(mut count) = self.by_service.entry(session.index) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(session)
    }
}

impl Monitor {
    /// Everybody who is being served: servers, and clients of the engine's own.
    pub(super) fn served(&self) -> u64 {
        u64::from(self.running.count()) + self.sessions.count()
    }

    /// The engine has let a client in, and keeps it.
    pub(super) fn session_began(
        &mut self,
        ticket: Ticket,
        index: ServiceIndex,
        peer: Source,
        ports: Ports,
    ) -> Result<(), Violation> {
        self.take_ticket(Kind::Began, ticket)?;
        // `instances` is no measure: a reload may have lowered it while the client was let in.
        if self.sessions.count() >= self.descriptors {
            return Err(Violation::Contradiction(Kind::Began, "more sessions than descriptors"));
        }
        let active = self.service(Kind::Began, index)?;
        if active.launch.is_some() {
            return Err(Violation::Contradiction(Kind::Began, "it starts servers"));
        }
        let service = Rc::clone(&active.service);
        self.log_start(index, &service, self.engine_pid(), peer);
        let session = Session { index, service, peer, ports, started: Instant::now() };
        self.tallies.accept(index, session.started);
        self.sessions.add(ticket, session);
        Ok(())
    }

    /// The engine has answered a client at once (INTL-8).
    pub(super) fn client_answered(
        &mut self,
        index: ServiceIndex,
        peer: Source,
    ) -> Result<(), Violation> {
        const NO_PROCESS: i32 = 0;
        let active = self.service(Kind::Answered, index)?;
        if active.launch.is_some() {
            return Err(Violation::Contradiction(Kind::Answered, "it starts servers"));
        }
        let service = Rc::clone(&active.service);
        self.tallies.accept(index, Instant::now());
        self.log_start(index, &service, NO_PROCESS, peer);
        Ok(())
    }

    /// INTL-9: of a stream service with `wait = yes` no client is told, as if it were a server's.
    fn log_start(&mut self, index: ServiceIndex, service: &Service, pid: i32, peer: Source) {
        let is_stream = service.socket_type == SocketType::Stream;
        let peer = if service.wait != Wait::No && is_stream { Source::Unknown } else { peer };
        if let Some(line) = log::start(&service.id, service.log.on_success, pid, peer) {
            self.logs.line(index, service, &line);
        }
    }

    /// The engine is done with a client.
    pub(super) fn session_ended(
        &mut self,
        ticket: Ticket,
        how: Ending,
        received: u64,
        sent: u64,
    ) -> Result<(), Violation> {
        let session = self.sessions.remove(ticket);
        let session = session.ok_or(Violation::Contradiction(Kind::Ended, "no such session"))?;
        let service = self.in_force(session.index, &session.service);
        let line = log::traffic(&service.id, service.log.on_success, received, sent);
        if let Some(line) = line.filter(|_| how != Ending::NotReached) {
            self.logs.line(session.index, &service, &line);
        }
        let end = match how {
            Ending::Complete | Ending::NotReached => End::Status(0),
            Ending::CutOff => CUT_OFF,
        };
        self.log_session_end(&session, end);
        if self.drain.is_some() {
            self.leave_when_drained();
        }
        Ok(())
    }

    /// The engine is gone, and its clients with it: every START has its EXIT.
    pub(super) fn sessions_lost(&mut self, end: Option<End>) {
        for session in std::mem::take(&mut self.sessions).by_ticket.into_values() {
            self.log_session_end(&session, end.unwrap_or(CUT_OFF));
        }
    }

    fn log_session_end(&mut self, session: &Session, end: End) {
        let service = self.in_force(session.index, &session.service);
        let seconds = session.started.elapsed().as_secs();
        let pid = self.engine_pid();
        if let Some(line) = log::exit(&service.id, service.log.on_success, pid, end, seconds) {
            self.logs.line(session.index, &service, &line);
        }
    }

    /// The service as a reload has left it; `then` where it is gone.
    pub(super) fn in_force(&self, index: ServiceIndex, then: &Rc<Service>) -> Rc<Service> {
        Rc::clone(self.services.find(index).map_or(then, |active| &active.service))
    }

    pub(super) fn engine_pid(&self) -> i32 {
        self.engine.as_ref().map_or(0, |engine| engine.pid)
    }
}
