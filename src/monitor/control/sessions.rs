//! `xinetctl sessions`: everybody who is being served, the oldest first.

use std::time::Instant;

use crate::control::Session;
use crate::ipc::{Ports, Ticket};
use crate::monitor::Monitor;
use crate::monitor::history::wall_time;
use crate::monitor::running::Server;
use crate::monitor::sessions::Session as Served;
use crate::plan::{Service, Source};

impl Monitor {
    /// All of them, the oldest first.
    pub(super) fn listed(&self) -> Vec<Session> {
        let servers = self.running.iter().map(|(pid, server)| of_server(pid, server));
        let engine = self.engine_pid();
        let served = self.sessions.iter().map(|(ticket, served)| of_engine(ticket, engine, served));
        let mut all: Vec<_> = servers.chain(served).collect();
        all.sort_by_key(|session| session.id);
        all
    }
}

fn of_server(pid: i32, server: &Server) -> Session {
    let Server { ticket, service, peer, ports, started, .. } = server;
    let session = session(*ticket, service, *peer, *ports, *started);
    Session { pid, is_ending: server.was_told_to_end(), ..session }
}

fn of_engine(ticket: Ticket, engine: i32, served: &Served) -> Session {
    let Served { service, peer, ports, started, .. } = served;
    Session { pid: engine, in_engine: true, ..session(ticket, service, *peer, *ports, *started) }
}

/// What all have in common.
fn session(
    ticket: Ticket,
    service: &Service,
    peer: Source,
    ports: Ports,
    started: Instant,
) -> Session {
    let port = |number: u16| Some(number).filter(|number| *number != 0);
    Session {
        id: ticket.0,
        service: service.id.0.clone(),
        peer: (peer != Source::Unknown).then(|| peer.to_string()),
        peer_port: port(ports.peer),
        port: port(ports.own),
        pid: 0,
        in_engine: false,
        started: wall_time(started),
        seconds: started.elapsed().as_secs(),
        is_ending: false,
    }
}
