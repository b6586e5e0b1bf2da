//! `wait = yes`: a server gets the socket itself, and nobody here reads from it or accepts
//! until that server has ended (WAIT-1).

use socket2::{SockRef, Socket};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::admit::Welcome;
use crate::engine::Engine;
use crate::engine::decide::Caller;
use crate::engine::visit;
use crate::ipc::Event;
use crate::ipc::Ticket;
use crate::ipc::ToMonitor;
use crate::plan::Denial;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::sys::datagram;
use crate::sys::datagram::First;
use crate::sys::socket;

/// How many requests that are refused are taken from one service before the others get their
/// turn.
const REFUSALS_A_TURN: usize = 16;

/// How long a service rests whose server could not be started.
const NO_SERVER: Duration = Duration::from_secs(5);

/// Servers in a row that may leave undone what they were started for before the next one has
/// to wait.
const FORGIVEN: u32 = 4;

/// How long the first one after them waits; each further one twice as long, up to a second.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A server that has run as long as this has been of use to somebody.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// Sockets that servers have, or are about to get: nobody else looks at them.
pub(super) type Loans = HashMap<SocketIndex, Loan>;

/// What is known of the server that has a socket.
#[derive(Debug)]
pub(super) struct Loan {
    service: ServiceIndex,
    /// `None`: it is not decided yet.
    ticket: Option<Ticket>,
    started: Instant,
    left: Left,
}

/// What a server was started for, to be looked for when it has ended.
#[derive(Clone, Copy, Debug)]
enum Left {
    Datagram(First),
    /// As many connections.
    Connections(u32),
    /// An earlier engine knew.
    Unknown,
}

/// Who is first in the queue of a socket.
#[derive(Clone, Copy, Debug)]
struct Request {
    socket: SocketIndex,
    caller: Caller<'static>,
    what: Left,
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
            Some(Err(why)) if inner.turn_down(request, why) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// A first datagram whose sender's name decides. The socket is left alone meanwhile.
async fn by_name(engine: Rc<RefCell<Engine>>, request: Request) {
    let Request { socket, caller, .. } = request;
    let verdict = visit::ask_for_name(&engine, caller).await;
    let mut engine = engine.borrow_mut();
    engine.loans.remove(&socket);
    match verdict {
        Some(Ok(())) => engine.order(request),
        Some(Err(why)) => drop(engine.turn_down(request, why)),
        None => {}
    }
    engine.settle(caller.service);
    engine.end_visit(caller.service);
}

impl Engine {
    /// Who is first in the queue; of connections nobody can say, as the server accepts them
    /// (ACC-7).
    fn next_request(&mut self, service: ServiceIndex, number: SocketIndex) -> Option<Request> {
        if !self.is_due(service) || self.loans.contains_key(&number) {
            return None;
        }
        let state = self.doors.get(&service)?;
        let listener = state.listener(number)?;
        if state.door.socket_type.has_connections() {
            let what = Left::Connections(socket::backlog(listener));
            return Some(Request { socket: number, caller: Caller::unknown(service), what });
        }
        let first = datagram::peek(listener).ok()?;
        let caller = match first.from {
            Some(from) => Caller::sender(service, from, None),
            None => Caller::unknown(service),
        };
        Some(Request { socket: number, caller, what: Left::Datagram(first) })
    }

    /// Orders the server, for a caller who has been let in and is counted.
    fn order(&mut self, request: Request) {
        let Request { socket, caller, .. } = request;
        let (service, peer) = (caller.service, caller.peer.source);
        // A reload may have taken the socket away while the name was looked up.
        let state = self.doors.get_mut(&service).filter(|state| state.listener(socket).is_some());
        let Some(state) = state else { return self.uncount(service, peer) };
        state.take_turn();
        let ticket = self.new_ticket(service, peer);
        self.begin_loan(request, Some(ticket));
        self.tell(&ToMonitor::Serve { ticket, service, socket, peer });
    }

    fn begin_loan(&mut self, request: Request, ticket: Option<Ticket>) {
        let Request { socket, caller, what: left } = request;
        let (service, started) = (caller.service, Instant::now());
        self.loans.insert(socket, Loan { service, ticket, started, left });
        self.settle(service);
    }

