//! Clients that stay with the engine: internal services and `redirect`.
//!
//! Each is a task of its own with a ticket, as a server would be; the monitor hears of its
//! beginning and its end, and writes the log.

use socket2::Socket;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::TcpStream as StdStream;
use std::rc::Rc;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::engine::Engine;
use crate::engine::accept::Visitor;
use crate::engine::relay::FlowKey;
use crate::ipc::Ending;
use crate::ipc::Ports;
use crate::ipc::Ticket;
use crate::ipc::ToMonitor;
use crate::plan::ServiceIndex;
use crate::plan::Source;
use crate::sys::socket;

/// A client that is being served here.
#[derive(Debug)]
pub(super) struct Session {
    service: ServiceIndex,
    task: AbortHandle,
    traffic: Rc<Traffic>,
    /// Of a client that sends datagrams: its entry in [`Engine::flows`].
    pub(super) flow: Option<FlowKey>,
}

/// Bytes so far; what is left of them when a session is cut off is still logged.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Read from the client.
    pub(super) received: Cell<u64>,
    /// On its way to the client: written, or read from the target (REDIR-5).
    pub(super) sent: Cell<u64>,
}

/// Adds to one direction.
pub(super) fn count(direction: &Cell<u64>, bytes: usize) {
    direction.set(direction.get().saturating_add(bytes as u64));
}

/// Begins to serve a client that has been let in, and is counted, by `work`.
pub(super) fn begin<F>(
    engine: &Rc<RefCell<Engine>>,
    visitor: Visitor,
    work: impl FnOnce(TcpStream, Rc<Traffic>) -> F,
) where
    F: Future<Output: Into<Ending>> + 'static,
{
    let (service, peer) = (visitor.service, visitor.peer.source);
    let port = socket::remote_end(&visitor.socket).map_or(0, |end| end.port());
    let ports = Ports { peer: port, own: socket::local_port(&visitor.socket) };
    let Ok(stream) = stream(visitor.socket) else {
        engine.borrow_mut().uncount(service, peer);
        return;
    };
    let traffic = Rc::<Traffic>::default();
    let work = work(stream, Rc::clone(&traffic));
    Client { service, peer, ports, traffic, flow: None }.begin(engine, work);
}

/// Who is served.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) service: ServiceIndex,
    pub(super) peer: Source,
    pub(super) ports: Ports,
    pub(super) traffic: Rc<Traffic>,
    /// Of one that sends datagrams: its entry in [`Engine::flows`].
    pub(super) flow: Option<FlowKey>,
}

impl Client {
    /// Serves it by `work` from now on.
    pub(super) fn begin<F>(self, engine: &Rc<RefCell<Engine>>, work: F) -> Ticket
    where
        F: Future<Output: Into<Ending>> + 'static,
    {
        let Self { service, peer, ports, traffic, flow } = self;
        let mut inner = engine.borrow_mut();
        let ticket = inner.new_ticket(service, peer);
        let engine = Rc::clone(engine);
        let task = tokio::task::spawn_local(async move {
            let how = work.await.into();
            engine.borrow_mut().end_session(ticket, how);
        });
        let task = task.abort_handle();
        inner.sessions.insert(ticket, Session { service, task, traffic, flow });
        inner.tell(&ToMonitor::Began { ticket, service, peer, ports });
        ticket
    }
}

/// The connection, for tokio.
fn stream(socket: Socket) -> io::Result<TcpStream> {
    let stream = StdStream::from(socket);
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

impl Engine {
    /// How many there may be: they take two descriptors each, and leave a quarter of all to
    /// the clients of others.
    pub(super) fn most_sessions(&self) -> usize {
        self.descriptors.saturating_sub(self.doors.len()) / 4 * 3 / 2
    }

    /// Cuts off every session of a service that is gone, or that listens elsewhere now.
    pub(super) fn cut_off(&mut self, service: ServiceIndex) {
        self.cut_off_those(|session| session.service == service);
    }

    /// Cuts off every session.
    pub(super) fn cut_off_all(&mut self) {
        self.cut_off_those(|_| true);
    }

    /// Cuts off whose datagrams are passed on: nothing more of theirs is read.
    pub(super) fn cut_off_flows(&mut self) {
        self.cut_off_those(|session| session.flow.is_some());
    }

    /// The same for one service.
    pub(super) fn cut_off_flows_of(&mut self, service: ServiceIndex) {
        self.cut_off_those(|session| session.service == service && session.flow.is_some());
    }

    fn cut_off_those(&mut self, which: impl Fn(&Session) -> bool) {
        let sessions = self.sessions.iter().filter(|(_, session)| which(session));
        let tickets: Vec<_> = sessions.map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            self.end_session(ticket, Ending::CutOff);
        }
    }

    pub(super) fn end_session(&mut self, ticket: Ticket, how: Ending) {
        let Some(session) = self.sessions.remove(&ticket) else { return };
        session.task.abort();
        if let Some(key) = session.flow {
            self.flows.remove(&key);
        }
        self.forget(ticket);
        let (received, sent) = (session.traffic.received.get(), session.traffic.sent.get());
        self.tell(&ToMonitor::Ended { ticket, how, received, sent });
        self.wake.notify_one();
    }
}
