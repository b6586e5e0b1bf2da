//! The three messages that every reader of the demo finds.

/// Where a message came from: a file beside this one, and when it "arrived".
struct Sample {
    eml: &'static str,
    internal_date: &'static str,
    day: Day,
}

const SAMPLES: [Sample; 3] = [
    Sample {
        eml: include_str!("samples/welcome.eml"),
        internal_date: "05-Jan-2026 09:00:00 +0000",
        day: Day { year: 2026, month: 1, day: 5 },
    },
    Sample {
        eml: include_str!("samples/postcard.eml"),
        internal_date: "06-Jan-2026 15:30:00 +0100",
        day: Day { year: 2026, month: 1, day: 6 },
    },
    Sample {
        eml: include_str!("samples/errand.eml"),
        internal_date: "07-Jan-2026 18:45:00 -0500",
        day: Day { year: 2026, month: 1, day: 7 },
    },
];

/// A day as written, without regard to its time zone: what RFC 3501 searches by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    pub(super) year: u32,
    pub(super) month: u32,
    pub(super) day: u32,
}

/// A message as it goes over the wire.
#[derive(Debug)]
pub(super) struct Message {
    /// Position from 1, which is also the unique identifier: the mailbox never changes.
    pub(super) number: u32,
    pub(super) internal_date: &'static str,
    pub(super) day: Day,
    octets: Vec<u8>,
    header_length: usize,
}

impl Message {
    fn from_sample(number: u32, sample: &Sample) -> Self {
        let mut octets = Vec::with_capacity(sample.eml.len() + 64);
        for line in sample.eml.lines() {
            octets.extend_from_slice(line.as_bytes());
            octets.extend_from_slice(b"\r\n");
        }
        let header_length = header_length(&octets);
        Self { number, internal_date: sample.internal_date, day: sample.day, octets, header_length }
    }

    /// The whole message, lines ended by CRLF.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The header with the empty line that ends it (RFC 3501 section 6.4.5).
    pub(super) fn header(&self) -> &[u8] {
        self.octets.split_at_checked(self.header_length).unwrap_or_default().0
    }

    /// What follows the header.
    pub(super) fn text(&self) -> &[u8] {
        self.octets.split_at_checked(self.header_length).unwrap_or_default().1
    }
}

/// How long the header is, with the empty line that ends it.
pub(super) fn header_length(octets: &[u8]) -> usize {
    if octets.starts_with(b"\r\n") {
        return 2;
    }
    octets.windows(4).position(|four| four == b"\r\n\r\n").map_or(octets.len(), |at| at + 4)
}

/// The messages, in order.
pub(super) fn messages() -> Vec<Message> {
    (1..).zip(&SAMPLES).map(|(number, sample)| Message::from_sample(number, sample)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_seven_bit_mail_with_short_lines_and_a_header() {
        for message in messages() {
            assert!(message.octets().is_ascii());
            assert!(message.octets().ends_with(b"\r\n"));
            assert!(message.octets().split(|&byte| byte == b'\n').all(|line| line.len() <= 80));
            assert!(message.header().ends_with(b"\r\n\r\n"));
            assert!(!message.text().is_empty());
        }
    }

    #[test]
    fn a_message_without_body_is_all_header() {
        assert_eq!(header_length(b"Subject: x\r\n"), 12);
        assert_eq!(header_length(b"\r\nbody"), 2);
    }
}
