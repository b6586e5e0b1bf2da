//! What must fit together in one service: type, flags, `wait`, `redirect`.

use crate::config::case::Case;
use crate::config::case::socket::Transport;
use crate::config::code;
use crate::config::value::{Flag, ServiceType};
use crate::diag::{Diagnostic, Span};
use crate::plan::{Mux, Protocol, Redirect, Rpc, Service, SocketKey, SocketType};

impl Case<'_> {
    /// `wait`, which has no default (CHK-2).
    pub(super) fn wait(&mut self) -> Option<bool> {
        let wait = self.draft.waits.map(|at| at.value);
        if wait.is_none() {
            self.missing("wait");
        }
        wait
    }

    /// What cannot stand together (CHK-8 to CHK-12, CHK-14).
    pub(super) fn fits_together(&mut self, transport: &Transport, wait: bool) {
        self.redirect_fits(transport, wait);
        self.mux_fits(transport, wait);
        self.is_not_labeled();
        let name = self.name.text();
        let internal = self.is_internal();
        if let (SocketType::Dgram, false, false) = (transport.socket_type, wait, internal)
            && !self.draft.is_redirected()
        {
            let span = self.draft.waits.map_or(self.name.span, |at| at.span);
            let message =
                "a dgram service needs `wait = yes`: its server reads the datagrams itself";
            let note = Diagnostic::error(code::CONTRADICTION, span, message)
                .help("write `wait = yes`")
                .differs("CHK-14", "starts a server for each datagram");
            self.notes.push(note);
        }
        if let Some(span) = self.draft.flag(Flag::Intercept).filter(|_| internal || !wait) {
            let (message, legacy) = match internal {
                true => ("INTERCEPT has no effect on internal services", "Internal services"),
                false => (
                    "INTERCEPT has no effect on services with `wait = no`",
                    "Multi-threaded services",
                ),
            };
            let note = Diagnostic::warning(code::NO_EFFECT, span, message)
                .legacy(format!("{legacy} cannot be intercepted: {name}"));
            self.notes.push(note);
        }
        if let Some(span) = self.draft.flag(Flag::NameInArgs).filter(|_| internal) {
            let message = "NAMEINARGS is for servers, and an internal service starts none";
            self.notes.push(Diagnostic::error(code::CONTRADICTION, span, message));
        }
        if let Some(span) = self.draft.place("deny_time").filter(|_| !self.is_sensor()) {
            let message =
                "`deny_time` has no effect without `flags = SENSOR`: nobody is locked out";
            self.notes.push(Diagnostic::warning(code::NO_EFFECT, span, message));
        }
    }

    /// CHK-9
    fn redirect_fits(&mut self, transport: &Transport, wait: bool) {
        let (draft, name) = (self.draft, self.name.text());
        if !draft.is_redirected() {
            return;
        }
        let or_name = |span: Option<Span>| span.unwrap_or(self.name.span);
        let socket_type = draft.socket_type.map(|at| at.span);
        let mut found = Vec::new();
        let is_dgram = transport.socket_type == SocketType::Dgram;
        if transport.socket_type != SocketType::Stream && !is_dgram {
            found.push((
                or_name(socket_type.or(draft.place("protocol"))),
                "`redirect` passes on connections and datagrams, and nothing else".to_owned(),
                format!("Only tcp sockets are supported for redirected service {name}"),
            ));
        }
        if wait {
            found.push((
                or_name(draft.waits.map(|at| at.span)),
                "`redirect` needs `wait = no`".to_owned(),
                format!("Redirected service {name} must not wait"),
            ));
        }
        if let Some(flag) = draft.flag(Flag::NameInArgs) {
            found.push((
                flag,
                "NAMEINARGS is for servers, and a redirected service starts none".to_owned(),
                format!("Redirected service {name} should not have NAMEINARGS flag set"),
            ));
        }
        if is_dgram {
            let span = or_name(socket_type.or(draft.place("protocol")));
            let deed = "leaves the service out: it passes on connections of tcp only";
            self.notes.push(Diagnostic::extension("CHK-9", span, deed));
            let unix = matches!(draft.redirect, Some(Redirect::Unix(_)));
            if let Some(span) = draft.place("redirect").filter(|_| unix) {
                let message =
                    "datagrams are passed on to a host, not to a socket in the file system";
                self.notes.push(Diagnostic::error(code::CONTRADICTION, span, message));
            }
            if let Some(span) = draft.flag(Flag::IdOnly) {
                let message = "IDONLY has nobody to ask: who sends a datagram cannot be named";
                self.notes.push(Diagnostic::error(code::CONTRADICTION, span, message));
            }
        }
        self.notes.extend(found.into_iter().map(|(span, message, legacy)| {
            Diagnostic::error(code::CONTRADICTION, span, message).legacy(legacy)
        }));
        if let Some(span) = draft.place("server") {
            let message = "`server` is ignored: connections are passed on by `redirect`";
            self.notes.push(Diagnostic::warning(code::NO_EFFECT, span, message));
        }
    }

    /// CHK-8
    fn mux_fits(&mut self, transport: &Transport, wait: bool) {
        let Some((span, _)) = self.mux_type() else { return };
        let name = self.name.text();
        let say = |message: &str, wanted: &str| {
            Diagnostic::error(code::NEEDS_ANOTHER, span, message)
                .legacy(format!("Service: {name} (tcpmux) should have {wanted}"))
        };
        if !self.draft.is(ServiceType::Unlisted) && !self.draft.refused.contains(&"type") {
            let note = say(
                "TCPMUX needs UNLISTED beside it: the service has no port",
                "UNLISTED in type.",
            );
            self.notes.push(note.help("add UNLISTED to `type`"));
        }
        if transport.protocol.number != Protocol::TCP {
            self.notes.push(say("TCPMUX needs `protocol = tcp`", "tcp in protocol."));
        }
        if let Some(span) = self.draft.waits.map(|at| at.span).filter(|_| wait) {
            let message = "`wait = yes` has no effect behind tcpmux: each client gets a server";
            self.notes.push(Diagnostic::warning(code::NO_EFFECT, span, message));
        }
    }

    /// CHK-12: a service that asks for a label never runs without one.
    fn is_not_labeled(&mut self) {
        let Some(span) = self.draft.flag(Flag::Labeled) else { return };
        let message = "LABELED asks for SELinux labels, which this daemon cannot give: \
                       the server would run without";
        let note = Diagnostic::error(code::LABELED, span, message)
            .help("remove LABELED if the server may run unlabelled")
            .differs("CHK-12", "gives the server the label of its client");
        self.notes.push(note);
    }

    /// The word of `type` that puts a service behind tcpmux.
    fn mux_type(&self) -> Option<(Span, Mux)> {
        self.draft.types.iter().find_map(|at| match at.value {
            ServiceType::Tcpmux => Some((at.span, Mux::Plain)),
            ServiceType::TcpmuxPlus => Some((at.span, Mux::Plus)),
            ServiceType::Rpc
            | ServiceType::Internal
            | ServiceType::Unlisted
            | ServiceType::Special => None,
        })
    }

    pub(super) fn mux(&self) -> Option<Mux> {
        self.mux_type().map(|(_, mux)| mux)
    }

    /// CHK-22, PORT-5
    pub(super) fn rpc(&mut self) -> Option<Rpc> {
        let draft = self.draft;
        if !draft.is(ServiceType::Rpc) {
            return None;
        }
        if draft.rpc_versions.is_none() {
            self.missing("rpc_version");
        }
        let program = if !draft.is(ServiceType::Unlisted) {
            let name = self.name.text();
            let listed = self.lookup.rpc(&name);
            if listed.is_none() {
                let message = format!("rpc(5) has no `{name}`");
                let note = Diagnostic::error(code::UNKNOWN_SERVICE, self.name.span, message)
                    .help("add UNLISTED to `type`, and `rpc_number = NUMBER`")
                    .legacy(format!("unknown RPC service: {name}"));
                self.notes.push(note);
            }
            listed
        } else {
            if draft.rpc_number.is_none() {
                self.missing("rpc_number");
            }
            draft.rpc_number
        };
        Some(Rpc { program: program?, versions: draft.rpc_versions.clone()? })
    }

    /// What of this version does not have yet, if the service asks for it: the word that
    /// asks, and what it is.
    pub(in crate::config) fn unserved(&self, service: &Service) -> Option<(Span, &'static str)> {
        let draft = self.draft;
        let protocol = draft.protocol.as_ref().map(|at| at.span);
        let socket_type = draft.socket_type.map(|at| at.span).or(protocol);
        let socket_type = socket_type.unwrap_or(self.name.span);
        let tcp = service.protocol == Protocol::TCP;
        let is_unix = |socket: &SocketKey| socket.address.ip().is_none();
        let unix_only = !service.sockets.is_empty() && service.sockets.iter().all(is_unix);
        match service.socket_type {
            SocketType::Stream if !tcp && !unix_only => {
                Some((socket_type, "stream services without tcp"))
            }
            SocketType::Stream | SocketType::Dgram | SocketType::Raw | SocketType::SeqPacket => {
                None
            }
        }
    }
}
