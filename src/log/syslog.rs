//! Lines to syslog: datagrams to /dev/log in the form that syslog(3) sends.

use std::io;
use std::os::unix::net::UnixDatagram;

use crate::log::stamp::Stamps;
use crate::plan::Facility;
use crate::plan::Level;

const SOCKET: &str = "/dev/log";

/// A connection to the system's logger, made when it is first needed and again when it broke.
#[derive(Debug)]
pub(super) struct Syslog {
    /// The name in front of `[pid]` (CLI-21).
    ident: String,
    socket: Option<UnixDatagram>,
    stamps: Stamps,
    /// Lines that could not be delivered since the last one that could.
    lost: u64,
}

/// The number of a facility (RFC 5424 section 6.2.1).
const fn facility_number(facility: Facility) -> u32 {
    match facility {
        Facility::User => 1,
        Facility::Mail => 2,
        Facility::Daemon => 3,
        Facility::Auth => 4,
        Facility::Lpr => 6,
        Facility::News => 7,
        Facility::Uucp => 8,
        Facility::Authpriv => 10,
        Facility::Ftp => 11,
        Facility::Local(n) => 16 + n as u32,
    }
}

impl Syslog {
    pub(super) fn new(ident: &str) -> Self {
        Self { ident: ident.to_owned(), socket: None, stamps: Stamps::default(), lost: 0 }
    }

    /// Sends one line. Never waits: what the logger does not take now is lost, counted, and
    /// told with the next line that goes through.
    pub(super) fn line(&mut self, facility: Facility, level: Level, text: &str) {
        let priority = facility_number(facility) * 8 + level as u32;
        if self.lost > 0 {
            let lost = format!("{} lines for syslog were lost", self.lost);
            let notice = facility_number(Facility::Daemon) * 8 + Level::Warning as u32;
            if self.send(notice, &lost) {
                self.lost = 0;
            }
        }
        if !self.send(priority, text) {
            self.lost += 1;
        }
    }

    fn send(&mut self, priority: u32, text: &str) -> bool {
        let pid = std::process::id();
        let (stamp, ident) = (self.stamps.syslog(), &self.ident);
        let datagram = format!("<{priority}>{stamp} {ident}[{pid}]: {text}");
        if self.socket.as_ref().is_some_and(|s| s.send(datagram.as_bytes()).is_ok()) {
            return true;
        }
        // Not there before, or the logger has been restarted: once more on a new socket.
        self.socket = connect().ok();
        self.socket.as_ref().is_some_and(|s| s.send(datagram.as_bytes()).is_ok())
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(SOCKET)?;
    Ok(socket)
}
