//! What a server is told about its connection: `REMOTE_HOST`, and with `peer_env` both ends.

use std::net::SocketAddr;

use crate::plan::EnvPlan;
use crate::plan::Protocol;
use crate::plan::Source;
use crate::sys::variables::Variables;

/// A fact about a connection that a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Protocol,
    RemoteAddress,
    RemotePort,
    LocalAddress,
    LocalPort,
}

/// The variables of UCSPI over TCP (ucspi-tcp(1)) and of systemd.exec(5).
const OVER_TCP: [(&str, Fact); 7] = [
    ("PROTO", Fact::Protocol),
    ("TCPREMOTEIP", Fact::RemoteAddress),
    ("TCPREMOTEPORT", Fact::RemotePort),
    ("TCPLOCALIP", Fact::LocalAddress),
    ("TCPLOCALPORT", Fact::LocalPort),
    ("REMOTE_ADDR", Fact::RemoteAddress),
    ("REMOTE_PORT", Fact::RemotePort),
];

/// The same over UDP. Whom a datagram came from only its server can tell.
const OVER_UDP: [(&str, Fact); 3] = [
    ("PROTO", Fact::Protocol),
    ("UDPLOCALIP", Fact::LocalAddress),
    ("UDPLOCALPORT", Fact::LocalPort),
];

/// Names that are ours to set: none of them reaches a server from the daemon's environment.
pub(super) const NAMES: [&str; 11] = [
    "PROTO",
    "TCPREMOTEIP",
    "TCPREMOTEPORT",
    "TCPLOCALIP",
    "TCPLOCALPORT",
    "UDPREMOTEIP",
    "UDPREMOTEPORT",
    "UDPLOCALIP",
    "UDPLOCALPORT",
    "REMOTE_ADDR",
    "REMOTE_PORT",
];

/// What the servers of one service are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told(Vec<(&'static str, Fact)>);

impl Told {
    /// A line of `env` wins: the configuration is trusted, and older than these names.
    #[must_use]
    pub(super) fn new(env: &EnvPlan, protocol: Protocol) -> Self {
        let names = match protocol {
            _ if !env.tells_ends => &[][..],
            Protocol::TCP => &OVER_TCP[..],
            Protocol::UDP => &OVER_UDP[..],
            Protocol(_) => &[],
        };
        let is_set = |name: &str| env.set.iter().any(|(own, _)| own == name);
        Self(names.iter().copied().filter(|(name, _)| !is_set(name)).collect())
    }

    /// The variables of one server. What is not known is left out: the client's end where the
    /// connection is reset, and of a socket that listens; an address that means all.
    #[must_use]
    pub(super) fn about(&self, ends: &Ends) -> Variables {
        let mut variables = Variables::default();
        variables.set("REMOTE_HOST", ends.host);
        for (name, fact) in &self.0 {
            match fact {
                Fact::Protocol => variables.set(name, ends.protocol),
                Fact::RemoteAddress => set(&mut variables, name, ends.remote.map(|end| end.ip())),
                Fact::RemotePort => set(&mut variables, name, ends.remote.map(|end| end.port())),
                Fact::LocalAddress => {
                    let address = ends.local.map(|end| end.ip());
                    set(&mut variables, name, address.filter(|ip| !ip.is_unspecified()));
                }
                Fact::LocalPort => set(&mut variables, name, ends.local.map(|end| end.port())),
            }
        }
        variables
    }
}

fn set(variables: &mut Variables, name: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        variables.set(name, value);
    }
}

/// A connection, or the socket of a `wait = yes` service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// `TCP` or `UDP`
    pub protocol: &'static str,
    /// For `REMOTE_HOST` (SRV-8).
    pub host: Source,
    /// As far as the kernel knows them, IPv4 as IPv4 (BIND-11).
    pub remote: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Ends = Ends {
        protocol: "TCP",
        host: Source::Ip(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        remote: None,
        local: None,
    };

    fn told(env: &EnvPlan, ends: &Ends) -> Vec<String> {
        Told::new(env, Protocol::TCP).about(ends).iter().collect()
    }

    #[test]
    fn a_server_is_told_both_ends_of_its_connection() {
        let env = EnvPlan { tells_ends: true, ..EnvPlan::default() };
        let remote = Some("[2001:db8::1]:40000".parse().unwrap());
        let local = Some("[2001:db8::2]:110".parse().unwrap());
        assert_eq!(
            told(
                &env,
                &Ends { remote, local, host: Source::Ip("2001:db8::1".parse().unwrap()), ..OPEN }
            ),
            [
                "REMOTE_HOST=2001:db8::1",
                "PROTO=TCP",
                "TCPREMOTEIP=2001:db8::1",
                "TCPREMOTEPORT=40000",
                "TCPLOCALIP=2001:db8::2",
                "TCPLOCALPORT=110",
                "REMOTE_ADDR=2001:db8::1",
                "REMOTE_PORT=40000",
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let env = EnvPlan { tells_ends: true, ..EnvPlan::default() };
        let local = Some("[::]:110".parse().unwrap());
        let listening = Ends { host: Source::Unknown, local, ..OPEN };
        let wanted = ["REMOTE_HOST=<no address>", "PROTO=TCP", "TCPLOCALPORT=110"];
        assert_eq!(told(&env, &listening), wanted);
    }

    #[test]
    fn srv_5_without_peer_env_there_is_remote_host_alone() {
        let remote = Some("127.0.0.1:1".parse().unwrap());
        let ends = Ends { remote, local: remote, ..OPEN };
        assert_eq!(told(&EnvPlan::default(), &ends), ["REMOTE_HOST=127.0.0.1"]);
    }

    #[test]
    fn a_line_of_env_wins_except_over_remote_host() {
        let set = vec![("PROTO".into(), "https".into()), ("REMOTE_HOST".into(), "me".into())];
        let env = EnvPlan { tells_ends: true, set, ..EnvPlan::default() };
        assert_eq!(told(&env, &OPEN), ["REMOTE_HOST=127.0.0.1"]);
    }

    #[test]
    fn every_name_that_is_told_is_ours() {
        for (name, _) in OVER_TCP.iter().chain(&OVER_UDP) {
            assert!(NAMES.contains(name), "{name}");
        }
    }
}
