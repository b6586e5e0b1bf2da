//! FETCH: what may be asked of a message, and the answer (RFC 3501 sections 6.4.5, 7.4.2).

use crate::ctl::demo_server::mailbox::Message;
use crate::ctl::demo_server::mime::{self, Part};

use super::{
    flags::FlagSet,
    structure::{self, Detail},
    words::{Bad, Words, is_atom_char},
};

/// More items in one FETCH only serve to make the answer large.
const MOST_ITEMS: usize = 32;

/// One data item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Flags,
    Uid,
    InternalDate,
    Size,
    Envelope,
    Structure(Detail),
    Octets(Section),
}

/// Octets of a message or of a part, and the name under which they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    name: String,
    address: Vec<usize>,
    text: Text,
    /// `<first.count>`.
    partial: Option<(usize, usize)>,
    effect: Effect,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    Whole,
    Header,
    Fields(Pick, Vec<Vec<u8>>),
    Content,
    Mime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pick {
    These,
    AllBut,
}

/// Whether reading makes the message `\Seen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Seen,
    Peek,
}

impl Item {
    pub(super) fn marks_as_seen(&self) -> bool {
        matches!(self, Self::Octets(Section { effect: Effect::Seen, .. }))
    }
}

/// The items of a FETCH: one, a list, or a macro.
pub(super) fn items(words: &mut Words<'_>) -> Result<Vec<Item>, Bad> {
    if words.peek() == Some(b'(') {
        let items = words.list(|words| {
            let name = words.keyword()?;
            item(&name, words)
        })?;
        return if items.len() > MOST_ITEMS { Err("too many items at once") } else { Ok(items) };
    }
    let name = words.keyword()?;
    let fast = [Item::Flags, Item::InternalDate, Item::Size];
    match name.as_slice() {
        b"FAST" => Ok(fast.into()),
        b"ALL" => Ok(fast.into_iter().chain([Item::Envelope]).collect()),
        b"FULL" => {
            let rest = [Item::Envelope, Item::Structure(Detail::Basic)];
            Ok(fast.into_iter().chain(rest).collect())
        }
        _ => Ok(vec![item(&name, words)?]),
    }
}

fn item(name: &[u8], words: &mut Words<'_>) -> Result<Item, Bad> {
    let old = |name: &str, text, effect| {
        let (address, partial) = (Vec::new(), None);
        Item::Octets(Section { name: name.into(), address, text, partial, effect })
    };
    match name {
        b"FLAGS" => Ok(Item::Flags),
        b"UID" => Ok(Item::Uid),
        b"INTERNALDATE" => Ok(Item::InternalDate),
        b"ENVELOPE" => Ok(Item::Envelope),
        b"BODYSTRUCTURE" => Ok(Item::Structure(Detail::Extended)),
        b"RFC822" => Ok(old("RFC822", Text::Whole, Effect::Seen)),
        b"RFC822.SIZE" => Ok(Item::Size),
        b"RFC822.HEADER" => Ok(old("RFC822.HEADER", Text::Header, Effect::Peek)),
        b"RFC822.TEXT" => Ok(old("RFC822.TEXT", Text::Content, Effect::Seen)),
        b"BODY" if words.peek() == Some(b'[') => section(words, Effect::Seen).map(Item::Octets),
        b"BODY" => Ok(Item::Structure(Detail::Basic)),
        b"BODY.PEEK" => section(words, Effect::Peek).map(Item::Octets),
        _ => Err("FETCH does not know this item"),
    }
}

/// What follows BODY: `[1.2.MIME]<0.100>`.
fn section(words: &mut Words<'_>, effect: Effect) -> Result<Section, Bad> {
    words.expect(b"[", "a section in brackets is expected")?;
    let (address, text) = specifier(words)?;
    words.expect(b"]", "the bracket is not closed")?;
    let partial = match words.take(b"<") {
        None => None,
        Some(()) => {
            let first = words.number()?;
            words.expect(b".", "a partial is <first.count>")?;
            let count = words.number()?;
            words.expect(b">", "a partial is <first.count>")?;
            let size = |number| usize::try_from(number).unwrap_or(usize::MAX);
            Some((size(first), size(count)))
        }
    };
    Ok(Section { name: section_name(&address, &text, partial), address, text, partial, effect })
}

