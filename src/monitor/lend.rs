//! `wait = yes`: a server gets the socket of its service itself (WAIT-1).

use socket2::SockRef;
use std::os::fd::AsFd;
use std::rc::Rc;

use crate::ipc::Kind;
use crate::ipc::Refusal;
use crate::ipc::Ticket;
use crate::ipc::Violation;
use crate::monitor::Monitor;
use crate::monitor::ends::{Ends, Over};
use crate::monitor::orders;
use crate::monitor::running::Server;
use crate::monitor::spawn;
use crate::plan::Denial;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::sys::socket;

impl Monitor {
    /// Starts the one server that has this socket; `peer` is whom the first datagram is from.
    ///
    /// Our own descriptor is lent, never one of the engine's. Whatever server had it before, it
    /// is a blocking one again.
    pub(super) fn lend(
        &mut self,
        ticket: Ticket,
        index: ServiceIndex,
        number: SocketIndex,
        peer: Source,
    ) -> Result<(), Violation> {
        self.take_ticket(Kind::Serve, ticket)?;
        let active = orders::service(&self.services, self.reload.as_ref(), Kind::Serve, index)?;
        let service = Rc::clone(&active.service);
        let Some(launch) = active.launch.as_ref().filter(|_| service.lends_its_socket()) else {
            return Err(Violation::Contradiction(Kind::Serve, "it lends no socket"));
        };
        let replaced = || self.reload.as_ref()?.replaced(index).find(|it| it.index == number);
        let Some(listener) = active.listener(number).or_else(replaced) else {
            return Err(Violation::Contradiction(Kind::Serve, "it has no such socket"));
        };
        if self.running.has(number) {
            return Err(Violation::Contradiction(Kind::Serve, "another server has the socket"));
        }
        if let Some(why) = self.hard_limit(index, &service) {
            self.not_started(ticket, Refusal { service: index, why, peer });
            return Ok(());
        }
        let fd = listener.fd.as_fd();
        SockRef::from(&fd).set_nonblocking(false).ok(); // fails only for what is no socket
        let (over, local) = (Over::of(&listener.key), socket::local_end(fd));
        let ends = Ends { over, host: peer, remote: None, local, process: None };
        let mishaps = self.mishaps.1.as_fd();
        let server = Server::new(ticket, index, Rc::clone(&service), peer).with_socket(number);
        match spawn::fork(&mut self.spawner, mishaps, launch, fd, ticket, &ends) {
            Ok(started) => self.started(started, server),
            Err(errno) => {
                // What was to be served is still in the socket: the engine tries again.
                tracing::error!("{}: fork failed: {}", service.id, super::words(errno));
                self.not_started(ticket, Refusal { service: index, why: Denial::Fork, peer });
            }
        }
        Ok(())
    }
}
