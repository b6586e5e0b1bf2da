//! IMAP4rev1 (RFC 3501): the session, from complete commands to answers.
//!
//! Flags are kept for the session, which is what "PERMANENTFLAGS ()" promises.

mod command;
mod fetch;
mod flags;
mod list;
mod literal;
mod search;
mod structure;
mod words;

use std::mem;

use super::{
    is_demo,
    mailbox::{self, Message},
    wire::{Answer, Farewell, Next, Session},
};

use command::{Access, Command, Numbering, Request, StatusItem};
use fetch::Item;
use flags::{FlagChange, FlagSet, Report};
use list::{is_inbox, list};
use literal::{Form, Literal};
use search::Key;
use words::SequenceSet;

/// SASL-IR is RFC 4959, LITERAL+ RFC 7888, IDLE RFC 2177, UNSELECT RFC 3691.
const CAPABILITIES: &str = "IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN IDLE UNSELECT";

/// A command with all its literals. Names, searches and flags need far less, and
/// mail (APPEND) is not taken anyway.
const COMMAND_LIMIT: usize = 16 * 1024;

/// Never changes, because the mailbox does not.
const UID_VALIDITY: u32 = 20_260_105;

/// The user and the password as SASL PLAIN carries them (RFC 4616): without and with
/// an authorization identity. There is only one account, so nothing is decoded.
const PLAIN_CREDENTIALS: [&[u8]; 2] = [b"AGRlbW8AZGVtbw==", b"ZGVtbwBkZW1vAGRlbW8="];

/// An IMAP4rev1 session.
pub(super) struct Imap4 {
    messages: Vec<Message>,
    /// One set per message.
    flags: Vec<FlagSet>,
    stage: Stage,
    waiting: Waiting,
    /// The command so far, when it comes with literals.
    command: Vec<u8>,
}

/// RFC 3501 section 3. Logout is the end of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    NotAuthenticated,
    Authenticated,
    Selected(Access),
}

/// What the next line is, when it is not a command. The text is the tag.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Waiting {
    Command,
    Credentials(String),
    Done(String),
}

