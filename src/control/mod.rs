//! Room `control`: what an operator's tool and the monitor say to each other (docs/control.md).
//!
//! A client connects to a socket of unix(7), sends one [`Request`] as a line of JSON, and reads
//! lines of JSON, each an [`Answer`], until [`Answer::Done`] or [`Answer::Failed`]. Nothing in a
//! request names a file or a program: what the daemon does stands in its configuration.

mod answer;
mod request;

pub use answer::{
    Answer, Daemon, Denied, Difference, Engine, Failure, LeftOut, Level, Note, Place, Service,
    Session, State,
};
pub use request::{Command, Rejected, Request, Services, Whom};

/// Grows when something changes its meaning or goes, not when something comes.
pub const VERSION: u32 = 1;

/// Where the socket is, unless the daemon is told otherwise (`-control`).
pub const SOCKET: &str = "/run/xinetd/control";

/// The longest request in bytes, the end of the line included.
pub const LONGEST_REQUEST: usize = 4096;

/// `value` as a line of JSON.
fn line(value: &impl serde::Serialize) -> String {
    // Fails only for maps whose keys are no text, which nothing here has.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}
