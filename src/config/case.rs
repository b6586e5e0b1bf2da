//! One draft and the defaults into a service, with everything that must hold inside it.

mod action;
mod kind;
mod port;
mod socket;
mod unix;
mod wait;

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::config::ast::Word;
use crate::config::case::socket::Transport;
use crate::config::draft::{Draft, Edits};
use crate::config::lookup::Lookup;
use crate::config::resolve::Defaults;
use crate::config::value::{Flag, ServiceType};
use crate::config::{addr, attr, code};
use crate::diag::Diagnostic;
use crate::plan::{
    AccessList, Banners, EnvPlan, LogField, LogFields, LogTarget, LogWishes, Origin, Passed, Place,
    Policy, Protocol, Service, ServiceId, SocketOptions, Wait,
};

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
        let transport = self.transport();
        let wait = self.wait();
        let port = transport.as_ref().and_then(|transport| self.port(&transport.protocol));
        let sockets = self.sockets(transport.as_ref(), port.unwrap_or_default());
        if let (Some(transport), Some(wait)) = (&transport, wait) {
            self.fits_together(transport, wait);
        }
        self.unix_fits(sockets.as_deref().unwrap_or_default());
        let (rpc, mux) = (self.rpc(), self.mux());
        let action = self.action(transport.as_ref());
        let log = self.log(transport.as_ref(), port);
        let draft = self.draft;
        (port.is_some() || self.needs_no_port()).then_some(())?;
        let mut service = Service {
            id: ServiceId(self.id.clone()),
            name: self.name.text().into_owned(),
            declared_at: self.place.clone(),
            origin: if draft.is(ServiceType::Unlisted) { Origin::Unlisted } else { Origin::Listed },
            socket_type: transport.as_ref()?.socket_type,
            protocol: transport.as_ref()?.protocol.number,
            sockets: sockets?,
            options: SocketOptions {
                nodelay: draft.flag(Flag::NoDelay).is_some(),
                keepalive: draft.flag(Flag::KeepAlive).is_some(),
                file: self.file_access(),
            },
            wait: match (wait? && !self.is_behind_tcpmux(), draft.flag(Flag::Intercept)) {
                (false, _) => Wait::No,
                (true, None) => Wait::Yes,
                (true, Some(_)) => Wait::Intercepted,
            },
            action: action?,
            rpc,
            mux,
            id_only: draft.flag(Flag::IdOnly).is_some(),
            retry: draft.flag(Flag::NoRetry).is_none(),
            libwrap: self.libwrap(),
            env: self.env(),
            stderr: draft.stderr.or(self.defaults.draft.stderr).unwrap_or_default(),
            nice: draft.nice,
            umask: draft.umask.or(self.defaults.draft.umask),
            rlimits: draft.rlimits.clone(),
            policy: self.policy(),
            banners: self.banners(),
            log,
        };
        let is_lent = service.lends_its_socket();
        service.sockets.iter_mut().for_each(|socket| socket.is_lent = is_lent);
        self.is_out_of_sight(&service);
        Some(service)
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

    /// SRV-5 to SRV-7
    fn env(&self) -> EnvPlan {
        let inherited = self.defaults.draft.passenv.apply(None);
        let passed = self.draft.passenv.apply(inherited.as_deref());
        EnvPlan {
            passed: passed.map_or(Passed::All, Passed::Only),
            set: self.draft.env.apply(None).unwrap_or_default(),
            tells_ends: self.draft.peer_env.or(self.defaults.draft.peer_env) != Some(false),
        }
    }

    fn policy(&self) -> Policy {
        let (draft, defaults) = (self.draft, &self.defaults.draft);
        Policy {
            instances: draft.instances.or(defaults.instances).unwrap_or_default(),
            per_source: draft.per_source.or(defaults.per_source).unwrap_or_default(),
            rate: draft.rate.or(defaults.rate).unwrap_or_default(),
            rate_action: draft.rate_action.or(defaults.rate_action).unwrap_or_default(),
            source_prefix: draft.source_prefix.or(defaults.source_prefix).unwrap_or_default(),
            max_load: draft.max_load.or(defaults.max_load),
            hours: draft.hours.clone().unwrap_or_default(),
            only_from: if self.is_listing() && draft.only_from.is_empty() {
                Some(loopback())
            } else {
                access(&draft.only_from, &defaults.only_from, &self.defaults.only_from)
            },
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

    /// DEF-14, DEF-18
    fn log(&mut self, transport: Option<&Transport>, port: Option<u16>) -> LogWishes {
        let (draft, defaults) = (self.draft, &self.defaults.draft);
        let on_success = draft.on_success.apply(defaults.on_success.apply(None).as_deref());
        let on_failure = draft.on_failure.apply(defaults.on_failure.apply(None).as_deref());
        let set = |fields: Option<Vec<LogField>>| {
            fields.into_iter().flatten().fold(LogFields::default(), LogFields::with)
        };
        const IDENT: u16 = 113; // RFC 1413
        let is_ident = port == Some(IDENT)
            && transport.is_some_and(|transport| transport.protocol.number == Protocol::TCP);
        let on_success = self.without_traffic(set(on_success));
        let on_success = self.without_ident(on_success, is_ident);
        self.is_named(on_success);
        let on_failure = self.without_ident(set(on_failure), is_ident);
        let inherited =
            if defaults.log_type.is_some() { LogTarget::Common } else { LogTarget::None };
        LogWishes { target: draft.log_type.clone().unwrap_or(inherited), on_success, on_failure }
    }

    /// CHK-13, but TRAFFIC from `defaults` is ignored where nothing can be counted (DEF-11).
    fn without_traffic(&mut self, fields: LogFields) -> LogFields {
        if !fields.has(LogField::Traffic) || self.draft.is_redirected() {
            return fields;
        }
        let own = self.draft.on_success.mentions(&LogField::Traffic);
        let note = match self.draft.place("log_on_success").filter(|_| own) {
            Some(span) => {
                let message = "TRAFFIC can be logged only for services with `redirect`";
                Diagnostic::error(code::NEEDS_ANOTHER, span, message).legacy(format!(
                    "Service {} should not have TRAFFIC flag set since its not redirected",
                    self.name.text()
                ))
            }
            None => {
                let deed = "leaves the service out, because `defaults` asks for TRAFFIC";
                Diagnostic::difference("DEF-11", self.name.span, deed)
            }
        };
        self.notes.push(note);
        fields.without(LogField::Traffic)
    }

    /// IDENT-5
    fn is_named(&mut self, on_success: LogFields) {
        let Some(span) = self.draft.flag(Flag::IdOnly) else { return };
        if !on_success.has(LogField::UserId) {
            let message = "IDONLY is NOT in force: nobody is asked without USERID";
            let note = Diagnostic::warning(code::NO_EFFECT, span, message)
                .help("write `log_on_success += USERID`");
            self.notes.push(note.not_in_force(Some("IDONLY")));
        }
    }

    /// CHK-15: to ask whoever asks us would never end.
    fn without_ident(&mut self, fields: LogFields, is_ident: bool) -> LogFields {
        if !is_ident || !fields.has(LogField::UserId) {
            return fields;
        }
        let message = "USERID is ignored: this service is the one that would be asked";
        let note = Diagnostic::warning(code::NO_EFFECT, self.name.span, message).legacy(format!(
            "{} service: clearing USERID option from log_on_success",
            self.name.text()
        ));
        self.notes.push(note);
        fields.without(LogField::UserId)
    }
}

/// This machine alone: who may ask what the daemon does, unless the entry itself says more.
fn loopback() -> AccessList {
    let v4 = (Ipv4Addr::new(127, 0, 0, 0), Ipv4Addr::new(127, 255, 255, 255));
    AccessList::new([v4], [(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST)])
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
