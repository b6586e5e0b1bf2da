//! Lines in, answers out: the only place of the demo server that reads and writes.

use std::io::{self, ErrorKind, Read, Write};

/// The longest line taken from a client, without its end. RFC 7162 section 4 asks
/// IMAP servers for 8,192 octets; POP3 clients need 255 (RFC 2449 section 4).
pub(super) const LINE_LIMIT: usize = 8192;

/// What a session says to one line.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) next: Next,
}

impl Answer {
    pub(super) fn then_line(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), next: Next::Line }
    }

    pub(super) fn then_close(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), next: Next::Close }
    }
}

/// What a session expects after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Line,
    /// So many octets, given to [`Session::literal`], and then the rest of the line.
    Literal(usize),
    Close,
}

/// Why we hang up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    LineTooLong,
    Idle,
}

/// A protocol as a state machine: no clock, no socket.
pub(super) trait Session {
    fn greeting(&self) -> Vec<u8>;

    /// Answers one line, given without its CRLF.
    fn line(&mut self, line: &[u8]) -> Answer;

    /// Takes the octets that [`Next::Literal`] asked for.
    fn literal(&mut self, octets: &[u8]);

    /// The last words to a client we hang up on.
    fn farewell(&self, cause: Farewell) -> &'static [u8];
}

/// Carries a session over a stream until one of the two ends it.
pub(super) fn converse<S: Read + Write>(
    stream: &mut S,
    session: &mut dyn Session,
) -> io::Result<()> {
    let mut inbox = Inbox::default();
    say(stream, &session.greeting())?;
    loop {
        let line = match inbox.line(stream)? {
            Received::Whole(line) => line,
            Received::Closed => return Ok(()),
            Received::Cut(cause) => return say(stream, session.farewell(cause)),
        };
        let answer = session.line(&line);
        say(stream, &answer.bytes)?;
        match answer.next {
            Next::Line => {}
            Next::Close => return Ok(()),
            Next::Literal(length) => match inbox.octets(stream, length)? {
                Received::Whole(octets) => session.literal(&octets),
                Received::Closed => return Ok(()),
                Received::Cut(cause) => return say(stream, session.farewell(cause)),
            },
        }
    }
}

fn say<S: Write>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

enum Received {
    Whole(Vec<u8>),
    Closed,
    Cut(Farewell),
}

/// What has arrived and is not yet used.
#[derive(Default)]
struct Inbox {
    held: Vec<u8>,
}

impl Inbox {
    fn line<S: Read>(&mut self, stream: &mut S) -> io::Result<Received> {
        loop {
            let end = self.held.iter().position(|&byte| byte == b'\n');
            if end.unwrap_or(self.held.len()) > LINE_LIMIT + 1 {
                return Ok(Received::Cut(Farewell::LineTooLong));
            }
            if let Some(end) = end {
                let mut line: Vec<u8> = self.held.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Received::Whole(line));
            }
            if let Some(end) = self.fill(stream)? {
                return Ok(end);
            }
        }
    }

    fn octets<S: Read>(&mut self, stream: &mut S, length: usize) -> io::Result<Received> {
        while self.held.len() < length {
            if let Some(end) = self.fill(stream)? {
                return Ok(end);
            }
        }
        Ok(Received::Whole(self.held.drain(..length).collect()))
    }

    /// Reads once; says how the stream ended when it did.
    fn fill<S: Read>(&mut self, stream: &mut S) -> io::Result<Option<Received>> {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(0) => Ok(Some(Received::Closed)),
            Ok(count) => {
                self.held.extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) if is_time_over(&error) => Ok(Some(Received::Cut(Farewell::Idle))),
            Err(error) if is_hang_up(&error) => Ok(Some(Received::Closed)),
            Err(error) => Err(error),
        }
    }
}

/// What SO_RCVTIMEO gives when the time is over.
fn is_time_over(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Clients often leave without goodbye: without close_notify, or by reset.
fn is_hang_up(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says back what it hears; `literal N` asks for N octets, `quit` ends.
    struct Echo;

    impl Session for Echo {
        fn greeting(&self) -> Vec<u8> {
            b"hello\r\n".to_vec()
        }

        fn line(&mut self, line: &[u8]) -> Answer {
            match line {
                b"quit" => Answer::then_close("bye\r\n"),
                b"literal 5" => Answer { bytes: b"+\r\n".to_vec(), next: Next::Literal(5) },
                _ => Answer::then_line([b"<", line, b">\r\n"].concat()),
            }
        }

        fn literal(&mut self, octets: &[u8]) {
            assert_eq!(octets, b"a\r\nbc");
        }

        fn farewell(&self, cause: Farewell) -> &'static [u8] {
            match cause {
                Farewell::LineTooLong => b"too long\r\n",
                Farewell::Idle => b"idle\r\n",
            }
        }
    }

    struct Fake<'a> {
        input: &'a [u8],
        output: Vec<u8>,
    }

    impl Read for Fake<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(7);
            self.input.read(&mut buffer[..most])
        }
    }

    impl Write for Fake<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.output.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn talk(input: &[u8]) -> String {
        let mut fake = Fake { input, output: Vec::new() };
        converse(&mut fake, &mut Echo).unwrap();
        String::from_utf8(fake.output).unwrap()
    }

    #[test]
    fn lines_may_end_with_or_without_a_carriage_return_and_come_in_pieces() {
        assert_eq!(
            talk(b"one\r\ntwo and more\nquit\r\n"),
            "hello\r\n<one>\r\n<two and more>\r\nbye\r\n"
        );
    }

    #[test]
    fn a_literal_may_contain_line_ends() {
        assert_eq!(talk(b"literal 5\r\na\r\nbc tail\r\n"), "hello\r\n+\r\n< tail>\r\n");
    }

    #[test]
    fn the_end_of_input_ends_the_session_even_in_the_middle_of_a_line() {
        assert_eq!(talk(b"one\r\nunfinished"), "hello\r\n<one>\r\n");
    }

    #[test]
    fn a_line_beyond_the_limit_ends_the_session() {
        let longest = [vec![b'x'; LINE_LIMIT], b"\r\n".to_vec()].concat();
        assert!(talk(&longest).ends_with("x>\r\n"));
        assert_eq!(talk(&vec![b'x'; LINE_LIMIT + 20]), "hello\r\ntoo long\r\n");
    }
}
