//! What monitor and engine say to each other.

use std::net::IpAddr;

use crate::ipc::Kind;
use crate::ipc::Part;
use crate::ipc::Violation;
use crate::ipc::wire::{Reader, Writer};
use crate::plan::BannerKind;
use crate::plan::Denial;
use crate::plan::Generation;
use crate::plan::NoId;
use crate::plan::ServiceIndex;
use crate::sys::channel::Packet;

/// Names one order to start a server; each is larger than the one before, for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The ticket after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A client turned away by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub service: ServiceIndex,
    pub why: Denial,
    pub peer: IpAddr,
}

/// Something at a door that the log should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `cps` was exceeded: closed for as many seconds as the entry says (CPS-3).
    Deactivated,
    /// Open again.
    Activated,
    /// More come than `cps` permits, and wait (`cps_action = pace`).
    Paced,
    /// accept(2) failed with this error number.
    AcceptFailed(i32),
    /// A rule of hosts.allow, else of hosts.deny, was not followed to the letter. The line is
    /// counted from 1; 0: the file cannot be read.
    RuleFallsShort { is_allow: bool, line: u32 },
}

/// From the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToMonitor {
    /// First words: both ends must be the same build.
    Hello {
        build: u64,
    },
    /// The doors of this generation are open.
    Adopted {
        generation: Generation,
    },
    /// Start a server on the socket that comes along. `peer` is used only when the kernel
    /// no longer knows it.
    Start {
        ticket: Ticket,
        service: ServiceIndex,
        peer: IpAddr,
    },
    Refused(Refusal),
    Noticed {
        service: ServiceIndex,
        event: Event,
    },
    /// Open this banner file; answered by [`ToEngine::Banner`] with the same number.
    Banner {
        number: u64,
        service: ServiceIndex,
        kind: BannerKind,
    },
    /// A client came to a SENSOR, and is locked out for as long as the entry says.
    Sensed {
        service: ServiceIndex,
        peer: IpAddr,
    },
    /// A part of what a client's host says about its user; parts of one answer follow one
    /// another.
    UserId {
        service: ServiceIndex,
        part: Part,
    },
    /// A client was refused because nobody was named (IDENT-4).
    NoId {
        service: ServiceIndex,
        why: NoId,
        peer: IpAddr,
    },
    /// Everything accepted has been handed over; the doors are closed ([`ToEngine::Stop`]).
    Stopped,
}

/// From the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToEngine {
    /// The doors of a generation follow; the memfd that comes along holds `length` bytes.
    /// Tickets start after `last_ticket`.
    /// `log_processes` is how many hosts are asked at once about clients that were refused.
    Plan {
        generation: Generation,
        length: u32,
        last_ticket: Ticket,
        process_limit: u32,
        log_processes: u32,
    },
    /// The listener of a door that the engine does not have yet.
    Listener { service: ServiceIndex },
    /// A server that an earlier engine started and that still runs.
    Running { ticket: Ticket, service: ServiceIndex, peer: IpAddr },
    /// A client that an earlier engine locked out; for so many seconds, 0 being for ever.
    LockOut { peer: IpAddr, seconds: u32 },
    /// The plan is complete: swap.
    Commit { generation: Generation },
    /// The server of this ticket was not started; the connection is closed.
    NotStarted { ticket: Ticket },
    /// The server of this ticket has ended.
    Exited { ticket: Ticket },
    /// The answer to [`ToMonitor::Banner`]; without a descriptor there is nothing to show.
    Banner { number: u64 },
    /// Accept nothing more, hand over what is accepted, say [`ToMonitor::Stopped`].
    Stop,
}

/// One direction of the conversation.
pub trait Message: Sized {
    /// Its kind, for the table.
    fn kind(&self) -> Kind;

    /// As a packet.
    fn encode(&self) -> Packet;

    /// From a packet.
    ///
    /// # Errors
    /// [`Violation::Malformed`] for everything that [`Self::encode`] does not make.
    fn decode(packet: &Packet) -> Result<Self, Violation>;
}

impl Message for ToMonitor {
    fn kind(&self) -> Kind {
        match self {
            Self::Hello { .. } => Kind::Hello,
            Self::Adopted { .. } => Kind::Adopted,
            Self::Start { .. } => Kind::Start,
            Self::Refused(_) => Kind::Refused,
            Self::Noticed { .. } => Kind::Noticed,
            Self::Banner { .. } => Kind::AskBanner,
            Self::Sensed { .. } => Kind::Sensed,
            Self::UserId { .. } => Kind::UserId,
            Self::NoId { .. } => Kind::NoId,
            Self::Stopped => Kind::Stopped,
        }
    }

