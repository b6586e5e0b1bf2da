//! Fields in and out of a packet, in order, nothing left over.

use std::net::{IpAddr, Ipv6Addr};

use crate::ipc::Gate;
use crate::ipc::Ports;
use crate::ipc::Ticket;
use crate::ipc::Violation;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::sys::channel::{PACKET, Packet};

/// Fills a packet from the front.
pub(super) struct Writer {
    packet: Packet,
    at: usize,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self { packet: [0; PACKET], at: 0 }
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            if let Some(place) = self.packet.get_mut(self.at) {
                *place = *byte;
            }
            self.at += 1;
        }
        debug_assert!(self.at <= PACKET, "a message longer than its packet");
        self
    }

    pub(super) fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    pub(super) fn flag(self, value: bool) -> Self {
        self.u8(u8::from(value))
    }

    pub(super) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(super) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// IPv4 in its mapped form, so that every address has sixteen bytes.
    pub(super) fn address(self, address: IpAddr) -> Self {
        let v6 = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        self.bytes(&v6.octets())
    }

    /// What it is, and an address, or a number and zeros.
    pub(super) fn source(self, source: Source) -> Self {
        match source {
            Source::Unknown => self.u8(0).bytes(&[0; 16]),
            Source::Ip(address) => self.u8(1).address(address),
            Source::User(uid) => self.u8(2).u32(uid).bytes(&[0; 12]),
        }
    }

    pub(super) fn ports(self, ports: Ports) -> Self {
        self.u16(ports.peer).u16(ports.own)
    }

    pub(super) const fn packet(self) -> Packet {
        self.packet
    }
}

/// Takes a packet apart from the front.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(packet: &'a Packet) -> Self {
        Self(packet)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Violation::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Violation> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// # Errors
    /// For anything but 0 and 1, as of every value that has no meaning.
    pub(super) fn flag(&mut self) -> Result<bool, Violation> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Violation::Malformed),
        }
    }

    pub(super) fn u16(&mut self) -> Result<u16, Violation> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Violation> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Violation> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn address(&mut self) -> Result<IpAddr, Violation> {
        self.array::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
    }

    pub(super) fn source(&mut self) -> Result<Source, Violation> {
        match self.u8()? {
            0 if self.array::<16>()? == [0; 16] => Ok(Source::Unknown),
            1 => Ok(Source::Ip(self.address()?)),
            2 => {
                let uid = self.u32()?;
                let is_all = self.array::<12>()? == [0; 12];
                is_all.then_some(Source::User(uid)).ok_or(Violation::Malformed)
            }
            _ => Err(Violation::Malformed),
        }
    }

    pub(super) fn ports(&mut self) -> Result<Ports, Violation> {
        Ok(Ports { peer: self.u16()?, own: self.u16()? })
    }

    pub(super) fn gate(&mut self) -> Result<Gate, Violation> {
        let number = self.u8()?;
        let gate = Gate::ALL.into_iter().find(|gate| *gate as u8 == number);
        gate.ok_or(Violation::Malformed)
    }

    pub(super) fn service(&mut self) -> Result<ServiceIndex, Violation> {
        self.u32().map(ServiceIndex)
    }

    pub(super) fn ticket(&mut self) -> Result<Ticket, Violation> {
        self.u64().map(Ticket)
    }

    pub(super) fn socket(&mut self) -> Result<SocketIndex, Violation> {
        self.u32().map(SocketIndex)
    }

    /// The end of the message: everything after it must be zero.
    pub(super) fn end(self) -> Result<(), Violation> {
        if self.0.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Violation::Malformed) }
    }
}
