//! What the engine says.

use std::net::IpAddr;

use crate::ipc::Ending;
use crate::ipc::Event;
use crate::ipc::Kind;
use crate::ipc::Message;
use crate::ipc::Part;
use crate::ipc::Ports;
use crate::ipc::Refusal;
use crate::ipc::Ticket;
use crate::ipc::Violation;
use crate::ipc::wire::{Reader, Writer};
use crate::plan::BannerKind;
use crate::plan::Denial;
use crate::plan::Generation;
use crate::plan::NoId;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::sys::channel::Packet;
use crate::sys::sandbox::Confinement;

/// From the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToMonitor {
    /// First words: both ends must be the same build. What it is kept to is for people to read.
    Hello {
        build: u64,
        confinement: Confinement,
    },
    /// The doors of this generation are open.
    Adopted {
        generation: Generation,
    },
    /// Start a server on the socket that comes along. `peer` is used only when the kernel
    /// no longer knows it. `failures`: how often forking one for this client has failed, as
    /// `ToEngine::Again` said.
    Start {
        ticket: Ticket,
        service: ServiceIndex,
        peer: Source,
        failures: u8,
    },
    /// Start a server on this socket of the service, which the engine leaves alone until it
    /// hears of the server's end (WAIT-1). `peer` sent the first datagram.
    Serve {
        ticket: Ticket,
        service: ServiceIndex,
        socket: SocketIndex,
        peer: Source,
    },
    Refused(Refusal),
    Noticed {
        service: ServiceIndex,
        event: Event,
    },
    /// Open this banner file; answered by `ToEngine::Banner` with the same number.
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
    /// The engine serves this client itself from now on (internal services, `redirect`).
    Began {
        ticket: Ticket,
        service: ServiceIndex,
        peer: Source,
        ports: Ports,
    },
    /// The client of this ticket has been served, with so many bytes read from it and written
    /// to it, or its session was cut off.
    Ended {
        ticket: Ticket,
        how: Ending,
        received: u64,
        sent: u64,
    },
    /// The engine has answered this client, who had no session (INTL-1).
    Answered {
        service: ServiceIndex,
        peer: Source,
    },
    /// The answer to `ToEngine::Check`: how many tickets and doors the engine knows, and how much
    /// does not add up there.
    Checked {
        tickets: u32,
        doors: u32,
        errors: u32,
    },
    /// So many more clients were refused for this reason, or answered, without a word about each.
    Counted {
        service: ServiceIndex,
        refused: Option<Denial>,
        clients: u32,
    },
    /// Everything accepted has been handed over; the doors are closed (`ToEngine::Stop`).
    Stopped,
}

impl ToMonitor {
    /// The service that this is a word about. An order has a ticket beside it, and whoever gives
    /// one has just looked at the door.
    #[must_use]
    pub const fn about(&self) -> Option<ServiceIndex> {
        match *self {
            Self::Refused(Refusal { service, .. })
            | Self::Noticed { service, .. }
            | Self::Banner { service, .. }
            | Self::Sensed { service, .. }
            | Self::UserId { service, .. }
            | Self::NoId { service, .. }
            | Self::Answered { service, .. }
            | Self::Counted { service, .. } => Some(service),
            Self::Start { .. } | Self::Serve { .. } | Self::Began { .. } | Self::Ended { .. } => {
                None
            }
            Self::Hello { .. } | Self::Adopted { .. } | Self::Checked { .. } | Self::Stopped => {
                None
            }
        }
    }
}

impl Message for ToMonitor {
    fn kind(&self) -> Kind {
        match self {
            Self::Hello { .. } => Kind::Hello,
            Self::Adopted { .. } => Kind::Adopted,
            Self::Start { .. } => Kind::Start,
            Self::Serve { .. } => Kind::Serve,
            Self::Refused(_) => Kind::Refused,
            Self::Noticed { .. } => Kind::Noticed,
            Self::Banner { .. } => Kind::AskBanner,
            Self::Sensed { .. } => Kind::Sensed,
            Self::UserId { .. } => Kind::UserId,
            Self::NoId { .. } => Kind::NoId,
            Self::Began { .. } => Kind::Began,
            Self::Ended { .. } => Kind::Ended,
            Self::Answered { .. } => Kind::Answered,
            Self::Checked { .. } => Kind::Checked,
            Self::Counted { .. } => Kind::Counted,
            Self::Stopped => Kind::Stopped,
        }
    }

