//! What a server is told about its connection: `REMOTE_HOST`, and with `peer_env` both ends.

use std::ffi::OsStr;
use std::net::SocketAddr;

use crate::plan::Address;
use crate::plan::EnvPlan;
use crate::plan::Protocol;
use crate::plan::SocketKey;
use crate::plan::Source;
use crate::sys::socket::Process;
use crate::sys::variables::Variables;

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Tcp,
    Udp,
    Unix,
}

impl Over {
    /// By a socket of this kind, for as many as are offered.
    #[must_use]
    pub(super) const fn of(key: &SocketKey) -> Self {
        match (&key.address, key.protocol) {
            (Address::Unix(_), _) => Self::Unix,
            (Address::Ip(_), Protocol::UDP) => Self::Udp,
            (Address::Ip(_), Protocol(_)) => Self::Tcp,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Unix => "UNIX",
        }
    }
}

/// A fact about a connection that a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Protocol,
    RemoteAddress,
    RemotePort,
    LocalAddress,
    LocalPort,
    RemoteUser,
    RemoteGroup,
    RemoteProcess,
}

/// The variables of UCSPI (ucspi-tcp(1), the UNIX protocol of ucspi-unix) and of
/// systemd.exec(5). Whom a datagram came from only its server can tell.
const TABLE: [(Over, &str, Fact); 14] = [
    (Over::Tcp, "PROTO", Fact::Protocol),
    (Over::Tcp, "TCPREMOTEIP", Fact::RemoteAddress),
    (Over::Tcp, "TCPREMOTEPORT", Fact::RemotePort),
    (Over::Tcp, "TCPLOCALIP", Fact::LocalAddress),
    (Over::Tcp, "TCPLOCALPORT", Fact::LocalPort),
    (Over::Tcp, "REMOTE_ADDR", Fact::RemoteAddress),
    (Over::Tcp, "REMOTE_PORT", Fact::RemotePort),
    (Over::Udp, "PROTO", Fact::Protocol),
    (Over::Udp, "UDPLOCALIP", Fact::LocalAddress),
    (Over::Udp, "UDPLOCALPORT", Fact::LocalPort),
    (Over::Unix, "PROTO", Fact::Protocol),
    (Over::Unix, "UNIXREMOTEEUID", Fact::RemoteUser),
    (Over::Unix, "UNIXREMOTEEGID", Fact::RemoteGroup),
    (Over::Unix, "UNIXREMOTEPID", Fact::RemoteProcess),
];

/// Whether a name is ours to set: none of them reaches a server from the daemon's environment.
#[must_use]
pub(super) fn is_ours(name: &OsStr) -> bool {
    let never_told = ["UDPREMOTEIP", "UDPREMOTEPORT"];
    TABLE.iter().map(|(_, told, _)| *told).chain(never_told).any(|told| name == told)
}

/// What the servers of one service are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told(Vec<(Over, &'static str, Fact)>);

impl Told {
    /// A line of `env` wins: the configuration is trusted, and older than these names.
    #[must_use]
    pub(super) fn new(env: &EnvPlan) -> Self {
        let is_set = |name: &str| env.set.iter().any(|(own, _)| own == name);
        let told = TABLE.into_iter().filter(|(_, name, _)| env.tells_ends && !is_set(name));
        Self(told.collect())
    }

    /// The variables of one server. What is not known is left out: the client's end where the
    /// connection is reset, and of a socket that listens; an address that means all.
    #[must_use]
    pub(super) fn about(&self, ends: &Ends) -> Variables {
        let mut variables = Variables::default();
        variables.set("REMOTE_HOST", ends.host);
        for (_, name, fact) in self.0.iter().filter(|(over, ..)| *over == ends.over) {
            match fact {
                Fact::Protocol => variables.set(name, ends.over.word()),
                Fact::RemoteAddress => set(&mut variables, name, ends.remote.map(|end| end.ip())),
                Fact::RemotePort => set(&mut variables, name, ends.remote.map(|end| end.port())),
                Fact::LocalAddress => {
                    let address = ends.local.map(|end| end.ip());
                    set(&mut variables, name, address.filter(|ip| !ip.is_unspecified()));
                }
                Fact::LocalPort => set(&mut variables, name, ends.local.map(|end| end.port())),
                Fact::RemoteUser => set(&mut variables, name, ends.process.map(|peer| peer.uid)),
                Fact::RemoteGroup => set(&mut variables, name, ends.process.map(|peer| peer.gid)),
                Fact::RemoteProcess => set(&mut variables, name, ends.process.map(|peer| peer.pid)),
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
    pub over: Over,
    /// For `REMOTE_HOST` (SRV-8).
    pub host: Source,
    /// As far as the kernel knows them, IPv4 as IPv4 (BIND-11).
    pub remote: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    /// Who connected to a socket of unix(7).
    pub process: Option<Process>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Ends = Ends {
        over: Over::Tcp,
        host: Source::Ip(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        remote: None,
        local: None,
        process: None,
    };

    fn told(env: &EnvPlan, ends: &Ends) -> Vec<String> {
        Told::new(env).about(ends).iter().collect()
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
    fn who_connected_on_this_machine_is_told_by_number() {
        let env = EnvPlan { tells_ends: true, ..EnvPlan::default() };
        let process = Some(Process { uid: 1000, gid: 100, pid: 7 });
        let ends = Ends { over: Over::Unix, host: Source::User(1000), process, ..OPEN };
        let wanted = [
            "REMOTE_HOST=unix:uid=1000",
            "PROTO=UNIX",
            "UNIXREMOTEEUID=1000",
            "UNIXREMOTEEGID=100",
            "UNIXREMOTEPID=7",
        ];
        assert_eq!(told(&env, &ends), wanted);
    }
}
