//! The words of RFC 3501 section 9: atoms, strings, literals, lists, sequence sets.

use std::{borrow::Cow, collections::BTreeSet};

/// Text after `BAD`.
pub(super) type Bad = &'static str;

/// How deep parentheses may be nested; a client needs two or three.
pub(super) const DEEPEST: usize = 16;

/// What is left of a command. A literal stands in it as it came: `{3}CRLFabc`.
#[derive(Debug, Clone)]
pub(super) struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `token` in any case, if it comes next.
    pub(super) fn take(&mut self, token: &[u8]) -> Option<()> {
        let (start, rest) = self.rest.split_at_checked(token.len())?;
        start.eq_ignore_ascii_case(token).then(|| self.rest = rest)
    }

    pub(super) fn expect(&mut self, token: &[u8], otherwise: Bad) -> Result<(), Bad> {
        self.take(token).ok_or(otherwise)
    }

    pub(super) fn space(&mut self) -> Result<(), Bad> {
        self.expect(b" ", "a space is missing")
    }

    /// The command must end here. Clients that leave a space behind are forgiven.
    pub(super) fn end(&self) -> Result<(), Bad> {
        if self.rest.iter().all(|&byte| byte == b' ') { Ok(()) } else { Err("too many arguments") }
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !wanted(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        taken
    }

    fn some(&mut self, wanted: impl Fn(u8) -> bool, otherwise: Bad) -> Result<&'a [u8], Bad> {
        let taken = self.take_while(wanted);
        if taken.is_empty() { Err(otherwise) } else { Ok(taken) }
    }

    pub(super) fn atom(&mut self) -> Result<&'a [u8], Bad> {
        self.some(is_atom_char, "a word is missing")
    }

    /// A keyword, in capitals: letters, digits, `.`, `-`, `+`.
    pub(super) fn keyword(&mut self) -> Result<Vec<u8>, Bad> {
        let wanted = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
        Ok(self.some(wanted, "a keyword is missing")?.to_ascii_uppercase())
    }

    /// A flag: an atom, or a backslash and an atom.
    pub(super) fn flag(&mut self) -> Result<&'a [u8], Bad> {
        let mut ahead = self.clone();
        let slash = usize::from(ahead.take(b"\\").is_some());
        let name = ahead.atom()?;
        let flag = self.rest.get(..slash + name.len()).unwrap_or_default();
        *self = ahead;
        Ok(flag)
    }

    pub(super) fn astring(&mut self) -> Result<Cow<'a, [u8]>, Bad> {
        self.string_or(|byte| is_atom_char(byte) || byte == b']')
    }

    /// A mailbox name in which LIST's wildcards may stand.
    pub(super) fn pattern(&mut self) -> Result<Cow<'a, [u8]>, Bad> {
        self.string_or(|byte| is_atom_char(byte) || b"]%*".contains(&byte))
    }

    fn string_or(&mut self, wanted: impl Fn(u8) -> bool) -> Result<Cow<'a, [u8]>, Bad> {
        match self.peek() {
            Some(b'"') => self.quoted().map(Cow::Owned),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => self.some(wanted, "a string is missing").map(Cow::Borrowed),
        }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, Bad> {
        self.expect(b"\"", "a string is missing")?;
        let mut text = Vec::new();
        let mut bytes = self.rest.iter().copied().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(text);
                }
                b'\\' => match bytes.next() {
                    Some((_, escaped @ (b'"' | b'\\'))) => text.push(escaped),
                    _ => return Err("a backslash hides only a quote or a backslash"),
                },
                b'\r' | b'\n' => return Err("a quoted string ends on its line"),
                _ => text.push(byte),
            }
        }
        Err("the closing quote is missing")
    }

    fn literal(&mut self) -> Result<&'a [u8], Bad> {
        const BROKEN: Bad = "a literal is {length}";
        self.expect(b"{", BROKEN)?;
        let length = usize::try_from(self.number()?).map_err(|_too_large| BROKEN)?;
        // The short form of RFC 7888.
        let _synchronising = self.take(b"+");
        self.expect(b"}\r\n", BROKEN)?;
        let (literal, rest) = self.rest.split_at_checked(length).ok_or(BROKEN)?;
        self.rest = rest;
        Ok(literal)
    }

    pub(super) fn number(&mut self) -> Result<u32, Bad> {
        const BROKEN: Bad = "a number is expected";
        let digits = self.some(|byte| byte.is_ascii_digit(), BROKEN)?;
        str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(BROKEN)
    }

    /// `(` items with single spaces between `)`; may be empty.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Bad>,
    ) -> Result<Vec<T>, Bad> {
        self.expect(b"(", "a list in parentheses is expected")?;
        let mut items = Vec::new();
        if self.take(b")").is_some() {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.take(b")").is_some() {
                return Ok(items);
            }
            self.space()?;
        }
    }

    pub(super) fn sequence_set(&mut self) -> Result<SequenceSet, Bad> {
        let mut ranges = Vec::new();
        loop {
            let first = self.bound()?;
            let last = if self.take(b":").is_some() { self.bound()? } else { first };
            ranges.push((first, last));
            if self.take(b",").is_none() {
                return Ok(SequenceSet { ranges });
            }
        }
    }

    fn bound(&mut self) -> Result<Bound, Bad> {
        if self.take(b"*").is_some() {
            return Ok(Bound::Last);
        }
        match self.number()? {
            0 => Err("messages are counted from 1"),
            number => Ok(Bound::Number(number)),
        }
    }
}

