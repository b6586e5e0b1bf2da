//! SEARCH: the keys of RFC 3501 section 6.4.4, and whether a message has them.

use crate::ctl::demo_server::mailbox::{Day, Message};
use crate::ctl::demo_server::mime;

use super::{
    flags::FlagSet,
    words::{Bad, DEEPEST, SequenceSet, Words},
};

/// One search key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    All,
    /// A flag that nothing here can have: `\Recent`, or a keyword.
    Nothing,
    Has(FlagSet),
    Lacks(FlagSet),
    /// Sequence numbers or unique identifiers: the same in this mailbox.
    In(SequenceSet),
    Field(String, Vec<u8>),
    Body(Vec<u8>),
    Text(Vec<u8>),
    Before(Day),
    On(Day),
    Since(Day),
    Larger(u32),
    Smaller(u32),
    Not(Box<Self>),
    Or(Box<Self>, Box<Self>),
    And(Vec<Self>),
}

/// The keys of a SEARCH command, after an optional CHARSET.
pub(super) fn keys(words: &mut Words<'_>) -> Result<Vec<Key>, Bad> {
    if words.take(b"CHARSET ").is_some() {
        // The samples are ASCII, of which UTF-8 is an extension.
        let charset = words.astring()?;
        if !charset.eq_ignore_ascii_case(b"UTF-8") && !charset.eq_ignore_ascii_case(b"US-ASCII") {
            return Err("the demo searches in US-ASCII and UTF-8");
        }
        words.space()?;
    }
    let mut keys = vec![key(words, 0)?];
    while words.take(b" ").is_some() {
        keys.push(key(words, 0)?);
    }
    Ok(keys)
}

fn key(words: &mut Words<'_>, depth: usize) -> Result<Key, Bad> {
    if depth > DEEPEST {
        return Err("the search is nested too deeply");
    }
    match words.peek() {
        Some(b'(') => words.list(|words| key(words, depth + 1)).map(Key::And),
        Some(b'0'..=b'9' | b'*') => words.sequence_set().map(Key::In),
        _ => {
            let name = words.keyword()?;
            if let Some(key) = flag_key(&name) {
                return Ok(key);
            }
            words.space().map_err(|_end| "this search key is not known, or wants an argument")?;
            argument_key(&name, words, depth)
        }
    }
}

/// The keys that stand alone.
fn flag_key(name: &[u8]) -> Option<Key> {
    Some(match name {
        b"ALL" | b"OLD" => Key::All,
        b"NEW" | b"RECENT" => Key::Nothing,
        b"ANSWERED" => Key::Has(FlagSet::ANSWERED),
        b"DELETED" => Key::Has(FlagSet::DELETED),
        b"DRAFT" => Key::Has(FlagSet::DRAFT),
        b"FLAGGED" => Key::Has(FlagSet::FLAGGED),
        b"SEEN" => Key::Has(FlagSet::SEEN),
        b"UNANSWERED" => Key::Lacks(FlagSet::ANSWERED),
        b"UNDELETED" => Key::Lacks(FlagSet::DELETED),
        b"UNDRAFT" => Key::Lacks(FlagSet::DRAFT),
        b"UNFLAGGED" => Key::Lacks(FlagSet::FLAGGED),
        b"UNSEEN" => Key::Lacks(FlagSet::SEEN),
        _ => return None,
    })
}

/// The keys that are followed by a space and more.
fn argument_key(name: &[u8], words: &mut Words<'_>, depth: usize) -> Result<Key, Bad> {
    match name {
        b"UID" => words.sequence_set().map(Key::In),
        b"NOT" => Ok(Key::Not(Box::new(key(words, depth + 1)?))),
        b"OR" => {
            let first = key(words, depth + 1)?;
            words.space()?;
            Ok(Key::Or(Box::new(first), Box::new(key(words, depth + 1)?)))
        }
        b"BCC" | b"CC" | b"FROM" | b"SUBJECT" | b"TO" => {
            Ok(Key::Field(String::from_utf8_lossy(name).into_owned(), string(words)?))
        }
        b"HEADER" => {
            let field = String::from_utf8_lossy(&words.astring()?).into_owned();
            words.space()?;
            Ok(Key::Field(field, string(words)?))
        }
        b"BODY" => string(words).map(Key::Body),
        b"TEXT" => string(words).map(Key::Text),
        // The samples arrived on the day that their Date field names.
        b"BEFORE" | b"SENTBEFORE" => day(words).map(Key::Before),
        b"ON" | b"SENTON" => day(words).map(Key::On),
        b"SINCE" | b"SENTSINCE" => day(words).map(Key::Since),
        b"LARGER" => words.number().map(Key::Larger),
        b"SMALLER" => words.number().map(Key::Smaller),
        b"KEYWORD" => words.atom().map(|_keyword| Key::Nothing),
        b"UNKEYWORD" => words.atom().map(|_keyword| Key::All),
        _ => Err("this search key is not known"),
    }
}

