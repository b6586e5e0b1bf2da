//! What the monitor says.

use std::net::IpAddr;

use crate::ipc::Gate;
use crate::ipc::Kind;
use crate::ipc::Message;
use crate::ipc::Ticket;
use crate::ipc::Violation;
use crate::ipc::wire::{Reader, Writer};
use crate::plan::Generation;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::Source;
use crate::sys::channel::Packet;

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
    /// A listening socket of a door that the engine does not have yet.
    Listener { socket: SocketIndex },
    /// A server that an earlier engine started and that still runs, and the socket that it has
    /// been lent.
    Running { ticket: Ticket, service: ServiceIndex, peer: Source, lent: Option<SocketIndex> },
    /// Nobody at this address is let in: an earlier engine locked it out, or an operator does; for
    /// so many seconds, 0 being for ever.
    LockOut { peer: IpAddr, seconds: u32 },
    /// The plan is complete: swap.
    Commit { generation: Generation },
    /// The server of this ticket was not started; the connection is closed.
    NotStarted { ticket: Ticket },
    /// The server of this ticket could not be forked, for the `failures`th time. Its connection
    /// comes back to be decided about anew, and then to get a server by another ticket.
    Again { ticket: Ticket, failures: u8 },
    /// The server of this ticket has ended.
    Exited { ticket: Ticket },
    /// The answer to `ToMonitor::Banner`; without a descriptor there is nothing to show.
    Banner { number: u64 },
    /// Look at your tables; answered by `ToMonitor::Checked`.
    Check,
    /// Accept nothing more, cut off who is served here, hand over what is accepted, say
    /// `ToMonitor::Stopped`.
    Stop,
    /// The same, but connections that are served here go on to their ends, or to [`Self::Stop`].
    Drain,
    /// As [`Self::Drain`], and to their ends even when the monitor has gone, which it does after
    /// `ToMonitor::Stopped`.
    Leave,
    /// Cut off this session. It may have ended meanwhile.
    End { ticket: Ticket },
    /// Let nobody in at this door, or let clients in again; answered by `Event::Turned`.
    Gate { service: ServiceIndex, gate: Gate },
    /// This address is locked out no more.
    LetIn { peer: IpAddr },
}

impl ToEngine {
    /// Whether the engine forgets a ticket when it hears this.
    #[must_use]
    pub const fn closes_ticket(&self) -> bool {
        matches!(self, Self::NotStarted { .. } | Self::Again { .. } | Self::Exited { .. })
    }
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
            Self::Again { .. } => Kind::Again,
            Self::Exited { .. } => Kind::Exited,
            Self::Banner { .. } => Kind::Banner,
            Self::Check => Kind::Check,
            Self::Stop => Kind::Stop,
            Self::Drain => Kind::Drain,
            Self::Leave => Kind::Leave,
            Self::End { .. } => Kind::End,
            Self::Gate { .. } => Kind::Gate,
            Self::LetIn { .. } => Kind::LetIn,
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
            Self::Listener { socket } => w.u32(socket.0),
            // No socket has the number 0.
            Self::Running { ticket, service, peer, lent } => {
                let lent = lent.map_or(0, |socket| socket.0);
                w.u64(ticket.0).u32(service.0).source(peer).u32(lent)
            }
            Self::LockOut { peer, seconds } => w.address(peer).u32(seconds),
            Self::Commit { generation } => w.u32(generation.0),
            Self::NotStarted { ticket } | Self::Exited { ticket } | Self::End { ticket } => {
                w.u64(ticket.0)
            }
            Self::Again { ticket, failures } => w.u64(ticket.0).u8(failures),
            Self::Banner { number } => w.u64(number),
            Self::LetIn { peer } => w.address(peer),
            Self::Gate { service, gate } => w.u32(service.0).u8(gate as u8),
            Self::Check | Self::Stop | Self::Drain | Self::Leave => w,
        }
        .packet()
    }

    fn decode(packet: &Packet) -> Result<Self, Violation> {
        let mut r = Reader::new(packet);
        let message = match Kind::from_number(r.u8()?).ok_or(Violation::Malformed)? {
            Kind::Plan => Self::Plan {
                generation: Generation(r.u32()?),
                length: r.u32()?,
                last_ticket: r.ticket()?,
                process_limit: r.u32()?,
                log_processes: r.u32()?,
            },
            Kind::Listener => Self::Listener { socket: r.socket()? },
            Kind::Running => {
                let (ticket, service, peer) = (r.ticket()?, r.service()?, r.source()?);
                let lent = Some(r.socket()?).filter(|socket| socket.0 != 0);
                Self::Running { ticket, service, peer, lent }
            }
            Kind::LockOut => Self::LockOut { peer: r.address()?, seconds: r.u32()? },
            Kind::Commit => Self::Commit { generation: Generation(r.u32()?) },
            Kind::NotStarted => Self::NotStarted { ticket: r.ticket()? },
            Kind::Again => Self::Again { ticket: r.ticket()?, failures: r.u8()? },
            Kind::Exited => Self::Exited { ticket: r.ticket()? },
            Kind::Banner => Self::Banner { number: r.u64()? },
            Kind::Check => Self::Check,
            Kind::Stop => Self::Stop,
            Kind::Drain => Self::Drain,
            Kind::Leave => Self::Leave,
            Kind::End => Self::End { ticket: r.ticket()? },
            Kind::LetIn => Self::LetIn { peer: r.address()? },
            Kind::Gate => Self::Gate { service: r.service()?, gate: r.gate()? },
            Kind::Hello
            | Kind::Adopted
            | Kind::Start
            | Kind::Serve
            | Kind::Refused
            | Kind::Noticed
            | Kind::AskBanner
            | Kind::Sensed
            | Kind::UserId
            | Kind::NoId
            | Kind::Began
            | Kind::Ended
            | Kind::Answered
            | Kind::Checked
            | Kind::Counted
            | Kind::Stopped => return Err(Violation::Malformed),
        };
        r.end()?;
        Ok(message)
    }
}
