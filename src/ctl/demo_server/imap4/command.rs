//! A command line of IMAP4rev1, from octets to meaning (RFC 3501 section 6).

use std::borrow::Cow;

use super::{
    fetch::{self, Item},
    flags::{FlagChange, FlagSet, Report},
    search::{self, Key},
    words::{Bad, SequenceSet, Words, is_atom_char},
};

/// A tagged command.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) tag: &'a str,
    pub(super) command: Result<Command<'a>, Bad>,
}

/// What a client may ask for.
#[derive(Debug)]
pub(super) enum Command<'a> {
    Capability,
    Noop,
    Logout,
    Login {
        user: Cow<'a, [u8]>,
        password: Cow<'a, [u8]>,
    },
    Authenticate {
        mechanism: &'a [u8],
        initial: Option<&'a [u8]>,
    },
    List {
        reply: &'static str,
        pattern: Vec<u8>,
    },
    Status {
        mailbox: Cow<'a, [u8]>,
        items: Vec<StatusItem>,
    },
    Open {
        how: Access,
        mailbox: Cow<'a, [u8]>,
    },
    Close,
    Check,
    Expunge,
    Idle,
    Fetch {
        numbering: Numbering,
        set: SequenceSet,
        items: Vec<Item>,
    },
    /// The same with and without UID, as the numbers are.
    Search {
        keys: Vec<Key>,
    },
    Store {
        numbering: Numbering,
        set: SequenceSet,
        change: FlagChange,
    },
    /// A command that would change what is kept: understood, and refused.
    Alter,
}

/// SELECT or EXAMINE (sections 6.3.1 and 6.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

/// Whether a command counts by sequence number or was prefixed with UID. In the demo
/// the two numbers are the same; what differs is the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    Sequence,
    Unique,
}

/// What STATUS can be asked (section 6.3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
}

/// Understands a whole command; `None` when not even its tag can be read.
pub(super) fn parse(text: &[u8]) -> Option<Request<'_>> {
    let mut words = Words::new(text);
    let tag = words.atom().ok().filter(|tag| is_tag(tag))?;
    let command = words.space().and_then(|()| command(&mut words));
    Some(Request { tag: str::from_utf8(tag).ok()?, command })
}

/// A tag is repeated to the client, so its form matters (section 9, tag).
fn is_tag(tag: &[u8]) -> bool {
    tag.len() <= 64 && tag.iter().all(|&byte| is_atom_char(byte) && byte != b'+')
}

fn command<'a>(words: &mut Words<'a>) -> Result<Command<'a>, Bad> {
    let name = words.keyword()?;
    let command = match name.as_slice() {
        b"CAPABILITY" => Command::Capability,
        b"NOOP" => Command::Noop,
        b"LOGOUT" => Command::Logout,
        b"LOGIN" => login(words)?,
        b"AUTHENTICATE" => authenticate(words)?,
        b"LIST" => list(words, "LIST")?,
        b"LSUB" => list(words, "LSUB")?,
        b"STATUS" => status(words)?,
        b"SELECT" => open(words, Access::ReadWrite)?,
        b"EXAMINE" => open(words, Access::ReadOnly)?,
        b"CLOSE" | b"UNSELECT" => Command::Close,
        b"CHECK" => Command::Check,
        b"EXPUNGE" => Command::Expunge,
        b"IDLE" => Command::Idle,
        b"UID" => {
            words.space()?;
            let name = words.keyword()?;
            message_command(&name, words, Numbering::Unique)?
        }
        b"APPEND" | b"CREATE" | b"DELETE" | b"RENAME" | b"SUBSCRIBE" | b"UNSUBSCRIBE" => {
            return Ok(Command::Alter);
        }
        _ => message_command(&name, words, Numbering::Sequence)?,
    };
    // COPY has arguments that nobody reads.
    if !matches!(command, Command::Alter) {
        words.end()?;
    }
    Ok(command)
}

