//! POP3 (RFC 1939), with the capability list of RFC 2449.
//!
//! A reader may delete messages; like everything in the demo that lasts for the
//! session only.

use super::{
    is_demo,
    mailbox::{self, Message},
    wire::{Answer, Farewell, Session},
};

/// What CAPA lists (RFC 2449 section 5; AUTH-RESP-CODE is RFC 3206).
const CAPABILITIES: &str = "+OK this is what the demo can do\r\n\
    USER\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n\
    IMPLEMENTATION xinetd-rs-demo\r\n.\r\n";

/// A POP3 session.
pub(super) struct Pop3 {
    messages: Vec<Message>,
    /// One mark per message: deleted in this session.
    marks: Vec<Mark>,
    stage: Stage,
}

/// The states of RFC 1939 section 3, with the point between USER and PASS.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Authorization,
    Named(Vec<u8>),
    Transaction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Kept,
    Deleted,
}

/// One command line, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command<'a> {
    User(&'a [u8]),
    Pass(&'a [u8]),
    Stat,
    List(Option<usize>),
    Uidl(Option<usize>),
    Retr(usize),
    Top(usize, usize),
    Dele(usize),
    Noop,
    Rset,
    Capa,
    Quit,
}

/// The text after `-ERR`.
type Refusal = &'static str;

const NO_SUCH_MESSAGE: Refusal = "there is no such message";

impl Pop3 {
    pub(super) fn new() -> Self {
        let messages = mailbox::messages();
        let marks = vec![Mark::Kept; messages.len()];
        Self { messages, marks, stage: Stage::Authorization }
    }

    fn obey(&mut self, command: Command<'_>) -> Result<Vec<u8>, Refusal> {
        match (&self.stage, command) {
            (_, Command::Capa) => Ok(CAPABILITIES.into()),
            (Stage::Authorization | Stage::Named(_), Command::User(name)) => {
                self.stage = Stage::Named(name.to_vec());
                Ok(ok("and the password?"))
            }
            (Stage::Named(name), Command::Pass(password)) => {
                if is_demo(name, password) {
                    self.stage = Stage::Transaction;
                    Ok(ok("the mailbox is yours for this session"))
                } else {
                    self.stage = Stage::Authorization;
                    Err("[AUTH] wrong; it is user demo, password demo")
                }
            }
            (Stage::Transaction, command) => self.transact(command),
            (Stage::Authorization, Command::Pass(_)) => Err("USER comes first"),
            (Stage::Authorization | Stage::Named(_), _) => Err("log in first"),
        }
    }

    fn transact(&mut self, command: Command<'_>) -> Result<Vec<u8>, Refusal> {
        match command {
            Command::User(_) | Command::Pass(_) => Err("you are logged in already"),
            Command::Stat => {
                let (count, octets) = self.count();
                Ok(format!("+OK {count} {octets}\r\n").into())
            }
            Command::List(None) => {
                let (count, octets) = self.count();
                let lines = self.kept().map(|(n, m)| format!("{n} {}\r\n", m.octets().len()));
                Ok(listing(&format!("{count} messages ({octets} octets)"), lines))
            }
            Command::List(Some(number)) => {
                let message = self.message(number)?;
                Ok(ok(&format!("{number} {}", message.octets().len())))
            }
            Command::Uidl(None) => {
                Ok(listing("unique identifiers", self.kept().map(|(n, m)| unique(n, m) + "\r\n")))
            }
            Command::Uidl(Some(number)) => Ok(ok(&unique(number, self.message(number)?))),
            Command::Retr(number) => {
                let message = self.message(number)?;
                Ok(multiline(message.octets(), &format!("{} octets", message.octets().len())))
            }
            Command::Top(number, lines) => {
                let message = self.message(number)?;
                let octets = [message.header(), first_lines(message.text(), lines)].concat();
                Ok(multiline(&octets, "the top follows"))
            }
            Command::Dele(number) => {
                self.message(number)?;
                if let Some(mark) = self.marks.get_mut(number.wrapping_sub(1)) {
                    *mark = Mark::Deleted;
                }
                Ok(ok("deleted, for this session only"))
            }
            Command::Rset => {
                self.marks.fill(Mark::Kept);
                Ok(ok("all messages are back"))
            }
            Command::Noop => Ok(ok("here we are")),
            Command::Capa => Ok(CAPABILITIES.into()),
            Command::Quit => Ok(ok("goodbye")),
        }
    }

    fn kept(&self) -> impl Iterator<Item = (usize, &Message)> {
        (1..)
            .zip(self.messages.iter().zip(&self.marks))
            .filter(|(_, (_, mark))| **mark == Mark::Kept)
            .map(|(number, (message, _))| (number, message))
    }

    fn count(&self) -> (usize, usize) {
        self.kept().fold((0, 0), |(n, size), (_, message)| (n + 1, size + message.octets().len()))
    }

    fn message(&self, number: usize) -> Result<&Message, Refusal> {
        self.kept().find(|(n, _)| *n == number).map(|(_, m)| m).ok_or(NO_SUCH_MESSAGE)
    }
}

impl Session for Pop3 {
    fn greeting(&self) -> Vec<u8> {
        // No "<...>" in here: clients would take it for the APOP timestamp.
        ok("xinetd-rs demo POP3 server: three sample messages, nothing is kept")
    }

    fn line(&mut self, line: &[u8]) -> Answer {
        let command = match parse(line) {
            Ok(command) => command,
            Err(refusal) => return Answer::then_line(format!("-ERR {refusal}\r\n")),
        };
        if command == Command::Quit {
            return Answer::then_close(ok("goodbye"));
        }
        match self.obey(command) {
            Ok(bytes) => Answer::then_line(bytes),
            Err(refusal) => Answer::then_line(format!("-ERR {refusal}\r\n")),
        }
    }

    fn literal(&mut self, _octets: &[u8]) {
        // POP3 has none, and no answer of ours asks for one.
    }

    fn farewell(&self, cause: Farewell) -> &'static [u8] {
        match cause {
            Farewell::LineTooLong => b"-ERR that line is too long\r\n",
            // RFC 1939 section 3: close without sending any response.
            Farewell::Idle => b"",
        }
    }
}

