//! The socket of a service: type, protocol, address.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::case::Case;
use crate::config::code;
use crate::config::draft::{At, NamedProtocol};
use crate::config::value::Flag;
use crate::diag::{Diagnostic, Span};
use crate::plan::{Address, Protocol, SocketKey, SocketType};

/// What a socket is made of besides its address.
pub(super) struct Transport {
    pub socket_type: SocketType,
    pub protocol: NamedProtocol,
}

impl Case<'_> {
    /// `socket_type` and `protocol`, given or derived from one another (ATTR-1, ATTR-2).
    pub(super) fn transport(&mut self) -> Option<Transport> {
        let draft = self.draft;
        let refused = |name| draft.refused.contains(&name);
        let Some(protocol) = self.protocol() else {
            let name = if draft.socket_type.is_some() { "protocol" } else { "socket_type" };
            if !refused("protocol") {
                self.missing(name);
            }
            return None;
        };
        let derived = match protocol.number {
            Protocol::TCP => Some(SocketType::Stream),
            Protocol::UDP => Some(SocketType::Dgram),
            Protocol(_) => None,
        };
        let given = draft.socket_type.map(|at| at.value);
        let Some(socket_type) = given.or(derived) else {
            self.missing("socket_type");
            return None;
        };
        self.is_spoken(socket_type, &protocol);
        Some(Transport { socket_type, protocol })
    }

    fn protocol(&self) -> Option<NamedProtocol> {
        let derived = |name: &str, number| Some(NamedProtocol { name: name.into(), number });
        match (&self.draft.protocol, self.draft.socket_type.map(|at| at.value)) {
            (Some(at), _) => Some(at.value.clone()),
            (None, Some(SocketType::Stream)) => derived("tcp", Protocol::TCP),
            (None, Some(SocketType::Dgram)) => derived("udp", Protocol::UDP),
            (None, Some(SocketType::Raw | SocketType::SeqPacket) | None) => None,
        }
    }

    /// CHK-16: socket(2) would refuse it.
    fn is_spoken(&mut self, socket_type: SocketType, protocol: &NamedProtocol) {
        let fits = match (socket_type, protocol.number) {
            (SocketType::Stream | SocketType::SeqPacket, Protocol::UDP)
            | (SocketType::Dgram | SocketType::SeqPacket, Protocol::TCP) => false,
            (_, Protocol(_)) => true,
        };
        if !fits {
            let span = self.draft.socket_type.map_or(self.name.span, |at| at.span);
            let (word, name) = (socket_type.word(), &protocol.name);
            let message = format!("a {word} socket does not speak {name}");
            let note = Diagnostic::error(code::CONTRADICTION, span, message)
                .help("tcp goes with stream, udp with dgram");
            self.notes.push(note);
        }
    }

    /// The sockets that the service listens on: none behind tcpmux (MUX-2).
    pub(super) fn sockets(
        &mut self,
        transport: Option<&Transport>,
        port: u16,
    ) -> Option<Vec<SocketKey>> {
        let socket = self.socket(transport?, port)?;
        Some(if self.is_behind_tcpmux() { Vec::new() } else { vec![socket] })
    }

    /// BIND-1 to BIND-7
    fn socket(&mut self, transport: &Transport, port: u16) -> Option<SocketKey> {
        let draft = self.draft;
        let (v4, v6) = (draft.flag(Flag::Ipv4), draft.flag(Flag::Ipv6));
        let bind = draft.bind.as_ref().or(self.defaults.draft.bind.as_ref());
        let mut address = match (bind, v4, v6) {
            (None, Some(_), None) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            (None, _, _) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Some(at), Some(flag), None) => {
                self.of_family(at, flag, "IPv4", SocketAddr::is_ipv4)?
            }
            (Some(at), None, Some(flag)) => {
                self.of_family(at, flag, "IPv6", SocketAddr::is_ipv6)?
            }
            (Some(at), _, _) => {
                let v6 = at.value.iter().find(|one| one.is_ipv6());
                if v6.is_none() && at.value.len() > 1 {
                    let deed = "leaves the service out: the name has several IPv4 addresses";
                    self.notes.push(Diagnostic::difference("BIND-7", at.span, deed));
                }
                *v6.or(at.value.first())?
            }
        };
        address.set_port(port);
        let v6only = draft.v6only.or(self.defaults.draft.v6only) == Some(true) && address.is_ipv6();
        let any_family = bind.is_none() && v4.is_none() && v6.is_none() && !v6only;
        let (socket_type, protocol) = (transport.socket_type, transport.protocol.number);
        let address = Address::Ip(address);
        Some(SocketKey { socket_type, protocol, address, v6only, any_family })
    }

    /// BIND-4: never listen where nobody asked for.
    fn of_family(
        &mut self,
        bind: &At<Vec<SocketAddr>>,
        flag: Span,
        family: &str,
        fits: fn(&SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let found = bind.value.iter().copied().find(fits);
        if found.is_none() {
            let message = format!("the flag {family} contradicts `bind`");
            let note = Diagnostic::error(code::CONTRADICTION, flag, message)
                .related(bind.span, format!("has no {family} address"))
                .help("remove the flag, or bind to an address of that family")
                .differs("BIND-4", "listens on all addresses, or on whatever it finds in memory");
            self.notes.push(note);
        }
        found
    }
}
