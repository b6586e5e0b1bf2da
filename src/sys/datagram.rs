//! Datagrams: each with the address it came from and the one of ours it was sent to, how to
//! know one again that was only looked at, and how to refuse them all.

use nix::sys::socket::sockopt;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recv, recvmsg, sendmsg,
    setsockopt,
};
use socket2::SockRef;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crate::sys::socket;

/// Nothing here ever waits, whatever the flags of the descriptor are.
const AT_ONCE: MsgFlags = MsgFlags::MSG_DONTWAIT;

/// Bytes for what the kernel says about a datagram: servers that shared the socket may have
/// asked for much.
const CONTROL: usize = 512;

/// A datagram that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of it in the buffer; what did not fit is lost.
    pub length: usize,
    /// As the socket has it: an IPv4 sender is a mapped address at an IPv6 socket.
    pub from: SocketAddr,
    /// Which address of ours it was sent to, in the same form; `None` without
    /// [`tell_destination`].
    pub to: Option<IpAddr>,
}

/// The first datagram in a queue, left where it is. Two datagrams are never equal, even if
/// their sender and their bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// As [`Received::from`]; `None`: by unix(7), where senders need no address.
    pub from: Option<SocketAddr>,
    /// When it came in, since 1970.
    at: Duration,
}

/// From now on the kernel says which address of ours each datagram was sent to (ip(7)
/// IP_PKTINFO, RFC 3542 IPV6_RECVPKTINFO).
///
/// # Errors
/// As setsockopt(2).
pub fn tell_destination(fd: impl AsFd) -> io::Result<()> {
    let address = SockRef::from(&fd).local_addr()?;
    match address.is_ipv6() {
        true => setsockopt(&fd, sockopt::Ipv6RecvPacketInfo, &true)?,
        false => setsockopt(&fd, sockopt::Ipv4PacketInfo, &true)?,
    }
    Ok(())
}

/// Reads the next datagram, if one is there.
///
/// # Errors
/// `WouldBlock` when none is; otherwise as recvmsg(2).
pub fn receive(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = vec![0; CONTROL];
    let mut parts = [IoSliceMut::new(buffer)];
    let fd = fd.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), AT_ONCE)?;
    let to = message.cmsgs().ok().and_then(|mut parts| parts.find_map(|part| destination(&part)));
    let from = sender(message.address.as_ref()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Received { length: message.bytes, from, to })
}

/// Looks at the next datagram without taking it.
///
/// The kernel is asked for its time stamp only now and for this once: a server that shares the
/// socket may have no room for it beside what it asks for itself.
///
/// # Errors
/// As [`receive`].
pub fn peek(fd: impl AsFd) -> io::Result<First> {
    let mut control = vec![0; CONTROL];
    let mut parts = [IoSliceMut::new(&mut [])];
    let flags = AT_ONCE | MsgFlags::MSG_PEEK;
    setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?;
    let number = fd.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(number, &mut parts, Some(&mut control), flags);
    setsockopt(&fd, sockopt::ReceiveTimestampns, &false)?;
    let message = message?;
    let at = message.cmsgs().ok().and_then(|mut parts| parts.find_map(|part| time(&part)));
    Ok(First { from: sender(message.address.as_ref()), at: at.unwrap_or_default() })
}

/// Takes the next datagram out of the queue, unread.
///
/// # Errors
/// As [`receive`].
pub fn discard(fd: impl AsFd) -> io::Result<()> {
    recv(fd.as_fd().as_raw_fd(), &mut [], AT_ONCE)?;
    Ok(())
}

/// Refuses datagrams, as a closed socket does, and keeps the port: a socket that is connected
/// takes nothing from anybody but its peer, and this one's peer is itself.
///
/// # Errors
/// As connect(2), for want of a route to its own address.
pub fn refuse_all(fd: impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    let own = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    let loopback = match own {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::LOCALHOST),
    };
    let ip = if own.ip().is_unspecified() { loopback } else { own.ip() };
    socket.connect(&SocketAddr::new(ip, own.port()).into())
}

/// Takes datagrams from everybody, after [`refuse_all`], or a server that has left the socket
/// connected.
///
/// # Errors
/// As connect(2).
pub fn take_all(fd: impl AsFd) -> io::Result<()> {
    if SockRef::from(&fd).peer_addr().is_err() { Ok(()) } else { socket::disconnect(fd) }
}

