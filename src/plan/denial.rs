//! Why a client is turned away.

use std::fmt;

/// Why a client was turned away, in the old words of the FAIL line (LOG-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
