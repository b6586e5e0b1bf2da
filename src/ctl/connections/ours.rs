//! Which sockets are the daemon's, and whose session each of them is.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

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
    /// For how long that process has run.
    pub age: Option<Duration>,
}

/// What of the host is the daemon's.
#[derive(Debug)]
pub(super) struct Ours<'r> {
    processes: &'r Processes,
    /// The daemon's own two.
    own: HashSet<u32>,
    /// These and all their children, each with what it serves.
    family: HashMap<u32, Option<&'r str>>,
    /// Every place of the host that clients come to; `None`: it is not one of our services.
    listeners: HashMap<(Transport, SocketAddr), Option<&'r str>>,
    unix: HashMap<&'r str, &'r str>,
    /// `None`: two services go there.
    targets: HashMap<(Transport, Option<IpAddr>, u16), Option<&'r str>>,
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
        let served = ours.served(inet, unix);
        let roots: Vec<u32> = ours.own.iter().copied().collect();
        ours.family = processes.family(&roots, |pid| served.get(&pid).copied());
        ours
    }

    /// Which services the servers serve, by the places at which their sockets are.
    fn served(&self, inet: &[Inet], unix: &[Unix]) -> HashMap<u32, &'r str> {
        let inet = inet.iter().filter_map(|socket| Some((socket.inode, self.door(socket)?)));
        let unix = unix.iter().filter_map(|socket| Some((socket.inode, self.path(socket)?)));
        let mut served = HashMap::new();
        for (inode, service) in inet.chain(unix) {
            let holders = self.processes.holders(inode).map(|process| process.pid);
            for pid in holders.filter(|pid| !self.own.contains(pid)) {
                served.entry(pid).or_insert(service);
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
        let mut owner = self.owner(socket.inode, self.door(socket))?;
        owner.service = owner.service.or_else(|| self.passed_on(socket));
        // How old the daemon is says nothing about those it serves.
        let is_own = owner.processes.first().is_some_and(|first| self.own.contains(&first.pid));
        owner.age = owner.age.filter(|_| !is_own || socket.listens());
        Some(owner)
    }

    /// As [`inet`](Self::inet).
    pub(super) fn unix(&self, socket: &Unix) -> Option<Owner<'r>> {
        self.owner(socket.inode, self.path(socket))
    }

    /// Whose a socket is that is at a service's `place`, or in the hands of the family. The
    /// service of a server goes before that of a place.
    fn owner(&self, inode: u64, place: Option<&'r str>) -> Option<Owner<'r>> {
        let owner = Owner::of(self.processes, inode);
        let pids = owner.processes.iter().map(|process| process.pid);
        let in_family: Vec<_> = pids.filter_map(|pid| self.family.get(&pid)).collect();
        let is_ours = place.is_some() || !in_family.is_empty();
        let service = in_family.into_iter().flatten().next().copied().or(place);
        is_ours.then_some(Owner { service, ..owner })
    }
}

impl<'r> Owner<'r> {
    /// Who has a socket.
    pub(super) fn of(processes: &'r Processes, inode: u64) -> Self {
        let processes: Vec<_> = processes.holders(inode).collect();
        Self { service: None, age: processes.first().map(|process| process.age), processes }
    }
}

/// An IPv4 address in its plain form, and no scope: as `redirect` names it.
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
}
