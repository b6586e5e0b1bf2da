//! What kind of service one is: its socket, and what becomes of a connection or datagram.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

use crate::plan::{Credentials, Program, Redirect};

/// `socket_type` (ATTR-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SocketType {
    Stream,
    Dgram,
    Raw,
    SeqPacket,
}

impl SocketType {
    /// Whether clients connect: it listens, and each of them has a socket of its own.
    #[must_use]
    pub const fn has_connections(self) -> bool {
        matches!(self, Self::Stream | Self::SeqPacket)
    }

    /// The word of xinetd.conf(5).
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Dgram => "dgram",
            Self::Raw => "raw",
            Self::SeqPacket => "seqpacket",
        }
    }
}

/// The number of a protocol in protocols(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub i32);

impl Protocol {
    /// What unix(7) has.
    pub const NONE: Self = Self(0);
    /// IPPROTO_TCP
    pub const TCP: Self = Self(6);
    /// IPPROTO_UDP
    pub const UDP: Self = Self(17);
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TCP => f.write_str("tcp"),
            Self::UDP => f.write_str("udp"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

/// Who accepts connections and reads datagrams: `wait`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// `no`: we do, and each has its own server.
    No,
    /// `yes`: the server, which gets the socket itself (WAIT-1).
    Yes,
    /// `yes` with `flags = INTERCEPT`: the server, for clients that we let through (INT-1).
    Intercepted,
}

/// What becomes of a connection or datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A server is started (SRV-1).
    Start { program: Program, credentials: Credentials },
    /// Its bytes are passed on to another host (REDIR-1). The user is required (CHK-20),
    /// and nothing runs as it.
    Redirect { target: Redirect, credentials: Credentials },
    /// It is answered by the daemon itself (INTL-1).
    Internal { service: Internal, credentials: Option<Credentials> },
    /// It is refused, and its sender locked out (SENS-1).
    Sensor { deny: DenyTime, credentials: Option<Credentials> },
}

impl Action {
    /// The program to start, and as whom; the other kinds have none.
    #[must_use]
    pub const fn start(&self) -> Option<(&Program, &Credentials)> {
        match self {
            Self::Start { program, credentials } => Some((program, credentials)),
            Self::Redirect { .. } | Self::Internal { .. } | Self::Sensor { .. } => None,
        }
    }

    /// Whether clients name another service here, behind it (MUX-1).
    #[must_use]
    pub const fn is_tcpmux(&self) -> bool {
        matches!(self, Self::Internal { service: Internal::Tcpmux, .. })
    }

    /// `user` and `group`, as far as they are given.
    #[must_use]
    pub const fn credentials(&self) -> Option<&Credentials> {
        match self {
            Self::Start { credentials, .. } | Self::Redirect { credentials, .. } => {
                Some(credentials)
            }
            Self::Internal { credentials, .. } | Self::Sensor { credentials, .. } => {
                credentials.as_ref()
            }
        }
    }
}

/// A service that the daemon has built in (INTL-1, MUX-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Internal {
    Echo,
    Discard,
    Chargen,
    Daytime,
    Time,
    /// RFC 1078
    Tcpmux,
    /// What is offered; gone from the original since 2.3.12 (CHK-7).
    Services,
    /// What runs; as `Services`.
    Servers,
}

impl Internal {
    /// All of them, by the name of the service (CHK-7).
    pub const ALL: [(&'static str, Self); 8] = [
        ("echo", Self::Echo),
        ("discard", Self::Discard),
        ("chargen", Self::Chargen),
        ("daytime", Self::Daytime),
        ("time", Self::Time),
        ("tcpmux", Self::Tcpmux),
        ("services", Self::Services),
        ("servers", Self::Servers),
    ];

    /// Whether it is for connections only.
    #[must_use]
    pub const fn needs_connection(self) -> bool {
        matches!(self, Self::Tcpmux | Self::Services | Self::Servers)
    }

    /// Whether it tells about the daemon, which is not everybody's business.
    #[must_use]
    pub const fn is_listing(self) -> bool {
        matches!(self, Self::Services | Self::Servers)
    }

    /// Whether a client over a connection gets one answer and no session (INTL-1): such clients
    /// are not counted (LIM-2) and nobody is asked about them (IDENT-7).
    #[must_use]
    pub const fn is_brief(self) -> bool {
        matches!(self, Self::Daytime | Self::Time)
    }
}

/// `deny_time`: how long a client that came to a sensor stays locked out (SENS-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DenyTime {
    /// It is logged and nothing more.
    #[default]
    Never,
    /// At least 1.
    Minutes(u32),
    /// Until the daemon ends.
    Forever,
}

impl fmt::Display for DenyTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("NEVER"),
            Self::Minutes(minutes) => write!(f, "{minutes}"),
            Self::Forever => f.write_str("FOREVER"),
        }
    }
}

/// What an RPC service registers with rpcbind(8) (RPC-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rpc {
    /// The program number.
    pub program: u32,
    pub versions: RangeInclusive<u32>,
}

impl fmt::Display for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.versions.start(), self.versions.end());
        match first == last {
            true => write!(f, "program {}, version {first}", self.program),
            false => write!(f, "program {}, versions {first} to {last}", self.program),
        }
    }
}

/// How a service behind tcpmux is entered (MUX-2); it has no socket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mux {
    /// `type = TCPMUX`: the server speaks first.
    Plain,
    /// `type = TCPMUXPLUS`: the daemon answers `+Go`.
    Plus,
}

/// Whether hosts.allow and hosts.deny decide, and by which name (WRAP-1, WRAP-2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Libwrap {
    /// `flags = NOLIBWRAP`, RPC over tcp (WRAP-4), inetd.conf (INETD-3).
    Off,
    /// The name of the daemon in those files.
    Daemon(String),
}