fn specifier(words: &mut Words<'_>) -> Result<(Vec<usize>, Text), Bad> {
    let mut address = Vec::new();
    while words.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        let number = words.number()?;
        address.push(usize::try_from(number).unwrap_or(usize::MAX));
        if words.take(b".").is_none() {
            return Ok((address, Text::Whole));
        }
    }
    if address.is_empty() && words.peek() == Some(b']') {
        return Ok((address, Text::Whole));
    }
    let text = match words.keyword()?.as_slice() {
        b"HEADER" => Text::Header,
        b"TEXT" => Text::Content,
        b"MIME" if !address.is_empty() => Text::Mime,
        b"HEADER.FIELDS" => Text::Fields(Pick::These, field_names(words)?),
        b"HEADER.FIELDS.NOT" => Text::Fields(Pick::AllBut, field_names(words)?),
        _ => return Err("this section is not known"),
    };
    Ok((address, text))
}

/// Names of header fields. They are repeated in the answer, so only plain ones are taken.
fn field_names(words: &mut Words<'_>) -> Result<Vec<Vec<u8>>, Bad> {
    words.space()?;
    words.list(|words| {
        let name = words.astring()?;
        if !name.is_empty() && name.iter().all(|&byte| is_atom_char(byte) && byte != b']') {
            Ok(name.to_ascii_uppercase())
        } else {
            Err("this is no name of a field")
        }
    })
}

/// The name of a section in the answer, which leaves out PEEK and the count.
fn section_name(address: &[usize], text: &Text, partial: Option<(usize, usize)>) -> String {
    let mut pieces: Vec<String> = address.iter().map(usize::to_string).collect();
    let fields = |names: &[Vec<u8>]| String::from_utf8_lossy(&names.join(&b' ')).into_owned();
    match text {
        Text::Whole => {}
        Text::Header => pieces.push("HEADER".into()),
        Text::Content => pieces.push("TEXT".into()),
        Text::Mime => pieces.push("MIME".into()),
        Text::Fields(Pick::These, names) => {
            pieces.push(format!("HEADER.FIELDS ({})", fields(names)));
        }
        Text::Fields(Pick::AllBut, names) => {
            pieces.push(format!("HEADER.FIELDS.NOT ({})", fields(names)));
        }
    }
    let origin = partial.map(|(first, _)| format!("<{first}>")).unwrap_or_default();
    format!("BODY[{}]{origin}", pieces.join("."))
}

/// The untagged answer for one message.
pub(super) fn response(message: &Message, flags: FlagSet, items: &[Item]) -> Vec<u8> {
    let mut bytes = format!("* {} FETCH (", message.number).into_bytes();
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            bytes.push(b' ');
        }
        let whole = || Part::parse(message.octets());
        let text = match item {
            Item::Flags => format!("FLAGS {flags}"),
            Item::Uid => format!("UID {}", message.number),
            Item::InternalDate => format!("INTERNALDATE \"{}\"", message.internal_date),
            Item::Size => format!("RFC822.SIZE {}", message.octets().len()),
            Item::Envelope => format!("ENVELOPE {}", structure::envelope(message.header())),
            Item::Structure(detail) => {
                let name = match detail {
                    Detail::Basic => "BODY",
                    Detail::Extended => "BODYSTRUCTURE",
                };
                format!("{name} {}", structure::body(&whole(), *detail))
            }
            Item::Octets(section) => {
                append_octets(&mut bytes, section, &whole());
                continue;
            }
        };
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(b")\r\n");
    bytes
}

fn append_octets(bytes: &mut Vec<u8>, section: &Section, whole: &Part<'_>) {
    bytes.extend_from_slice(section.name.as_bytes());
    let Some(octets) = select(section, whole) else {
        bytes.extend_from_slice(b" NIL");
        return;
    };
    let (first, count) = section.partial.unwrap_or((0, usize::MAX));
    let octets = octets.get(first..).unwrap_or_default();
    let octets = octets.get(..count).unwrap_or(octets);
    bytes.extend_from_slice(format!(" {{{}}}\r\n", octets.len()).as_bytes());
    bytes.extend_from_slice(octets);
}

