//! INTERCEPT: a packet filter on the socket that a server gets, made of `only_from`, `no_access`
//! and `access_times` (INT-1). Whom they refuse the kernel drops before anybody sees it.

use socket2::{Domain, SockFilter, SockRef};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::monitor::Monitor;
use crate::plan::AccessList;
use crate::plan::Policy;
use crate::plan::Service;
use crate::plan::Wait;
use crate::sys::clock;

/// BPF_MAXINSNS: longer programs are not taken (bpf(2)).
const LONGEST: usize = 4096;

/// Where the network header begins (SKF_NET_OFF), as classic BPF counts.
const HEADER: u32 = (-0x10_0000_i32).cast_unsigned();

const DROP: u32 = 0;
const PASS: u32 = u32::MAX;

// Instructions of classic BPF (linux/filter.h).
const LOAD_BYTE: u16 = 0x30;
const LOAD_WORD: u16 = 0x20;
const LOAD_KEPT: u16 = 0x60;
const KEEP: u16 = 0x02;
const SHIFT_RIGHT: u16 = 0x74;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_NOT_LESS: u16 = 0x35;
const RETURN: u16 = 0x06;

const fn op(code: u16, k: u32) -> SockFilter {
    SockFilter::new(code, 0, 0, k)
}

/// The lists as they stand in the program: whom to drop, then whom to pass.
fn lists(policy: &Policy) -> [(Option<&AccessList>, u32); 2] {
    [(policy.no_access.as_ref(), DROP), (policy.only_from.as_ref(), PASS)]
}

/// The program for a socket that IPv4 clients come to as mapped addresses, or not.
fn program(policy: &Policy, mapped: bool, minute: u16) -> Vec<SockFilter> {
    if !policy.hours.contain(minute) {
        return vec![op(RETURN, DROP)];
    }
    let rest = if policy.only_from.is_some() { DROP } else { PASS };
    let v4 = v4(policy, mapped, rest);
    let length = u32::try_from(v4.len()).unwrap_or(u32::MAX);
    let mut program = vec![
        op(LOAD_BYTE, HEADER),
        op(SHIFT_RIGHT, 4),
        SockFilter::new(IF_EQUAL, 0, 1, 6),
        op(JUMP, length),
    ];
    program.extend(v4);
    program.extend(v6(policy, rest));
    program
}

fn v4(policy: &Policy, mapped: bool, rest: u32) -> Vec<SockFilter> {
    let mut part = vec![op(LOAD_WORD, HEADER.wrapping_add(12))];
    for (list, verdict) in lists(policy) {
        for (first, last) in list.into_iter().flat_map(|list| list.v4_ranges(mapped)) {
            part.push(SockFilter::new(IF_NOT_LESS, 0, 2, first));
            part.push(SockFilter::new(IF_GREATER, 1, 0, last));
            part.push(op(RETURN, verdict));
        }
    }
    part.push(op(RETURN, rest));
    part
}

fn v6(policy: &Policy, rest: u32) -> Vec<SockFilter> {
    let mut part = Vec::new();
    for word in 0..4 {
        part.push(op(LOAD_WORD, HEADER.wrapping_add(8 + 4 * word)));
        part.push(op(KEEP, word));
    }
    for (list, verdict) in lists(policy) {
        for (address, bits) in list.into_iter().flat_map(AccessList::v6_prefixes) {
            part.extend(prefix(address, bits, verdict));
        }
    }
    part.push(op(RETURN, rest));
    part
}

/// Returns `verdict` for the addresses of one prefix; for others it goes on behind.
fn prefix(address: u128, bits: u32, verdict: u32) -> Vec<SockFilter> {
    let words = (0_u32..4).map(|word| {
        let own = bits.saturating_sub(32 * word).min(32);
        let mask = u32::MAX.checked_shl(32 - own).unwrap_or(0);
        let value = u32::try_from(address >> (96 - 32 * word) & u128::from(u32::MAX)).unwrap_or(0);
        (word, mask, value & mask)
    });
    let words: Vec<_> = words.filter(|(_, mask, _)| *mask != 0).collect();
    let mut left = u8::try_from(3 * words.len()).unwrap_or(u8::MAX);
    let mut block = Vec::new();
    for (word, mask, value) in words {
        left -= 3;
        block.push(op(LOAD_KEPT, word));
        block.push(op(AND, mask));
        block.push(SockFilter::new(IF_EQUAL, 0, left + 1, value));
    }
    block.push(op(RETURN, verdict));
    block
}

/// Whether every client of a service has to be checked by a filter.
pub(super) fn is_wanted(service: &Service) -> bool {
    service.wait == Wait::Intercepted && service.lends_its_socket()
}