/// Understands a line given without its CRLF. Keywords are in any case (section 3).
fn parse(line: &[u8]) -> Result<Command<'_>, Refusal> {
    let (keyword, rest) = word(line);
    let keyword = keyword.to_ascii_uppercase();
    match keyword.as_slice() {
        b"USER" => Ok(Command::User(rest.trim_ascii())),
        // A password may contain spaces (section 7, PASS).
        b"PASS" => Ok(Command::Pass(rest)),
        b"LIST" => Ok(Command::List(optional_number(rest)?)),
        b"UIDL" => Ok(Command::Uidl(optional_number(rest)?)),
        b"RETR" => Ok(Command::Retr(number(rest.trim_ascii())?)),
        b"DELE" => Ok(Command::Dele(number(rest.trim_ascii())?)),
        b"TOP" => {
            let (message, lines) = word(rest);
            Ok(Command::Top(number(message)?, number(lines.trim_ascii())?))
        }
        b"STAT" => bare(rest, Command::Stat),
        b"NOOP" => bare(rest, Command::Noop),
        b"RSET" => bare(rest, Command::Rset),
        b"CAPA" => bare(rest, Command::Capa),
        b"QUIT" => bare(rest, Command::Quit),
        _ => Err("the demo does not know this command"),
    }
}

/// The first word, and what follows the one space after it.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
    let (first, rest) = line.split_at_checked(end).unwrap_or_default();
    (first, rest.strip_prefix(b" ").unwrap_or(rest))
}

fn bare<'a>(rest: &[u8], command: Command<'a>) -> Result<Command<'a>, Refusal> {
    if rest.trim_ascii().is_empty() { Ok(command) } else { Err("this command has no arguments") }
}

fn optional_number(text: &[u8]) -> Result<Option<usize>, Refusal> {
    let text = text.trim_ascii();
    if text.is_empty() { Ok(None) } else { number(text).map(Some) }
}

fn number(text: &[u8]) -> Result<usize, Refusal> {
    // `parse` would take a sign.
    if !text.iter().all(u8::is_ascii_digit) {
        return Err("a number is expected here");
    }
    str::from_utf8(text)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or("a number is expected here")
}

fn ok(text: &str) -> Vec<u8> {
    format!("+OK {text}\r\n").into()
}

fn unique(number: usize, message: &Message) -> String {
    format!("{number} xinetd-rs-demo-{}", message.number)
}

fn listing(title: &str, lines: impl Iterator<Item = String>) -> Vec<u8> {
    let lines: String = lines.collect();
    format!("+OK {title}\r\n{lines}.\r\n").into()
}

/// A multi-line response: lines that begin with a dot get another (section 3).
fn multiline(octets: &[u8], title: &str) -> Vec<u8> {
    let mut bytes = ok(title);
    for line in octets.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b".") {
            bytes.push(b'.');
        }
        bytes.extend_from_slice(line);
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

