//! The socket of a service: type, protocol, address.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::case::Case;
use crate::config::code;
use crate::config::draft::{At, Bound, NamedProtocol};
use crate::config::value::{Flag, ServiceType};
use crate::diag::{Diagnostic, Span};
use crate::plan::{Address, Protocol, SocketKey, SocketType};

/// What a socket is made of besides its address.
pub(super) struct Transport {
    pub socket_type: SocketType,
    pub protocol: NamedProtocol,
}

impl<'a> Case<'a> {
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
        if self.is_unix_only() {
            if socket_type == SocketType::Raw {
                let span = draft.socket_type.map_or(self.name.span, |at| at.span);
                self.notes.push(raw(span));
            }
            let protocol = NamedProtocol { name: String::new(), number: Protocol::NONE };
            return Some(Transport { socket_type, protocol });
        }
        self.is_spoken(socket_type, &protocol);
        Some(Transport { socket_type, protocol })
    }

    fn protocol(&self) -> Option<NamedProtocol> {
        let derived = |name: &str, number| Some(NamedProtocol { name: name.into(), number });
        match (&self.draft.protocol, self.draft.socket_type.map(|at| at.value)) {
            (Some(at), _) => Some(at.value.clone()),
            (None, Some(SocketType::Stream)) => derived("tcp", Protocol::TCP),
            (None, Some(SocketType::Dgram)) => derived("udp", Protocol::UDP),
            (None, Some(SocketType::SeqPacket)) if self.is_unix_only() => {
                derived("", Protocol::NONE)
            }
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
        let addresses = match self.bound() {
            Some(bind) => self.addresses(bind)?,
            None => vec![self.everywhere().into()],
        };
        let v6only = self.draft.v6only.or(self.defaults.draft.v6only);
        let any_family = self.bound().is_none() && self.family().is_none() && v6only != Some(true);
        let is_v4 = |address: &Address| address.ip().is_some_and(|ip| ip.is_ipv4());
        let beside_v4 = addresses.iter().any(is_v4);
        let transport = transport?;
        let key = |address: Address| {
            let (socket_type, protocol) = (transport.socket_type, transport.protocol.number);
            match address.ip() {
                None => SocketKey {
                    socket_type,
                    protocol: Protocol::NONE,
                    address,
                    is_lent: false,
                    v6only: false,
                    any_family: false,
                },
                Some(ip) => SocketKey {
                    socket_type,
                    protocol,
                    is_lent: false,
                    v6only: ip.is_ipv6() && v6only.unwrap_or(beside_v4 && address.is_everywhere()),
                    address: Address::Ip(with_port(ip, port)),
                    any_family,
                },
            }
        };
        let sockets = addresses.into_iter().map(key).collect();
        Some(if self.is_behind_tcpmux() { Vec::new() } else { sockets })
    }

    /// The words of `bind`, of the service or of `defaults`.
    fn bound(&self) -> Option<&'a [At<Bound>]> {
        self.draft.bind.as_deref().or(self.defaults.draft.bind.as_deref())
    }

    /// Whether all its sockets are those of unix(7): it has no port, and speaks no protocol.
    pub(super) fn is_unix_only(&self) -> bool {
        self.draft.is_unix_only.or(self.defaults.draft.is_unix_only) == Some(true)
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
    fn addresses(&mut self, bind: &[At<Bound>]) -> Option<Vec<Address>> {
        let found: Vec<_> = bind.iter().map(|at| (at, self.address(at))).collect();
        let mut addresses = Vec::with_capacity(found.len());
        for (at, address) in found {
            let address = address?;
            if addresses.contains(&address) {
                let shown = match address.ip() {
                    Some(ip) => ip.ip().to_string(),
                    None => address.to_string(),
                };
                let message = format!("`bind` has {shown} more than once");
                self.notes.push(Diagnostic::warning(code::DUPLICATE, at.span, message));
                continue;
            }
            if self.draft.is(ServiceType::Rpc)
                && addresses.iter().any(|one| is_alike(one, &address))
            {
                let message =
                    "an RPC service has one address of each family: rpcbind(8) knows no other";
                let note = Diagnostic::error(code::CONTRADICTION, at.span, message);
                self.notes.push(note.help("remove the others"));
            }
            addresses.push(address);
        }
        Some(addresses)
    }

    fn address(&mut self, at: &At<Bound>) -> Option<Address> {
        match &at.value {
            Bound::Ip(all) => self.one_of(all, at.span).map(Address::Ip),
            Bound::Unix(path) => Some(Address::Unix(path.clone())),
        }
    }

    /// BIND-3, BIND-6, BIND-7
    fn one_of(&mut self, all: &[SocketAddr], span: Span) -> Option<SocketAddr> {
        let (fits, family): (fn(&SocketAddr) -> bool, _) = match self.family() {
            Some((Flag::Ipv4, flag)) => (SocketAddr::is_ipv4, Some((flag, "IPv4"))),
            Some((_, flag)) => (SocketAddr::is_ipv6, Some((flag, "IPv6"))),
            None => (SocketAddr::is_ipv6, None),
        };
        let found = all.iter().copied().find(fits);
        if let (None, Some((flag, family))) = (found, family) {
            self.wrong_family(flag, family, span);
            return None;
        }
        if found.is_none() && all.len() > 1 {
            let deed = "leaves the service out: the name has several IPv4 addresses";
            self.notes.push(Diagnostic::difference("BIND-7", span, deed));
        }
        found.or(all.first().copied())
    }

    /// BIND-4: never listen where nobody asked for.
    fn wrong_family(&mut self, flag: Span, family: &str, bound: Span) {
        let message = format!("the flag {family} contradicts `bind`");
        let note = Diagnostic::error(code::CONTRADICTION, flag, message)
            .related(bound, format!("has no {family} address"))
            .help("remove the flag, or bind to an address of that family")
            .differs("BIND-4", "listens on all addresses, or on whatever it finds in memory");
        self.notes.push(note);
    }
}

/// Whether both are of one family.
fn is_alike(one: &Address, other: &Address) -> bool {
    one.ip().map(|ip| ip.is_ipv4()) == other.ip().map(|ip| ip.is_ipv4())
}

/// `address` with another port; a scope stays.
const fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// A raw socket is for nobody in particular, so no server is started for what comes to one.
fn raw(span: Span) -> Diagnostic {
    let message = "raw sockets are not served: each gets every packet of its protocol";
    Diagnostic::error(code::NOT_SUPPORTED, span, message)
        .help("let the program open the socket itself, as a service of its own")
        .differs("ACC-7", "refuses every packet, and starts a server for each until `cps` ends it")
}