/// The commands that also exist with UID in front (section 6.4.8).
fn message_command<'a>(
    name: &[u8],
    words: &mut Words<'a>,
    numbering: Numbering,
) -> Result<Command<'a>, Bad> {
    match name {
        b"FETCH" => {
            let set = set_argument(words)?;
            Ok(Command::Fetch { numbering, set, items: fetch::items(words)? })
        }
        b"SEARCH" => {
            words.space()?;
            Ok(Command::Search { keys: search::keys(words)? })
        }
        b"STORE" => {
            let set = set_argument(words)?;
            Ok(Command::Store { numbering, set, change: FlagChange::parse(words)? })
        }
        b"COPY" | b"MOVE" => Ok(Command::Alter),
        _ => Err("the demo does not know this command"),
    }
}

fn set_argument(words: &mut Words<'_>) -> Result<SequenceSet, Bad> {
    words.space()?;
    let set = words.sequence_set()?;
    words.space()?;
    Ok(set)
}

fn login<'a>(words: &mut Words<'a>) -> Result<Command<'a>, Bad> {
    words.space()?;
    let user = words.astring()?;
    words.space()?;
    Ok(Command::Login { user, password: words.astring()? })
}

fn authenticate<'a>(words: &mut Words<'a>) -> Result<Command<'a>, Bad> {
    words.space()?;
    let mechanism = words.atom()?;
    // The initial response of RFC 4959.
    let initial = match words.take(b" ") {
        Some(()) => Some(words.atom()?),
        None => None,
    };
    Ok(Command::Authenticate { mechanism, initial })
}

fn list<'a>(words: &mut Words<'a>, reply: &'static str) -> Result<Command<'a>, Bad> {
    words.space()?;
    let reference = words.astring()?;
    words.space()?;
    let pattern = [reference.as_ref(), words.pattern()?.as_ref()].concat();
    Ok(Command::List { reply, pattern })
}

fn open<'a>(words: &mut Words<'a>, how: Access) -> Result<Command<'a>, Bad> {
    words.space()?;
    Ok(Command::Open { how, mailbox: words.astring()? })
}

fn status<'a>(words: &mut Words<'a>) -> Result<Command<'a>, Bad> {
    words.space()?;
    let mailbox = words.astring()?;
    words.space()?;
    let items = words.list(|words| match words.keyword()?.as_slice() {
        b"MESSAGES" => Ok(StatusItem::Messages),
        b"RECENT" => Ok(StatusItem::Recent),
        b"UIDNEXT" => Ok(StatusItem::UidNext),
        b"UIDVALIDITY" => Ok(StatusItem::UidValidity),
        b"UNSEEN" => Ok(StatusItem::Unseen),
        _ => Err("STATUS does not know this item"),
    })?;
    Ok(Command::Status { mailbox, items })
}

impl FlagChange {
    /// `FLAGS (\Seen)`, `+FLAGS.SILENT \Seen`, ... (section 6.4.6).
    fn parse(words: &mut Words<'_>) -> Result<Self, Bad> {
        let name = words.keyword()?;
        words.space()?;
        let names = if words.peek() == Some(b'(') {
            words.list(Words::flag)?
        } else {
            let mut names = vec![words.flag()?];
            while words.take(b" ").is_some() {
                names.push(words.flag()?);
            }
            names
        };
        let flags = FlagSet::from_names(&names);
        let (name, report) = match name.strip_suffix(b".SILENT") {
            Some(name) => (name, Report::Silent),
            None => (name.as_slice(), Report::Flags),
        };
        match name {
            b"FLAGS" => Ok(Self::replace(flags, report)),
            b"+FLAGS" => Ok(Self::add(flags, report)),
            b"-FLAGS" => Ok(Self::remove(flags, report)),
            _ => Err("STORE knows FLAGS, +FLAGS and -FLAGS"),
        }
    }
}
