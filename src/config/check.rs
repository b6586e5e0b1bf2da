//! What shows only when all services are known: two of them on one socket.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;

use crate::config::ast::Word;
use crate::config::code;
use crate::diag::{Diagnostic, Span};
use crate::plan::{Service, ServiceId};

/// The sockets that are taken, and by whom (CHK-4, CHK-6).
#[derive(Default)]
pub(super) struct Sockets {
    taken: HashMap<SocketAddr, Owner>,
}

struct Owner {
    name: String,
    id: ServiceId,
    span: Span,
}

impl Sockets {
    /// Gives `service` its socket, or reports that another one has it.
    ///
    /// Port 0 is no port: the system chooses one for each.
    pub(super) fn take(
        &mut self,
        service: &Service,
        name: &Word,
        notes: &mut Vec<Diagnostic>,
    ) -> bool {
        let owner =
            || Owner { name: service.name.clone(), id: service.id.clone(), span: name.span };
        if service.socket.address.port() == 0 || notes.iter().any(Diagnostic::is_error) {
            return true;
        }
        let first = match self.taken.entry(service.socket.address) {
            Entry::Vacant(vacant) => {
                vacant.insert(owner());
                return true;
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        let (text, id) = (&service.name, &service.id);
        let (other, other_id) = (&first.name, &first.id);
        let message = format!("`{text}` listens on {} like `{other}`", service.socket);
        let legacy = if id == other_id {
            format!("service: {text} id: {id} not unique or is a duplicate - DISABLING")
        } else {
            format!(
                "service: {text} id: {id} is unique but its identical to service: \
                 {other} id: {other_id} - DISABLING"
            )
        };
        let note = Diagnostic::error(code::DUPLICATE, name.span, message)
            .related(first.span, "the one that gets the socket")
            .help("give one of them another `port` or `bind`")
            .legacy(legacy);
        notes.push(note);
        false
    }
}