/// Puts the filter of a service on a socket, in place of one that is there.
///
/// # Errors
/// When the lists are too long for the kernel, or as setsockopt(2): then the service must not
/// be served.
pub(super) fn guard(fd: impl AsFd, policy: &Policy) -> io::Result<()> {
    let fd = fd.as_fd();
    let socket = SockRef::from(&fd);
    let mapped = socket.domain()? == Domain::IPV6;
    let program = program(policy, mapped, clock::minute_of_day());
    if program.len() > LONGEST {
        let why = "INTERCEPT: `only_from` and `no_access` are too long for a filter of the kernel";
        return Err(io::Error::other(why));
    }
    socket.attach_filter(&program)
}

impl Monitor {
    /// Finds out whether filters have to change with the clock.
    pub(super) fn note_guards(&mut self) {
        let is_timed = |service: &Service| is_wanted(service) && !service.policy.hours.is_always();
        let is_any = self.services.iter().any(|(_, active)| is_timed(&active.service));
        self.guarded_at = is_any.then(clock::minute_of_day);
    }

    /// When `access_times` may open or close a service with INTERCEPT next: at the next minute
    /// of the clock. `None`: there is no such service.
    pub(super) fn next_guard(&self) -> Option<Instant> {
        self.guarded_at?;
        let second = u64::try_from(clock::wall_seconds().rem_euclid(60)).unwrap_or(0);
        Some(Instant::now() + Duration::from_secs(60 - second))
    }

    /// Puts the filters of this minute in place, if it is another one.
    pub(super) fn guard_in_time(&mut self) {
        let Some(at) = self.guarded_at else { return };
        let minute = clock::minute_of_day();
        if at == minute {
            return;
        }
        self.guarded_at = Some(minute);
        for (_, active) in self.services.iter().filter(|(_, active)| is_wanted(&active.service)) {
            for listener in &active.listeners {
                if let Err(cause) = guard(&listener.fd, &active.service.policy) {
                    tracing::error!("service {}: {cause}", active.service.id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

    /// Whether a datagram from one of our addresses gets through.
    fn passes(policy: &Policy, at: &str, from: &str) -> bool {
        let server = UdpSocket::bind((at, 0)).unwrap();
        guard(&server, policy).unwrap();
        server.set_nonblocking(true).unwrap();
        let to = if from.contains(':') { "::1" } else { "127.0.0.1" };
        let client = UdpSocket::bind((from, 0)).unwrap();
        client.send_to(b"x", (to, server.local_addr().unwrap().port())).unwrap();
        server.recv(&mut [0; 9]).is_ok()
    }

    fn v4(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    fn v6(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    #[test]
    fn int_1_the_kernel_drops_whom_the_lists_refuse() {
        let loopback = AccessList::new(
            [(v4("127.0.0.0"), v4("127.0.0.9")), (v4("10.0.0.0"), v4("10.255.255.255"))],
            [(v6("2001:db8::"), v6("2001:db8::ffff")), (v6("::1"), v6("::1"))],
        );
        let two = AccessList::new([(v4("127.0.0.2"), v4("127.0.0.2"))], []);
        let only = Policy { only_from: Some(loopback.clone()), ..Policy::default() };
        let but = Policy { no_access: Some(two.clone()), ..only.clone() };
        let nobody = Policy { only_from: Some(AccessList::default()), ..Policy::default() };
        let not_us = Policy { no_access: Some(loopback), ..Policy::default() };
        for (policy, from, wanted) in [
            (&Policy::default(), "127.0.0.1", true),
            (&Policy::default(), "::1", true),
            (&only, "127.0.0.1", true),
            (&only, "127.0.0.9", true),
            (&only, "127.0.0.10", false),
            (&only, "::1", true),
            (&but, "127.0.0.1", true),
            (&but, "127.0.0.2", false),
            (&but, "::1", true),
            (&nobody, "127.0.0.1", false),
            (&nobody, "::1", false),
            (&not_us, "127.0.0.1", false),
            (&not_us, "127.0.0.10", true),
            (&not_us, "::1", false),
        ] {
            assert_eq!(passes(policy, "::", from), wanted, "ADDR-1, ADDR-2: {from} {policy:?}");
            if !from.contains(':') {
                assert_eq!(passes(policy, "0.0.0.0", from), wanted, "{from} {policy:?}");
            }
        }
    }

    #[test]
    fn addr_12_mapped_patterns_are_for_ipv4_clients_of_ipv6_sockets() {
        let mapped = AccessList::new([], [(v6("::ffff:127.0.0.1"), v6("::ffff:127.0.0.1"))]);
        let policy = Policy { only_from: Some(mapped), ..Policy::default() };
        assert!(passes(&policy, "::", "127.0.0.1") && !passes(&policy, "::", "127.0.0.2"));
        assert!(!passes(&policy, "0.0.0.0", "127.0.0.1"));
    }

    #[test]
    fn lists_that_are_too_long_are_an_error() {
        let every_second =
            (0..3000).map(|n| (Ipv4Addr::from_bits(2 * n), Ipv4Addr::from_bits(2 * n)));
        let policy =
            Policy { only_from: Some(AccessList::new(every_second, [])), ..Policy::default() };
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(guard(&server, &policy).is_err());
    }
}