    /// A server of an earlier engine's has this socket.
    pub(super) fn take_over_loan(
        &mut self,
        ticket: Ticket,
        service: ServiceIndex,
        socket: SocketIndex,
    ) {
        let (ticket, started, left) = (Some(ticket), Instant::now(), Left::Unknown);
        self.loans.insert(socket, Loan { service, ticket, started, left });
    }

    /// Takes a request that is refused out of the queue: nobody else would, and it would be
    /// found there again and again (ACC-6, ACC-8). False if there was none.
    fn turn_down(&mut self, request: Request, why: Denial) -> bool {
        let Request { socket, caller, what } = request;
        let service = caller.service;
        let listener = self.doors.get(&service).and_then(|state| state.listener(socket));
        let Some(listener) = listener else { return false };
        if let Left::Datagram(first) = what {
            datagram::discard(listener).ok();
            match first.from {
                Some(from) => self.report_sender(service, from, why),
                None => self.report(service, Source::Unknown, why),
            }
            return true;
        }
        let was_there = accept_now(listener).is_ok();
        if was_there {
            self.report(service, Source::Unknown, why);
        }
        was_there
    }

    /// The server of this ticket has ended, or there was none; if it had a socket, that can be
    /// lent again.
    pub(super) fn end_loan(&mut self, ticket: Ticket, has_run: bool) {
        let is_it = |loan: &Loan| loan.ticket == Some(ticket);
        let found = self.loans.iter().find(|(_, loan)| is_it(loan)).map(|(socket, _)| *socket);
        let Some(socket) = found else { return };
        let Some(loan) = self.loans.remove(&socket) else { return };
        let service = loan.service;
        if has_run {
            self.look_after(socket, &loan);
        } else {
            // What is to be served stays where it is for a while.
            self.hold(service, NO_SERVER);
        }
        self.shut(service);
        self.settle(service);
    }

    /// Looks at a socket that has come back. If servers leave undone what they are started for,
    /// one after the other, the next ones wait.
    fn look_after(&mut self, socket: SocketIndex, loan: &Loan) {
        let service = loan.service;
        let Some(state) = self.doors.get_mut(&service) else { return };
        let Some(listener) = state.listener(socket) else { return };
        let is_undone = is_left(listener, loan);
        state.undone = if is_undone { state.undone.saturating_add(1) } else { 0 };
        let Some(again) = state.undone.checked_sub(FORGIVEN).and_then(|n| n.checked_sub(1)) else {
            return;
        };
        let wait = 2_u32.checked_pow(again).and_then(|times| FIRST_WAIT.checked_mul(times));
        self.hold(service, wait.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT));
        if again == 0 {
            let event = Event::LeftUndone;
            self.tell(&ToMonitor::Noticed { service, event });
        }
    }
}

/// Whether a server has left what it was started for. A first datagram that is still unread is
/// dropped: the next server would do the same (WAIT-3). Everything else stays for it (WAIT-4).
fn is_left(listener: &OwnedFd, loan: &Loan) -> bool {
    match loan.left {
        Left::Datagram(first) => {
            datagram::take_all(listener).ok();
            let is_unread = datagram::peek(listener).is_ok_and(|next| next == first);
            if is_unread {
                datagram::discard(listener).ok();
            }
            is_unread
        }
        // Of connections nobody can tell which ones they are; but if it has accepted one, and
        // nobody has come meanwhile, there are fewer.
        Left::Connections(before) => {
            loan.started.elapsed() < LONG_ENOUGH && socket::backlog(listener) >= before.max(1)
        }
        Left::Unknown => false,
    }
}

/// Accepts a connection without waiting for one, at a socket that is for servers. None has it
/// now, so the flag of it is ours for a moment.
fn accept_now(listener: impl AsFd) -> io::Result<Socket> {
    let fd = listener.as_fd();
    let listener = SockRef::from(&fd);
    listener.set_nonblocking(true)?;
    let accepted = listener.accept();
    listener.set_nonblocking(false)?;
    accepted.map(|(connection, _)| connection)
}