    fn encode(&self) -> Packet {
        let w = Writer::new().u8(self.kind() as u8);
        match *self {
            Self::Hello { build, confinement: Confinement { landlock, seccomp } } => {
                w.u64(build).flag(landlock).flag(seccomp)
            }
            Self::Adopted { generation } => w.u32(generation.0),
            Self::Start { ticket, service, peer, failures } => {
                w.u64(ticket.0).u32(service.0).source(peer).u8(failures)
            }
            Self::Serve { ticket, service, socket, peer } => {
                w.u64(ticket.0).u32(service.0).u32(socket.0).source(peer)
            }
            Self::Refused(Refusal { service, why, peer }) => {
                w.u32(service.0).u8(why as u8).source(peer)
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
                    Event::NotReached { address: Some(address), errno } => {
                        w.u8(7).u32(errno.unsigned_abs()).address(address)
                    }
                    Event::NotReached { address: None, errno } => w.u8(8).u32(errno.unsigned_abs()),
                    Event::Full => w.u8(9),
                    Event::Withheld => w.u8(10),
                    Event::LeftUndone => w.u8(11),
                    Event::Crowded => w.u8(12),
                    Event::Turned(gate) => w.u8(13).u8(gate as u8),
                }
            }
            Self::Banner { number, service, kind } => w.u64(number).u32(service.0).u8(match kind {
                BannerKind::Always => 1,
                BannerKind::Success => 2,
                BannerKind::Fail => 3,
                BannerKind::Listing => 4,
            }),
            Self::Sensed { service, peer } => w.u32(service.0).address(peer),
            Self::UserId { service, part } => part.encode(w.u32(service.0)),
            Self::NoId { service, why, peer } => w.u32(service.0).u8(why as u8).address(peer),
            Self::Began { ticket, service, peer, ports } => {
                w.u64(ticket.0).u32(service.0).source(peer).ports(ports)
            }
            Self::Ended { ticket, how, received, sent } => {
                w.u64(ticket.0).u8(how as u8).u64(received).u64(sent)
            }
            Self::Answered { service, peer } => w.u32(service.0).source(peer),
            Self::Checked { tickets, doors, errors } => w.u32(tickets).u32(doors).u32(errors),
            // 0: answered; the numbers of reasons begin behind it.
            Self::Counted { service, refused, clients } => {
                w.u32(service.0).u8(refused.map_or(0, |why| why as u8 + 1)).u32(clients)
            }
            Self::Stopped => w,
        }
        .packet()
    }

    fn decode(packet: &Packet) -> Result<Self, Violation> {
        let mut r = Reader::new(packet);
        let message = match Kind::from_number(r.u8()?).ok_or(Violation::Malformed)? {
            Kind::Hello => Self::Hello {
                build: r.u64()?,
                confinement: Confinement { landlock: r.flag()?, seccomp: r.flag()? },
            },
            Kind::Adopted => Self::Adopted { generation: Generation(r.u32()?) },
            Kind::Start => start(&mut r)?,
            Kind::Serve => serve(&mut r)?,
            Kind::Refused => Self::Refused(refusal(&mut r)?),
            Kind::Noticed => Self::Noticed { service: r.service()?, event: event(&mut r)? },
            Kind::AskBanner => {
                Self::Banner { number: r.u64()?, service: r.service()?, kind: banner_kind(&mut r)? }
            }
            Kind::Sensed => Self::Sensed { service: r.service()?, peer: r.address()? },
            Kind::UserId => Self::UserId { service: r.service()?, part: Part::decode(&mut r)? },
            Kind::NoId => Self::NoId {
                service: r.service()?,
                why: *NoId::ALL.get(usize::from(r.u8()?)).ok_or(Violation::Malformed)?,
                peer: r.address()?,
            },
            Kind::Began => began(&mut r)?,
            Kind::Ended => Self::Ended {
                ticket: r.ticket()?,
                how: ending(&mut r)?,
                received: r.u64()?,
                sent: r.u64()?,
            },
            Kind::Answered => Self::Answered { service: r.service()?, peer: r.source()? },
            Kind::Checked => Self::Checked { tickets: r.u32()?, doors: r.u32()?, errors: r.u32()? },
            Kind::Counted => {
                Self::Counted { service: r.service()?, refused: fate(&mut r)?, clients: r.u32()? }
            }
            Kind::Stopped => Self::Stopped,
            Kind::Plan
            | Kind::Listener
            | Kind::Running
            | Kind::LockOut
            | Kind::Commit
            | Kind::NotStarted
            | Kind::Again
            | Kind::Exited
            | Kind::Banner
            | Kind::Check
            | Kind::Stop
            | Kind::Drain
            | Kind::Leave
            | Kind::End
            | Kind::Gate
            | Kind::LetIn => return Err(Violation::Malformed),
        };
        r.end()?;
        Ok(message)
    }
}

