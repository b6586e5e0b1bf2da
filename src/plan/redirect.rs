//! Where `redirect` passes connections on to.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The value of `redirect`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Redirect {
    /// `HOST PORT` (ATTR-50)
    Host {
        /// As written: a name may have other addresses when a connection comes.
        name: String,
        port: u16,
        /// What the name had when the file was read, each with the port; never empty.
        addresses: Vec<SocketAddr>,
    },
    /// `unix:PATH`, an absolute path; an extension.
    Unix(PathBuf),
}

impl Redirect {
    /// Whether there is a name that may have other addresses by now.
    #[must_use]
    pub fn has_name(&self) -> bool {
        match self {
            Self::Host { name, .. } => name.parse::<IpAddr>().is_err(),
            Self::Unix(_) => false,
        }
    }
}

/// As in the file.
impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { name, port, .. } => write!(f, "{name} {port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
