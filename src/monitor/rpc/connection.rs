//! The way to rpcbind(8).

use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use crate::sys::Errno;

/// Where rpcbind listens for this machine. It asks the kernel who has connected there.
pub(super) const RPCBIND_SOCKET: &str = "/run/rpcbind.sock";

/// The other way, to an rpcbind whose files are out of reach: in another container.
const RPCBIND_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 111);

/// A connection to rpcbind; not necessarily complete, as nobody waits here. Who writes to it does.
///
/// # Errors
/// As connect(2): rpcbind is not there, or has no time.
pub(super) fn connect() -> io::Result<OwnedFd> {
    let local = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(RPCBIND_SOCKET)?)?;
        Ok(socket)
    };
    let socket = local().or_else(|cause: io::Error| connect_by_port().map_err(|_| cause))?;
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

/// By a port below 1024 if we may have one: some rpcbinds go by that.
fn connect_by_port() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    for port in (600..1024).rev() {
        match socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))) {
            Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => {}
            _ => break,
        }
    }
    match socket.connect(&SockAddr::from(SocketAddr::from(RPCBIND_PORT))) {
        Err(cause) if cause.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(cause),
        _ => Ok(socket),
    }
}
