//! One draft and the defaults into a service, with everything that must hold inside it.

use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::ast::Word;
use crate::config::draft::{Account, At, Draft, Edits, Protocol};
use crate::config::lookup::Lookup;
use crate::config::resolve::Defaults;
use crate::config::value::{Flag, ServiceType, SocketType};
use crate::config::{addr, attr, code};
use crate::diag::{Diagnostic, Span};
use crate::plan::{
    AccessList, Banners, Credentials, EnvPlan, Groups, LogField, LogFields, LogTarget, LogWishes,
    Origin, Passed, Place, Policy, Program, Service, ServiceId, SocketKey, SocketOptions,
};

/// Names that are known even where services(5) lacks them; all tcp.
const WELL_KNOWN: [(&str, u16); 4] =
    [("pop3", 110), ("pop3s", 995), ("imap4", 143), ("imap4s", 993)];

/// One service on its way from draft to plan.
pub(super) struct Case<'a> {
    pub name: &'a Word,
    pub id: String,
    pub place: Place,
    pub draft: &'a Draft,
    pub defaults: &'a Defaults,
    pub lookup: &'a dyn Lookup,
    pub notes: &'a mut Vec<Diagnostic>,
}

impl Case<'_> {
    /// The service, unless something is missing. Every mistake is reported, not only
    /// the first, so there may be errors even if there is a service.
    pub(super) fn service(&mut self) -> Option<Service> {
        let protocol = self.protocol();
        self.is_of_a_kind_that_is_served();
        let port = protocol.and_then(|protocol| self.port(&protocol));
        let socket = self.socket(port.unwrap_or_default());
        let program = self.program();
        let credentials = self.credentials();
        let log = self.log();
        let draft = self.draft;
        port?;
        Some(Service {
            id: ServiceId(self.id.clone()),
            name: self.name.text().into_owned(),
            declared_at: self.place.clone(),
            origin: if draft.is(ServiceType::Unlisted) { Origin::Unlisted } else { Origin::Listed },
            socket: socket?,
            options: SocketOptions {
                nodelay: draft.flag(Flag::NoDelay).is_some(),
                keepalive: draft.flag(Flag::KeepAlive).is_some(),
            },
            program: program?,
            credentials: credentials?,
            env: self.env(),
            nice: draft.nice,
            umask: draft.umask.or(self.defaults.draft.umask),
            rlimits: draft.rlimits.clone(),
            policy: self.policy(),
            banners: self.banners(),
            log,
        })
    }

    /// The protocol, given or derived (ATTR-1, ATTR-2), if this version serves it.
    fn protocol(&mut self) -> Option<Protocol> {
        let socket_type = self.draft.socket_type;
        let derived = |name: &str, number| Some(Protocol { name: name.into(), number });
        let protocol = match (&self.draft.protocol, socket_type.map(|at| at.value)) {
            (Some(protocol), _) => Some(protocol.value.clone()),
            (None, Some(SocketType::Stream)) => derived("tcp", Protocol::TCP),
            (None, Some(SocketType::Dgram)) => derived("udp", Protocol::UDP),
            (None, Some(SocketType::Raw | SocketType::SeqPacket)) => {
                self.missing("protocol");
                None
            }
            (None, None) => {
                if !self.draft.refused.contains(&"protocol") {
                    self.missing("socket_type");
                }
                None
            }
        };
        let tcp = protocol.as_ref().is_some_and(|protocol| protocol.number == Protocol::TCP);
        match (socket_type, &self.draft.protocol) {
            (Some(At { value: SocketType::Stream, .. }) | None, Some(at)) if !tcp => {
                let name = &at.value.name;
                self.not_supported(at.span, &format!("stream services over `{name}`"));
            }
            (Some(At { value: SocketType::Dgram, span }), _) => {
                self.not_supported(span, "dgram services");
            }
            (Some(At { value: SocketType::Raw | SocketType::SeqPacket, span }), _) => {
                self.not_supported(span, "raw and seqpacket services");
            }
            _ => {}
        }
        protocol
    }

    /// `type`, `flags` and `wait` that this version does not have.
    fn is_of_a_kind_that_is_served(&mut self) {
        let draft = self.draft;
        match draft.waits {
            None => self.missing("wait"),
            Some(At { value: true, span }) => {
                self.not_supported(span, "services with `wait = yes`");
            }
            Some(_) => {}
        }
        for at in &draft.types {
            let what = match at.value {
                ServiceType::Rpc => "RPC services",
                ServiceType::Internal => "internal services",
                ServiceType::Tcpmux | ServiceType::TcpmuxPlus => "services behind tcpmux",
                ServiceType::Unlisted | ServiceType::Special => continue,
            };
            self.not_supported(at.span, what);
        }
        for (flag, what) in [(Flag::Sensor, "SENSOR services"), (Flag::Labeled, "labeled services")]
        {
            if let Some(span) = draft.flag(flag) {
                self.not_supported(span, what);
            }
        }
    }

    fn not_supported(&mut self, span: Span, what: &str) {
        let message = format!(
            "{what} are not supported yet; this entry of `{}` is left out",
            self.name.text()
        );
        self.notes.push(Diagnostic::error(code::NOT_SUPPORTED, span, message));
    }

    /// CHK-2; nothing is said about an attribute whose value was refused.
    fn missing(&mut self, attribute: &str) {
        if self.draft.refused.contains(&attribute) {
            return;
        }
        let name = self.name.text();
        let form = attr::named(attribute).map_or("", |row| row.form);
        let legacy = match attribute {
            "server" => format!("Must specify a server in {name}"),
            "port" => format!("Unlisted service: {name} must have a port entry"),
            _ => format!("Service {} missing attribute {attribute} - DISABLING", self.id),
        };
        let message = format!("service `{name}` has no `{attribute}`");
        let note = Diagnostic::error(code::MISSING_ATTRIBUTE, self.name.span, message)
            .help(format!("add `{attribute} = {form}`"))
            .legacy(legacy);
        self.notes.push(note);
    }

    /// PORT-1 to PORT-3
    fn port(&mut self, protocol: &Protocol) -> Option<u16> {
        let draft = self.draft;
        let given = draft.port;
        let portless = [ServiceType::Rpc, ServiceType::Tcpmux, ServiceType::TcpmuxPlus];
        let refused = |name| draft.refused.contains(&name);
        if portless.into_iter().any(|kind| draft.is(kind)) || refused("type") || refused("port") {
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
        let listed = listed.or_else(|| known().filter(|_| protocol.number == Protocol::TCP));
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

    /// PORT-1
    fn unknown_service(&self, protocol: &Protocol, port: Option<u16>) -> Diagnostic {
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

    /// BIND-1 to BIND-7
    fn socket(&mut self, port: u16) -> Option<SocketKey> {
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
                let first = at.value.iter().find(|one| one.is_ipv6()).or(at.value.first());
                *first?
            }
        };
        address.set_port(port);
        let v6only = draft.v6only.or(self.defaults.draft.v6only) == Some(true) && address.is_ipv6();
        let any_family = bind.is_none() && v4.is_none() && v6.is_none() && !v6only;
        Some(SocketKey { address, v6only, any_family })
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
                .help("remove the flag, or bind to an address of that family");
            self.notes.push(note);
        }
        found
    }

    /// SRV-3, SRV-4; ATTR-49: the flag may stand before or after the words.
    fn program(&mut self) -> Option<Program> {
        let draft = self.draft;
        let words = draft.server_args.iter().cloned();
        if let Some(span) = draft.flag(Flag::NameInArgs)
            && draft.server_args.is_empty()
            && !draft.refused.contains(&"server_args")
        {
            let message = "NAMEINARGS needs `server_args`: their first word is the name";
            let legacy =
                format!("Service {} has NAMEINARGS flag set and no server_args", self.name.text());
            self.notes.push(Diagnostic::error(code::NEEDS_ANOTHER, span, message).legacy(legacy));
        }
        let Some(path) = draft.server.clone() else {
            if !draft.is(ServiceType::Internal) {
                self.missing("server");
            }
            return None;
        };
        let argv: Vec<OsString> = if draft.flag(Flag::NameInArgs).is_some() {
            words.collect()
        } else {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
            std::iter::once(name).chain(words).collect()
        };
        Some(Program { path, argv })
    }

    /// SRV-12, SRV-13
    fn credentials(&mut self) -> Option<Credentials> {
        let draft = self.draft;
        let wanted = draft.groups.or(self.defaults.draft.groups) == Some(true);
        let Some(account) = &draft.user else {
            if !draft.is(ServiceType::Internal) {
                self.missing("user");
            }
            return None;
        };
        Some(match account {
            Account::Known(user) => Credentials {
                uid: user.uid,
                gid: draft.group.unwrap_or(user.gid),
                groups: match wanted {
                    true => Groups::List(self.lookup.groups_of(user, user.gid)),
                    false => Groups::None,
                },
            },
            Account::Number(number) => Credentials {
                uid: *number,
                gid: draft.group.unwrap_or(*number),
                groups: if wanted { Groups::Unknown } else { Groups::None },
            },
        })
    }

    /// SRV-5 to SRV-7
    fn env(&self) -> EnvPlan {
        let inherited = self.defaults.draft.passenv.apply(None);
        let passed = self.draft.passenv.apply(inherited.as_deref());
        EnvPlan {
            passed: passed.map_or(Passed::All, Passed::Only),
            set: self.draft.env.apply(None).unwrap_or_default(),
        }
    }

    fn policy(&self) -> Policy {
        let (draft, defaults) = (self.draft, &self.defaults.draft);
        Policy {
            instances: draft.instances.or(defaults.instances).unwrap_or_default(),
            per_source: draft.per_source.or(defaults.per_source).unwrap_or_default(),
            rate: draft.rate.or(defaults.rate).unwrap_or_default(),
            only_from: access(&draft.only_from, &defaults.only_from, &self.defaults.only_from),
            no_access: access(&draft.no_access, &defaults.no_access, &self.defaults.no_access),
        }
    }

    /// DEF-17
    fn banners(&self) -> Banners {
        let (draft, defaults) = (self.draft, &self.defaults.draft);
        Banners {
            always: draft.banner.as_ref().or(defaults.banner.as_ref()).cloned(),
            success: draft.banner_success.as_ref().or(defaults.banner_success.as_ref()).cloned(),
            fail: draft.banner_fail.as_ref().or(defaults.banner_fail.as_ref()).cloned(),
        }
    }

    /// DEF-14, DEF-18, CHK-13
    fn log(&mut self) -> LogWishes {
        let (draft, defaults) = (self.draft, &self.defaults.draft);
        let on_success = draft.on_success.apply(self.defaults.on_success.as_deref());
        let on_failure = draft.on_failure.apply(defaults.on_failure.apply(None).as_deref());
        if on_success.iter().flatten().any(|field| *field == LogField::Traffic) {
            let span = draft.place("log_on_success").unwrap_or(self.name.span);
            let message = "TRAFFIC can be logged only for services with `redirect`";
            let legacy = format!(
                "Service {} should not have TRAFFIC flag set since its not redirected",
                self.name.text()
            );
            self.notes.push(Diagnostic::error(code::NEEDS_ANOTHER, span, message).legacy(legacy));
        }
        let inherited =
            if defaults.log_type.is_some() { LogTarget::Common } else { LogTarget::None };
        let set = |fields: Option<Vec<LogField>>| {
            fields.into_iter().flatten().fold(LogFields::default(), LogFields::with)
        };
        LogWishes {
            target: draft.log_type.clone().unwrap_or(inherited),
            on_success: set(on_success),
            on_failure: set(on_failure),
        }
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

/// DEF-15; the list of `defaults` is compiled once for all who only inherit it.
fn access(
    own: &Edits<addr::AddrPattern>,
    defaults: &Edits<addr::AddrPattern>,
    compiled: &Option<AccessList>,
) -> Option<AccessList> {
    if own.is_empty() {
        return compiled.clone();
    }
    own.apply(defaults.apply(None).as_deref()).map(|list| addr::compile(&list))
}
