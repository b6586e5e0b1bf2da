//! One client of the control socket: its request, its answer, and how long it may take.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::control::{Answer, LONGEST_REQUEST};
use crate::monitor::control::reload::Waiter;
use crate::sys::poll;
use crate::sys::poll::Interest;

/// How long a request may take to come.
const ASKS: Duration = Duration::from_secs(5);

/// How long it may take to be carried out.
const WAITS: Duration = Duration::from_secs(60);

/// How long a client may read nothing of its answer.
const READS: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    /// Who has connected.
    uid: u32,
    stage: Stage,
    /// It has said all that it is going to say, and reads (shutdown(2)).
    is_silent: bool,
    /// What it has not read yet.
    answer: Vec<u8>,
    deadline: Instant,
}

/// How far it has come.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// So much of the request has come.
    Asks(Vec<u8>),
    /// The request is being carried out.
    Waits(Option<Waiter>),
    /// The answer is complete.
    Reads,
    Gone,
}

impl Client {
    /// One that has just connected.
    pub(super) fn new(stream: UnixStream, uid: u32, now: Instant) -> Self {
        let (stage, answer) = (Stage::Asks(Vec::new()), Vec::new());
        Self { stream, uid, stage, is_silent: false, answer, deadline: now + ASKS }
    }

    pub(super) const fn uid(&self) -> u32 {
        self.uid
    }

    /// What to wait for.
    pub(super) fn interest(&self) -> (BorrowedFd<'_>, Interest) {
        let interest = match (&self.stage, self.answer.is_empty()) {
            (Stage::Reads, _) => Interest::Room,
            (_, true) if self.is_silent => Interest::End,
            (_, false) if self.is_silent => Interest::Room,
            (_, true) => Interest::Input,
            (_, false) => Interest::InputOrRoom,
        };
        (self.stream.as_fd(), interest)
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Has it wait for a reload.
    pub(super) fn wait_for(&mut self, waiter: Waiter) {
        self.stage = Stage::Waits(Some(waiter));
    }

    const fn waits(&self) -> bool {
        matches!(self.stage, Stage::Waits(_))
    }

    /// What it waits for.
    pub(super) fn waiter_mut(&mut self) -> Option<&mut Waiter> {
        match &mut self.stage {
            Stage::Waits(waiter) => waiter.as_mut(),
            Stage::Asks(_) | Stage::Reads | Stage::Gone => None,
        }
    }

    /// Reads what has come; the request, without the end of its line, once that is there.
    pub(super) fn hear(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.stage == Stage::Reads {
            return None;
        }
        let mut bytes = [0; LONGEST_REQUEST];
        let read = match self.stream.read(&mut bytes) {
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => return None,
            Ok(0) if self.waits() && !poll::is_at_its_end(&self.stream) => {
                self.is_silent = true;
                return None;
            }
            Ok(0) | Err(_) => {
                self.stage = Stage::Gone;
                return None;
            }
            Ok(read) => bytes.get(..read).unwrap_or_default(),
        };
        let Stage::Asks(request) = &mut self.stage else {
            // One request a connection: who says more has not understood.
            self.stage = Stage::Gone;
            return None;
        };
        request.extend_from_slice(read);
        let end = request.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(request.len()) >= LONGEST_REQUEST {
            let why = format!("a request has at most {LONGEST_REQUEST} bytes");
            self.finish(&[Answer::Failed { why }], now);
            return None;
        }
        let mut request = std::mem::take(request);
        let Some(end) = end else {
            self.stage = Stage::Asks(request);
            return None;
        };
        request.truncate(end);
        self.stage = Stage::Waits(None);
        self.deadline = now + WAITS;
        Some(request)
    }

    /// A line of the answer.
    pub(super) fn tell(&mut self, answer: &Answer) {
        self.answer.extend_from_slice(answer.line().as_bytes());
    }

    /// The rest of the answer.
    pub(super) fn finish(&mut self, answers: &[Answer], now: Instant) {
        answers.iter().for_each(|answer| self.tell(answer));
        self.stage = Stage::Reads;
        self.deadline = now + READS;
        self.flush(now);
    }

    /// Sends what is taken now.
    pub(super) fn flush(&mut self, now: Instant) {
        while !self.answer.is_empty() && !self.is_gone() {
            match self.stream.write(&self.answer) {
                Ok(sent) => {
                    self.answer.drain(..sent);
                    self.deadline = self.deadline.max(now + READS);
                }
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.stage = Stage::Gone,
            }
        }
        if self.stage == Stage::Reads {
            self.stage = Stage::Gone;
        }
    }

    /// Its time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.deadline > now {
            return;
        }
        match self.stage {
            Stage::Waits(_) => {
                let why = "it takes too long: `xinetctl status` tells how it goes".to_owned();
                self.finish(&[Answer::Failed { why }], now);
            }
            Stage::Asks(_) | Stage::Reads | Stage::Gone => self.stage = Stage::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Shutdown;

    /// A client, and the other end of its connection.
    fn client() -> (Client, UnixStream, Instant) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let now = Instant::now();
        (Client::new(ours, 0, now), theirs, now)
    }

