//! The daemon, as its control socket tells of it.

use std::net::{IpAddr, SocketAddr};

use crate::control::{Answer, Command, Service, Session};
use crate::ctl::live::{self, Unanswered};

use super::inet::Transport;

/// A running daemon, as far as its sockets can be told by it.
#[derive(Clone, Debug, Default)]
pub(super) struct Daemon {
    pub monitor: u32,
    pub engine: Option<u32>,
    pub doors: Vec<Door>,
    pub targets: Vec<Target>,
    pub sessions: Vec<Session>,
}

/// Where a service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Door {
    pub service: String,
    pub at: At,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    Inet(Transport, SocketAddr),
    /// A path, or a name that begins with `@`.
    Unix(String),
}

/// Where a service passes its clients on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub service: String,
    pub transport: Transport,
    /// `None`: a name, which may have any address.
    pub host: Option<IpAddr>,
    pub port: u16,
}

/// Asks for the daemon's processes, where its services listen, and whom they serve.
///
/// # Errors
/// Without a daemon, or one that tells us nothing.
pub(super) fn ask(daemon: &live::Daemon) -> Result<Daemon, Unanswered> {
    let mut told = Daemon::default();
    daemon.ask(Command::Status, |answer| {
        if let Answer::Daemon(all) = &answer {
            told.monitor = all.pid.unsigned_abs();
            told.engine = all.engine.as_ref().map(|engine| engine.pid.unsigned_abs());
        }
        if let Answer::Service(service) = answer {
            told.targets.extend(target(&service));
            let places = service.addresses.iter().filter_map(|address| place(address));
            told.doors.extend(places.map(|at| Door { service: service.id.clone(), at }));
        }
    })?;
    told.sessions = daemon.sessions(Command::Sessions)?;
    Ok(told)
}

/// Such as `127.0.0.1:110/tcp` or `unix:/run/x`. Other protocols are not shown.
fn place(address: &str) -> Option<At> {
    if let Some(path) = address.strip_prefix("unix:") {
        return Some(At::Unix(path.to_owned()));
    }
    let (address, protocol) = address.rsplit_once('/')?;
    let transport = match protocol {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return None,
    };
    Some(At::Inet(transport, address.parse().ok()?))
}

/// Where a service passes its clients on to, if it does that by IP.
fn target(service: &Service) -> Option<Target> {
    let (host, port) = service.gives.strip_prefix("redirect ")?.rsplit_once(' ')?;
    let transport = match service.socket_type.as_str() {
        "dgram" => Transport::Udp,
        _ => Transport::Tcp,
    };
    let (host, port) = (host.parse().ok(), port.parse().ok()?);
    Some(Target { service: service.id.clone(), transport, host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_of_the_internet_or_a_path() {
        let inet = |transport, at: &str| Some(At::Inet(transport, at.parse().unwrap()));
        assert_eq!(place("127.0.0.1:110/tcp"), inet(Transport::Tcp, "127.0.0.1:110"));
        assert_eq!(place("[::]:69/udp"), inet(Transport::Udp, "[::]:69"));
        assert_eq!(place("unix:/run/a/b"), Some(At::Unix("/run/a/b".into())));
        assert_eq!(place("unix:@x"), Some(At::Unix("@x".into())));
        assert_eq!(place("127.0.0.1:110/sctp"), None);
    }
}
