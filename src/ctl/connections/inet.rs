//! Sockets of TCP and UDP, from the tables of the kernel (proc_net_tcp, proc_pid_net(5)).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::{fs, io};

use serde::Serialize;

/// The names of the tables below `/proc/PID/net`, in netstat's order.
const TABLES: [(&str, Transport); 4] = [
    ("tcp", Transport::Tcp),
    ("tcp6", Transport::Tcp),
    ("udp", Transport::Udp),
    ("udp6", Transport::Udp),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// A socket, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inet {
    pub transport: Transport,
    /// An IPv6 address for a socket of IPv6, also if its peer came by IPv4.
    pub local: SocketAddr,
    /// Unspecified, with port 0: there is no peer.
    pub foreign: SocketAddr,
    /// As the kernel numbers them (include/net/tcp_states.h).
    pub state: u8,
    /// Bytes that wait for the program; of a listening socket, clients that do.
    pub receive_queue: u32,
    /// Bytes that the peer has not acknowledged.
    pub send_queue: u32,
    /// Whose the socket is.
    pub uid: u32,
    /// 0: no program has it, nor can get it.
    pub inode: u64,
}

/// TCP_LISTEN of the kernel (include/net/tcp_states.h).
const LISTEN: u8 = 10;

impl Inet {
    /// As netstat calls it: `tcp`, `tcp6`, `udp` or `udp6`.
    pub(super) const fn protocol(&self) -> &'static str {
        match (self.transport, self.local.is_ipv6()) {
            (Transport::Tcp, false) => "tcp",
            (Transport::Tcp, true) => "tcp6",
            (Transport::Udp, false) => "udp",
            (Transport::Udp, true) => "udp6",
        }
    }

    /// In netstat's words; empty for a UDP socket without a peer.
    pub(super) const fn state(&self) -> &'static str {
        match (self.transport, self.state) {
            (_, 1) => "ESTABLISHED",
            (Transport::Udp, 7) => "",
            (Transport::Udp, _) => "UNKNOWN",
            (Transport::Tcp, state) => match state {
                2 => "SYN_SENT",
                // 12: before there is a whole socket.
                3 | 12 => "SYN_RECV",
                4 => "FIN_WAIT1",
                5 => "FIN_WAIT2",
                6 => "TIME_WAIT",
                7 => "CLOSE",
                8 => "CLOSE_WAIT",
                9 => "LAST_ACK",
                LISTEN => "LISTEN",
                11 => "CLOSING",
                _ => "UNKNOWN",
            },
        }
    }

    /// Whether clients may come to it: a listening socket, or one of UDP without a peer.
    pub(super) fn listens(&self) -> bool {
        match self.transport {
            Transport::Tcp => self.state == LISTEN,
            Transport::Udp => self.foreign.ip().is_unspecified(),
        }
    }
}

/// All sockets of the network namespace that `net` (such as `/proc/PID/net`) belongs to.
///
/// # Errors
/// When `net` cannot be read. A kernel without IPv6 has no tables of it.
pub(super) fn sockets(net: &Path) -> io::Result<Vec<Inet>> {
    let mut found = Vec::new();
    for (name, transport) in TABLES {
        let text = match fs::read_to_string(net.join(name)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && name.ends_with('6') => {
                continue;
            }
            Err(error) => return Err(error),
        };
        found.extend(text.lines().skip(1).filter_map(|line| socket(transport, line)));
    }
    Ok(found)
}

/// A line of a table.
fn socket(transport: Transport, line: &str) -> Option<Inet> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, foreign) = (address(words.next()?)?, address(words.next()?)?);
    let state = u8::from_str_radix(words.next()?, 16).ok()?;
    let (send, receive) = words.next()?.split_once(':')?;
    let queue = |hex| u32::from_str_radix(hex, 16).ok();
    // Timers and retransmissions stand between.
    let uid = words.nth(2)?.parse().ok()?;
    let inode = words.nth(1)?.parse().ok()?;
    let (send_queue, receive_queue) = (queue(send)?, queue(receive)?);
    Some(Inet { transport, local, foreign, state, receive_queue, send_queue, uid, inode })
}

/// Such as `0100007F:0050`: the address in words of four bytes as they lie in memory, the port
/// as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: Vec<u8> = words.into_iter().flatten().collect();
            IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A socket between two addresses.
    pub(in crate::ctl::connections) fn between(
        transport: Transport,
        local: &str,
        foreign: &str,
        state: u8,
    ) -> Inet {
        Inet {
            transport,
            local: local.parse().unwrap(),
            foreign: foreign.parse().unwrap(),
            state,
            receive_queue: 0,
            send_queue: 0,
            uid: 0,
            inode: 0,
        }
    }

    #[test]
    fn a_line_of_the_kernel_is_a_socket() {
        let line = "   1: 0100007F:B9E8 0100007F:0C27 08 0000000A:00000001 00:00000000 00000000  \
                    33        0 14847641 2 0000000077ece61b 20 4 0 10 -1                  ";
        let socket = socket(Transport::Tcp, line).unwrap();
        let mut expected = between(Transport::Tcp, "127.0.0.1:47592", "127.0.0.1:3111", 8);
        expected.receive_queue = 1;
        expected.send_queue = 10;
        expected.uid = 33;
        expected.inode = 14_847_641;
        assert_eq!(socket, expected);
        assert_eq!((socket.protocol(), socket.state()), ("tcp", "CLOSE_WAIT"));
    }

    #[test]
    fn an_address_of_ipv6_has_four_words() {
        let text = "B80D0120785634120F0EBC9A78563412:FFFF";
        let parsed = address(text).unwrap();
        assert_eq!(parsed, "[2001:db8:1234:5678:9abc:e0f:1234:5678]:65535".parse().unwrap());
        let mapped = address("0000000000000000FFFF00000100007F:0C27").unwrap();
        assert_eq!(mapped, "[::ffff:127.0.0.1]:3111".parse().unwrap());
        for wrong in ["", ":", "0100007F", "0100007:0050", "0100007F:10000", "01x0007F:0050"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_udp_socket_has_a_state_only_with_a_peer() {
        let alone = between(Transport::Udp, "[::]:53", "[::]:0", 7);
        let connected = between(Transport::Udp, "1.2.3.4:53", "1.2.3.5:99", 1);
        assert_eq!((alone.state(), alone.listens(), alone.protocol()), ("", true, "udp6"));
        assert_eq!((connected.state(), connected.listens()), ("ESTABLISHED", false));
    }
}
