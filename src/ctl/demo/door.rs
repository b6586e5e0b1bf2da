//! The services of the demo, and a port on 127.0.0.1 for each.

use std::{
    fs,
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
};

use socket2::{Domain, Socket, Type};

/// One kind of service, which is the same in every demo.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// As services(5) has it, and the configuration.
    pub(super) name: &'static str,
    /// The well-known port, which is added to the base.
    well_known: u16,
    pub(super) kind: Kind,
}

/// What answers at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A server for each connection.
    Mail {
        /// What `demo-server` calls the protocol.
        protocol: &'static str,
        /// The scheme of its URLs.
        scheme: &'static str,
        security: Security,
    },
    /// The daemon itself.
    Internal,
    /// Another door, [`TARGET`].
    Redirect,
}

/// Whether the service speaks TLS from the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    Plain,
    Tls,
}

/// The service that connections are passed on to.
pub(super) const TARGET: &str = "pop3";

/// The mission of xinetd-rs, in four lines, and what it does without a server.
const SERVICES: [Service; 7] = [
    Service::mail("pop3", 110, "pop3", "pop3", Security::Plain),
    Service::mail("pop3s", 995, "pop3", "pop3s", Security::Tls),
    Service::mail("imap4", 143, "imap4", "imap", Security::Plain),
    Service::mail("imap4s", 993, "imap4", "imaps", Security::Tls),
    Service { name: "echo", well_known: 7, kind: Kind::Internal },
    Service { name: "daytime", well_known: 13, kind: Kind::Internal },
    Service { name: "forward", well_known: 810, kind: Kind::Redirect },
];

impl Service {
    const fn mail(
        name: &'static str,
        well_known: u16,
        protocol: &'static str,
        scheme: &'static str,
        security: Security,
    ) -> Self {
        Self { name, well_known, kind: Kind::Mail { protocol, scheme, security } }
    }
}

/// A service and where it listens.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) service: &'static Service,
    pub(super) address: SocketAddrV4,
    /// The port we wanted and why it could not be had.
    pub(super) refused: Option<(u16, String)>,
}

/// Finds a port for each service: the base and its well-known port, or any free one.
pub(super) fn choose(base: u16) -> io::Result<Vec<Door>> {
    // Bound until all are chosen, so that no port is found twice.
    let mut held = Vec::new();
    let mut doors = Vec::new();
    for service in &SERVICES {
        let wanted = base.saturating_add(service.well_known);
        let (socket, refused) = match bind(wanted) {
            Ok(socket) => (socket, None),
            Err(error) => (bind(0)?, Some((wanted, reason(&error)))),
        };
        let address = socket.local_addr()?.as_socket_ipv4();
        let address = address.ok_or(ErrorKind::AddrNotAvailable)?;
        held.push(socket);
        doors.push(Door { service, address, refused });
    }
    Ok(doors)
}

/// Binds as the daemon will, but does not listen.
fn bind(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())?;
    Ok(socket)
}

fn reason(error: &io::Error) -> String {
    if error.kind() == ErrorKind::AddrInUse { "is taken".into() } else { format!("({error})") }
}

/// The doors at which nobody listens yet.
///
/// The kernel's table tells, without a connection that the daemon would start a server
/// for and log. Where there is no such table a connection must do.
pub(super) fn closed(doors: &[Door]) -> impl Iterator<Item = &Door> {
    let table = fs::read_to_string("/proc/net/tcp").ok();
    doors.iter().filter(move |door| match &table {
        Some(table) => !listens(table, door.address),
        None => TcpStream::connect(door.address).is_err(),
    })
}

/// Whether proc_net_tcp(5) has a listening socket with this address.
fn listens(table: &str, address: SocketAddrV4) -> bool {
    const LISTEN: &str = "0A";
    let ip = u32::from_ne_bytes(address.ip().octets());
    let local = format!("{ip:08X}:{:04X}", address.port());
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next() == Some(&local) && fields.nth(1) == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_replaced_and_the_reason_told() {
        let taken = bind(0).unwrap();
        taken.listen(1).unwrap();
        let port = taken.local_addr().unwrap().as_socket_ipv4().unwrap().port();
        let doors = choose(port - 110).unwrap();
        assert_eq!(doors[0].refused, Some((port, "is taken".into())));
        assert_ne!(doors[0].address.port(), port);
        let mut ports: Vec<u16> = doors.iter().map(|door| door.address.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), SERVICES.len());
    }

    #[test]
    fn a_door_is_closed_until_somebody_listens() {
        let socket = bind(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket_ipv4().unwrap();
        let doors = [Door { service: &SERVICES[0], address, refused: None }];
        assert_eq!(closed(&doors).count(), 1);
        socket.listen(1).unwrap();
        assert_eq!(closed(&doors).count(), 0);
    }
}
