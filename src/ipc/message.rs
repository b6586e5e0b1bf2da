//! What both directions of the conversation have in common.

use std::net::IpAddr;

use crate::ipc::Kind;
use crate::ipc::Violation;
use crate::plan::Denial;
use crate::plan::ServiceIndex;
use crate::plan::Source;
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

/// The ports of a connection, or of a client that sends datagrams; 0: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// The client's.
    pub peer: u16,
    /// The one of ours that it came to.
    pub own: u16,
}

/// A client turned away by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub service: ServiceIndex,
    pub why: Denial,
    pub peer: Source,
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
    /// Servers end at once without taking what they were started for: the next ones have to
    /// wait (`wait = yes`).
    LeftUndone,
    /// accept(2) failed with this error number.
    AcceptFailed(i32),
    /// A rule of hosts.allow, else of hosts.deny, was not followed to the letter. The line is
    /// counted from 1; 0: the file cannot be read.
    RuleFallsShort { is_allow: bool, line: u32 },
    /// The target of `redirect` cannot be had; without an address it is a socket in the file
    /// system (REDIR-3).
    NotReached { address: Option<IpAddr>, errno: i32 },
    /// So many sessions are held that there are no descriptors for more; clients wait.
    Full,
    /// More datagrams come than are answered in a second; the others get no answer (INTL-7).
    Withheld,
    /// So many clients are served that datagrams of others are dropped.
    Crowded,
    /// An order (`ToEngine::Gate`) is in force; if it closes the door, nobody is on the way
    /// through it any more.
    Turned(Gate),
}

/// What an operator has made of a door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Gate {
    #[default]
    Open = 1,
    /// Nobody is let in: clients wait in the queue of the socket.
    Held = 2,
    /// Nobody is let in: clients are refused.
    Closed = 3,
}

impl Gate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Held, Self::Closed];
}

/// How a session that the engine served came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ending {
    /// One of the two sides was done.
    Complete = 1,
    /// Its service is gone, or the daemon ends.
    CutOff = 2,
    /// The target was not reached: nothing was passed on (REDIR-3).
    NotReached = 3,
}

/// Who has nothing to say about its end came to it.
impl From<()> for Ending {
    fn from((): ()) -> Self {
        Self::Complete
    }
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

#[cfg(test)]
mod tests;
