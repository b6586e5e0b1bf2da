//! The services that are built in (INTL-1 to INTL-10), without a process for each client.

mod stream;

use std::cell::RefCell;
use std::rc::Rc;

use crate::engine::Engine;
use crate::engine::accept::Visitor;
use crate::engine::session;
use crate::plan::Internal;

/// Serves a client of a stream service that has been let in.
pub(super) fn serve(engine: &Rc<RefCell<Engine>>, visitor: Visitor, service: Internal) {
    match service {
        Internal::Echo => session::begin(engine, visitor, stream::echo),
        Internal::Discard => session::begin(engine, visitor, stream::discard),
        // Left out when the files are read.
        Internal::Chargen | Internal::Daytime | Internal::Time | Internal::Tcpmux => {
            engine.borrow_mut().uncount(visitor.service, visitor.peer.address);
        }
    }
}
