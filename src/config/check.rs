//! What shows only when all services are known: two of them on one socket.

use std::collections::HashMap;

use crate::config::ast::Word;
use crate::config::code;
use crate::diag::{Diagnostic, Span};
use crate::plan::{Address, Protocol, Service, ServiceId, SocketKey, SocketType};

/// The sockets that are taken, and by whom (CHK-4, CHK-6).
#[derive(Default)]
pub(super) struct Sockets {
    taken: HashMap<(Protocol, Address), Owner>,
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
    /// Gives `service` its sockets, or reports that another one has one of them.
    ///
    /// Port 0 is no port: the system chooses one for each. `bound`: an address was given.
    pub(super) fn take(
        &mut self,
        service: &Service,
        name: &Word,
        bound: bool,
        notes: &mut Vec<Diagnostic>,
    ) -> bool {
        if notes.iter().any(Diagnostic::is_error) {
            return true;
        }
        let is_one = |key: &&SocketKey| key.address.ip().is_none_or(|address| address.port() != 0);
        let keys = || service.sockets.iter().filter(is_one);
        for key in keys() {
            if let Some(owner) = self.taken.get(&(key.protocol, key.address.clone())) {
                notes.push(duplicate(service, key, name, owner));
                return false;
            }
        }
        for key in keys() {
            let (id, span) = (service.id.clone(), name.span);
            let owner = Owner { name: service.name.clone(), id, span, bound };
            self.taken.insert((key.protocol, key.address.clone()), owner);
            notes.extend(self.overlap(service, key, name));
        }
        true
    }

    /// Whether bind(2) will refuse this one, which is up to the system: both stay.
    fn overlap(&mut self, service: &Service, key: &SocketKey, name: &Word) -> Option<Diagnostic> {
        let everywhere = |key: &SocketKey| key.address.is_everywhere();
        let others = self.ports.entry((key.protocol, key.address.port())).or_default();
        let mut near = others.iter().take_while(|(other, _)| everywhere(key) || everywhere(other));
        let found = near.find(|(other, _)| covers(other, key) || covers(key, other));
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
        others.insert(at, (key.clone(), name.span));
        note
    }
}

/// Whether `all` is a wildcard that has the address of `one` too.
fn covers(all: &SocketKey, one: &SocketKey) -> bool {
    let (Some(wide), Some(narrow)) = (all.address.ip(), one.address.ip()) else { return false };
    let families = wide.is_ipv4() == narrow.is_ipv4() || wide.is_ipv6() && !all.v6only;
    wide.ip().is_unspecified() && families
}

fn duplicate(service: &Service, key: &SocketKey, name: &Word, first: &Owner) -> Diagnostic {
    let (text, id) = (&service.name, &service.id);
    let (other, other_id) = (&first.name, &first.id);
    let message = format!("`{text}` listens on {key} like `{other}`");
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
    if key.socket_type == SocketType::Dgram && !first.bound {
        return note.differs("CHK-6", "starts both, and each datagram reaches one of them");
    }
    note // of two other sockets bind(2) refuses the second
}
