//! What a child has to tell rpcbind(8), as words of its command line, and what came of it, as
//! its exit status.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::fd::RawFd;

/// The private first argument that makes the program a child that talks to rpcbind(8). Its
/// errands follow.
pub const RPCBIND_ARGUMENT: &str = "--rpcbind";

/// Where such a child finds its connection.
pub const RPCBIND_CONNECTION: RawFd = crate::ipc::ENGINE_CHANNEL;

/// One thing to be told about one program, for each of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    pub deed: Deed,
    pub program: u32,
    pub versions: RangeInclusive<u32>,
    /// The transport in the words of netconfig(5): `tcp`, `udp`, `tcp6`, `udp6`.
    pub netid: String,
    /// The universal address (RFC 5665, 5.2.3).
    pub address: String,
}

/// The procedures of rpcbind that change something (RFC 1833, 2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Set,
    Unset,
}

impl Errand {
    /// The errand that `word` is.
    #[must_use]
    pub fn parse(word: &OsStr) -> Option<Self> {
        let mut parts = word.to_str()?.split('/');
        let deed = match parts.next()? {
            "set" => Deed::Set,
            "unset" => Deed::Unset,
            _ => return None,
        };
        let program = parts.next()?.parse().ok()?;
        let (first, last) = parts.next()?.split_once('-')?;
        let versions = first.parse().ok()?..=last.parse().ok()?;
        let (netid, address) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        parts.next().is_none().then_some(Self { deed, program, versions, netid, address })
    }
}

impl fmt::Display for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deed = match self.deed {
            Deed::Set => "set",
            Deed::Unset => "unset",
        };
        let (first, last) = (self.versions.start(), self.versions.end());
        write!(f, "{deed}/{}/{first}-{last}/{}/{}", self.program, self.netid, self.address)
    }
}

/// An address with its port, as rpcbind wants it: the two bytes of the port behind dots.
#[must_use]
pub fn universal(address: SocketAddr) -> String {
    let [high, low] = address.port().to_be_bytes();
    format!("{}.{high}.{low}", address.ip())
}

/// What came of the errands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All has been told, and nothing was refused.
    Done,
    /// Some versions were refused.
    Partly,
    /// All versions were refused.
    Refused,
    /// There is no connection, or not any more.
    Unreachable,
    /// An answer was none that rpcbind gives.
    Nonsense,
}

impl Outcome {
    /// All of them, each with its exit status. 1 to 3 mean other things: a child that could not
    /// become what it should be, bad usage, a broken promise.
    const STATUSES: [(Self, u8); 5] = [
        (Self::Done, 0),
        (Self::Partly, 4),
        (Self::Refused, 5),
        (Self::Unreachable, 6),
        (Self::Nonsense, 7),
    ];

    /// The exit status that says so.
    #[must_use]
    pub fn status(self) -> u8 {
        Self::STATUSES.iter().find(|(outcome, _)| *outcome == self).map_or(1, |(_, status)| *status)
    }

    /// What an exit status says.
    #[must_use]
    pub fn of_status(status: i32) -> Option<Self> {
        let found = Self::STATUSES.iter().find(|(_, known)| i32::from(*known) == status);
        found.map(|(outcome, _)| *outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errand_survives_the_command_line() {
        for (deed, address) in [(Deed::Set, "[::1]:65535"), (Deed::Unset, "127.0.0.1:111")] {
            let address = universal(address.parse().unwrap());
            let netid = "udp6".to_owned();
            let errand = Errand { deed, program: u32::MAX, versions: 1..=4, netid, address };
            assert_eq!(Errand::parse(OsStr::new(&errand.to_string())), Some(errand));
        }
        for word in ["", "set", "set/1/1/tcp/0.0.0.0.1.1", "get/1/1-1/tcp/x", "set/1/1-1/tcp/x/y"] {
            assert_eq!(Errand::parse(OsStr::new(word)), None, "{word}");
        }
    }

    #[test]
    fn an_address_is_written_as_rfc_5665_says() {
        assert_eq!(universal("0.0.0.0:2049".parse().unwrap()), "0.0.0.0.8.1");
        assert_eq!(universal("[::]:111".parse().unwrap()), "::.0.111");
    }

    #[test]
    fn an_outcome_survives_the_exit_status() {
        for (outcome, _) in Outcome::STATUSES {
            assert_eq!(Outcome::of_status(outcome.status().into()), Some(outcome));
        }
        assert_eq!(Outcome::of_status(1), None, "a child that never talked");
    }
}
