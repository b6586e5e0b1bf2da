//! From a socket key to a socket.

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use crate::monitor::intercept;
use crate::monitor::services::Listener;
use crate::plan;
use crate::plan::Address;
use crate::plan::FileAccess;
use crate::plan::Service;
use crate::plan::SocketKey;
use crate::plan::SocketOptions;
use crate::plan::SocketType;
use crate::sys::datagram;
use crate::sys::socket;
use crate::sys::socket_file::{Access, SocketFile};

/// For datagrams that are read here, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Sockets of this family cannot be created at all.
const NO_SUCH_FAMILY: i32 = crate::sys::Errno::EAFNOSUPPORT as i32;

/// How often a bind that fails is tried, and the pause between two tries (START-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    pub tries: u32,
    pub pause: Duration,
}

impl Patience {
    /// Once: while clients are being served nobody waits for a port.
    pub(super) const NONE: Self = Self { tries: 1, pause: Duration::ZERO };

    /// Eleven tries; `XINETD_BIND_DELAY` (microseconds, at most 500,000; anything else counts
    /// as 0) lies between them (START-11).
    #[must_use]
    pub(super) fn from_environment(delay: Option<&str>) -> Self {
        let micros = delay.and_then(|text| text.parse().ok()).filter(|n| *n <= 500_000);
        Self { tries: 11, pause: Duration::from_micros(micros.unwrap_or(0)) }
    }
}

/// A socket that is ready for clients.
#[derive(Debug)]
pub(super) struct Open {
    /// Of a socket in the file system.
    pub file: Option<Rc<SocketFile>>,
    pub fd: OwnedFd,
    /// What the service manager knows it by, if it keeps it for us.
    pub stored: Option<Rc<str>>,
}

/// A socket that cannot be had.
#[derive(Debug)]
pub(super) struct Refused {
    pub key: SocketKey,
    pub cause: io::Error,
}

/// Opens, binds and, if there are to be connections, listens.
///
/// A socket that servers get is blocking, as they expect it: the flag belongs to everybody who
/// has the socket. One that stays with the engine is not.
///
/// # Errors
/// Those of socket(2), bind(2) and listen(2), of the last try.
pub(super) fn bind(key: &SocketKey, service: &Service, patience: Patience) -> io::Result<Open> {
    let mut tries = patience.tries;
    loop {
        tries -= 1;
        match bind_once(key, service) {
            Ok(open) => return Ok(open),
            Err(cause) if tries == 0 => return Err(cause),
            Err(_) => thread::sleep(patience.pause),
        }
    }
}

fn bind_once(key: &SocketKey, service: &Service) -> io::Result<Open> {
    let address = match &key.address {
        Address::Ip(address) => *address,
        Address::Unix(name) => return unix(name, key, service.options),
    };
    let fd = match open(address, key, service) {
        // BIND-1: a system without IPv6, and a service that did not ask for it.
        Err(cause) if key.any_family && cause.raw_os_error() == Some(NO_SUCH_FAMILY) => {
            let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            open(everywhere, key, service)?
        }
        result => result?,
    };
    Ok(Open { file: None, fd, stored: None })
}

/// A socket of unix(7): nobody can connect before its file has its owner and mode.
fn unix(name: &Path, key: &SocketKey, options: SocketOptions) -> io::Result<Open> {
    let socket = Socket::new(Domain::UNIX, kind(key.socket_type), None)?;
    socket.set_nonblocking(!key.is_lent)?;
    let file = match key.address.file() {
        Some(path) => Some(Rc::new(SocketFile::bind(&socket, path, access(options))?)),
        None => {
            socket.bind(&socket::abstract_name(name)?)?;
            None
        }
    };
    if key.socket_type.has_connections() {
        socket.listen(i32::MAX)?;
    }
    Ok(Open { file, fd: socket.into(), stored: None })
}

/// Makes a socket that somebody else has bound ready for `key`.
///
/// # Errors
/// As setsockopt(2) and listen(2).
pub(super) fn adopt(fd: OwnedFd, key: &SocketKey, options: SocketOptions) -> io::Result<OwnedFd> {
    let socket = SockRef::from(&fd);
    set_options(&fd, key, options)?;
    socket.set_nonblocking(!key.is_lent)?;
    if key.socket_type.has_connections() {
        socket::listen(&fd)?;
    } else if !key.is_lent && key.address.ip().is_some() {
        datagram::tell_destination(&fd)?;
    }
    Ok(fd)
}

pub(super) const fn access(options: SocketOptions) -> Access {
    let FileAccess { mode, uid, gid } = options.file;
    Access { mode, uid, gid }
}

