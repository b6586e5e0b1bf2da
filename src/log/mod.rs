//! Logs as xinetd.log(5) has them, and the daemon's own messages.
//!
//! Only the monitor writes. Text is made from fields here, so that no client can forge a line.

mod daemon;
mod file;
mod record;
mod service;
mod stamp;
mod syslog;

pub use daemon::{DaemonLog, Destination, Style};
pub use record::{exit, fail, no_id, start, traffic, user_id};
pub use service::{ServiceLogs, Unusable};
pub use stamp::ctime;
