//! Who asks: the word behind `from=`, and what limits count by.

use std::fmt;
use std::net::IpAddr;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An IPv4 client is an IPv4 address, however it is connected (BIND-11).
    Ip(IpAddr),
    /// A process of this machine, by its user's number (unix(7), SO_PEERCRED).
    User(u32),
    /// Nobody can say: the server accepts the connections itself (WAIT-6).
    Unknown,
}

impl Source {
    /// The address, where there is one.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address),
            Self::User(_) | Self::Unknown => None,
        }
    }
}

impl From<IpAddr> for Source {
    /// An IPv4 address in its mapped form is one (BIND-11).
    fn from(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
    }
}

impl fmt::Display for Source {
    /// As logs and REMOTE_HOST have it (SRV-8).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            // Nobody's address and no name of a host, whatever reads the log.
            Self::User(uid) => write!(f, "unix:uid={uid}"),
            Self::Unknown => f.write_str("<no address>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn srv_8_who_has_no_address_is_named_so() {
        assert_eq!(Source::from(IpAddr::from([192, 0, 2, 1])).to_string(), "192.0.2.1");
        let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped();
        assert_eq!(Source::from(IpAddr::V6(mapped)).to_string(), "192.0.2.1");
        assert_eq!(Source::Unknown.to_string(), "<no address>");
        assert_eq!(Source::User(1000).to_string(), "unix:uid=1000");
    }
}
