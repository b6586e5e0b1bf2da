//! One line of a file into words; nothing here looks beyond the end of the line.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::combinator::rest;
use nom::multi::many0;
use nom::sequence::preceded;
use nom::{IResult, Offset as _, Parser as _};

use crate::config::ast::{Assignment, Operator, Word};
use crate::diag::{FileId, Span};

/// A line that is neither empty nor a comment (PARSE-2), without white space around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'t> {
    file: FileId,
    bytes: &'t [u8],
    /// Where these bytes begin in the file.
    start: usize,
}

/// Why a line is not an attribute line (PARSE-9, PARSE-11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// `wait`
    NoOperator(Word),
    /// `wait=no`, `wait= no`: the word with the operator in it.
    NoBlank(Word),
    /// `wait : no`: the word where the operator should be.
    NotAnOperator(Word),
    /// A byte that no word can hold, and where it is.
    Nul(Span),
}

/// The lines of a file that say something, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'t> {
    file: FileId,
    text: &'t [u8],
    at: usize,
}

impl<'t> Lines<'t> {
    /// Begins at the first line; a byte order mark is passed over.
    #[must_use]
    pub(super) fn new(file: FileId, text: &'t [u8]) -> Self {
        let at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { file, text, at }
    }

    /// The next line, without going on to it.
    #[must_use]
    pub(super) fn peek(self) -> Option<Line<'t>> {
        let mut ahead = self;
        ahead.next()
    }

    /// The place behind the last line.
    #[must_use]
    pub(super) fn end(&self) -> Span {
        let end = offset(self.text.len());
        Span { file: self.file, start: end, end }
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = Line<'t>;

    fn next(&mut self) -> Option<Line<'t>> {
        loop {
            let left = self.text.get(self.at..).filter(|left| !left.is_empty())?;
            let length = left.iter().position(|byte| *byte == b'\n').unwrap_or(left.len());
            let bytes = left.get(..length).unwrap_or_default();
            let line = Line { file: self.file, bytes, start: self.at };
            self.at += length + 1;
            let line = line.trimmed();
            if !matches!(line.bytes, [] | [b'#', ..]) {
                return Some(line);
            }
        }
    }
}

impl Line<'_> {
    /// Without the white space around it, of any kind; a carriage return at the end of
    /// the line is that of a file from another system (PARSE-5).
    fn trimmed(self) -> Self {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
        let front = self.bytes.iter().take_while(|byte| is_space(byte)).count();
        let back = self.bytes.iter().rev().take_while(|byte| is_space(byte)).count();
        let bytes = self.bytes.get(front..self.bytes.len() - back).unwrap_or_default();
        Self { bytes, start: self.start + front, ..self }
    }

    /// Only a `{` (PARSE-7).
    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        self.bytes == b"{"
    }

    /// Only a `}` (PARSE-8).
    #[must_use]
    pub(super) fn is_close(&self) -> bool {
        self.bytes == b"}"
    }

    /// All of the line.
    #[must_use]
    pub(super) fn span(&self) -> Span {
        self.part(0, self.bytes.len())
    }

    /// The first byte that no word can hold.
    #[must_use]
    pub(super) fn nul(&self) -> Option<Span> {
        let at = self.bytes.iter().position(|byte| *byte == 0)?;
        Some(self.part(at, 1))
    }

    /// The words of the line; never empty.
    #[must_use]
    pub(super) fn words(&self) -> Vec<Word> {
        self.split(self.bytes)
    }

    /// The line as `name operator values`.
    ///
    /// # Errors
    /// Says which of the three is wrong.
    pub(super) fn assignment(&self) -> Result<Assignment, Malformed> {
        if let Some(at) = self.nul() {
            return Err(Malformed::Nul(at));
        }
        let Ok((_, (name, (symbol, operator), values))) = assignment(self.bytes) else {
            return Err(self.fault());
        };
        Ok(Assignment {
            name: self.word(name),
            operator,
            operator_span: self.word(symbol).span,
            values: self.split(values),
        })
    }

    fn fault(&self) -> Malformed {
        let mut words = self.words().into_iter();
        let first = words.next().unwrap_or_else(|| self.word(self.bytes));
        match words.next() {
            _ if first.bytes.contains(&b'=') => Malformed::NoBlank(first),
            Some(second) => Malformed::NotAnOperator(second),
            None => Malformed::NoOperator(first),
        }
    }

    /// `part` must be a part of this line.
    fn split(&self, part: &[u8]) -> Vec<Word> {
        let words = words(part).map(|(_, words)| words).unwrap_or_default();
        words.into_iter().map(|word| self.word(word)).collect()
    }

    fn word(&self, part: &[u8]) -> Word {
        Word { bytes: part.to_vec(), span: self.part(self.bytes.offset(part), part.len()) }
    }

    fn part(&self, from: usize, length: usize) -> Span {
        let start = self.start + from;
        Span { file: self.file, start: offset(start), end: offset(start + length) }
    }
}