    fn encode(&self) -> Packet {
        let w = Writer::new().u8(self.kind() as u8);
        match *self {
            Self::Hello { build } => w.u64(build),
            Self::Adopted { generation } => w.u32(generation.0),
            Self::Start { ticket, service, peer } => w.u64(ticket.0).u32(service.0).address(peer),
            Self::Refused(Refusal { service, why, peer }) => {
                w.u32(service.0).u8(why as u8).address(peer)
            }
            Self::Noticed { service, event } => {
                let w = w.u32(service.0);
                match event {
                    Event::Deactivated => w.u8(1),
                    Event::Activated => w.u8(2),
                    Event::Paced => w.u8(6),
                    Event::AcceptFailed(errno) => w.u8(3).u32(errno.unsigned_abs()),
                    Event::RuleFallsShort { is_allow: true, line } => w.u8(4).u32(line),
                    Event::RuleFallsShort { is_allow: false, line } => w.u8(5).u32(line),
                }
            }
            Self::Banner { number, service, kind } => w.u64(number).u32(service.0).u8(match kind {
                BannerKind::Always => 1,
                BannerKind::Success => 2,
                BannerKind::Fail => 3,
            }),
            Self::Sensed { service, peer } => w.u32(service.0).address(peer),
            Self::UserId { service, part } => part.encode(w.u32(service.0)),
            Self::NoId { service, why, peer } => w.u32(service.0).u8(why as u8).address(peer),
            Self::Stopped => w,
        }
        .packet()
    }

    fn decode(packet: &Packet) -> Result<Self, Violation> {
        let mut r = Reader::new(packet);
        let message = match Kind::from_number(r.u8()?).ok_or(Violation::Malformed)? {
            Kind::Hello => Self::Hello { build: r.u64()? },
            Kind::Adopted => Self::Adopted { generation: Generation(r.u32()?) },
            Kind::Start => Self::Start {
                ticket: Ticket(r.u64()?),
                service: ServiceIndex(r.u32()?),
                peer: r.address()?,
            },
            Kind::Refused => Self::Refused(Refusal {
                service: ServiceIndex(r.u32()?),
                why: *Denial::ALL.get(usize::from(r.u8()?)).ok_or(Violation::Malformed)?,
                peer: r.address()?,
            }),
            Kind::Noticed => {
                Self::Noticed { service: ServiceIndex(r.u32()?), event: event(&mut r)? }
            }
            Kind::AskBanner => Self::Banner {
                number: r.u64()?,
                service: ServiceIndex(r.u32()?),
                kind: match r.u8()? {
                    1 => BannerKind::Always,
                    2 => BannerKind::Success,
                    3 => BannerKind::Fail,
                    _ => return Err(Violation::Malformed),
                },
            },
            Kind::Sensed => Self::Sensed { service: ServiceIndex(r.u32()?), peer: r.address()? },
            Kind::UserId => {
                Self::UserId { service: ServiceIndex(r.u32()?), part: Part::decode(&mut r)? }
            }
            Kind::NoId => Self::NoId {
                service: ServiceIndex(r.u32()?),
                why: *NoId::ALL.get(usize::from(r.u8()?)).ok_or(Violation::Malformed)?,
                peer: r.address()?,
            },
            Kind::Stopped => Self::Stopped,
            Kind::Plan
            | Kind::Listener
            | Kind::Running
            | Kind::LockOut
            | Kind::Commit
            | Kind::NotStarted
            | Kind::Exited
            | Kind::Banner
            | Kind::Stop => return Err(Violation::Malformed),
        };
        r.end()?;
        Ok(message)
    }
}

fn event(r: &mut Reader<'_>) -> Result<Event, Violation> {
    Ok(match r.u8()? {
        1 => Event::Deactivated,
        2 => Event::Activated,
        3 => Event::AcceptFailed(i32::try_from(r.u32()?).map_err(|_| Violation::Malformed)?),
        4 => Event::RuleFallsShort { is_allow: true, line: r.u32()? },
        6 => Event::Paced,
        5 => Event::RuleFallsShort { is_allow: false, line: r.u32()? },
        _ => return Err(Violation::Malformed),
    })
}

impl Message for ToEngine {
    fn kind(&self) -> Kind {
        match self {
            Self::Plan { .. } => Kind::Plan,
            Self::Listener { .. } => Kind::Listener,
            Self::Running { .. } => Kind::Running,
            Self::LockOut { .. } => Kind::LockOut,
            Self::Commit { .. } => Kind::Commit,
            Self::NotStarted { .. } => Kind::NotStarted,
            Self::Exited { .. } => Kind::Exited,
            Self::Banner { .. } => Kind::Banner,
            Self::Stop => Kind::Stop,
        }
    }

    fn encode(&self) -> Packet {
        let w = Writer::new().u8(self.kind() as u8);
        match *self {
            Self::Plan { generation, length, last_ticket, process_limit, log_processes } => w
                .u32(generation.0)
                .u32(length)
                .u64(last_ticket.0)
                .u32(process_limit)
                .u32(log_processes),
            Self::Listener { service } => w.u32(service.0),
            Self::Running { ticket, service, peer } => w.u64(ticket.0).u32(service.0).address(peer),
            Self::LockOut { peer, seconds } => w.address(peer).u32(seconds),
            Self::Commit { generation } => w.u32(generation.0),
            Self::NotStarted { ticket } | Self::Exited { ticket } => w.u64(ticket.0),
            Self::Banner { number } => w.u64(number),
            Self::Stop => w,
        }
        .packet()
    }

