//! How many bytes the TCP connections of this host have carried, as the kernel counts them
//! (sock_diag(7), `struct tcp_info` of linux/tcp.h).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use serde::Serialize;

use crate::control;

/// Bytes of a client's connection; `null`: nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Traffic {
    /// From the client.
    pub received: Option<u64>,
    /// To the client, and acknowledged by it.
    pub sent: Option<u64>,
}

/// The client's end, and the port of ours that it came to.
type Ends = (SocketAddr, u16);

/// linux/sock_diag.h, linux/inet_diag.h, linux/netlink.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_INFO: u16 = 2;
const REQUEST_ALL: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// IPPROTO_TCP
const TCP: u8 = 6;
/// Every state but those of a socket that listens (10), or of which only its ports are left (6).
const STATES: u32 = 0xfff & !(1 << 10) & !(1 << 6);

/// Bytes of `struct nlmsghdr`, and of `struct inet_diag_msg` behind it.
const HEAD: usize = 16;
const MESSAGE: usize = 72;

/// What the kernel says about all connections in our network namespace; nothing where it says
/// nothing.
pub(super) fn by_ends() -> HashMap<Ends, Traffic> {
    let mut all = HashMap::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        // A kernel without IPv6, or without sock_diag: nothing is known.
        ask(family, &mut all).ok();
    }
    all
}

/// What is known of the connection of `session`.
pub(super) fn of(session: &control::Session, all: &HashMap<Ends, Traffic>) -> Traffic {
    let ends = || {
        let address: IpAddr = session.peer.as_ref()?.parse().ok()?;
        Some((SocketAddr::new(address, session.peer_port?), session.port?))
    };
    ends().and_then(|ends| all.get(&ends)).copied().unwrap_or_default()
}

fn ask(family: AddressFamily, all: &mut HashMap<Ends, Traffic>) -> io::Result<()> {
    let protocol = SockProtocol::NetlinkSockDiag;
    let flags = SockFlag::SOCK_CLOEXEC;
    let kernel = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
    send(kernel.as_raw_fd(), &question(family), MsgFlags::empty())?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = recv(kernel.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut left = buffer.get(..length).unwrap_or_default();
        while let Some((kind, body, rest)) = message(left) {
            match kind {
                SOCK_DIAG_BY_FAMILY => all.extend(connection(body)),
                ERROR | DONE => return Ok(()),
                _ => {}
            }
            left = rest;
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: all TCP sockets of a family.
fn question(family: AddressFamily) -> Vec<u8> {
    const LENGTH: u8 = 72;
    let mut bytes = Vec::new();
    bytes.extend(u32::from(LENGTH).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_ALL.to_ne_bytes());
    bytes.extend([0; 8]);
    // A number that fits into its byte of sockaddr_in.
    bytes.extend([family as u8, TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    bytes.extend(STATES.to_ne_bytes());
    bytes.resize(LENGTH.into(), 0);
    bytes
}

/// The bytes from `at` on.
fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The kind of the first message, its body, and what comes behind it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(take(bytes, 0)?)).ok()?;
    let body = bytes.get(HEAD..length)?;
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((u16::from_ne_bytes(take(bytes, 4)?), body, rest))
}

/// A connection, if it is counted.
fn connection(body: &[u8]) -> Option<(Ends, Traffic)> {
    const V6: u8 = 10;
    let port = |at| Some(u16::from_be_bytes(take(body, at)?));
    let address = match take(body, 0)? {
        [V6] => IpAddr::from(Ipv6Addr::from(take::<16>(body, 24)?)).to_canonical(),
        [_] => IpAddr::from(take::<4>(body, 24)?),
    };
    let (own, peer) = (port(4)?, port(6)?);
    let info = attribute(body.get(MESSAGE..)?, INET_DIAG_INFO)?;
    // tcpi_bytes_acked, tcpi_bytes_received
    let count = |at| Some(u64::from_ne_bytes(take(info, at)?));
    let traffic = Traffic { received: count(128), sent: count(120) };
    Some(((SocketAddr::new(address, peer), own), traffic))
}

/// The attribute of this kind (`struct rtattr`).
fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut left = bytes;
    loop {
        let length = usize::from(u16::from_ne_bytes(take(left, 0)?));
        let kind = u16::from_ne_bytes(take(left, 2)?);
        let value = left.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        left = left.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test plays the service")]
    fn the_kernel_tells_of_both_directions() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let mut client = TcpStream::connect(("127.0.0.1", own)).unwrap();
        let (mut server, peer) = listener.accept().unwrap();
        client.write_all(b"question").unwrap();
        server.read_exact(&mut [0; 8]).unwrap();
        server.write_all(b"yes").unwrap();
        client.read_exact(&mut [0; 3]).unwrap();
        // With it comes the word that the answer is there.
        client.write_all(b"more").unwrap();
        server.read_exact(&mut [0; 4]).unwrap();
        let traffic = by_ends().get(&(peer, own)).copied().unwrap();
        assert_eq!(traffic, Traffic { received: Some(12), sent: Some(3) });
    }

    #[test]
    fn what_the_kernel_does_not_say_is_no_connection() {
        assert!(message(&[]).is_none() && message(&[16, 0, 0]).is_none());
        assert!(connection(&[2; 71]).is_none() && connection(&[2; 72]).is_none());
        assert!(attribute(&[0; 4], 2).is_none());
    }
}
