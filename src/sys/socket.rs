//! What the socket crates lack: facts about a socket that was handed over, IPV6_ADDRFORM,
//! sending without waiting, a listener that rests.

use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, recv, send, sendmsg};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::sys::Errno;

/// Whether `fd` is a TCP socket that is not listening: the only thing a `nowait` server may get.
#[must_use]
pub fn is_tcp_connection(fd: impl AsFd) -> bool {
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    matches!(
        (socket.r#type(), socket.is_listener(), socket.protocol()),
        (Ok(Type::STREAM), Ok(false), Ok(Some(Protocol::TCP)))
    )
}

/// Whether clients can reach a service by this socket: a listening one, or one for datagrams.
#[must_use]
pub fn accepts(fd: impl AsFd) -> bool {
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    !matches!((socket.r#type(), socket.is_listener()), (Ok(Type::STREAM), Ok(false)) | (Err(_), _))
}

/// The other end of a connected socket, an IPv4 client as IPv4 (BIND-11); `None` when it is gone
/// already.
#[must_use]
pub fn remote_end(fd: impl AsFd) -> Option<SocketAddr> {
    let fd = fd.as_fd();
    SockRef::from(&fd).peer_addr().ok()?.as_socket().map(canonical)
}

/// The own end of a connected socket, as [`remote_end`].
#[must_use]
pub fn local_end(fd: impl AsFd) -> Option<SocketAddr> {
    local_address(fd).map(canonical)
}

fn canonical(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip().to_canonical(), end.port())
}

/// A process of this machine, as it was when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub uid: u32,
    pub gid: u32,
    /// It may be another's by now.
    pub pid: i32,
}

/// Who connected to a socket of unix(7); `None` for other sockets.
#[must_use]
pub fn peer_process(fd: impl AsFd) -> Option<Process> {
    if !is_unix(&fd) {
        return None;
    }
    let peer = getsockopt(&fd, PeerCredentials).ok()?;
    Some(Process { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() })
}

/// The address of a name that is in no file system, as it is written: with `@` in front.
///
/// # Errors
/// `EINVAL` when it is longer than 108 bytes.
pub fn abstract_name(name: &Path) -> io::Result<SockAddr> {
    let mut bytes = name.as_os_str().as_bytes().to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = 0;
    }
    SockAddr::unix(OsStr::from_bytes(&bytes))
}

/// The address of a path, or of a name with `@` in front.
///
/// # Errors
/// `EINVAL` when it is longer than 108 bytes.
pub fn unix_address(name: &Path) -> io::Result<SockAddr> {
    let is_abstract = name.as_os_str().as_bytes().starts_with(b"@");
    if is_abstract { abstract_name(name) } else { SockAddr::unix(name) }
}

/// The path of a socket of unix(7), or its name with `@` in front; `None` for other sockets, and
/// for one that has none.
#[must_use]
pub fn unix_name(fd: impl AsFd) -> Option<PathBuf> {
    let fd = fd.as_fd();
    let address = SockRef::from(&fd).local_addr().ok()?;
    if let Some(name) = address.as_abstract_namespace() {
        return Some(OsStr::from_bytes(&[b"@", name].concat()).into());
    }
    address.as_pathname().map(Path::to_owned)
}

/// Whether a socket is one of unix(7).
#[must_use]
pub fn is_unix(fd: impl AsFd) -> bool {
    let fd = fd.as_fd();
    SockRef::from(&fd).domain().is_ok_and(|domain| domain == Domain::UNIX)
}

/// Whether `fd` is a connection of unix(7) of the same type as `listener`, and has come to it.
#[must_use]
pub fn is_unix_connection(fd: impl AsFd, listener: impl AsFd) -> bool {
    let (fd, listener) = (fd.as_fd(), listener.as_fd());
    let (socket, listener) = (SockRef::from(&fd), SockRef::from(&listener));
    let (Ok(kind), Ok(own)) = (socket.r#type(), socket.local_addr()) else { return false };
    is_unix(fd)
        && own.is_unix()
        && !own.is_unnamed()
        && socket.is_listener().is_ok_and(|listens| !listens)
        && listener.r#type().is_ok_and(|its| its == kind)
        && listener.local_addr().is_ok_and(|its| its == own)
}

/// Whether a socket of IPv6 has an address that IPv4 clients may come to: `::`, or a mapped one.
#[must_use]
pub fn is_dual_stack(fd: impl AsFd) -> bool {
    let fd = fd.as_fd();
    let address = SockRef::from(&fd).local_addr().ok().and_then(|address| address.as_socket_ipv6());
    address.is_some_and(|v6| v6.ip().is_unspecified() || v6.ip().to_ipv4_mapped().is_some())
}

/// Turns an IPv6 socket with an IPv4 peer into a plain IPv4 one (BIND-12), if it still can.
pub fn become_ipv4(fd: impl AsFd) {
    const SIZE: libc::socklen_t = 4;
    let family: libc::c_int = libc::AF_INET;
    // SAFETY: setsockopt reads one c_int (four bytes, `SIZE`) before it returns.
    unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_ADDRFORM,
            (&raw const family).cast(),
            SIZE,
        )
    };
}

/// Sends what fits into the socket's buffer now; `WouldBlock` when nothing does.
///
/// # Errors
/// As send(2).
pub fn send_now(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    Ok(send(fd.as_fd().as_raw_fd(), bytes, flags)?)
}

/// Sends a message with a descriptor now; `WouldBlock` when there is no room for it.
///
/// # Errors
/// As sendmsg(2).
pub fn pass_now(fd: impl AsFd, bytes: &[u8], with: BorrowedFd<'_>) -> io::Result<usize> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let rights = [with.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&rights)];
    let words = [IoSlice::new(bytes)];
    Ok(sendmsg::<()>(fd.as_fd().as_raw_fd(), &words, &rights, flags, None)?)
}