/// ATOM-CHAR of RFC 3501 section 9.
pub(super) fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte)
}

/// Which messages a command is about: `1,3:5,7:*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SequenceSet {
    ranges: Vec<(Bound, Bound)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Number(u32),
    /// `*`, the highest number in the mailbox.
    Last,
}

impl SequenceSet {
    /// The numbers in the set, of those from 1 to `last`, in order and once each.
    pub(super) fn numbers(&self, last: u32) -> BTreeSet<u32> {
        let value = |bound| match bound {
            Bound::Number(number) => number,
            Bound::Last => last,
        };
        self.ranges
            .iter()
            .map(|&(a, b)| (value(a), value(b)))
            // "Order is not important" (section 9, seq-range).
            .flat_map(|(a, b)| a.min(b)..=a.max(b).min(last))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> Vec<u32> {
        Words::new(text.as_bytes()).sequence_set().unwrap().numbers(3).into_iter().collect()
    }

    #[test]
    fn sequence_sets_are_clipped_to_the_mailbox() {
        assert_eq!(set("1"), [1]);
        assert_eq!(set("*"), [3]);
        assert_eq!(set("3:1,2"), [1, 2, 3]);
        assert_eq!(set("2:4294967295"), [2, 3]);
        assert_eq!(set("7:*"), [3]);
        assert_eq!(set("7:9"), Vec::<u32>::new());
        assert!(Words::new(b"0").sequence_set().is_err());
        assert!(Words::new(b"1,").sequence_set().is_err());
    }

    #[test]
    fn strings_come_in_three_forms() {
        for text in [&b"ab"[..], b"\"ab\"", b"{2}\r\nab", b"{2+}\r\nab"] {
            assert_eq!(Words::new(text).astring().unwrap().as_ref(), b"ab");
        }
        assert_eq!(Words::new(br#""a\"\\b""#).astring().unwrap().as_ref(), br#"a"\b"#);
        for text in [&b""[..], b"\"ab", b"{3}\r\nab", b"{x}\r\n", b"\"a\\b\"", b"("] {
            assert!(Words::new(text).astring().is_err());
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            let words = || Words::new(&octets);
            let _atom = words().atom();
            let _string = words().astring();
            let _pattern = words().pattern();
            let _flag = words().flag();
            let _list = words().list(Words::astring);
            let _set = words().sequence_set().map(|set| set.numbers(3));
        }
    }
}