    fn heard(client: &mut Client, theirs: &mut UnixStream) -> String {
        client.flush(Instant::now());
        theirs.set_nonblocking(true).unwrap();
        let mut text = Vec::new();
        // It ends with "would block" or with the end of the connection.
        drop(theirs.read_to_end(&mut text));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_request_may_come_in_pieces_and_ends_with_its_line() {
        let (mut client, mut theirs, now) = client();
        assert_eq!(client.hear(now), None);
        for piece in ["{\"ver", "sion\"", ":1}\nrest"] {
            theirs.write_all(piece.as_bytes()).unwrap();
            let request = client.hear(now);
            assert_eq!(request.is_some(), piece.contains('\n'));
            if let Some(request) = request {
                assert_eq!(request, b"{\"version\":1}");
            }
        }
        client.finish(&[Answer::Done {}], now);
        assert_eq!(heard(&mut client, &mut theirs), "{\"done\":{}}\n");
        assert!(client.is_gone());
    }

    #[test]
    fn a_request_without_end_is_refused_at_the_limit() {
        let (mut client, mut theirs, now) = client();
        theirs.write_all(&vec![b'x'; LONGEST_REQUEST - 1]).unwrap();
        assert_eq!(client.hear(now), None);
        assert!(!client.is_gone());
        theirs.write_all(b"x").unwrap();
        assert_eq!(client.hear(now), None);
        assert!(heard(&mut client, &mut theirs).contains("4096 bytes"));
        assert!(client.is_gone());
    }

    #[test]
    fn who_says_more_than_one_request_or_nothing_more_at_all_is_dropped() {
        let (mut client, mut theirs, now) = client();
        theirs.write_all(b"{}\n").unwrap();
        assert!(client.hear(now).is_some());
        theirs.write_all(b"{}\n").unwrap();
        assert!(client.hear(now).is_none() && client.is_gone());
        let (mut client, theirs, now) = self::client();
        drop(theirs);
        assert!(client.hear(now).is_none() && client.is_gone());
    }

    #[test]
    fn who_waits_may_end_its_own_side_but_not_go() {
        let (mut client, mut theirs, now) = client();
        theirs.write_all(b"{}\n").unwrap();
        assert!(client.hear(now).is_some());
        theirs.shutdown(Shutdown::Write).unwrap();
        assert!(client.hear(now).is_none() && !client.is_gone());
        assert_eq!(client.interest().1, Interest::End, "there is always something to read");
        drop(theirs);
        assert!(client.hear(now).is_none() && client.is_gone());
    }

    #[test]
    fn every_stage_has_its_time() {
        let (mut client, mut theirs, now) = client();
        client.expire(now);
        assert!(!client.is_gone());
        client.expire(now + ASKS);
        assert!(client.is_gone(), "it has asked nothing");
        let (mut waiting, mut other, now) = self::client();
        other.write_all(b"{}\n").unwrap();
        assert!(waiting.hear(now).is_some());
        waiting.expire(now + ASKS);
        assert!(!waiting.is_gone());
        waiting.expire(now + WAITS);
        assert!(heard(&mut waiting, &mut other).contains("it takes too long"));
        drop(theirs.write(b""));
    }

    #[test]
    fn who_does_not_read_is_dropped_and_nothing_of_the_answer_is_lost_before() {
        let (mut client, mut theirs, now) = client();
        theirs.write_all(b"{}\n").unwrap();
        assert!(client.hear(now).is_some());
        let why = "x".repeat(4 << 20);
        client.finish(&[Answer::Failed { why: why.clone() }], now);
        assert!(!client.is_gone() && client.interest().1 == Interest::Room);
        let first = heard(&mut client, &mut theirs).len();
        assert!(first > 0 && first < why.len());
        client.expire(now + READS * 2);
        assert!(client.is_gone(), "{:?}", client.deadline() - now);
    }
}
