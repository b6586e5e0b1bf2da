//! Where a service passes its clients on to, and the addresses that its name has now.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout_at;

use crate::engine::names;
use crate::plan::Duty;
use crate::plan::Redirect;
use crate::plan::Relay;

/// How long an answer of the resolver is good.
const FRESH: Duration = Duration::from_secs(1);

/// How long a client waits for a new answer before the last one has to do.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer may take. Nobody waits for it, and nothing is asked meanwhile.
const LOST: Duration = Duration::from_secs(60);

/// The target of one service.
#[derive(Debug)]
pub(in crate::engine) struct Target {
    pub(super) to: Redirect,
    pub(super) keepalive: bool,
    book: RefCell<Book>,
    answered: Notify,
}

/// What is known of a name.
#[derive(Debug)]
struct Book {
    addresses: Rc<[SocketAddr]>,
    answered: Option<Instant>,
    /// A question is on its way since then.
    asked: Option<Instant>,
}

impl Target {
    /// That of a door, if its clients are passed on.
    pub(in crate::engine) fn of(duty: &Duty) -> Option<Rc<Self>> {
        let (to, keepalive) = match duty {
            Duty::Relay(Relay { to, keepalive }) => (to.clone(), *keepalive),
            Duty::Forward(to) => (to.clone(), false),
            Duty::HandOver | Duty::Wait | Duty::Answer(_) | Duty::Reply(_) | Duty::LockOut(_) => {
                return None;
            }
        };
        let addresses = match &to {
            Redirect::Host { addresses, .. } => addresses.as_slice().into(),
            Redirect::Unix(_) => Rc::default(),
        };
        let book = RefCell::new(Book { addresses, answered: None, asked: None });
        Some(Rc::new(Self { to, keepalive, book, answered: Notify::new() }))
    }

    /// The addresses to try, in order. A name is looked up again when the last answer is not
    /// fresh, once for all who come meanwhile. Without a new answer the last one holds.
    pub(super) async fn addresses(self: &Rc<Self>, turns: &Arc<Semaphore>) -> Rc<[SocketAddr]> {
        if let Redirect::Host { name, port, .. } = &self.to
            && self.to.has_name()
            && !self.is_fresh()
        {
            let asked = self.book.borrow().asked;
            let asked = asked.unwrap_or_else(|| self.ask(name.clone(), *port, Arc::clone(turns)));
            timeout_at((asked + PATIENCE).into(), self.answered.notified()).await.ok();
        }
        Rc::clone(&self.book.borrow().addresses)
    }

    /// The one that is tried first, as far as is known.
    pub(super) fn first(&self) -> Option<SocketAddr> {
        self.book.borrow().addresses.first().copied()
    }

    fn is_fresh(&self) -> bool {
        self.book.borrow().answered.is_some_and(|at| at.elapsed() < FRESH)
    }

    fn ask(self: &Rc<Self>, name: String, port: u16, turns: Arc<Semaphore>) -> Instant {
        let now = Instant::now();
        self.book.borrow_mut().asked = Some(now);
        let target = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let found = names::addresses_of(name, port, turns, LOST).await;
            target.note(found.unwrap_or_default());
        });
        now
    }

    fn note(&self, mut found: Vec<SocketAddr>) {
        // As at load: what the original would take comes first (ATTR-50).
        found.sort_by_key(SocketAddr::is_ipv6);
        let mut book = self.book.borrow_mut();
        if !found.is_empty() {
            book.addresses = found.into();
        }
        (book.asked, book.answered) = (None, Some(Instant::now()));
        self.answered.notify_waiters();
    }
}
