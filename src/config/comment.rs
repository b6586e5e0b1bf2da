//! Comments where xinetd knows none: behind values, where they are read as more of them (PARSE-3).

use crate::config::ast::{Assignment, Word};
use crate::config::attr::{self, Miscount, Row, Values};
use crate::config::code;
use crate::config::value::COMMENT;
use crate::diag::{Diagnostic, Span};

/// How many letters of a comment are repeated in a message.
const LONGEST: usize = 40;

/// Lists that take any word, and what becomes of a comment behind them.
const TAKEN: [(&str, &str); 4] = [
    ("server_args", "is passed to the server, word by word"),
    ("passenv", "is read as names of variables"),
    ("enabled", "is read as ids of services"),
    ("disabled", "is read as ids of services"),
];

/// A line whose last values were meant as a comment.
struct Commented<'l> {
    line: &'l Assignment,
    values: &'l [Word],
    comment: &'l [Word],
}

impl<'l> Commented<'l> {
    fn new(line: &'l Assignment) -> Option<Self> {
        let at = line.values.iter().position(|word| word.bytes.starts_with(b"#"))?;
        let (values, comment) = line.values.split_at_checked(at)?;
        Some(Self { line, values, comment })
    }

    /// The comment as messages repeat it.
    fn shown(&self) -> String {
        let text = text_of(self.comment);
        match text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)) {
            Some(beginning) => format!("{beginning}..."),
            None => text,
        }
    }

    /// From its first word to its last.
    fn span(&self) -> Span {
        match self.comment {
            [first, .., last] => Span { end: last.span.end, ..first.span },
            [only] => only.span,
            [] => Span::default(),
        }
    }

    /// Says how it is written, if the values alone are a line that `row` takes.
    fn explained(&self, row: &Row, note: Diagnostic) -> Diagnostic {
        let values = text_of(self.values);
        rewritten(row, self.line, note.help(COMMENT), Some(text_of(self.comment)), &values)
    }
}

/// The commonest mistake of all, and it leaves a service without its limit (PARSE-13):
/// a line that has too many values because of a comment.
#[must_use]
pub(super) fn too_many(row: &Row, line: &Assignment, takes: &str) -> Option<Diagnostic> {
    let commented = Commented::new(line)?;
    let (name, shown, span) = (row.name(), commented.shown(), commented.span());
    let read = match commented.comment {
        [_] => "is read as a value",
        _ => "is read as values",
    };
    let note = match row.values.miscount {
        Miscount::Ignored => {
            let message =
                format!("`{name}` is NOT in force: `{shown}` {read}, and it takes {takes}");
            Diagnostic::warning(code::COMMENT_AS_VALUE, span, message)
        }
        Miscount::Rejected => {
            let message = format!("`{shown}` {read} of `{name}`, which takes {takes}");
            Diagnostic::error(code::COMMENT_AS_VALUE, span, message)
        }
    };
    Some(commented.explained(row, note.label("no comment here")))
}

/// A comment behind a list that takes any word: the note, and the words.
#[must_use]
pub(super) fn taken<'l>(row: &Row, line: &'l Assignment) -> Option<(Diagnostic, &'l [Word])> {
    let (_, becomes) = TAKEN.iter().find(|(name, _)| *name == row.name())?;
    let commented = Commented::new(line)?;
    let message = format!("`{}` {becomes}", commented.shown());
    let note = Diagnostic::warning(code::COMMENT_AS_VALUE, commented.span(), message);
    Some((commented.explained(row, note.label("no comment here")), commented.comment))
}

