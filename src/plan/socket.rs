//! A listening socket: its kind, its address, and what it shares with others.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::plan::{Protocol, SocketType};

/// Names a listening socket between monitor and engine. Given once, kept over reloads, never
/// reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SocketIndex(pub u32);

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// `[::]` without `v6only` serves IPv4 too (BIND-1).
    Ip(SocketAddr),
    /// A file of unix(7), or a name without one (Linux), which begins with `@`.
    Unix(PathBuf),
}

impl Address {
    /// The address and port, if it is one of IP.
    #[must_use]
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The file of a socket that has one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) if path.is_absolute() => Some(path),
            Self::Unix(_) | Self::Ip(_) => None,
        }
    }

    /// The port; 0 where there is none, or the system is to choose one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ip().map_or(0, |address| address.port())
    }

    /// Whether it stands for all addresses of the machine.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        self.ip().is_some_and(|address| address.ip().is_unspecified())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

/// What makes a listening socket the same socket: two services may not share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketKey {
    pub socket_type: SocketType,
    pub protocol: Protocol,
    pub address: Address,
    /// Servers get the socket itself, and so it is a blocking one (WAIT-1).
    pub is_lent: bool,
    pub v6only: bool,
    /// No `bind` was given: where IPv6 does not exist, `0.0.0.0` will do (BIND-1).
    pub any_family: bool,
}

impl SocketKey {
    /// Whether a listening socket for one serves the other: type, protocol, address,
    /// family, `v6only` (RELOAD-7, RELOAD-8).
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// The key without what makes no difference to [`is_same`](Self::is_same).
    #[must_use]
    pub fn identity(&self) -> Self {
        Self { any_family: false, ..self.clone() }
    }
}

impl fmt::Display for SocketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Ip(address) => write!(f, "{address}/{}", self.protocol),
            address @ Address::Unix(_) => write!(f, "{address}"),
        }
    }
}
