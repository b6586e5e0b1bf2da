//! Why a client is turned away.

use std::fmt;

/// Why a client was turned away, in the old words of the FAIL line (LOG-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// `only_from`, `no_access`
    Address,
    /// The server could not be forked.
    Fork,
    /// `instances`
    ServiceLimit,
    /// `per_source`
    PerSourceLimit,
    /// `-limit`
    ProcessLimit,
    /// `cps`
    Cps,
    /// `max_load`
    Load,
    /// `access_times`
    Time,
    /// hosts.allow, hosts.deny
    Libwrap,
}

impl Denial {
    /// All of them, in the order of their numbers on the wire.
    pub const ALL: [Self; 9] = [
        Self::Address,
        Self::Fork,
        Self::ServiceLimit,
        Self::PerSourceLimit,
        Self::ProcessLimit,
        Self::Cps,
        Self::Load,
        Self::Time,
        Self::Libwrap,
    ];
}

/// Why nobody is named for a connection, in the old words of the NOID line (IDENT-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoId {
    NoServer,
    Timeout,
    SystemError,
    NotReceived,
    BadResponse,
}

impl NoId {
    /// All of them, in the order of their numbers on the wire.
    pub const ALL: [Self; 5] =
        [Self::NoServer, Self::Timeout, Self::SystemError, Self::NotReceived, Self::BadResponse];
}

impl fmt::Display for NoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoServer => "no server",
            Self::Timeout => "timeout",
            Self::SystemError => "system error",
            Self::NotReceived => "error while receiving response",
            Self::BadResponse => "bad response",
        })
    }
}

impl Denial {
    /// Whether the daemon itself refused, before it looked who the client is: only then its
    /// host is asked for a user (IDENT-6).
    #[must_use]
    pub const fn is_by_limits(self) -> bool {
        match self {
            Self::ServiceLimit
            | Self::PerSourceLimit
            | Self::ProcessLimit
            | Self::Cps
            | Self::Load
            | Self::Time => true,
            Self::Address | Self::Fork | Self::Libwrap => false,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Fork => "fork",
            Self::ServiceLimit => "service_limit",
            Self::PerSourceLimit => "per_source_limit",
            Self::ProcessLimit => "process_limit",
            Self::Cps => "connections per second",
            Self::Load => "load",
            Self::Time => "time",
            Self::Libwrap => "libwrap",
        })
    }
}
