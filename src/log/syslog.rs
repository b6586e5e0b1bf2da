//! Lines to syslog: messages to /dev/log in the form that syslog(3) sends.

use std::io::{self, IoSlice};

use crate::log::Room;
use crate::log::logger::Logger;
use crate::log::stamp::Stamps;
use crate::plan::Facility;
use crate::plan::Level;

/// Where syslogd listens.
pub const SYSLOG_SOCKET: &str = "/dev/log";

/// What is sent there.
#[derive(Debug)]
pub(super) struct Syslog {
    /// The name in front of `[pid]` (CLI-21).
    ident: String,
    logger: Logger,
    stamps: Stamps,
}

/// The number of a facility (RFC 5424 section 6.2.1).
pub(super) const fn facility_number(facility: Facility) -> u32 {
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
        let logger = Logger::new(SYSLOG_SOCKET);
        Self { ident: ident.to_owned(), logger, stamps: Stamps::default() }
    }

    /// A message, stamped now.
    pub(super) fn message(&mut self, facility: Facility, level: Level, text: &str) -> Vec<u8> {
        let priority = facility_number(facility) * 8 + level as u32;
        let (pid, stamp, ident) = (std::process::id(), self.stamps.syslog(), &self.ident);
        format!("<{priority}>{stamp} {ident}[{pid}]: {text}").into_bytes()
    }

    /// See [`Logger::room`].
    pub(super) fn room(&self) -> Option<Room> {
        self.logger.room()
    }

    /// Sends the first of `messages`; see [`Logger::take`].
    pub(super) fn take(&mut self, messages: &[IoSlice<'_>]) -> io::Result<usize> {
        self.logger.take(messages)
    }
}