/// What comes of a command.
enum Outcome {
    /// The untagged lines, and the text of the tagged one.
    Ok(Vec<u8>, &'static str),
    No(&'static str),
    Bad(&'static str),
    /// The client is prompted, and its next line is not a command.
    Ask(&'static str, fn(String) -> Waiting),
    Bye,
}

impl Outcome {
    fn done(text: &'static str) -> Self {
        Self::Ok(Vec::new(), text)
    }
}

const NOT_NOW: Outcome = Outcome::Bad("not now: log in and select INBOX first");
const NO_SUCH_MAILBOX: Outcome = Outcome::No("the demo has one mailbox, INBOX");
const WRONG_PASSWORD: Outcome =
    Outcome::No("[AUTHENTICATIONFAILED] wrong; it is user demo, password demo");

impl Imap4 {
    pub(super) fn new() -> Self {
        let messages = mailbox::messages();
        let flags = vec![FlagSet::default(); messages.len()];
        let (stage, waiting) = (Stage::NotAuthenticated, Waiting::Command);
        Self { messages, flags, stage, waiting, command: Vec::new() }
    }

    fn authenticate(&mut self, mechanism: &[u8], initial: Option<&[u8]>) -> Outcome {
        if self.stage != Stage::NotAuthenticated {
            return Outcome::Bad("you are logged in already");
        }
        if !mechanism.eq_ignore_ascii_case(b"PLAIN") {
            return Outcome::No("the demo knows PLAIN alone");
        }
        match initial {
            Some(credentials) => self.log_in(PLAIN_CREDENTIALS.contains(&credentials)),
            None => Outcome::Ask("+ \r\n", Waiting::Credentials),
        }
    }

    fn log_in(&mut self, known: bool) -> Outcome {
        if self.stage != Stage::NotAuthenticated {
            return Outcome::Bad("you are logged in already");
        }
        if !known {
            return WRONG_PASSWORD;
        }
        self.stage = Stage::Authenticated;
        Outcome::done("the mailbox is yours for this session")
    }

    /// The commands of any state and of the authenticated state.
    fn obey(&mut self, command: Command<'_>) -> Outcome {
        match (self.stage, command) {
            (_, Command::Capability) => {
                Outcome::Ok(format!("* CAPABILITY {CAPABILITIES}\r\n").into(), "that is all")
            }
            (_, Command::Noop) => Outcome::done("here we are"),
            (_, Command::Logout) => Outcome::Bye,
            (_, Command::Authenticate { mechanism, initial }) => {
                self.authenticate(mechanism, initial)
            }
            (_, Command::Login { user, password }) => self.log_in(is_demo(&user, &password)),
            (Stage::NotAuthenticated, _) => NOT_NOW,
            (_, Command::Idle) => Outcome::Ask("+ nothing ever happens here\r\n", Waiting::Done),
            (_, Command::List { reply, pattern }) => {
                Outcome::Ok(list(reply, &pattern), "that is the list")
            }
            (_, Command::Status { mailbox, items }) if is_inbox(&mailbox) => self.status(&items),
            (_, Command::Open { how, mailbox }) if is_inbox(&mailbox) => self.open(how),
            (_, Command::Status { .. }) => NO_SUCH_MAILBOX,
            (_, Command::Open { .. }) => {
                // A failed SELECT leaves nothing selected (section 6.3.1).
                self.stage = Stage::Authenticated;
                NO_SUCH_MAILBOX
            }
            (_, Command::Alter) => Outcome::No("[CANNOT] the demo keeps its mailbox as it is"),
            (Stage::Selected(access), command) => self.obey_selected(access, command),
            (Stage::Authenticated, _) => NOT_NOW,
        }
    }

    /// The commands about a selected mailbox (section 6.4).
    fn obey_selected(&mut self, access: Access, command: Command<'_>) -> Outcome {
        match (access, command) {
            (_, Command::Check) => Outcome::done("all is well"),
            (_, Command::Close) => {
                self.stage = Stage::Authenticated;
                Outcome::done("closed")
            }
            (_, Command::Fetch { numbering, set, items }) => {
                self.fetch(access, numbering, &set, items)
            }
            (_, Command::Search { keys, .. }) => self.search(keys),
            (Access::ReadOnly, _) => Outcome::No("[READ-ONLY] you only look (EXAMINE)"),
            (Access::ReadWrite, Command::Expunge) => {
                Outcome::done("nothing is removed: the demo keeps its messages")
            }
            (Access::ReadWrite, Command::Store { numbering, set, change }) => {
                self.store(numbering, &set, change)
            }
            _ => NOT_NOW,
        }
    }

    fn status(&self, items: &[StatusItem]) -> Outcome {
        let value = |item: &StatusItem| match item {
            StatusItem::Messages => format!("MESSAGES {}", self.messages.len()),
            StatusItem::Recent => "RECENT 0".into(),
            StatusItem::UidNext => format!("UIDNEXT {}", self.last() + 1),
            StatusItem::UidValidity => format!("UIDVALIDITY {UID_VALIDITY}"),
            StatusItem::Unseen => format!("UNSEEN {}", self.unseen().count()),
        };
        let values: Vec<String> = items.iter().map(value).collect();
        Outcome::Ok(format!("* STATUS INBOX ({})\r\n", values.join(" ")).into(), "that is it")
    }

    fn open(&mut self, how: Access) -> Outcome {
        self.stage = Stage::Selected(how);
        let unseen = self.unseen().next();
        let unseen = unseen.map(|n| format!("* OK [UNSEEN {n}] the first one\r\n"));
        let text = format!(
            "* FLAGS {}\r\n* {} EXISTS\r\n* 0 RECENT\r\n{}\
             * OK [PERMANENTFLAGS ()] flags last for this session\r\n\
             * OK [UIDVALIDITY {UID_VALIDITY}] always the same\r\n\
             * OK [UIDNEXT {}] should there ever be another\r\n",
            FlagSet::ALL,
            self.messages.len(),
            unseen.unwrap_or_default(),
            self.last() + 1,
        );
        match how {
            Access::ReadWrite => Outcome::Ok(text.into(), "[READ-WRITE] INBOX is selected"),
            Access::ReadOnly => Outcome::Ok(text.into(), "[READ-ONLY] INBOX is selected"),
        }
    }

    fn fetch(
        &mut self,
        access: Access,
        numbering: Numbering,
        set: &SequenceSet,
        mut items: Vec<Item>,
    ) -> Outcome {
        let numbers = set.numbers(self.last());
        if let Some(bad) = out_of_range(numbering, numbers.is_empty()) {
            return bad;
        }
        if numbering == Numbering::Unique && !items.contains(&Item::Uid) {
            items.insert(0, Item::Uid);
        }
        let marks = access == Access::ReadWrite && items.iter().any(Item::marks_as_seen);
        let chosen = self.messages.iter().zip(&mut self.flags);
        let mut lines = Vec::new();
        for (message, flags) in chosen.filter(|(message, _)| numbers.contains(&message.number)) {
            let seen = flags.union(FlagSet::SEEN);
            // "If this causes the flags to change, they SHOULD be included" (section 6.4.5).
            let tells = marks && seen != *flags && !items.contains(&Item::Flags);
            if marks {
                *flags = seen;
            }
            let told = if tells { [&items[..], &[Item::Flags]].concat() } else { items.clone() };
            lines.extend(fetch::response(message, *flags, &told));
        }
        Outcome::Ok(lines, "fetched")
    }

    fn search(&self, keys: Vec<Key>) -> Outcome {
        let (wanted, last) = (Key::And(keys), self.last());
        let found = self.messages.iter().zip(&self.flags);
        let found =
            found.filter(|(message, flags)| search::matches(&wanted, message, **flags, last));
        let numbers: String = found.map(|(message, _)| format!(" {}", message.number)).collect();
        Outcome::Ok(format!("* SEARCH{numbers}\r\n").into(), "searched")
    }

    fn store(&mut self, numbering: Numbering, set: &SequenceSet, change: FlagChange) -> Outcome {
        let numbers = set.numbers(self.last());
        if let Some(bad) = out_of_range(numbering, numbers.is_empty()) {
            return bad;
        }
        let items: &[Item] = match numbering {
            Numbering::Sequence => &[Item::Flags],
            Numbering::Unique => &[Item::Uid, Item::Flags],
        };
        let chosen = self.messages.iter().zip(&mut self.flags);
        let mut lines = Vec::new();
        for (message, flags) in chosen.filter(|(message, _)| numbers.contains(&message.number)) {
            *flags = change.apply(*flags);
            if change.report == Report::Flags {
                lines.extend(fetch::response(message, *flags, items));
            }
        }
        Outcome::Ok(lines, "stored, for this session only")
    }

    /// The answer to the command with this tag.
    fn finish(&mut self, tag: &str, outcome: Outcome) -> Answer {
        let (mut bytes, word, text) = match outcome {
            Outcome::Ok(lines, text) => (lines, "OK", text),
            Outcome::No(text) => (Vec::new(), "NO", text),
            Outcome::Bad(text) => (Vec::new(), "BAD", text),
            Outcome::Ask(prompt, waiting) => {
                self.waiting = waiting(tag.to_owned());
                return Answer::then_line(prompt);
            }
            Outcome::Bye => {
                let text = format!("* BYE the demo forgets you now\r\n{tag} OK goodbye\r\n");
                return Answer::then_close(text);
            }
        };
        bytes.extend_from_slice(format!("{tag} {word} {text}\r\n").as_bytes());
        Answer::then_line(bytes)
    }

    fn last(&self) -> u32 {
        self.messages.last().map_or(0, |message| message.number)
    }

    fn unseen(&self) -> impl Iterator<Item = u32> {
        let all = self.messages.iter().zip(&self.flags);
        all.filter(|(_, flags)| !flags.contains(FlagSet::SEEN)).map(|(message, _)| message.number)
    }

    /// Obeys a command when it is complete, and asks for its literals until it is.
    fn command_line(&mut self, line: &[u8]) -> Answer {
        self.command.extend_from_slice(line);
        let literal = Literal::announced(line);
        let to_come = literal.map_or(0, |literal| literal.length);
        let fits = self.command.len().saturating_add(to_come) <= COMMAND_LIMIT;
        match literal {
            None if fits => self.complete(|request| request.command),
            Some(literal) if fits => {
                self.command.extend_from_slice(b"\r\n");
                Answer { bytes: literal.prompt().into(), next: Next::Literal(literal.length) }
            }
            // The client waits for "+" and can be told no instead.
            Some(Literal { form: Form::Synchronising, .. }) => {
                self.complete(|_unfinished| Err("the demo takes no literal of this size"))
            }
            _ => Answer::then_close("* BYE that command is too long\r\n"),
        }
    }

    /// Ends the gathering of a command; `judge` says what is to be done with it.
    fn complete(
        &mut self,
        judge: for<'a> fn(Request<'a>) -> Result<Command<'a>, &'static str>,
    ) -> Answer {
        let text = mem::take(&mut self.command);
        let Some(request) = command::parse(&text) else {
            return Answer::then_line("* BAD a command begins with a tag\r\n");
        };
        let tag = request.tag;
        let outcome = match judge(request) {
            Ok(command) => self.obey(command),
            Err(bad) => Outcome::Bad(bad),
        };
        self.finish(tag, outcome)
    }
}

impl Session for Imap4 {
    fn greeting(&self) -> Vec<u8> {
        format!(
            "* OK [CAPABILITY {CAPABILITIES}] xinetd-rs demo IMAP server: \
             three sample messages, nothing is kept\r\n"
        )
        .into()
    }

    fn line(&mut self, line: &[u8]) -> Answer {
        match mem::replace(&mut self.waiting, Waiting::Command) {
            Waiting::Command => self.command_line(line),
            Waiting::Credentials(tag) if line == b"*" => {
                self.finish(&tag, Outcome::Bad("as you like"))
            }
            Waiting::Credentials(tag) => {
                let outcome = self.log_in(PLAIN_CREDENTIALS.contains(&line));
                self.finish(&tag, outcome)
            }
            Waiting::Done(tag) if line.eq_ignore_ascii_case(b"DONE") => {
                self.finish(&tag, Outcome::done("nothing happened"))
            }
            Waiting::Done(tag) => self.finish(&tag, Outcome::Bad("DONE is expected")),
        }
    }

    fn literal(&mut self, octets: &[u8]) {
        self.command.extend_from_slice(octets);
    }

    fn farewell(&self, cause: Farewell) -> &'static [u8] {
        match cause {
            Farewell::LineTooLong => b"* BYE that line is too long\r\n",
            Farewell::Idle => b"* BYE nobody seems to be there\r\n",
        }
    }
}

/// Sequence numbers must exist; unique identifiers need not (section 6.4.8).
fn out_of_range(numbering: Numbering, none: bool) -> Option<Outcome> {
    (none && numbering == Numbering::Sequence)
        .then_some(Outcome::Bad("there is no message with this number"))
}

#[cfg(test)]
mod tests;
