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
use crate::monitor::orders;
use crate::monitor::reload::Reload;
use crate::monitor::retry::Waiting;
use crate::monitor::running::Server;
use crate::monitor::services::{Active, Launch, Services};
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

/// Whether this connection, with its own end, has come to a socket of `active`; if that is behind
/// tcpmux, to one of any tcpmux.
fn way_in(
    services: &Services,
    reload: Option<&Reload>,
    active: &Active,
    (connection, local): (&OwnedFd, Option<SocketAddr>),
) -> WayIn {
    let has_accepted = |active: &Active| {
        active.listeners.iter().any(|listener| listener.has_accepted(connection, local))
    };
    if active.service.mux.is_none() {
        return if has_accepted(active) { WayIn::Open } else { WayIn::None };
    }
    let retired = reload.map(|reload| reload.retired.iter()).into_iter().flatten();
    let leads = |active: &Active| active.service.action.is_tcpmux() && has_accepted(active);
    if services.iter().chain(retired).any(|(_, active)| leads(active)) {
        WayIn::Open
    } else {
        WayIn::Gone
    }
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
    /// its other end. `claimed` counts only where the kernel has forgotten the peer.
    pub(super) fn start_server(
        &mut self,
        ticket: Ticket,
        index: ServiceIndex,
        claimed: Source,
        connection: OwnedFd,
        failures: u8,
    ) -> Result<(), Violation> {
        self.take_ticket(Kind::Start, ticket)?;
        let active = orders::service(&self.services, self.reload.as_ref(), Kind::Start, index)?;
        let lends = active.service.lends_its_socket();
        let Some(launch) = active.launch.as_ref().filter(|_| !lends) else {
            return Err(Violation::Contradiction(Kind::Start, "it starts no servers for clients"));
        };
        let (local, remote) = (socket::local_end(&connection), socket::remote_end(&connection));
        match way_in(&self.services, self.reload.as_ref(), active, (&connection, local)) {
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
        let process = if remote.is_none() { socket::peer_process(&connection) } else { None };
        let peer = match (remote, process) {
            (Some(end), _) => Source::Ip(end.ip()),
            (None, Some(process)) => Source::User(process.uid),
            (None, None) => claimed,
        };
        let service = Rc::clone(&active.service);
        if let Some(why) = self.hard_limit(index, &service) {
            self.not_started(ticket, Refusal { service: index, why, peer });
            return Ok(());
        }
        let over = if process.is_some() { Over::Unix } else { Over::Tcp };
        let ends = Ends { over, host: peer, remote, local, process };
        let (socket, mishaps) = (connection.as_fd(), self.mishaps.1.as_fd());
        let port = |end: Option<SocketAddr>| end.map_or(0, |end| end.port());
        let ports = Ports { peer: port(remote), own: port(local) };
        let server = Server::new(ticket, index, Rc::clone(&service), peer).with_ports(ports);
        match fork(&mut self.spawner, mishaps, launch, socket, ticket, &ends) {
            Ok(started) => self.started(started, server),
            Err(errno) => {
                let failures = failures.saturating_add(1);
                let waiting = Waiting { ticket, index, service, peer, connection, failures };
                self.fork_failed(waiting, errno);
            }
        }
        Ok(())
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
