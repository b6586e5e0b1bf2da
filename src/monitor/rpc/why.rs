//! Why rpcbind(8) could not be told, in words.

use std::fmt;
use std::io;

use crate::ipc::Outcome;
use crate::monitor::rpc::connection::RPCBIND_SOCKET;
use crate::sys::process::End;

/// Why the versions of a service are not registered.
#[derive(Debug)]
pub(super) enum Why {
    /// Nobody could be asked: there is no connection, or no process.
    Unasked(io::Error),
    TooSlow,
    /// What the child has found.
    Found(Outcome),
    /// It found nothing.
    Ended(End),
}

impl Why {
    /// Whether rpcbind is away: then nobody can be told anything, and what has to be said all
    /// the same is said later.
    pub(super) const fn is_for_all(&self) -> bool {
        matches!(self, Self::Unasked(_) | Self::TooSlow | Self::Found(Outcome::Unreachable))
    }

    /// What helps a service that has been left out for it.
    pub(super) fn way_out(&self) -> &'static str {
        match self {
            Self::Unasked(cause) if is_absence(cause) => "; start it and reload",
            Self::Found(Outcome::Unreachable) => "; start it and reload",
            Self::Unasked(_) | Self::TooSlow => "; a reload tries again",
            Self::Found(_) | Self::Ended(_) => "",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unasked(cause) if is_absence(cause) => {
                write!(f, "rpcbind is not running ({RPCBIND_SOCKET}: {cause})")
            }
            Self::Unasked(cause) => {
                write!(f, "rpcbind cannot be asked ({cause})")
            }
            Self::TooSlow => f.write_str("rpcbind does not answer"),
            Self::Found(Outcome::Unreachable) => {
                f.write_str("rpcbind is not running or has hung up")
            }
            Self::Found(Outcome::Nonsense) => {
                f.write_str("what listens in the place of rpcbind does not answer as rpcbind does")
            }
            Self::Found(Outcome::Done | Outcome::Partly | Outcome::Refused) => {
                f.write_str("rpcbind refuses: another user has registered them")
            }
            Self::Ended(end) => write!(f, "the process that talks to rpcbind ended ({end})"),
        }
    }
}

/// Whether nobody listens, rather than that we could not ask.
fn is_absence(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