/// `note` about a value of `line`, or about all of them, with the way out if there is a
/// comment in it or behind it, or a `;`.
#[must_use]
pub(super) fn way_out(line: &Assignment, note: Diagnostic) -> Diagnostic {
    let Some(row) = attr::find(&line.name) else { return note };
    let refused = line.values.iter().position(|word| word.span == note.span);
    let at = refused.or_else(|| line.values.iter().position(|word| word.bytes.contains(&b'#')));
    let glued = at.and_then(|at| Some((at, line.values.get(at)?)));
    if let Some((at, word)) = glued
        && let (before, after) = (line.values.get(..at), line.values.get(at + 1..))
        && let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default())
        && let text = word.text()
        && !text.starts_with('#')
    {
        if let Some((value, comment)) = text.split_once('#') {
            let (value, comment) = (beside(before, value), format!("#{comment}"));
            let comment = [comment, text_of(after)].join(" ").trim_end().to_owned();
            return rewritten(row, line, note.help(COMMENT), Some(comment), &value);
        }
        if let Some(value) = text.strip_suffix(';').filter(|_| after.is_empty()) {
            let note = note.help("a line needs no `;` at its end");
            return rewritten(row, line, note, None, &beside(before, value));
        }
    }
    match Commented::new(line) {
        Some(commented) if refused.is_none() || commented.span().start == note.span.start => {
            commented.explained(row, note)
        }
        _ => note,
    }
}

fn beside(before: &[Word], value: &str) -> String {
    [text_of(before), value.to_owned()].join(" ").trim_start().to_owned()
}

/// Shows the comment, and the line without it, if that has as many values as it must have.
fn rewritten(
    row: &Row,
    line: &Assignment,
    note: Diagnostic,
    comment: Option<String>,
    values: &str,
) -> Diagnostic {
    let Values { min, max, .. } = row.values;
    let given = values.split(' ').filter(|value| !value.is_empty()).count();
    if given == 0 || !(min..=max).contains(&given) {
        return note;
    }
    let (name, operator) = (line.name.text(), line.operator.symbol());
    note.instead(comment.into_iter().chain([format!("{name} {operator} {values}")]))
}

fn text_of(words: &[Word]) -> String {
    words.iter().map(Word::text).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ast::Item;
    use crate::config::parse;
    use crate::diag::FileId;

    fn line(text: &str) -> Assignment {
        let text = format!("service a\n{{\n{text}\n}}\n");
        let ast = parse(FileId::default(), text.as_bytes(), &mut Vec::new());
        let Item::Service { body, .. } = &ast.items[0] else { panic!() };
        body.lines[0].clone()
    }

    /// What is proposed when the value of this number is refused.
    fn instead(text: &str, refused: usize) -> (Option<String>, Vec<String>) {
        let line = line(text);
        let note = Diagnostic::error("code", line.values[refused].span, "no").help("old");
        let note = way_out(&line, note);
        (note.help, note.instead)
    }

    #[test]
    fn words_of_a_comment_behind_arguments_are_named() {
        let text = line("server_args = -l # some words");
        let row = attr::find(&text.name).unwrap();
        let (note, words) = taken(row, &text).unwrap();
        assert_eq!(note.message, "`# some words` is passed to the server, word by word", "PARSE-3");
        assert_eq!(note.instead, ["# some words", "server_args = -l"]);
        assert_eq!(words.len(), 3);
        let plain = line("server_args = -l a#b");
        assert!(taken(row, &plain).is_none(), "a part of a word is nobody's comment");
        let all = line("server_args = # nothing");
        assert!(taken(row, &all).unwrap().0.instead.is_empty());
    }

    #[test]
    fn a_comment_or_a_semicolon_glued_to_a_value_is_taken_off() {
        for (text, refused, wanted) in [
            ("instances = 50#fifty", 0, &["#fifty", "instances = 50"][..]),
            ("cps = 50 10#ten", 1, &["#ten", "cps = 50 10"]),
            ("flags += NODELAY# now then", 0, &["# now then", "flags += NODELAY"]),
            ("flags = IPv4 # here", 1, &["# here", "flags = IPv4"]),
            ("per_source = 10;", 0, &["per_source = 10"]),
            ("flags = IPv4 NODELAY;", 1, &["flags = IPv4 NODELAY"]),
        ] {
            let (help, found) = instead(text, refused);
            assert_ne!(help.as_deref(), Some("old"), "{text}");
            assert_eq!(found, wanted, "{text}");
        }
        for (text, refused) in [("flags = A; B", 0), ("instances = many", 0), ("flags = A # b", 0)]
        {
            assert_eq!(instead(text, refused), (Some("old".into()), vec![]), "{text}");
        }
        assert_eq!(instead("instances = ;", 0).1, <[&str; 0]>::default());
    }
}
