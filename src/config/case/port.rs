//! The port of a service: given, or that of services(5).

use crate::config::case::Case;
use crate::config::code;
use crate::config::draft::{At, NamedProtocol};
use crate::config::value::ServiceType;
use crate::diag::Diagnostic;
use crate::plan::Protocol;

/// Names that are known even where services(5) lacks them; all tcp.
const WELL_KNOWN: [(&str, u16); 4] =
    [("pop3", 110), ("pop3s", 995), ("imap4", 143), ("imap4s", 993)];

impl Case<'_> {
    /// PORT-1 to PORT-3
    pub(super) fn port(&mut self, protocol: &NamedProtocol) -> Option<u16> {
        let draft = self.draft;
        let given = draft.port;
        let refused = |name| draft.refused.contains(&name);
        if self.needs_no_port() || refused("type") || refused("port") {
            return None; // none is needed, or there is nothing to say beyond the refusal
        }
        if draft.is(ServiceType::Unlisted) {
            if given.is_none() {
                self.missing("port");
            }
            return given.map(|at| at.value);
        }
        let name = self.name.text();
        let known = || WELL_KNOWN.iter().find(|(known, _)| *known == name).map(|(_, port)| *port);
        let listed = self.lookup.port(&name, &protocol.name);
        let known = known().filter(|_| protocol.number == Protocol::TCP);
        if listed.is_none() && known.is_some() {
            let deed = "does not know this name without services(5), and leaves the service out";
            self.notes.push(Diagnostic::extension("PORT-1", self.name.span, deed));
        }
        let listed = listed.or(known);
        match (listed, given) {
            (Some(listed), Some(given)) if listed != given.value => {
                self.notes.push(other_port(&name, listed, given));
                None
            }
            (Some(listed), _) => Some(listed),
            (None, given) => {
                let note = self.unknown_service(protocol, given.map(|at| at.value));
                self.notes.push(note);
                None
            }
        }
    }

    /// PORT-5, CHK-23: the port of an RPC service is chosen by the system; a service behind
    /// tcpmux has none, nor have sockets of unix(7).
    pub(super) fn needs_no_port(&self) -> bool {
        self.draft.is(ServiceType::Rpc) || self.is_behind_tcpmux() || self.is_unix_only()
    }

    /// MUX-2: tcpmux leads to it, and nothing else does.
    pub(super) fn is_behind_tcpmux(&self) -> bool {
        self.draft.is(ServiceType::Tcpmux) || self.draft.is(ServiceType::TcpmuxPlus)
    }

    /// PORT-1
    fn unknown_service(&self, protocol: &NamedProtocol, port: Option<u16>) -> Diagnostic {
        let (name, protocol) = (self.name.text(), &protocol.name);
        let message = format!("services(5) has no `{name}` for {protocol}");
        let (help, legacy) = match port {
            Some(_) => (
                "add `type = UNLISTED`",
                format!("service/protocol combination not in /etc/services: {name}/{protocol}"),
            ),
            None => (
                "add `type = UNLISTED` and `port = NUMBER`",
                format!("Port not specified and can't find service: {name} with getservbyname"),
            ),
        };
        Diagnostic::error(code::UNKNOWN_SERVICE, self.name.span, message).help(help).legacy(legacy)
    }
}

/// PORT-2
fn other_port(name: &str, listed: u16, given: At<u16>) -> Diagnostic {
    let given_port = given.value;
    let message = format!("services(5) has {listed} for `{name}`, not {given_port}");
    Diagnostic::error(code::OTHER_PORT, given.span, message)
        .help("remove `port`, or add `type = UNLISTED`")
        .legacy(format!("Service {name} expects port {listed}, not {given_port}"))
}
