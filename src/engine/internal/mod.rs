//! The services that are built in (INTL-1 to INTL-10), without a process for each client.

mod chargen;
mod dgram;
mod stream;
mod time;

pub(super) use dgram::{Replies, Reply};

use std::cell::RefCell;
use std::rc::Rc;
use tokio::net::TcpStream;

use crate::engine::Engine;
use crate::engine::accept::Visitor;
use crate::engine::banner::show;
use crate::engine::session;
use crate::engine::tcpmux;
use crate::ipc::ToMonitor;
use crate::plan::BannerKind;
use crate::plan::Internal;
use crate::plan::ServiceIndex;
use crate::sys::clock;
use crate::sys::socket;

/// Serves a client of a stream service that has been let in.
pub(super) fn serve(engine: &Rc<RefCell<Engine>>, visitor: Visitor, service: Internal) {
    match service {
        Internal::Echo => session::begin(engine, visitor, stream::echo),
        Internal::Discard => session::begin(engine, visitor, stream::discard),
        Internal::Chargen => session::begin(engine, visitor, stream::chargen),
        Internal::Daytime => {
            let text = time::daytime(clock::wall_seconds());
            engine.borrow_mut().answer(&visitor, text.as_bytes());
        }
        Internal::Time => {
            let number = time::time(clock::wall_seconds());
            engine.borrow_mut().answer(&visitor, &number);
        }
        Internal::Services | Internal::Servers => {
            let (same, service) = (Rc::clone(engine), visitor.service);
            session::begin(engine, visitor, |client, _| listing(same, service, client));
        }
        Internal::Tcpmux => {
            let (same, peer) = (Rc::clone(engine), visitor.peer);
            session::begin(engine, visitor, |client, _| tcpmux::serve(same, peer, client));
        }
    }
}

/// Shows what only the monitor knows.
async fn listing(engine: Rc<RefCell<Engine>>, service: ServiceIndex, client: TcpStream) {
    if let Ok(client) = client.into_std() {
        // A client that does not read it is let go.
        show(&engine, service, BannerKind::Listing, &client.into()).await.ok();
    }
}

impl Engine {
    /// One answer, which fits into the buffer of any new connection; then the connection is
    /// closed.
    fn answer(&mut self, visitor: &Visitor, bytes: &[u8]) {
        let Visitor { service, socket, peer, .. } = visitor;
        // The client may be gone.
        socket::send_now(socket, bytes).ok();
        if self.doors.get(service).is_some_and(|state| state.door.reports_answers) {
            let answered = ToMonitor::Answered { service: *service, peer: peer.source };
            self.tell(&answered);
        } else {
            self.count_client(*service, None);
        }
    }
}