/// A connection to the Unix stream socket at `path`; `WouldBlock` when its backlog is full.
///
/// # Errors
/// As socket(2) and connect(2).
pub fn connect_now(path: &str) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

/// Reads what there is now; 0: the other side has no more to say.
///
/// # Errors
/// As recv(2); `WouldBlock` when there is nothing.
pub fn receive_now(fd: impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    Ok(recv(fd.as_fd().as_raw_fd(), into, MsgFlags::MSG_DONTWAIT)?)
}

/// Undoes connect(2), and of a TCP socket listen(2) and shutdown(2) too (connect(2), AF_UNSPEC).
///
/// # Errors
/// As connect(2).
pub fn disconnect(fd: impl AsFd) -> io::Result<()> {
    const UNSPECIFIED: libc::sa_family_t = 0; // AF_UNSPEC
    const SIZE: libc::socklen_t = 16;
    let nobody = libc::sockaddr { sa_family: UNSPECIFIED, sa_data: [0; 14] };
    // SAFETY: connect reads a sockaddr of `SIZE` bytes, which `nobody` is, before it returns.
    let result = unsafe { libc::connect(fd.as_fd().as_raw_fd(), &raw const nobody, SIZE) };
    Errno::result(result)?;
    Ok(())
}

/// Ends the listening state: connects are refused until [`listen`] is called again (Linux), for
/// good where it is one of unix(7). Another socket with SO_REUSEADDR may now be bound to the port.
///
/// # Errors
/// `ENOTCONN` when it was not listening.
pub fn stop_listening(fd: impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    if !socket.is_listener()? {
        return Err(Errno::ENOTCONN.into());
    }
    // Another process may be doing the same: shutdown(2) of what listens no more marks it, and all
    // connections that it accepts when it listens again. No server could write a byte to them.
    if is_unix(fd) { socket.shutdown(Shutdown::Both) } else { disconnect(fd) }
}

/// As [`stop_listening`], but nobody else may have the port meanwhile. A socket of unix(7) stays
/// as it is, for it would never listen again: who comes there waits.
///
/// # Errors
/// `ENOTCONN` when it was not listening.
pub fn hold_port(fd: impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd();
    if is_unix(fd) {
        return Ok(());
    }
    SockRef::from(&fd).set_reuse_address(false)?;
    stop_listening(fd)
}

/// As [`stop_listening`], also of a socket that holds its port ([`hold_port`]): another may have
/// it from now on. Whether this one listened.
pub fn release_port(fd: impl AsFd) -> bool {
    let fd = fd.as_fd();
    SockRef::from(&fd).set_reuse_address(true).ok();
    stop_listening(fd).is_ok()
}

/// Undoes [`release_port`].
///
/// # Errors
/// As listen(2): another has the port.
pub fn take_port_again(fd: impl AsFd, listened: bool) -> io::Result<()> {
    match listened {
        true => listen(fd),
        false => SockRef::from(&fd.as_fd()).set_reuse_address(false),
    }
}

/// How many connections of a listening socket nobody has accepted (tcp(7), TCP_INFO); 0 where
/// the kernel does not say.
#[must_use]
pub fn backlog(fd: impl AsFd) -> u32 {
    const UNACKED: usize = 6; // of a listening socket: sk_ack_backlog
    let mut words = [0_u32; 16];
    let mut size: libc::socklen_t = 64;
    // SAFETY: getsockopt writes at most `size` bytes, which is the size of `words`, and the
    // number of bytes that it has written.
    unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            words.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    words.get(UNACKED).copied().unwrap_or(0)
}

/// listen(2) with the longest queue that the system allows (`net.core.somaxconn`): the
/// original's 64 loses most of a burst of 1,000 clients (START-18).
///
/// # Errors
/// `EADDRINUSE` when another socket listens there.
pub fn listen(fd: impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    // Sessions on this port are in the way of a socket without it.
    socket.set_reuse_address(true)?;
    if !is_unix(fd) && !socket.is_listener()? {
        // Somebody may have shut it down.
        disconnect(fd)?;
    }
    socket.listen(i32::MAX)
}

/// The address that a socket is bound to.
#[must_use]
pub fn local_address(fd: impl AsFd) -> Option<SocketAddr> {
    let fd = fd.as_fd();
    SockRef::from(&fd).local_addr().ok()?.as_socket()
}

/// The local port of a socket; 0 when it has none.
#[must_use]
pub fn local_port(fd: impl AsFd) -> u16 {
    local_address(fd).map_or(0, |address| address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    /// Whether a server can write to a client that comes now.
    fn serves(listener: &TcpListener) -> bool {
        listen(listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.accept().unwrap().0.write(b"x").is_ok()
    }

    fn listener() -> TcpListener {
        // A port that was asked for stays with a socket that does not listen.
        let bound = |address: SocketAddr| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&address.into()).unwrap();
            socket
        };
        let chosen = local_address(bound(([127, 0, 0, 1], 0).into())).unwrap();
        bound(chosen).into()
    }

    #[test]
    fn two_who_stop_a_listener_at_once_do_it_no_harm() {
        let listener = listener();
        disconnect(&listener).unwrap();
        disconnect(&listener).unwrap();
        assert!(stop_listening(&listener).is_err() && serves(&listener));
    }

    #[test]
    fn a_listener_that_was_shut_down_twice_serves_again() {
        let listener = listener();
        for _ in 0..2 {
            SockRef::from(&listener).shutdown(Shutdown::Both).ok();
        }
        assert!(serves(&listener));
    }
}
