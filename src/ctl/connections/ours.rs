//! Which sockets are the daemon's, and whose session each of them is.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::control::Session;

use super::daemon::{At, Daemon, Door, Target};
use super::host::Host;
use super::inet::{Inet, Transport};
use super::processes::{Process, Processes};
use super::unix::Unix;

/// What the report says of a socket beside what the kernel does.
#[derive(Debug, Default)]
pub(super) struct Owner<'r> {
    pub service: Option<&'r str>,
    /// Who has it; the first is the one to show.
    pub processes: Vec<&'r Process>,
    pub session: Option<&'r Session>,
    /// Of the session, else of that process.
    pub age: Option<Duration>,
}

/// What of the host is the daemon's.
#[derive(Debug)]
pub(super) struct Ours<'r> {
    processes: &'r Processes,
    /// The daemon's own two.
    own: HashSet<u32>,
    /// These and all their children, each with what it serves.
    family: HashMap<u32, Option<Served<'r>>>,
    /// Every place of the host that clients come to; `None`: it is not one of our services.
    listeners: HashMap<(Transport, SocketAddr), Option<&'r str>>,
    unix: HashMap<&'r str, &'r str>,
    /// `None`: two services go there.
    targets: HashMap<(Transport, Option<IpAddr>, u16), Option<&'r str>>,
    /// By the port of ours, and the client.
    sessions: HashMap<(u16, SocketAddr), &'r Session>,
}

/// What a process serves.
#[derive(Clone, Copy, Debug)]
struct Served<'r> {
    service: &'r str,
    session: Option<&'r Session>,
}

impl<'r> Ours<'r> {
    pub(super) fn new(daemon: &'r Daemon, host: &'r Host) -> Self {
        let Host { inet, unix, processes, .. } = host;
        let own = [Some(daemon.monitor), daemon.engine].into_iter().flatten().collect();
        let mut ours = Self {
            processes,
            own,
            family: HashMap::new(),
            listeners: HashMap::new(),
            unix: HashMap::new(),
            targets: HashMap::new(),
            sessions: daemon.sessions.iter().filter_map(by_client).collect(),
        };
        for socket in inet.iter().filter(|socket| socket.listens()) {
            ours.listeners.insert((socket.transport, socket.local), None);
        }
        for Door { service, at } in &daemon.doors {
            match at {
                At::Inet(transport, at) => {
                    ours.listeners.insert((*transport, *at), Some(service));
                }
                At::Unix(path) => {
                    ours.unix.insert(path, service);
                }
            }
        }
        for Target { service, transport, host, port } in &daemon.targets {
            let of_all = ours.targets.entry((*transport, *host, *port));
            of_all.and_modify(|service| *service = None).or_insert(Some(service));
        }
        let served = ours.served(daemon, inet, unix);
        let roots: Vec<u32> = ours.own.iter().copied().collect();
        ours.family = processes.family(&roots, |pid| served.get(&pid).copied());
        ours
    }

    /// What the servers serve: as the daemon says, else by the places of their sockets.
    fn served(&self, daemon: &'r Daemon, inet: &[Inet], unix: &[Unix]) -> HashMap<u32, Served<'r>> {
        let inet = inet.iter().filter_map(|socket| Some((socket.inode, self.door(socket)?)));
        let unix = unix.iter().filter_map(|socket| Some((socket.inode, self.path(socket)?)));
        let servers = daemon.sessions.iter().filter(|session| !session.in_engine);
        let of =
            |session: &'r Session| Served { service: &session.service, session: Some(session) };
        let mut served: HashMap<_, _> =
            servers.map(|session| (session.pid.unsigned_abs(), of(session))).collect();
        for (inode, service) in inet.chain(unix) {
            let holders = self.processes.holders(inode).map(|process| process.pid);
            for pid in holders.filter(|pid| !self.own.contains(pid)) {
                served.entry(pid).or_insert(Served { service, session: None });
            }
        }
        served
    }

    /// The service at whose address the near end of a socket is. As the kernel does it, a listener
    /// at just that address goes before one at any, and one of IPv6 takes what comes by IPv4.
    fn door(&self, socket: &Inet) -> Option<&'r str> {
        let (local, port) = (socket.local, socket.local.port());
        let any = |address: IpAddr| SocketAddr::new(address, port);
        let (any_v4, any_v6) =
            (any(Ipv4Addr::UNSPECIFIED.into()), any(Ipv6Addr::UNSPECIFIED.into()));
        let places = match local.is_ipv4() {
            true => [local, any_v4, any_v6],
            false => [local, any_v6, any_v6],
        };
        let at = |place| self.listeners.get(&(socket.transport, place)).copied();
        places.into_iter().find_map(at).flatten()
    }

