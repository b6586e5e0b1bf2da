//! Logs as xinetd.log(5) has them, and the daemon's own messages.
//!
//! Only the monitor writes. Text is made from fields here, so that no client can forge a line.
//! Nothing here ever waits for a disk to have room, for a reader, or for a logger.

use std::os::fd::AsFd;
use std::sync::Arc;

mod daemon;
mod file;
mod journal;
mod json;
mod logger;
mod look;
mod queue;
mod record;
mod service;
mod stamp;
mod stream;
mod syslog;

pub use daemon::{DaemonLog, Destination, Style};
pub use look::Look;
pub use record::{Record, exit, fail, no_id, start, traffic, user_id};
pub use service::{ServiceLogs, Unusable};
pub use stamp::ctime;
pub use stream::journal_stream;
pub use syslog::SYSLOG_SOCKET;

/// Something that lines wait for: when it has room (POLLOUT of poll(2)), they should be written.
pub type Room = Arc<dyn AsFd + Send + Sync>;