/// The octets of a section; `None` when the message has no such part.
fn select(section: &Section, whole: &Part<'_>) -> Option<Vec<u8>> {
    let part = whole.at(&section.address)?;
    let is_message = section.address.is_empty();
    match &section.text {
        Text::Whole if is_message => Some([part.header, part.body].concat()),
        Text::Whole => Some(part.body.to_vec()),
        Text::Mime => Some(part.header.to_vec()),
        // HEADER and TEXT of a part exist only for a message within the message;
        // the samples have none.
        _ if !is_message => None,
        Text::Content => Some(part.body.to_vec()),
        Text::Header => Some(part.header.to_vec()),
        Text::Fields(pick, names) => {
            let wanted = |field: &&[u8]| {
                let name = mime::field_name(field).to_ascii_uppercase();
                names.contains(&name) == (*pick == Pick::These)
            };
            let fields = mime::fields(part.header).into_iter().filter(wanted);
            Some(fields.chain([&b"\r\n"[..]]).collect::<Vec<_>>().concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::demo_server::mailbox;

    fn fetch(number: usize, text: &str) -> String {
        let items = items(&mut Words::new(text.as_bytes())).unwrap();
        let messages = mailbox::messages();
        let bytes = response(&messages[number - 1], FlagSet::SEEN, &items);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn small_items() {
        let text = fetch(1, "(UID FLAGS INTERNALDATE)");
        assert_eq!(
            text,
            "* 1 FETCH (UID 1 FLAGS (\\Seen) INTERNALDATE \"05-Jan-2026 09:00:00 +0000\")\r\n"
        );
        assert!(fetch(1, "FAST").starts_with("* 1 FETCH (FLAGS (\\Seen) INTERNALDATE"));
    }

    #[test]
    fn a_whole_message_is_a_literal_of_its_size() {
        let size = mailbox::messages()[0].octets().len();
        assert!(fetch(1, "BODY[]").starts_with(&format!("* 1 FETCH (BODY[] {{{size}}}\r\nReturn")));
        assert!(fetch(1, "RFC822").contains(&format!("(RFC822 {{{size}}}\r\n")));
    }

    #[test]
    fn header_fields_are_picked_and_the_empty_line_stays() {
        assert_eq!(
            fetch(1, "BODY.PEEK[HEADER.FIELDS (subject \"From\" X-None)]"),
            "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT FROM X-NONE)] {73}\r\n\
             From: Ada Brook <ada@example.org>\r\n\
             Subject: Welcome, the kettle is on\r\n\r\n)\r\n"
        );
        assert!(!fetch(1, "BODY[HEADER.FIELDS.NOT (SUBJECT)]").contains("Subject:"));
    }

    #[test]
    fn partials_are_clipped() {
        assert_eq!(fetch(1, "BODY[TEXT]<0.5>"), "* 1 FETCH (BODY[TEXT]<0> {5}\r\nHello)\r\n");
        assert_eq!(fetch(1, "BODY[]<99999.5>"), "* 1 FETCH (BODY[]<99999> {0}\r\n)\r\n");
    }

    #[test]
    fn parts_have_addresses() {
        assert!(fetch(2, "BODY[1]").contains("{"));
        assert!(fetch(2, "BODY[2.MIME]").contains("text/html"));
        assert_eq!(fetch(2, "BODY[3]"), "* 2 FETCH (BODY[3] NIL)\r\n");
        assert_eq!(fetch(2, "BODY[1.HEADER]"), "* 2 FETCH (BODY[1.HEADER] NIL)\r\n");
    }

    #[test]
    fn only_reading_marks_as_seen() {
        let seen = |text: &str| {
            items(&mut Words::new(text.as_bytes())).unwrap().iter().any(Item::marks_as_seen)
        };
        assert!(seen("BODY[]") && seen("RFC822") && seen("(UID BODY[1])"));
        assert!(!seen("BODY.PEEK[]") && !seen("RFC822.HEADER") && !seen("BODY"));
    }

    #[test]
    fn nonsense_is_refused() {
        let crowd = format!("({})", vec!["UID"; MOST_ITEMS + 1].join(" "));
        for text in ["", "BODY[", "BODY[MIME]", "BODY[]<1>", "BODY[1.]", "SOUL", "()x", &crowd] {
            let mut words = Words::new(text.as_bytes());
            assert!(items(&mut words).is_err() || words.end().is_err(), "{text}");
        }
    }
}