/// Sends a datagram to `to`, from the address `from` of ours; both as [`receive`] has them.
/// What does not fit into the socket's buffer now is lost, as on any wire.
///
/// # Errors
/// As sendmsg(2); `EINVAL` for a `from` that is no address of this host's own, such as that of a
/// broadcast.
pub fn send(fd: impl AsFd, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
    let v4 = match from {
        Some(IpAddr::V4(own)) => Some(libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(own.octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        }),
        Some(IpAddr::V6(_)) | None => None,
    };
    let v6 = match from {
        Some(IpAddr::V6(own)) => Some(libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: own.octets() },
            ipi6_ifindex: 0,
        }),
        Some(IpAddr::V4(_)) | None => None,
    };
    let v4 = v4.as_ref().map(ControlMessage::Ipv4PacketInfo);
    let control: Vec<_> =
        v4.into_iter().chain(v6.as_ref().map(ControlMessage::Ipv6PacketInfo)).collect();
    let flags = AT_ONCE | MsgFlags::MSG_NOSIGNAL;
    let to = SockaddrStorage::from(to);
    sendmsg(fd.as_fd().as_raw_fd(), &[IoSlice::new(bytes)], &control, flags, Some(&to))?;
    Ok(())
}

fn destination(part: &ControlMessageOwned) -> Option<IpAddr> {
    if let ControlMessageOwned::Ipv4PacketInfo(of) = part {
        return Some(Ipv4Addr::from(of.ipi_addr.s_addr.to_ne_bytes()).into());
    }
    let ControlMessageOwned::Ipv6PacketInfo(of) = part else { return None };
    Some(Ipv6Addr::from(of.ipi6_addr.s6_addr).into())
}

fn time(part: &ControlMessageOwned) -> Option<Duration> {
    let ControlMessageOwned::ScmTimestampns(at) = part else { return None };
    Some((*at).into())
}

fn sender(address: Option<&SockaddrStorage>) -> Option<SocketAddr> {
    let v4 = address.and_then(SockaddrStorage::as_sockaddr_in);
    let v4 = v4.map(|of| SocketAddr::from(SocketAddrV4::from(*of)));
    let v6 = || address.and_then(SockaddrStorage::as_sockaddr_in6);
    let v6 = || v6().map(|of| SocketAddr::from(SocketAddrV6::from(*of)));
    v4.or_else(v6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn pair(address: &str) -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind((address, 0)).unwrap();
        tell_destination(&server).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(("127.0.0.1", server.local_addr().unwrap().port())).unwrap();
        (server, client)
    }

    #[test]
    fn a_datagram_is_answered_from_the_address_it_came_to() {
        for everywhere in ["0.0.0.0", "::"] {
            let (server, client) = pair(everywhere);
            let mut buffer = [0; 8];
            client.send(b"question").unwrap();
            let found = receive(&server, &mut buffer).unwrap();
            assert_eq!((found.length, &buffer), (8, b"question"), "{everywhere}");
            let own = found.to.unwrap();
            assert_eq!(own.to_canonical(), IpAddr::from([127, 0, 0, 1]));
            let other = IpAddr::from([127, 0, 0, 2]);
            let other = if own.is_ipv6() { v4_mapped(other) } else { other };
            send(&server, b"not seen", found.from, Some(other)).unwrap();
            send(&server, b"answer", found.from, found.to).unwrap();
            assert_eq!(client.recv(&mut buffer).unwrap(), 6, "{everywhere}");
            assert_eq!(&buffer[..6], b"answer");
        }
    }

    fn v4_mapped(address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
            IpAddr::V6(_) => address,
        }
    }

    #[test]
    fn cps_3_a_socket_that_refuses_all_keeps_its_port_and_takes_from_all_again() {
        for everywhere in ["0.0.0.0", "::", "127.0.0.1"] {
            let (server, client) = pair(everywhere);
            let own = server.local_addr().unwrap();
            // The kernel lets go of a port that it has chosen itself.
            drop(server);
            let server = UdpSocket::bind(own).unwrap();
            refuse_all(&server).unwrap();
            client.send(b"refused").unwrap();
            assert_eq!(client.recv(&mut []).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            assert!(peek(&server).is_err());
            for _twice in 0..2 {
                take_all(&server).unwrap();
                assert_eq!(server.local_addr().unwrap(), own, "{everywhere}");
                client.send(b"taken").unwrap();
                discard(&server).unwrap();
            }
        }
    }

    #[test]
    fn nobody_waits_for_a_datagram_even_at_a_blocking_socket() {
        let (server, _client) = pair("127.0.0.1");
        assert_eq!(receive(&server, &mut []).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(peek(&server).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(discard(&server).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_datagram_is_known_again_and_never_taken_for_its_twin() {
        let (server, client) = pair("127.0.0.1");
        client.send(b"same").unwrap();
        let first = peek(&server).unwrap();
        client.send(b"same").unwrap();
        assert_eq!(peek(&server).unwrap(), first);
        discard(&server).unwrap();
        let second = peek(&server).unwrap();
        assert_eq!(second.from, first.from);
        assert_ne!(second, first);
        discard(&server).unwrap();
        assert!(peek(&server).is_err());
    }
}
