//! The kernel, made safe: the only room that may say `unsafe`.
//!
//! Each block does one thing and says what the callee demands and why that holds
//! here. Everything exported is safe, but for [`process::fork`]'s contract, which
//! [`process::spawn`] keeps by counting threads in debug builds.

#![expect(unsafe_code, reason = "this room wraps system calls that no crate wraps safely")]

pub mod channel;
pub mod clock;
pub mod fd;
pub mod names;
pub mod poll;
pub mod privilege;
pub mod process;
pub mod readiness;
pub mod signal;
pub mod socket;

pub use nix::errno::Errno;
