//! What shows only when all services are known: two of them on one socket, or for one program.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use crate::config::ast::Word;
use crate::config::code;
use crate::diag::{Diagnostic, Span};
use crate::plan::{Address, Protocol, Rpc, Service, ServiceId, SocketKey, SocketType};

/// The sockets that are taken, and by whom (CHK-4, CHK-6).
#[derive(Default)]
pub(super) struct Sockets {
    taken: HashMap<(Protocol, Address), Owner>,
    /// By port, as two of one port may be in each other's way.
    ports: HashMap<(Protocol, u16), Vec<(SocketKey, Span)>>,
    /// The versions of RPC programs.
    programs: HashMap<(Protocol, u32), Vec<(Versions, Span)>>,
}

type Versions = RangeInclusive<u32>;

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
        if let Some(rpc) = &service.rpc {
            return self.take_versions(service, rpc, name, notes);
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

    /// rpcbind knows one address for a version of a program over one transport.
    fn take_versions(
        &mut self,
        service: &Service,
        rpc: &Rpc,
        name: &Word,
        notes: &mut Vec<Diagnostic>,
    ) -> bool {
        let Rpc { program, versions } = rpc;
        let taken = self.programs.entry((service.protocol, *program)).or_default();
        let overlap =
            |other: &Versions| versions.start() <= other.end() && other.start() <= versions.end();
        let Some((first, span)) = taken.iter().find(|(other, _)| overlap(other)) else {
            taken.push((versions.clone(), name.span));
            return true;
        };
        let Service { name: text, id, protocol, .. } = service;
        let version = versions.start().max(first.start());
        let message = format!(
            "`{text}` is version {version} of program {program} over {protocol}, which there is already"
        );
        let note = Diagnostic::error(code::DUPLICATE_PROGRAM, name.span, message)
            .related(*span, "the one that is registered with rpcbind")
            .help("give one of them another `rpc_version`, or remove it")
            .legacy(format!("No versions registered for RPC service {id}"));
        let is_all = first.contains(versions.start()) && first.contains(versions.end());
        let note = match is_all {
            true => note,
            false => note.differs("RPC-2", "serves the versions that are left"),
        };
        notes.push(note);
        false
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
            let note = Diagnostic::warning(code::OVERLAP, name.span, message);
            if *span == name.span {
                return note.help("write `v6only = yes`, or leave the IPv4 address out");
            }
            note.related(*span, format!("listens on {other}"))
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