fn open(address: SocketAddr, key: &SocketKey, service: &Service) -> io::Result<OwnedFd> {
    let socket = bound(address, key, service)?;
    let socket = if address.port() == 0 { with_known_port(&socket, key, service)? } else { socket };
    set_options(&socket, key, service.options)?;
    socket.set_nonblocking(!key.is_lent)?;
    if key.socket_type == SocketType::Stream {
        // Not `socket::listen`: it undoes what others may have done, and netstat shows that (Send-Q).
        socket.listen(i32::MAX)?;
    } else if !key.is_lent {
        datagram::tell_destination(&socket)?;
        // As far as net.core.rmem_max allows: bursts come faster than they are read.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    if let SocketAddr::V4(v4) = address
        && v4.ip().is_multicast()
    {
        socket.join_multicast_v4(v4.ip(), &Ipv4Addr::UNSPECIFIED)?; // BIND-10
    }
    Ok(socket.into())
}

fn bound(address: SocketAddr, key: &SocketKey, service: &Service) -> io::Result<Socket> {
    let protocol = Some(Protocol::from(key.protocol.0));
    let socket = Socket::new(Domain::for_address(address), kind(key.socket_type), protocol)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(key.v6only)?;
    }
    if intercept::is_wanted(service) {
        // Before anything can come.
        intercept::guard(&socket, &service.policy)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// Another socket for the address of `chosen`, whose port the system has chosen. Of such a port
/// the kernel lets go when the socket stops listening, as it does while `cps` keeps the service
/// closed; a port that was asked for stays.
fn with_known_port(chosen: &Socket, key: &SocketKey, service: &Service) -> io::Result<Socket> {
    let address = chosen.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    bound(address, key, service)
}

const fn kind(socket_type: SocketType) -> Type {
    match socket_type {
        SocketType::Stream => Type::STREAM,
        SocketType::Dgram => Type::DGRAM,
        SocketType::Raw => Type::RAW,
        SocketType::SeqPacket => Type::SEQPACKET,
    }
}

/// Options for a socket that has been open for a while, with its file.
///
/// # Errors
/// As setsockopt(2), chown(2) and chmod(2).
pub(super) fn set_options_again(listener: &Listener, options: SocketOptions) -> io::Result<()> {
    if let Some(file) = &listener.file {
        file.change(access(options))?;
    }
    set_options(&listener.fd, &listener.key, options)
}

/// NODELAY and KEEPALIVE, which connections inherit (BIND-9); nothing where there is no tcp.
///
/// # Errors
/// As setsockopt(2).
fn set_options(fd: impl AsFd, key: &SocketKey, options: SocketOptions) -> io::Result<()> {
    if key.address.ip().is_none() || key.protocol != plan::Protocol::TCP {
        return Ok(());
    }
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    socket.set_tcp_nodelay(options.nodelay)?;
    socket.set_keepalive(options.keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::recipe::tests::service;
    use crate::plan::Protocol;

    #[test]
    fn start_11_the_delay_is_microseconds_up_to_half_a_second() {
        let pause = |text| Patience::from_environment(text).pause.as_micros();
        assert_eq!(pause(Some("200000")), 200_000);
        assert_eq!(pause(Some("500001")), 0);
        assert_eq!(pause(Some("x")), 0);
        assert_eq!(pause(None), 0);
    }

    fn key(address: SocketAddr) -> SocketKey {
        let (socket_type, protocol) = (SocketType::Stream, Protocol::TCP);
        let address = Address::Ip(address);
        let (is_lent, v6only, any_family) = (false, false, false);
        SocketKey { socket_type, protocol, address, is_lent, v6only, any_family }
    }

    #[test]
    fn rpc_1_a_port_that_the_system_chose_is_the_same_after_a_pause() {
        for address in [SocketAddr::from(([0, 0, 0, 0], 0)), SocketAddr::from(([0; 16], 0))] {
            let listener = bind(&key(address), &service(), Patience::NONE).unwrap().fd;
            let port = socket::local_port(&listener);
            socket::hold_port(&listener).unwrap();
            socket::listen(&listener).unwrap();
            assert_eq!(socket::local_port(&listener), port, "{address}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_an_error_after_the_last_try() {
        let mut key = key(([127, 0, 0, 1], 0).into());
        let first = bind(&key, &service(), Patience::NONE).unwrap().fd;
        let address = SockRef::from(&first).local_addr().unwrap().as_socket().unwrap();
        key.address = Address::Ip(address);
        let patience = Patience::from_environment(None);
        let cause = bind(&key, &service(), patience).unwrap_err();
        assert_eq!(cause.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn only_what_servers_get_is_blocking() {
        let is_nonblocking = |key: &SocketKey| {
            let socket = bind(key, &service(), Patience::NONE).unwrap().fd;
            SockRef::from(&socket).nonblocking().unwrap()
        };
        let mut key = key(([127, 0, 0, 1], 0).into());
        assert!(is_nonblocking(&key));
        key.is_lent = true;
        assert!(!is_nonblocking(&key), "WAIT-2");
        (key.socket_type, key.protocol) = (SocketType::Dgram, Protocol::UDP);
        assert!(!is_nonblocking(&key), "WAIT-3");
        key.is_lent = false;
        assert!(is_nonblocking(&key));
    }
}
