//! `log_type = JOURNAL`: records with fields of their own, in the journal's native protocol
//! (systemd.journal-fields(7), <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use std::io::{self, IoSlice};

use crate::log::Room;
use crate::log::logger::Logger;
use crate::log::record::Record;
use crate::log::syslog::facility_number;
use crate::plan::Facility;
use crate::plan::Level;

const SOCKET: &str = "/run/systemd/journal/socket";

/// The journal of systemd.
#[derive(Debug)]
pub(super) struct Journal {
    /// What `journalctl -t` knows the records by (CLI-21).
    ident: String,
    logger: Logger,
}

impl Journal {
    pub(super) fn new(ident: &str) -> Self {
        Self { ident: ident.to_owned(), logger: Logger::new(SOCKET) }
    }

    /// A record as one message; `text` is its line.
    pub(super) fn message(&self, record: &Record<'_>, text: &str) -> Vec<u8> {
        let mut message = Vec::with_capacity(256);
        let facility = facility_number(Facility::Daemon).to_string();
        let level = (Level::Info as u8).to_string();
        for (name, value) in [
            ("MESSAGE", text),
            ("PRIORITY", &level),
            ("SYSLOG_FACILITY", &facility),
            ("SYSLOG_IDENTIFIER", &self.ident),
        ] {
            field(&mut message, name, value);
        }
        for (name, value) in record.journal_fields() {
            field(&mut message, &name, &value);
        }
        message
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

/// A value with a line end in it is written with its length in front.
fn field(message: &mut Vec<u8>, name: &str, value: &str) {
    message.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        message.push(b'\n');
        message.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        message.push(b'=');
    }
    message.extend_from_slice(value.as_bytes());
    message.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::record;
    use crate::plan::{Denial, LogField, LogFields, ServiceId};

    #[test]
    fn a_message_has_the_line_and_every_fact_by_name() {
        let fields = LogFields::default().with(LogField::Host);
        let id = ServiceId("pop3".into());
        let from = std::net::IpAddr::from([192, 0, 2, 1]);
        let record = record::fail(&id, fields, Denial::ServiceLimit, from.into()).unwrap();
        let message = Journal::new("xinetd").message(&record, &record.to_string());
        assert_eq!(
            String::from_utf8(message).unwrap(),
            "MESSAGE=FAIL: pop3 service_limit from=192.0.2.1\nPRIORITY=6\nSYSLOG_FACILITY=3\n\
             SYSLOG_IDENTIFIER=xinetd\nXINETD_EVENT=FAIL\nXINETD_SERVICE=pop3\n\
             XINETD_REASON=service_limit\nXINETD_PEER=192.0.2.1\n"
        );
    }

    #[test]
    fn no_value_can_begin_another_field() {
        let mut message = Vec::new();
        field(&mut message, "A", "b\nC=d");
        assert_eq!(message, b"A\n\x05\0\0\0\0\0\0\0b\nC=d\n");
    }
}