fn start(r: &mut Reader<'_>) -> Result<ToMonitor, Violation> {
    let (ticket, service, peer) = (r.ticket()?, r.service()?, r.source()?);
    Ok(ToMonitor::Start { ticket, service, peer, failures: r.u8()? })
}

fn serve(r: &mut Reader<'_>) -> Result<ToMonitor, Violation> {
    let (ticket, service, socket) = (r.ticket()?, r.service()?, r.socket()?);
    Ok(ToMonitor::Serve { ticket, service, socket, peer: r.source()? })
}

fn began(r: &mut Reader<'_>) -> Result<ToMonitor, Violation> {
    let (ticket, service, peer) = (r.ticket()?, r.service()?, r.source()?);
    Ok(ToMonitor::Began { ticket, service, peer, ports: r.ports()? })
}

fn refusal(r: &mut Reader<'_>) -> Result<Refusal, Violation> {
    Ok(Refusal { service: r.service()?, why: denial(r.u8()?)?, peer: r.source()? })
}

fn denial(number: u8) -> Result<Denial, Violation> {
    Denial::ALL.get(usize::from(number)).copied().ok_or(Violation::Malformed)
}

/// What became of clients that are only counted.
fn fate(r: &mut Reader<'_>) -> Result<Option<Denial>, Violation> {
    r.u8()?.checked_sub(1).map(denial).transpose()
}

fn banner_kind(r: &mut Reader<'_>) -> Result<BannerKind, Violation> {
    match r.u8()? {
        1 => Ok(BannerKind::Always),
        2 => Ok(BannerKind::Success),
        3 => Ok(BannerKind::Fail),
        4 => Ok(BannerKind::Listing),
        _ => Err(Violation::Malformed),
    }
}

fn ending(r: &mut Reader<'_>) -> Result<Ending, Violation> {
    match r.u8()? {
        1 => Ok(Ending::Complete),
        2 => Ok(Ending::CutOff),
        3 => Ok(Ending::NotReached),
        _ => Err(Violation::Malformed),
    }
}

/// The largest error number that a system call can give (MAX_ERRNO).
const LAST_ERRNO: i32 = 4095;

fn errno(r: &mut Reader<'_>) -> Result<i32, Violation> {
    let number = i32::try_from(r.u32()?).ok().filter(|number| *number <= LAST_ERRNO);
    number.ok_or(Violation::Malformed)
}

fn event(r: &mut Reader<'_>) -> Result<Event, Violation> {
    Ok(match r.u8()? {
        1 => Event::Deactivated,
        2 => Event::Activated,
        3 => Event::AcceptFailed(errno(r)?),
        4 => Event::RuleFallsShort { is_allow: true, line: r.u32()? },
        5 => Event::RuleFallsShort { is_allow: false, line: r.u32()? },
        6 => Event::Paced,
        7 => {
            let errno = errno(r)?;
            Event::NotReached { address: Some(r.address()?), errno }
        }
        8 => Event::NotReached { address: None, errno: errno(r)? },
        9 => Event::Full,
        10 => Event::Withheld,
        11 => Event::LeftUndone,
        12 => Event::Crowded,
        13 => Event::Turned(r.gate()?),
        _ => return Err(Violation::Malformed),
    })
}
