//! A server for a client: what must be true of the order, the fork, and what may go wrong.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use crate::ipc::Kind;
use crate::ipc::Message;
use crate::ipc::Ports;
use crate::ipc::Refusal;
use crate::ipc::Ticket;
use crate::ipc::ToEngine;
use crate::ipc::ToMonitor;
use crate::ipc::Violation;
use crate::log;
use crate::monitor::DEAFNESS;
use crate::monitor::Monitor;
use crate::monitor::ends::{Ends, Over};
use crate::monitor::retry::Waiting;
use crate::monitor::running::Server;
use crate::monitor::services::{Active, Launch, Listener};
use crate::monitor::trouble::Trouble;
use crate::plan::Denial;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::plan::Source;
use crate::sys::Errno;
use crate::sys::recipe::Recipe;
use crate::sys::socket;
use crate::sys::spawn::{Spawner, Started};

/// Forks a server with `socket` as its standard input and output.
pub(super) fn fork(
    spawner: &mut Spawner,
    mishaps: BorrowedFd<'_>,
    launch: &Launch,
    socket: BorrowedFd<'_>,
    ticket: Ticket,
    ends: &Ends,
) -> Result<Started, Errno> {
    let recipe = Recipe {
        steps: &launch.steps,
        image: &launch.image,
        variables: launch.told.about(ends),
        socket,
        log: launch.log.as_ref().map(AsFd::as_fd),
        ticket: ticket.0,
    };
    spawner.spawn(&recipe, mishaps)
}

/// Whether a connection is one of a client of a service.
enum WayIn {
    Open,
    /// A tcpmux that is not there any more may have led to it, before a reload.
    Gone,
    None,
}

/// Both ends of this connection, and whose it is; `claimed` counts where the kernel has forgotten.
fn ends(connection: &OwnedFd, claimed: Source) -> Ends {
    let (local, remote) = (socket::local_end(connection), socket::remote_end(connection));
    let process = if remote.is_none() { socket::peer_process(connection) } else { None };
    let host = match (remote, process) {
        (Some(end), _) => Source::Ip(end.ip()),
        (None, Some(process)) => Source::User(process.uid),
        (None, None) => claimed,
    };
    let over = if process.is_some() { Over::Unix } else { Over::Tcp };
    Ends { over, host, remote, local, process }
}

/// The ports of a connection.
fn ports(ends: &Ends) -> Ports {
    let port = |end: Option<SocketAddr>| end.map_or(0, |end| end.port());
    Ports { peer: port(ends.remote), own: port(ends.local) }
}

impl Monitor {
    /// A connection that could not be delivered, because descriptors have run out here.
    pub(super) fn obey_stripped(&mut self, message: ToMonitor) -> Result<(), Violation> {
        self.check_permission(message.kind())?;
        let ToMonitor::Start { ticket, service, peer, .. } = message else {
            return Err(Violation::Descriptor(message.kind()));
        };
        self.take_ticket(Kind::Start, ticket)?;
        self.service(Kind::Start, service)?;
        let text = format!("no available descriptors: a connection from {peer} is lost");
        self.complain(Trouble::Descriptors, text);
        self.deaf_until = Some(Instant::now() + DEAFNESS);
        self.not_started(ticket, Refusal { service, why: Denial::Fork, peer });
        Ok(())
    }

    /// Nothing is trusted that the kernel can be asked: what the descriptor is, and who is at
    /// its other end.
    pub(super) fn start_server(
        &mut self,
        ticket: Ticket,
        index: ServiceIndex,
        claimed: Source,
        connection: OwnedFd,
        failures: u8,
    ) -> Result<(), Violation> {
        self.take_ticket(Kind::Start, ticket)?;
        let active = self.service(Kind::Start, index)?;
        let service = Rc::clone(&active.service);
        let launch = active.launch.clone().filter(|_| !service.lends_its_socket());
        let Some(launch) = launch else {
            return Err(Violation::Contradiction(Kind::Start, "it starts no servers for clients"));
        };
        let ends = ends(&connection, claimed);
        match self.way_in(index, active, (&connection, ends.local)) {
            WayIn::Open => {}
            WayIn::Gone => {
                self.tell_engine(&ToEngine::NotStarted { ticket });
                return Ok(());
            }
            WayIn::None => {
                let what = "not a connection of this service";
                return Err(Violation::Contradiction(Kind::Start, what));
            }
        }
        let peer = ends.host;
        if let Some(why) = self.hard_limit(index, &service) {
            self.not_started(ticket, Refusal { service: index, why, peer });
            return Ok(());
        }
        let (socket, mishaps) = (connection.as_fd(), self.mishaps.1.as_fd());
        match fork(&mut self.spawner, mishaps, &launch, socket, ticket, &ends) {
            Ok(started) => {
                let server = Server::new(ticket, index, service, peer).with_ports(ports(&ends));
                self.started(started, server);
            }
            Err(errno) => {
                let failures = failures.saturating_add(1);
                let waiting = Waiting { ticket, index, service, peer, connection, failures };
                self.fork_failed(waiting, errno);
            }
        }
        Ok(())
    }

    /// Whether this connection, with its own end, has come to a socket that the service has, or
    /// had before the reload under way; if it is behind tcpmux, to one of any tcpmux. After a
    /// reload the engine itself lets go of those who have come another way.
    fn way_in(
        &self,
        index: ServiceIndex,
        active: &Active,
        (connection, local): (&OwnedFd, Option<SocketAddr>),
    ) -> WayIn {
        let reload = self.reload.as_ref();
        let has_accepted = |listener: &Listener| listener.has_accepted(connection, local);
        if active.service.mux.is_none() {
            let replaced = reload.into_iter().flat_map(|reload| reload.replaced(index));
            let is_open = active.listeners.iter().chain(replaced).any(has_accepted);
            return if is_open { WayIn::Open } else { WayIn::None };
        }
        let retired = reload.into_iter().flat_map(|reload| reload.retired.iter());
        let mut all = self.services.iter().chain(retired).map(|(_, active)| active);
        let is_open = all.any(|active| {
            active.service.action.is_tcpmux() && active.listeners.iter().any(has_accepted)
        });
        if is_open { WayIn::Open } else { WayIn::Gone }
    }

    /// Takes note of a server that has just been forked.
    pub(super) fn started(&mut self, Started { pid, was_slow }: Started, server: Server) {
        let Server { service, index, peer, .. } = &server;
        self.tallies.accept(*index, server.started);
        if was_slow {
            tracing::warn!("service {}: its server was slow to start", service.id);
        }
        if let Some(line) = log::start(&service.id, service.log.on_success, pid, *peer) {
            self.logs.line(*index, service, &line);
        }
        self.running.add(pid, server);
    }

    /// `instances` and `-limit` as caps that hold whatever the engine believes.
    pub(super) fn hard_limit(&self, index: ServiceIndex, service: &Service) -> Option<Denial> {
        if service.policy.instances.reached(self.running.of(index)) {
            return Some(Denial::ServiceLimit);
        }
        self.options.process_limit.reached(self.running.count()).then_some(Denial::ProcessLimit)
    }

    pub(super) fn not_started(&mut self, ticket: Ticket, refusal: Refusal) {
        self.tell_engine(&ToEngine::NotStarted { ticket });
        // The service is in force: its order has just been looked at.
        let _ = self.log_refusal(refusal);
    }
}
