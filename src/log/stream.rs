//! A stream into the journal: each line written to it becomes an entry of its own.

use std::io::{self, Write};
use std::os::fd::OwnedFd;

use crate::sys::socket;

/// systemd's end of it (systemd-journald.service(8)).
const SOCKET: &str = "/run/systemd/journal/stdout";

/// Of every entry: as what a service of systemd writes to its standard error.
const PRIORITY: u8 = crate::plan::Level::Info as u8;

/// Opens a stream whose entries carry `identifier`, which has no line end; descriptors of it may
/// be given to any process, which the journal names by itself. It does not wait.
///
/// # Errors
/// When there is no journal, or it is too busy to take one more stream.
pub fn journal_stream(identifier: &str) -> io::Result<OwnedFd> {
    let mut stream = socket::connect_now(SOCKET)?;
    stream.set_nonblocking(false)?; // as a server expects of its standard error
    // The lines of sd_journal_stream_fd(3): identifier, unit, priority, whether a line may begin
    // with a priority of its own, and whether to pass it on to syslog, kmsg and the console.
    write!(stream, "{identifier}\n\n{PRIORITY}\n0\n0\n0\n0\n")?;
    Ok(stream.into())
}