    fn decode(packet: &Packet) -> Result<Self, Violation> {
        let mut r = Reader::new(packet);
        let message = match Kind::from_number(r.u8()?).ok_or(Violation::Malformed)? {
            Kind::Plan => Self::Plan {
                generation: Generation(r.u32()?),
                length: r.u32()?,
                last_ticket: Ticket(r.u64()?),
                process_limit: r.u32()?,
                log_processes: r.u32()?,
            },
            Kind::Listener => Self::Listener { service: ServiceIndex(r.u32()?) },
            Kind::Running => Self::Running {
                ticket: Ticket(r.u64()?),
                service: ServiceIndex(r.u32()?),
                peer: r.address()?,
            },
            Kind::LockOut => Self::LockOut { peer: r.address()?, seconds: r.u32()? },
            Kind::Commit => Self::Commit { generation: Generation(r.u32()?) },
            Kind::NotStarted => Self::NotStarted { ticket: Ticket(r.u64()?) },
            Kind::Exited => Self::Exited { ticket: Ticket(r.u64()?) },
            Kind::Banner => Self::Banner { number: r.u64()? },
            Kind::Stop => Self::Stop,
            Kind::Hello
            | Kind::Adopted
            | Kind::Start
            | Kind::Refused
            | Kind::Noticed
            | Kind::AskBanner
            | Kind::Sensed
            | Kind::UserId
            | Kind::NoId
            | Kind::Stopped => return Err(Violation::Malformed),
        };
        r.end()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet() -> impl Strategy<Value = Packet> {
        // Half of them short messages with zeros behind, so that many decode.
        (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<bool>(), 0..20_u8).prop_map(
            |(head, tail, short, kind)| {
                let mut packet = [0; 64];
                packet[..32].copy_from_slice(&head);
                if short {
                    packet[0] = kind;
                    packet[1 + usize::from(kind)..32].fill(0);
                } else {
                    packet[32..].copy_from_slice(&tail);
                }
                packet
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(packet in packet()) {
            if let Ok(message) = ToMonitor::decode(&packet) {
                prop_assert_eq!(ToMonitor::decode(&message.encode()), Ok(message));
            }
            if let Ok(message) = ToEngine::decode(&packet) {
                prop_assert_eq!(ToEngine::decode(&message.encode()), Ok(message));
            }
        }

        #[test]
        fn one_stray_byte_makes_a_message_malformed(at in 40_usize..64, byte in 1_u8..) {
            let mut packet = ToMonitor::Stopped.encode();
            packet[at] = byte;
            prop_assert_eq!(ToMonitor::decode(&packet), Err(Violation::Malformed));
        }
    }

    #[test]
    fn every_message_survives_the_wire() {
        let (service, ticket) = (ServiceIndex(7), Ticket(u64::MAX));
        let peers = ["192.0.2.1", "2001:db8::1"].map(|p| p.parse::<IpAddr>().unwrap());
        for peer in peers {
            for why in Denial::ALL {
                let message = ToMonitor::Refused(Refusal { service, why, peer });
                assert_eq!(ToMonitor::decode(&message.encode()), Ok(message));
            }
            for message in [
                ToMonitor::Hello { build: 5 },
                ToMonitor::Adopted { generation: Generation(3) },
                ToMonitor::Start { ticket, service, peer },
                ToMonitor::Noticed { service, event: Event::Deactivated },
                ToMonitor::Noticed { service, event: Event::Paced },
                ToMonitor::Noticed { service, event: Event::AcceptFailed(24) },
                ToMonitor::Noticed {
                    service,
                    event: Event::RuleFallsShort { is_allow: true, line: 7 },
                },
                ToMonitor::Banner { number: 8, service, kind: BannerKind::Fail },
                ToMonitor::Sensed { service, peer },
                ToMonitor::NoId { service, why: NoId::Timeout, peer },
                ToMonitor::Stopped,
            ] {
                assert_eq!(ToMonitor::decode(&message.encode()), Ok(message));
            }
            for message in [
                ToEngine::Plan {
                    generation: Generation(1),
                    length: 2,
                    last_ticket: ticket,
                    process_limit: u32::MAX,
                    log_processes: 15,
                },
                ToEngine::Listener { service },
                ToEngine::Running { ticket, service, peer },
                ToEngine::LockOut { peer, seconds: 60 },
                ToEngine::Commit { generation: Generation(1) },
                ToEngine::NotStarted { ticket },
                ToEngine::Exited { ticket },
                ToEngine::Banner { number: 1 },
                ToEngine::Stop,
            ] {
                assert_eq!(ToEngine::decode(&message.encode()), Ok(message));
            }
        }
    }

    #[test]
    fn a_message_of_the_other_direction_is_malformed() {
        assert_eq!(ToMonitor::decode(&ToEngine::Stop.encode()), Err(Violation::Malformed));
        assert_eq!(ToEngine::decode(&ToMonitor::Stopped.encode()), Err(Violation::Malformed));
    }
}
