//! The kernel, made safe: the only room that may say `unsafe`.
//!
//! Each block does one thing and says what the callee demands and why that holds
//! here. Everything exported is safe.

#![expect(unsafe_code, reason = "this room wraps system calls that no crate wraps safely")]

pub mod channel;
pub mod clock;
pub mod datagram;
pub mod fd;
pub mod load;
pub mod names;
pub mod outlet;
pub mod pipe;
pub mod poll;
pub mod privilege;
pub mod process;
pub mod readiness;
pub mod recipe;
pub mod sandbox;
pub mod signal;
pub mod socket;
pub mod socket_file;
pub mod spawn;
pub mod variables;

pub use nix::errno::Errno;
