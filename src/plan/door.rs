//! The engine's half of a service: whom to let in, and nothing about what is started.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::plan::{
    Action, DenyTime, Internal, Libwrap, LogField, LogFields, LogTarget, Mux, Policy, Redirect,
    Service, ServiceId, SocketIndex, SocketType,
};

/// Names a service between monitor and engine. Given once, kept over reloads, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceIndex(pub u32);

impl fmt::Display for ServiceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What the engine must know to guard the listening sockets of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    pub index: ServiceIndex,
    pub id: ServiceId,
    /// All that it has, in any order.
    pub sockets: Vec<SocketIndex>,
    /// Whether connections come to it or datagrams.
    pub socket_type: SocketType,
    pub policy: Policy,
    pub duty: Duty,
    /// The name that hosts.allow and hosts.deny know the service by; `None`: they are not
    /// asked (WRAP-1).
    pub wrap: Option<String>,
    pub ident: Ident,
    pub banners: DoorBanners,
    /// It is behind tcpmux, and has no socket.
    pub behind: Option<Behind>,
    /// Somebody reads about refusals: report each one.
    pub reports_refusals: bool,
    /// Somebody reads about clients that are answered without a session.
    pub reports_answers: bool,
}

/// What the engine does with a client that is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Duty {
    /// It orders a server, and hands the client over.
    HandOver,
    /// It orders a server for the socket itself, and leaves that alone until the server ends
    /// (WAIT-1).
    Wait,
    /// It serves the client itself (INTL-1).
    Answer(Internal),
    /// It replies to each datagram itself (INTL-6).
    Reply(Internal),
    /// It passes the client's bytes on (REDIR-1).
    Relay(Relay),
    /// It passes the client's datagrams on; an extension.
    Forward(Redirect),
    /// Nobody is let in, and who comes is locked out of everything (SENS-1).
    LockOut(DenyTime),
}

/// What the engine must know to pass a client on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    pub to: Redirect,
    /// `flags = KEEPALIVE`, for the connection to the target, too (REDIR-1).
    pub keepalive: bool,
}

/// How clients of tcpmux come to a service (MUX-1, MUX-2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// What they ask for, in any case.
    pub name: String,
    pub mux: Mux,
}

/// When the client's host is asked whose connection it is (RFC 1413).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ident {
    /// Before the server starts: USERID in `log_on_success` (IDENT-1).
    pub on_success: bool,
    /// When a limit refuses: USERID in `log_on_failure` (IDENT-6).
    pub on_failure: bool,
    /// Who is not named is refused: `flags = IDONLY` (IDENT-4).
    pub is_required: bool,
}

/// Which banners a service has; their paths stay with the monitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorBanners {
    pub always: bool,
    pub success: bool,
    pub fail: bool,
}

impl Duty {
    /// Whether clients stay, and are counted as long as they do (LIM-2).
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::HandOver | Self::Wait | Self::Relay(_) | Self::Forward(_) => true,
            Self::Answer(service) => !service.is_brief(),
            Self::Reply(_) => false,
            Self::LockOut(_) => false,
        }
    }

    /// Whether each has a connection that stays with the engine.
    #[must_use]
    pub const fn keeps_connections(&self) -> bool {
        self.is_lasting() && !matches!(self, Self::HandOver | Self::Wait | Self::Forward(_))
    }
}

impl Door {
    /// The engine's view of `service`, which listens on `sockets`.
    #[must_use]
    pub fn of(index: ServiceIndex, service: &Service, sockets: Vec<SocketIndex>) -> Self {
        let is_dgram = service.socket_type == SocketType::Dgram;
        let duty = match &service.action {
            Action::Sensor { deny, .. } => Duty::LockOut(*deny),
            Action::Internal { service, .. } if is_dgram => Duty::Reply(*service),
            Action::Internal { service, .. } => Duty::Answer(*service),
            Action::Redirect { target, .. } if is_dgram => Duty::Forward(target.clone()),
            Action::Redirect { target, .. } => {
                let (to, keepalive) = (target.clone(), service.options.keepalive);
                Duty::Relay(Relay { to, keepalive })
            }
            Action::Start { .. } if service.lends_its_socket() => Duty::Wait,
            Action::Start { .. } => Duty::HandOver,
        };
        let is_logged = service.log.target != LogTarget::None;
        // IDENT-1, IDENT-7
        let has_clients = duty.is_lasting() && duty != Duty::Wait && !is_dgram;
        let asks = |wishes: LogFields| has_clients && wishes.has(LogField::UserId);
        Self {
            index,
            id: service.id.clone(),
            sockets,
            socket_type: service.socket_type,
            policy: service.policy.clone(),
            wrap: match &service.libwrap {
                Libwrap::Off => None,
                Libwrap::Daemon(name) => Some(name.clone()),
            },
            ident: Ident {
                on_success: asks(service.log.on_success),
                on_failure: asks(service.log.on_failure),
                is_required: service.id_only,
            },
            banners: DoorBanners {
                always: service.banners.always.is_some(),
                success: service.banners.success.is_some(),
                fail: service.banners.fail.is_some(),
            },
            behind: service.mux.map(|mux| Behind { name: service.name.clone(), mux }),
            reports_refusals: is_logged && !service.log.on_failure.is_empty(),
            reports_answers: is_logged && !service.log.on_success.is_empty(),
            duty,
        }
    }
}