/// The first `count` lines of a body.
fn first_lines(text: &[u8], count: usize) -> &[u8] {
    let length = text.split_inclusive(|&byte| byte == b'\n').take(count).map(<[u8]>::len).sum();
    text.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ctl::demo_server::wire::Next;

    fn say(session: &mut Pop3, line: &str) -> String {
        String::from_utf8(session.line(line.as_bytes()).bytes).unwrap()
    }

    fn logged_in() -> Pop3 {
        let mut session = Pop3::new();
        assert!(say(&mut session, "USER demo").starts_with("+OK"));
        assert!(say(&mut session, "pass demo").starts_with("+OK"));
        session
    }

    #[test]
    fn the_greeting_is_honest_and_offers_no_apop() {
        let greeting = String::from_utf8(Pop3::new().greeting()).unwrap();
        assert!(greeting.starts_with("+OK ") && greeting.contains("demo"));
        assert!(!greeting.contains('<'));
    }

    #[test]
    fn a_wrong_password_is_refused_and_a_right_one_may_follow() {
        let mut session = Pop3::new();
        assert!(say(&mut session, "STAT").starts_with("-ERR log in"));
        assert!(say(&mut session, "PASS demo").starts_with("-ERR USER"));
        say(&mut session, "USER demo");
        assert!(say(&mut session, "PASS wrong").starts_with("-ERR [AUTH]"));
        assert!(say(&mut session, "PASS demo").starts_with("-ERR"));
        say(&mut session, "USER demo");
        assert!(say(&mut session, "PASS demo").starts_with("+OK"));
    }

    #[test]
    fn three_messages_are_listed_and_their_sizes_add_up() {
        let mut session = logged_in();
        let list = say(&mut session, "LIST");
        let sizes: Vec<usize> = list
            .lines()
            .skip(1)
            .take_while(|line| *line != ".")
            .map(|line| line.split(' ').nth(1).unwrap().parse().unwrap())
            .collect();
        assert_eq!(sizes.len(), 3);
        let total: usize = sizes.iter().sum();
        assert_eq!(say(&mut session, "STAT"), format!("+OK 3 {total}\r\n"));
        assert_eq!(say(&mut session, "LIST 2"), format!("+OK 2 {}\r\n", sizes[1]));
        assert_eq!(say(&mut session, "UIDL 3"), "+OK 3 xinetd-rs-demo-3\r\n");
    }

    #[test]
    fn lines_that_begin_with_a_dot_are_stuffed() {
        let text = say(&mut logged_in(), "RETR 3");
        assert!(text.contains("\r\n..plan\r\n") && text.contains("\r\n..\r\n(The line"));
        assert!(text.ends_with("\r\n.\r\n"));
    }

    #[test]
    fn top_gives_the_header_and_so_many_lines() {
        let mut session = logged_in();
        let none = say(&mut session, "TOP 1 0");
        assert!(none.contains("Subject: ") && none.ends_with("\r\n\r\n.\r\n"));
        assert!(say(&mut session, "TOP 1 1").ends_with("\r\n\r\nHello,\r\n.\r\n"));
        assert!(say(&mut session, "TOP 1").starts_with("-ERR"));
    }

    #[test]
    fn a_deleted_message_is_gone_until_rset() {
        let mut session = logged_in();
        assert!(say(&mut session, "DELE 1").starts_with("+OK"));
        assert!(say(&mut session, "DELE 1").starts_with("-ERR"));
        assert!(say(&mut session, "RETR 1").starts_with("-ERR"));
        assert!(say(&mut session, "STAT").starts_with("+OK 2 "));
        say(&mut session, "RSET");
        assert!(say(&mut session, "STAT").starts_with("+OK 3 "));
    }

    #[test]
    fn quit_closes_in_every_state() {
        assert_eq!(Pop3::new().line(b"quit").next, Next::Close);
        assert_eq!(logged_in().line(b"QUIT").next, Next::Close);
    }

    #[test]
    fn numbers_are_digits_and_fit() {
        for line in
            ["RETR", "RETR +1", "RETR -1", "RETR 1x", "RETR 99999999999999999999999", "DELE 0"]
        {
            assert!(say(&mut logged_in(), line).starts_with("-ERR"), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_gets_a_whole_answer(
            lines in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..60),
                    "(USER|PASS|STAT|LIST|UIDL|RETR|TOP|DELE|NOOP|RSET|CAPA)( [0-9a-z]{1,4}){0,3}"
                        .prop_map(String::into_bytes),
                ],
                1..20,
            )
        ) {
            for mut session in [Pop3::new(), logged_in()] {
                for line in &lines {
                    let answer = session.line(line);
                    prop_assert!(answer.bytes.starts_with(b"+OK") || answer.bytes.starts_with(b"-ERR"));
                    prop_assert!(answer.bytes.ends_with(b"\r\n"));
                }
            }
        }
    }
}