fn string(words: &mut Words<'_>) -> Result<Vec<u8>, Bad> {
    Ok(words.astring()?.into_owned())
}

/// `5-Jan-2026`, with or without quotes.
fn day(words: &mut Words<'_>) -> Result<Day, Bad> {
    const BROKEN: Bad = "a date is written 5-Jan-2026";
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let text = words.astring()?;
    let text = str::from_utf8(&text).map_err(|_not_ascii| BROKEN)?;
    let mut pieces = text.split('-');
    let (Some(day), Some(name), Some(year), None) =
        (pieces.next(), pieces.next(), pieces.next(), pieces.next())
    else {
        return Err(BROKEN);
    };
    let month = (1..).zip(MONTHS).find(|(_, known)| name.eq_ignore_ascii_case(known));
    let (month, _) = month.ok_or(BROKEN)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_not_a_number| BROKEN);
    Ok(Day { year: number(year)?, month, day: number(day)? })
}

/// Whether a message is what the key asks for. `last` is the highest number there is.
pub(super) fn matches(key: &Key, message: &Message, flags: FlagSet, last: u32) -> bool {
    let again = |key: &Key| matches(key, message, flags, last);
    let size = u32::try_from(message.octets().len()).unwrap_or(u32::MAX);
    match key {
        Key::All => true,
        Key::Nothing => false,
        Key::Has(wanted) => flags.contains(*wanted),
        Key::Lacks(unwanted) => !flags.contains(*unwanted),
        Key::In(set) => set.numbers(last).contains(&message.number),
        Key::Field(name, wanted) => mime::field(message.header(), name)
            .is_some_and(|value| contains(value.as_bytes(), wanted)),
        Key::Body(wanted) => contains(message.text(), wanted),
        Key::Text(wanted) => contains(message.octets(), wanted),
        Key::Before(day) => message.day < *day,
        Key::On(day) => message.day == *day,
        Key::Since(day) => message.day >= *day,
        Key::Larger(limit) => size > *limit,
        Key::Smaller(limit) => size < *limit,
        Key::Not(key) => !again(key),
        Key::Or(first, second) => again(first) || again(second),
        Key::And(keys) => keys.iter().all(again),
    }
}

/// Substring, in any case of ASCII.
fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::demo_server::mailbox;

    /// Message 1 is seen, the others are not.
    fn search(text: &str) -> Vec<u32> {
        let mut words = Words::new(text.as_bytes());
        let keys = Key::And(keys(&mut words).unwrap());
        words.end().unwrap();
        let flags = |n| if n == 1 { FlagSet::SEEN } else { FlagSet::default() };
        let messages = mailbox::messages();
        let found = messages.iter().filter(|m| matches(&keys, m, flags(m.number), 3));
        found.map(|message| message.number).collect()
    }

    #[test]
    fn keys_find_messages() {
        assert_eq!(search("ALL"), [1, 2, 3]);
        assert_eq!(search("UNSEEN"), [2, 3]);
        assert_eq!(search("SEEN"), [1]);
        assert_eq!(search("1:*"), [1, 2, 3]);
        assert_eq!(search("CHARSET UTF-8 SUBJECT \"KETTLE\""), [1, 3]);
        assert_eq!(search("SUBJECT kettle NOT FROM tom"), [1]);
        assert_eq!(search("OR FROM zoe TEXT lemons"), [2, 3]);
        assert_eq!(search("(UID 2:3 (UNSEEN)) SINCE 7-Jan-2026"), [3]);
        assert_eq!(search("BEFORE \"07-jan-2026\""), [1, 2]);
        assert_eq!(search("HEADER Message-ID postcard"), [2]);
        assert_eq!(search("RECENT"), Vec::<u32>::new());
    }

    #[test]
    fn nonsense_is_refused() {
        let deep = "(".repeat(DEEPEST + 2);
        let not = "NOT ".repeat(5000);
        for text in ["", "FOO", "OR ALL", "SINCE yesterday", "(ALL", "CHARSET x ALL", &deep, &not] {
            assert!(keys(&mut Words::new(text.as_bytes())).is_err(), "{text}");
        }
    }
}
