//! The seam between monitor and engine: fixed messages, a table of what is permitted, no policy.
//!
//! One message is one packet of 64 bytes, little-endian; the first byte is its kind, unused
//! bytes are zero, and at most one descriptor comes with it. Decoding is a total function:
//! whatever is not exactly a message is a [`Violation`], and a violation is never answered.
//!
//! Beside it, what the monitor has a child tell rpcbind(8): words one way, an exit status the
//! other.

mod errand;
mod message;
mod part;
mod port;
mod table;
mod to_engine;
mod to_monitor;
mod wire;

pub use errand::{Deed, Errand, Outcome, RPCBIND_ARGUMENT, RPCBIND_CONNECTION, universal};
pub use message::{Ending, Event, Gate, Message, Ports, Refusal, Ticket};
pub use part::Part;
pub use port::{Incoming, Port};
pub use table::{Kind, State};
pub use to_engine::ToEngine;
pub use to_monitor::ToMonitor;

use std::fmt;
use std::os::fd::RawFd;

/// The private first argument that makes the program an engine.
pub const ENGINE_ARGUMENT: &str = "--engine";

/// Where an engine finds its end of the channel.
pub const ENGINE_CHANNEL: RawFd = 3;

/// The exit status of an engine that was sent something it must not be sent, and of a daemon
/// that ends because of it or because its engine did the like.
pub const VIOLATION_STATUS: u8 = 3;

/// Tells builds apart: the first words of an engine must carry the monitor's own number.
pub const BUILD: u64 = fnv1a(env!("CARGO_PKG_VERSION").as_bytes());

/// The FNV-1a hash, 64 bits.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut left = bytes;
    while let [byte, rest @ ..] = left {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        left = rest;
    }
    hash
}

/// A broken promise between the two processes. Whoever sees one stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Wrong size, unknown kind, a field out of its range, or stray bytes.
    Malformed,
    /// A descriptor where none belongs, or none where one must be.
    Descriptor(Kind),
    /// A message that the present state does not permit.
    Forbidden(Kind, State),
    /// A message that contradicts an earlier one; the text says how.
    Contradiction(Kind, &'static str),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("a malformed message"),
            Self::Descriptor(kind) => write!(f, "{kind:?} with the wrong number of descriptors"),
            Self::Forbidden(kind, state) => write!(f, "{kind:?} while {state:?}"),
            Self::Contradiction(kind, how) => write!(f, "{kind:?}: {how}"),
        }
    }
}
