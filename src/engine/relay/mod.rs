//! `redirect`: a client's bytes go to another host, and the answers back (REDIR-1 to REDIR-7).
//!
//! No process belongs to a session, and no memory while nothing moves.

mod connect;
mod direction;
mod end;
mod forward;
mod pair;
mod pipes;
mod target;

pub(super) use direction::Workshop;
pub(super) use forward::{FlowKey, Flows, forward};
pub(super) use target::Target;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::engine::Engine;
use crate::engine::accept::{REST, Visitor, is_exhausted};
use crate::engine::session::{self, Traffic};
use crate::ipc::{Ending, Event, ToMonitor};
use crate::plan::Redirect;
use crate::plan::ServiceIndex;
use crate::sys::Errno;
use crate::sys::socket;
use connect::{Failure, PATIENCE, to_host, to_socket};
use end::End;

/// How long a client may be silent when its target has said all. Most are done then, too, and
/// do not say so.
const SILENCE: Duration = Duration::from_secs(60);

/// Passes a client on that has been let in.
pub(super) fn serve(engine: &Rc<RefCell<Engine>>, visitor: Visitor) {
    let service = visitor.service;
    let target = engine.borrow().doors.get(&service).and_then(|state| state.target.clone());
    let Some(target) = target else {
        engine.borrow_mut().uncount(service, visitor.peer.source);
        return;
    };
    let its_engine = Rc::clone(engine);
    session::begin(engine, visitor, move |client, traffic| {
        pass_on(its_engine, service, target, client, traffic)
    });
}

async fn pass_on(
    engine: Rc<RefCell<Engine>>,
    service: ServiceIndex,
    target: Rc<Target>,
    client: TcpStream,
    traffic: Rc<Traffic>,
) -> Ending {
    // A connection that is gone already says so when it is read.
    client.set_nodelay(true).ok();
    let own = socket::local_end(&client);
    match timeout(PATIENCE, connect(&engine, &target, own)).await {
        Ok(Ok(end)) => {
            let workshop = Rc::clone(&engine.borrow().workshop);
            drop((engine, target));
            pair::join(&End::Tcp(client), &end, &workshop, &traffic, SILENCE).await;
            Ending::Complete
        }
        Ok(Err(failure)) => engine.borrow_mut().not_reached(service, &failure),
        Err(_) => {
            let failure = Failure { address: target.first(), cause: Errno::ETIMEDOUT.into() };
            engine.borrow_mut().not_reached(service, &failure)
        }
    }
}

/// Connects to the target, if need be when there are descriptors again.
async fn connect(
    engine: &Rc<RefCell<Engine>>,
    target: &Rc<Target>,
    own: Option<SocketAddr>,
) -> Result<End, Failure> {
    loop {
        let connected = match &target.to {
            Redirect::Unix(path) => to_socket(path).await,
            Redirect::Host { .. } => {
                let turns = Arc::clone(&engine.borrow().lookups);
                let addresses = target.addresses(&turns).await;
                match own.filter(|own| addresses.contains(own)) {
                    // A client of its own: without end.
                    Some(own) => Err(Failure { address: Some(own), cause: Errno::ELOOP.into() }),
                    None => to_host(&addresses, target.keepalive).await,
                }
            }
        };
        match connected {
            Err(failure) if is_exhausted(&failure.cause) => {
                engine.borrow_mut().rest();
                sleep(REST).await;
            }
            other => return other,
        }
    }
}

impl Engine {
    /// Tells that the target cannot be had (REDIR-3).
    fn not_reached(&mut self, service: ServiceIndex, failure: &Failure) -> Ending {
        let Failure { address, cause } = failure;
        let errno = cause.raw_os_error().unwrap_or(Errno::EIO as i32);
        let address = address.map(|address| address.ip());
        let event = Event::NotReached { address, errno };
        self.tell(&ToMonitor::Noticed { service, event });
        Ending::NotReached
    }
}