    /// The service whose path a socket has.
    fn path(&self, socket: &Unix) -> Option<&'r str> {
        self.unix.get(socket.path.as_str()).copied()
    }

    /// The service that passes its clients on to where a socket of the engine's leads.
    fn passed_on(&self, socket: &Inet) -> Option<&'r str> {
        let far = canonical(socket.foreign);
        let to = |host| self.targets.get(&(socket.transport, host, far.port())).copied();
        to(Some(far.ip())).or_else(|| to(None)).flatten()
    }

    /// Whose `socket` is; `None`: it has nothing to do with the daemon.
    pub(super) fn inet(&self, socket: &Inet) -> Option<Owner<'r>> {
        let client = (socket.local.port(), canonical(socket.foreign));
        let session = self.sessions.get(&client).copied();
        let mut owner = self.owner(socket.inode, self.door(socket), session)?;
        owner.service = owner.service.or_else(|| self.passed_on(socket));
        // How old the daemon is says nothing about those it serves.
        let is_own = owner.processes.first().is_some_and(|first| self.own.contains(&first.pid));
        if is_own && session.is_none() && !socket.listens() {
            owner.age = None;
        }
        Some(owner)
    }

    /// As [`inet`](Self::inet).
    pub(super) fn unix(&self, socket: &Unix) -> Option<Owner<'r>> {
        self.owner(socket.inode, self.path(socket), None)
    }

    /// Whose a socket is that is at a service's `place`, or in the hands of the family. What a
    /// server serves goes before what is served at a place, and the `session` of its client first.
    fn owner(
        &self,
        inode: u64,
        place: Option<&'r str>,
        session: Option<&'r Session>,
    ) -> Option<Owner<'r>> {
        let mut owner = Owner::of(self.processes, inode);
        owner.prefer(session.map(|session| session.pid.unsigned_abs()));
        let pids = owner.processes.iter().map(|process| process.pid);
        let in_family: Vec<_> = pids.filter_map(|pid| self.family.get(&pid)).collect();
        let is_ours = place.is_some() || !in_family.is_empty();
        let by_first = in_family.first().copied().copied().flatten();
        owner.session = session.or(by_first.and_then(|served| served.session));
        let served = in_family.into_iter().flatten().next();
        owner.service = match owner.session {
            Some(session) => Some(&session.service),
            None => served.map(|served| served.service).or(place),
        };
        if let Some(session) = owner.session {
            owner.age = Some(Duration::from_secs(session.seconds));
        }
        is_ours.then_some(owner)
    }
}

impl<'r> Owner<'r> {
    /// Who has a socket.
    pub(super) fn of(processes: &'r Processes, inode: u64) -> Self {
        let processes: Vec<_> = processes.holders(inode).collect();
        let age = processes.first().map(|process| process.age);
        Self { processes, age, ..Self::default() }
    }

    /// Shows `pid` first, if it has the socket.
    fn prefer(&mut self, pid: Option<u32>) {
        let at = self.processes.iter().position(|process| Some(process.pid) == pid);
        if let Some(part) = at.and_then(|at| self.processes.get_mut(..=at)) {
            part.rotate_right(1);
        }
    }
}

/// A session by the port that its client came to, and the client.
fn by_client(session: &Session) -> Option<((u16, SocketAddr), &Session)> {
    let peer: IpAddr = session.peer.as_ref()?.parse().ok()?;
    let client = SocketAddr::new(peer.to_canonical(), session.peer_port?);
    Some(((session.port?, client), session))
}

/// An IPv4 address in its plain form, and no scope: as sessions and `redirect` name it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::connections::inet::tests::between;

    fn daemon() -> Daemon {
        let door = |service: &str, at| Door { service: service.into(), at };
        let inet = |transport, at: &str| At::Inet(transport, at.parse().unwrap());
        Daemon {
            monitor: 10,
            doors: vec![
                door("pop3", inet(Transport::Tcp, "0.0.0.0:110")),
                door("pop3-inside", inet(Transport::Tcp, "192.0.2.1:110")),
                door("imap", inet(Transport::Tcp, "[::]:143")),
                door("tftp", inet(Transport::Udp, "127.0.0.1:69")),
                door("local", At::Unix("@local".into())),
            ],
            sessions: vec![Session {
                id: 7,
                service: "behind-tcpmux".into(),
                peer: Some("192.0.2.9".into()),
                peer_port: Some(5000),
                port: Some(143),
                pid: 11,
                in_engine: true,
                started: 0,
                seconds: 5,
                is_ending: false,
            }],
            ..Daemon::default()
        }
    }

    #[test]
    fn the_near_end_says_which_service_it_is() {
        let daemon = daemon();
        let of_another = between(Transport::Tcp, "192.0.2.2:143", "0.0.0.0:0", 10);
        let host = Host { inet: vec![of_another], ..Host::default() };
        let ours = Ours::new(&daemon, &host);
        for (transport, local, service) in [
            (Transport::Tcp, "127.0.0.1:110", Some("pop3")),
            (Transport::Tcp, "192.0.2.1:110", Some("pop3-inside")),
            (Transport::Tcp, "[::ffff:192.0.2.1]:143", Some("imap")),
            (Transport::Tcp, "[2001:db8::1]:143", Some("imap")),
            (Transport::Tcp, "192.0.2.1:143", Some("imap")),
            (Transport::Tcp, "192.0.2.2:143", None),
            (Transport::Tcp, "[2001:db8::1]:110", None),
            (Transport::Udp, "127.0.0.1:69", Some("tftp")),
            (Transport::Udp, "127.0.0.2:69", None),
            (Transport::Udp, "127.0.0.1:110", None),
        ] {
            let foreign = if local.starts_with('[') { "[2001:db8::2]:9" } else { "127.0.0.1:9" };
            let owner = ours.inet(&between(transport, local, foreign, 6));
            assert_eq!(owner.and_then(|owner| owner.service), service, "{local}");
        }
    }
    #[test]
    fn a_session_is_found_by_its_client() {
        let daemon = daemon();
        let host = Host::default();
        let ours = Ours::new(&daemon, &host);
        let of = |far| {
            let near = "[::ffff:192.0.2.1]:143";
            let owner = ours.inet(&between(Transport::Tcp, near, far, 1)).unwrap();
            (owner.service, owner.age.map(|age| age.as_secs()))
        };
        assert_eq!(of("[::ffff:192.0.2.9]:5000"), (Some("behind-tcpmux"), Some(5)));
        assert_eq!(of("[::ffff:192.0.2.9]:5001"), (Some("imap"), None));
    }
}
