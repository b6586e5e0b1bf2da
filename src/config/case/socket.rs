//! The socket of a service: type, protocol, address.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::case::Case;
use crate::config::code;
use crate::config::draft::{At, NamedProtocol};
use crate::config::value::{Flag, ServiceType};
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
        let span = self.draft.socket_type.map_or(self.name.span, |at| at.span);
        let fits = match (socket_type, protocol.number) {
            (SocketType::Stream, Protocol::UDP) | (SocketType::Dgram, Protocol::TCP) => false,
            (SocketType::SeqPacket, Protocol(_)) => false,
            (SocketType::Raw, Protocol(_)) => return self.notes.push(raw(span)),
            (SocketType::Stream | SocketType::Dgram, Protocol(_)) => true,
        };
        if !fits {
            let (word, name) = (socket_type.word(), &protocol.name);
            let message = format!("a {word} socket does not speak {name}");
            let note = Diagnostic::error(code::CONTRADICTION, span, message)
                .help("tcp goes with stream, udp with dgram");
            self.notes.push(note);
        }
    }

    /// The sockets that the service listens on: none behind tcpmux (MUX-2), else one for each
    /// word of `bind`.
    pub(super) fn sockets(
        &mut self,
        transport: Option<&Transport>,
        port: u16,
    ) -> Option<Vec<SocketKey>> {
        let bind = self.draft.bind.as_ref().or(self.defaults.draft.bind.as_ref());
        let addresses = match bind {
            Some(bind) => self.addresses(bind)?,
            None => vec![self.everywhere()],
        };
        let v6only = self.draft.v6only.or(self.defaults.draft.v6only);
        let is_any = bind.is_none() && self.family().is_none() && v6only != Some(true);
        let beside_v4 = addresses.iter().any(SocketAddr::is_ipv4);
        let transport = transport?;
        let key = |mut address: SocketAddr| {
            let shared = beside_v4 && address.ip().is_unspecified();
            address.set_port(port);
            SocketKey {
                socket_type: transport.socket_type,
                protocol: transport.protocol.number,
                address: Address::Ip(address),
                is_lent: false,
                v6only: address.is_ipv6() && v6only.unwrap_or(shared),
                any_family: is_any,
            }
        };
        let sockets = addresses.into_iter().map(key).collect();
        Some(if self.is_behind_tcpmux() { Vec::new() } else { sockets })
    }

    /// BIND-1, BIND-2
    fn everywhere(&self) -> SocketAddr {
        match self.family() {
            Some((Flag::Ipv4, _)) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            _ => (Ipv6Addr::UNSPECIFIED, 0).into(),
        }
    }

    /// The flag that asks for a family; both flags ask for none.
    fn family(&self) -> Option<(Flag, Span)> {
        match (self.draft.flag(Flag::Ipv4), self.draft.flag(Flag::Ipv6)) {
            (Some(span), None) => Some((Flag::Ipv4, span)),
            (None, Some(span)) => Some((Flag::Ipv6, span)),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    /// One address for each word, each once; `None` when a word has none.
    fn addresses(&mut self, bind: &[At<Vec<SocketAddr>>]) -> Option<Vec<SocketAddr>> {
        let found: Vec<_> = bind.iter().map(|at| (at, self.address(at))).collect();
        let mut addresses = Vec::with_capacity(found.len());
        for (at, address) in found {
            let address = address?;
            if addresses.contains(&address) {
                let message = format!("`bind` has {} more than once", address.ip());
                self.notes.push(Diagnostic::warning(code::DUPLICATE, at.span, message));
                continue;
            }
            addresses.push(address);
        }
        if let (Some(at), true) = (bind.get(1), self.draft.is(ServiceType::Rpc)) {
            let message = "an RPC service has one address: rpcbind(8) knows it by its one port";
            let note = Diagnostic::error(code::CONTRADICTION, at.span, message);
            self.notes.push(note.help("remove `bind`, or all addresses but one"));
        }
        Some(addresses)
    }

    /// BIND-3, BIND-6, BIND-7
    fn address(&mut self, at: &At<Vec<SocketAddr>>) -> Option<SocketAddr> {
        match self.family() {
            Some((Flag::Ipv4, span)) => self.of_family(at, span, "IPv4", SocketAddr::is_ipv4),
            Some((_, span)) => self.of_family(at, span, "IPv6", SocketAddr::is_ipv6),
            None => {
                let v6 = at.value.iter().find(|one| one.is_ipv6());
                if v6.is_none() && at.value.len() > 1 {
                    let deed = "leaves the service out: the name has several IPv4 addresses";
                    self.notes.push(Diagnostic::difference("BIND-7", at.span, deed));
                }
                v6.or(at.value.first()).copied()
            }
        }
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

/// A raw socket is for nobody in particular, so no server is started for what comes to one.
fn raw(span: Span) -> Diagnostic {
    let message = "raw sockets are not served: each gets every packet of its protocol";
    Diagnostic::error(code::NOT_SUPPORTED, span, message)
        .help("let the program open the socket itself, as a service of its own")
        .differs("ACC-7", "refuses every packet, and starts a server for each until `cps` ends it")
}
