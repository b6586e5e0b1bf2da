//! The map of the house.
//!
//! Two processes share this crate. The *monitor* keeps privilege, has one thread
//! and one loop; the *engine* has no privilege and all of tokio. They meet only
//! through [`ipc`]. Which room may open which door is checked by `tests/house.rs`.
//!
//! ```text
//!             xinetd.conf, xinetd.d/*                 clients
//!                      |                                 |
//!    +-----------------v------------------+   +----------v-----------------+
//!    | monitor            uid 0, 1 thread |   | engine   uid xinetd, tokio |
//!    | parse, bind, spawn, reap, log      |   | accept, admit, banner,     |
//!    |                                    |   | internal, relay, tcpmux    |
//!    |  Plan, listeners  --------------------->                            |
//!    |                   <--------------------- Start + socket, Serve      |
//!    |  NotStarted, Exited  ------------------>                            |
//!    |                   <--------------------- Refused, Began, Ended      |
//!    +-------+----------------------------+   +----------------------------+
//!            | fork, Recipe, exec
//!            v
//!    server program, uid of the service, socket on 0, 1, 2
//! ```

pub mod admit;
pub mod cli;
pub mod config;
pub mod control;
pub mod ctl;
pub mod daemon;
pub mod diag;
pub mod engine;
pub mod ipc;
pub mod log;
pub mod monitor;
pub mod plan;
pub mod rpc;
pub mod sys;
