//! What shows only when all services are known: two of them on one socket.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;

use crate::config::ast::Word;
use crate::config::code;
use crate::diag::{Diagnostic, Span};
use crate::plan::{Protocol, Service, ServiceId, SocketKey, SocketType};

/// The sockets that are taken, and by whom (CHK-4, CHK-6).
#[derive(Default)]
pub(super) struct Sockets {
    taken: HashMap<(Protocol, SocketAddr), Owner>,
    /// By port, as two of one port may be in each other's way.
    ports: HashMap<(Protocol, u16), Vec<(SocketKey, Span)>>,
}

struct Owner {
    name: String,
    id: ServiceId,
    span: Span,
    /// An address was given.
    bound: bool,
}

impl Sockets {
    /// Gives `service` its socket, or reports that another one has it.
    ///
    /// Port 0 is no port: the system chooses one for each. `bound`: an address was given.
    pub(super) fn take(
        &mut self,
        service: &Service,
        name: &Word,
        bound: bool,
        notes: &mut Vec<Diagnostic>,
    ) -> bool {
        let (id, span) = (service.id.clone(), name.span);
        let owner = || Owner { name: service.name.clone(), id, span, bound };
        if service.socket.address.port() == 0 || notes.iter().any(Diagnostic::is_error) {
            return true;
        }
        match self.taken.entry((service.socket.protocol, service.socket.address)) {
            Entry::Vacant(vacant) => {
                vacant.insert(owner());
                notes.extend(self.overlap(service, name));
                true
            }
            Entry::Occupied(occupied) => {
                notes.push(duplicate(service, name, occupied.get()));
                false
            }
        }
    }

    /// Whether bind(2) will refuse this one, which is up to the system: both stay.
    fn overlap(&mut self, service: &Service, name: &Word) -> Option<Diagnostic> {
        let key = service.socket;
        let everywhere = |key: SocketKey| key.address.ip().is_unspecified();
        let others = self.ports.entry((key.protocol, key.address.port())).or_default();
        let mut near = others.iter().take_while(|(other, _)| everywhere(key) || everywhere(*other));
        let found = near.find(|(other, _)| covers(*other, key) || covers(key, *other));
        let note = found.map(|(other, span)| {
            let text = &service.name;
            let message =
                format!("`{text}` listens on {key} beside {other}: bind(2) will refuse the second");
            Diagnostic::warning(code::OVERLAP, name.span, message)
                .related(*span, format!("listens on {other}"))
                .help("give one of them another `port`, or give each an address with `bind`")
        });
        // wildcards in front: those are what a single address may collide with
        let at = if everywhere(key) { 0 } else { others.len() };
        others.insert(at, (key, name.span));
        note
    }
}

/// Whether `all` is a wildcard that has the address of `one` too.
fn covers(all: SocketKey, one: SocketKey) -> bool {
    let families =
        all.address.is_ipv4() == one.address.is_ipv4() || all.address.is_ipv6() && !all.v6only;
    all.address.ip().is_unspecified() && families
}

fn duplicate(service: &Service, name: &Word, first: &Owner) -> Diagnostic {
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
    if service.socket.socket_type == SocketType::Dgram && !first.bound {
        return note.differs("CHK-6", "starts both, and each datagram reaches one of them");
    }
    note // of two other sockets bind(2) refuses the second
}
