//! `wait = yes`: a server gets the socket itself, and nobody here reads from it or accepts
//! until that server has ended (WAIT-1).

use socket2::SockRef;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::admit::Peer;
use crate::admit::Welcome;
use crate::engine::Engine;
use crate::engine::decide::Caller;
use crate::engine::visit;
use crate::ipc::Ticket;
use crate::ipc::ToMonitor;
use crate::plan::Denial;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::SocketType;
use crate::plan::Source;
use crate::sys::datagram;
use crate::sys::datagram::First;

/// How many requests that are refused are taken from one service before the others get their
/// turn.
const REFUSALS_A_TURN: usize = 16;

/// How long a service rests whose server could not be started.
const NO_SERVER: Duration = Duration::from_secs(5);

/// A socket that a server has, or is about to get: nobody else looks at it.
#[derive(Debug)]
pub(super) struct Loan {
    service: ServiceIndex,
    /// `None`: it is not decided yet.
    ticket: Option<Ticket>,
    /// The datagram that the server was started for.
    first: Option<First>,
}

/// Who is first in the queue of a socket.
#[derive(Clone, Copy, Debug)]
struct Request {
    socket: SocketIndex,
    caller: Caller,
    /// `None`: a connection.
    first: Option<First>,
}

/// Decides about whoever is first in the queue of a socket.
pub(super) fn lend(engine: &Rc<RefCell<Engine>>, service: ServiceIndex, socket: SocketIndex) {
    for _ in 0..REFUSALS_A_TURN {
        let mut inner = engine.borrow_mut();
        let Some(request) = inner.next_request(service, socket) else { return };
        match inner.decide(request.caller) {
            Some(Ok(Welcome::In)) => return inner.order(request),
            Some(Ok(Welcome::NameDecides)) => {
                inner.begin_visit(service);
                inner.begin_loan(request, None);
                tokio::task::spawn_local(by_name(Rc::clone(engine), request));
                return;
            }
            Some(Err(why)) => inner.turn_down(request, why),
            None => return,
        }
    }
}

/// A first datagram whose sender's name decides. The socket is left alone meanwhile.
async fn by_name(engine: Rc<RefCell<Engine>>, request: Request) {
    let Request { socket, caller, .. } = request;
    let verdict = visit::ask_for_name(&engine, caller, || None).await;
    let mut engine = engine.borrow_mut();
    engine.loans.remove(&socket);
    match verdict {
        Some(Ok(())) => engine.order(request),
        Some(Err(why)) => engine.turn_down(request, why),
        None => {}
    }
    engine.settle(caller.service);
    engine.end_visit(caller.service);
}

impl Engine {
    /// Who is first in the queue; of connections nobody can say, as the server accepts them
    /// (ACC-7).
    fn next_request(&mut self, service: ServiceIndex, socket: SocketIndex) -> Option<Request> {
        if !self.is_due(service) || self.loans.contains_key(&socket) {
            return None;
        }
        let state = self.doors.get(&service)?;
        if state.door.socket_type == SocketType::Stream {
            let peer = Peer { source: Source::Unknown, mapped: false };
            let caller = Caller { service, peer, own: None, failures: 0 };
            return Some(Request { socket, caller, first: None });
        }
        let first = datagram::peek(state.listener(socket)?).ok()?;
        let caller = Caller::sender(service, first.from, None);
        Some(Request { socket, caller, first: Some(first) })
    }

    /// Orders the server, for a caller who has been let in and is counted.
    fn order(&mut self, request: Request) {
        let Request { socket, caller, .. } = request;
        let (service, peer) = (caller.service, caller.peer.source);
        if let Some(state) = self.doors.get_mut(&service) {
            state.take_turn();
        }
        let ticket = self.new_ticket(service, peer);
        self.begin_loan(request, Some(ticket));
        self.port.send(&ToMonitor::Serve { ticket, service, socket, peer }, None);
    }

    fn begin_loan(&mut self, request: Request, ticket: Option<Ticket>) {
        let Request { socket, caller, first } = request;
        self.loans.insert(socket, Loan { service: caller.service, ticket, first });
        self.settle(caller.service);
    }

    /// A server of an earlier engine's has this socket.
    pub(super) fn take_over_loan(
        &mut self,
        ticket: Ticket,
        service: ServiceIndex,
        socket: SocketIndex,
    ) {
        self.loans.insert(socket, Loan { service, ticket: Some(ticket), first: None });
    }

    /// Takes a request that is refused out of the queue: nobody else would, and it would be
    /// found there again and again (ACC-6, ACC-8).
    fn turn_down(&mut self, request: Request, why: Denial) {
        let Request { socket, caller, first } = request;
        let service = caller.service;
        let listener = self.doors.get(&service).and_then(|state| state.listener(socket));
        let Some(listener) = listener else { return };
        if let Some(First { from, .. }) = first {
            datagram::discard(listener).ok();
            return self.report_sender(service, from, why);
        }
        // No server has the socket now, so the flag of it is ours for a moment.
        let listener = SockRef::from(listener);
        if listener.set_nonblocking(true).is_ok() {
            drop(listener.accept());
            listener.set_nonblocking(false).ok();
        }
        self.report(service, Source::Unknown, why);
    }

    /// The server of this ticket has ended, or there was none; if it had a socket, that can be
    /// lent again.
    pub(super) fn end_loan(&mut self, ticket: Ticket, has_run: bool) {
        let is_it = |loan: &Loan| loan.ticket == Some(ticket);
        let found = self.loans.iter().find(|(_, loan)| is_it(loan)).map(|(socket, _)| *socket);
        let Some(socket) = found else { return };
        let Some(Loan { service, first, .. }) = self.loans.remove(&socket) else { return };
        if has_run {
            self.drop_unread(service, socket, first);
        } else {
            // What is to be served stays where it is for a while.
            self.hold(service, NO_SERVER);
        }
        self.settle(service);
    }

    /// A first datagram that a server has left unread is dropped: the next one would do the same
    /// (WAIT-3). Everything else stays for the next one (WAIT-4).
    fn drop_unread(&self, service: ServiceIndex, socket: SocketIndex, first: Option<First>) {
        let listener = self.doors.get(&service).and_then(|state| state.listener(socket));
        let (Some(listener), Some(first)) = (listener, first) else { return };
        if datagram::peek(listener).is_ok_and(|next| next == first) {
            datagram::discard(listener).ok();
        }
    }
}