/// Words are separated by blanks and tabs, and by nothing else (PARSE-4).
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn word(line: &[u8]) -> IResult<&[u8], &[u8]> {
    preceded(take_while(is_blank), take_while1(|byte| !is_blank(byte))).parse(line)
}

fn words(line: &[u8]) -> IResult<&[u8], Vec<&[u8]>> {
    many0(word).parse(line)
}

fn operator(line: &[u8]) -> IResult<&[u8], (&[u8], Operator)> {
    alt((
        tag(&b"+="[..]).map(|symbol| (symbol, Operator::Add)),
        tag(&b"-="[..]).map(|symbol| (symbol, Operator::Remove)),
        tag(&b"="[..]).map(|symbol| (symbol, Operator::Set)),
    ))
    .parse(line)
}

/// Name, operator and what follows.
type Parts<'t> = (&'t [u8], (&'t [u8], Operator), &'t [u8]);

/// PARSE-9: a blank is required before the operator, none after it.
fn assignment(line: &[u8]) -> IResult<&[u8], Parts<'_>> {
    (word, preceded(take_while1(is_blank), operator), rest).parse(line)
}

fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line<'_> {
        Lines::new(FileId::default(), text.as_bytes()).next().unwrap()
    }

    fn texts(words: &[Word]) -> Vec<String> {
        words.iter().map(|word| word.text().into_owned()).collect()
    }

    #[test]
    fn empty_lines_and_comments_are_passed_over() {
        let text = b"\n \t\r\n # note\nservice x\n\t{ \n#\n}";
        let lines: Vec<_> = Lines::new(FileId::default(), text).collect();
        assert_eq!(lines.len(), 3, "PARSE-1, PARSE-2");
        assert!(lines[1].is_open() && lines[2].is_close());
    }

    #[test]
    fn an_attribute_line_is_a_name_an_operator_and_values() {
        for (text, operator, values) in [
            ("wait =no", Operator::Set, vec!["no"]),
            (" \t wait \t = \t  no \t ", Operator::Set, vec!["no"]),
            ("wait += a\tb", Operator::Add, vec!["a", "b"]),
            ("wait -=a", Operator::Remove, vec!["a"]),
            ("wait =", Operator::Set, vec![]),
            ("wait = = no", Operator::Set, vec!["=", "no"]),
            ("\x0b\x0cwait = no\x0c", Operator::Set, vec!["no"]),
            ("wait = no # x\r", Operator::Set, vec!["no", "#", "x"]),
        ] {
            let read = line(text).assignment().unwrap();
            assert_eq!(read.name.text(), "wait", "PARSE-9");
            assert_eq!(
                (read.operator, texts(&read.values)),
                (operator, values.iter().map(ToString::to_string).collect()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_malformed_line_says_what_is_wrong_with_it() {
        let wrong = |text: &str| match line(text).assignment().unwrap_err() {
            Malformed::NoOperator(word) => format!("no operator {}", word.text()),
            Malformed::NoBlank(word) => format!("no blank {}", word.text()),
            Malformed::NotAnOperator(word) => format!("not an operator {}", word.text()),
            Malformed::Nul(span) => format!("nul {}", span.start),
        };
        for (text, fault) in [
            ("wait", "no operator wait"),
            ("wait=no", "no blank wait=no"),
            ("wait= no", "no blank wait="),
            ("wait *= no", "not an operator *="),
            ("wait + = no", "not an operator +"),
            ("wait : no", "not an operator :"),
            ("} # end", "not an operator #"),
            ("a = b\0c", "nul 5"),
        ] {
            assert_eq!(wrong(text), fault, "PARSE-9, PARSE-11");
        }
    }

    #[test]
    fn spans_are_those_of_the_words() {
        let text = "# c\n\twait +=  yes no";
        let read = line(text).assignment().unwrap();
        let at = |span: Span| text.get(span.start as usize..span.end as usize).unwrap();
        assert_eq!(at(read.name.span), "wait");
        assert_eq!(at(read.operator_span), "+=");
        assert_eq!(at(read.values[1].span), "no");
        assert_eq!(at(read.values_span()), "yes no");
    }
}
