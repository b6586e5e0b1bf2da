//! Lines into entries; after a mistake it goes on at the next line or the next brace.

mod stray;
#[cfg(test)]
mod tests;

pub(super) use stray::KEPT;

use crate::config::ast::{Assignment, Ast, Body, Ending, Item, Operator, Rest, Word};
use crate::config::code;
use crate::config::lex::{Line, Lines, Malformed};
use crate::config::notes::bound;
use crate::config::value::COMMENT;
use crate::diag::{Diagnostic, FileId, Span};

/// Reads one file. Every mistake goes to `notes`; what can be used is returned.
#[must_use]
pub fn parse(file: FileId, text: &[u8], notes: &mut Vec<Diagnostic>) -> Ast {
    if let Some(note) = unlike_text(file, text) {
        notes.push(note);
        return Ast { items: Vec::new(), incomplete: true };
    }
    let mut parser = Parser { lines: Lines::new(file, text), ast: Ast::default(), notes };
    while let Some(line) = parser.line() {
        parser.outside(&line);
    }
    parser.ast
}

/// One message for a file of another kind, instead of one for each of its lines.
pub(super) fn unlike_text(file: FileId, text: &[u8]) -> Option<Diagnostic> {
    let head = text.get(..4096).unwrap_or(text);
    let odd = head.iter().filter(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127)).count();
    let (what, help) = match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => ("is in UTF-16", "save it as UTF-8"),
        _ if odd * 10 > head.len() => ("is no text", "include only configuration files"),
        _ => return None,
    };
    let message = format!("the file {what}: nothing of it is read; {KEPT}");
    let span = Span { file, start: 0, end: 0 };
    Some(Diagnostic::error(code::NOT_TEXT, span, message).help(help))
}

struct Parser<'t, 'n> {
    lines: Lines<'t>,
    ast: Ast,
    notes: &'n mut Vec<Diagnostic>,
}

/// A line that begins something.
enum Header {
    Service(Word),
    Defaults(Word),
    Include(Word),
    IncludeDir(Word),
    /// A keyword that lacks its name or path.
    Incomplete(Word),
}

impl Header {
    fn read(words: &[Word]) -> Option<Self> {
        let keyword = words.first()?;
        let argument = words.get(1).cloned();
        let complete = |header: fn(Word) -> Self| match argument {
            Some(argument) => header(argument),
            None => Self::Incomplete(keyword.clone()),
        };
        if keyword.is("service") {
            Some(complete(Self::Service))
        } else if keyword.is("include") {
            Some(complete(Self::Include))
        } else if keyword.is("includedir") {
            Some(complete(Self::IncludeDir))
        } else {
            keyword.is("defaults").then(|| Self::Defaults(keyword.clone()))
        }
    }

    /// How messages call it, and the word they point at.
    fn word(&self) -> (String, Span) {
        match self {
            Self::Service(name) => (format!("service `{}`", name.text()), name.span),
            Self::Defaults(word) => ("`defaults`".into(), word.span),
            Self::Include(path) => (format!("`include {}`", path.text()), path.span),
            Self::IncludeDir(path) => (format!("`includedir {}`", path.text()), path.span),
            Self::Incomplete(word) => (format!("`{}`", word.text()), word.span),
        }
    }
}

/// The beginning of the entry that is being read.
struct Opening {
    kind: Kind,
    /// As messages call it.
    what: String,
    /// As the old daemon calls it.
    name: String,
    span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Service,
    Defaults,
}

impl Opening {
    fn service(name: &Word) -> Self {
        let text = name.text().into_owned();
        let what = format!("service `{text}`");
        Self { kind: Kind::Service, what, name: text, span: name.span }
    }

    fn defaults(keyword: &Word) -> Self {
        let (what, name) = ("`defaults`".into(), "defaults".into());
        Self { kind: Kind::Defaults, what, name, span: keyword.span }
    }

    /// What a malformed line costs (PARSE-10, DEF-7).
    fn loss(&self) -> String {
        match self.kind {
            Kind::Service => format!("{} is left out", self.what),
            Kind::Defaults => "this line of `defaults` is left out".into(),
        }
    }
}

impl<'t> Parser<'t, '_> {
    /// The next line; every mistake up to here has been reported.
    fn line(&mut self) -> Option<Line<'t>> {
        bound(self.notes);
        self.lines.next()
    }

    fn outside(&mut self, line: &Line<'_>) {
        let words = line.words();
        match Header::read(&words) {
            Some(Header::Service(name)) => {
                let (body, lost) = self.body(&Opening::service(&name), &words);
                self.ast.items.push(Item::Service { name, body });
                self.ast.items.extend(lost);
            }
            Some(Header::Defaults(keyword)) => {
                let (body, lost) = self.body(&Opening::defaults(&keyword), &words);
                self.ast.items.push(Item::Defaults { keyword, body });
                self.ast.items.extend(lost);
            }
            Some(Header::Include(path)) => self.ast.items.push(Item::Include(path)),
            Some(Header::IncludeDir(path)) => self.ast.items.push(Item::IncludeDir(path)),
            Some(Header::Incomplete(keyword)) => self.incomplete(&keyword),
            None => self.stray(&words),
        }
    }

    /// The lines of an entry, and the entries that it swallowed.
    fn body(&mut self, opening: &Opening, words: &[Word]) -> (Body, Vec<Item>) {
        let mut body = Body::default();
        if !self.opens(opening, words) {
            body.ending = Ending::Broken;
            let lost = self.skip(None, opening, &mut body);
            return (body, lost);
        }
        while let Some(line) = self.line() {
            if line.is_close() {
                return (body, Vec::new());
            }
            match line.assignment() {
                Ok(assignment) => {
                    let off = opening.kind == Kind::Service && turns_off(&assignment, &body);
                    body.stays_on |= says(&assignment, "no");
                    body.lines.push(assignment);
                    if off {
                        body.ending = Ending::Disabled;
                        body.rest = Some(Rest::default());
                        let lost = self.skip(None, opening, &mut body);
                        return (body, lost);
                    }
                }
                Err(fault) => {
                    let words = line.words();
                    body.ending = Ending::Broken;
                    self.malformed(opening, &words, &fault);
                    if opening.kind == Kind::Service || Header::read(&words).is_some() {
                        let lost = self.skip(Some(line), opening, &mut body);
                        return (body, lost);
                    } // else DEF-7: only the line is lost
                }
            }
        }
        self.end_of_file(opening);
        body.ending = Ending::Broken;
        (body, Vec::new())
    }

    /// PARSE-7: the next line must hold a `{` and nothing else.
    fn opens(&mut self, opening: &Opening, words: &[Word]) -> bool {
        let next = self.lines.peek();
        if next.is_some_and(|line| line.is_open()) {
            return self.lines.next().is_some();
        }
        let beside = next.and_then(|line| line.words().into_iter().next());
        let brace = [words.last().cloned(), beside]
            .into_iter()
            .flatten()
            .find(|word| word.bytes == b"{")
            .map(|word| word.span);
        let what = &opening.what;
        let note = match brace {
            Some(brace) => Diagnostic::error(
                code::BRACE_NOT_ALONE,
                brace,
                format!("`{{` must have a line of its own; {what} is left out"),
            ),
            None => Diagnostic::error(
                code::MISSING_OPEN,
                opening.span,
                format!("no `{{` on the line after this; {what} is left out"),
            ),
        };
        self.notes.push(note.legacy(format!("Service {}: missing '{{'", opening.name)));
        false
    }

    /// Reports a malformed line. A header in its place is left to [`swallowed`](Self::swallowed).
    fn malformed(&mut self, opening: &Opening, words: &[Word], fault: &Malformed) {
        let loss = opening.loss();
        let brace = words.first().filter(|word| matches!(&word.bytes[..], b"{" | b"}"));
        let note = match (Header::read(words), brace) {
            (Some(_), _) => return,
            (None, Some(brace)) => {
                let text = format!("`{}` must have a line of its own; {loss}", brace.text());
                Diagnostic::error(code::BRACE_NOT_ALONE, brace.span, text).help(COMMENT)
            }
            (None, None) => explain(fault, &loss),
        };
        let note = match opening.kind {
            Kind::Service => note,
            Kind::Defaults => note.differs("DEF-7", "ignores the rest of `defaults` from here on"),
        };
        self.notes.push(note);
    }

    /// PARSE-23
    fn end_of_file(&mut self, opening: &Opening) {
        let what = &opening.what;
        let message = match opening.kind {
            Kind::Service => format!("the file ends inside an entry; {what} is left out"),
            Kind::Defaults => "the file ends inside `defaults`".to_owned(),
        };
        let note = Diagnostic::error(code::END_OF_FILE, opening.span, message)
            .related(self.lines.end(), "a `}` is missing here")
            .legacy("incomplete entry");
        self.notes.push(note);
    }

    /// Goes on to the next `}` (PARSE-10), over `line` first. Whatever begins in
    /// between is lost too (PARSE-22): reported, and returned as a broken entry.
    fn skip(&mut self, line: Option<Line<'_>>, opening: &Opening, body: &mut Body) -> Vec<Item> {
        let mut lost: Vec<Item> = Vec::new();
        let mut next = line.or_else(|| self.line());
        while let Some(line) = next.filter(|line| !line.is_close()) {
            match (line.assignment(), lost.last_mut()) {
                (Ok(assignment), Some(Item::Service { body, .. })) => remember(assignment, body),
                (Ok(assignment), _) => remember(assignment, body),
                (Err(fault), _) => match (Header::read(&line.words()), &mut body.rest) {
                    (Some(inner), _) => lost.extend(self.swallowed(opening, inner)),
                    (None, Some(rest)) => {
                        let note = || Box::new(explain(&fault, &opening.loss()));
                        rest.malformed.get_or_insert_with(note);
                    }
                    (None, None) => {}
                },
            }
            next = self.line();
        }
        lost
    }

    /// PARSE-22, INC-7: something begins inside an entry, which probably lacks its `}`.
    fn swallowed(&mut self, opening: &Opening, inner: Header) -> Option<Item> {
        let ((what, span), outer) = (inner.word(), &opening.what);
        let note = match &inner {
            Header::Include(_) | Header::IncludeDir(_) => {
                let message = format!("{what} inside {outer}: both are left out");
                Diagnostic::error(code::INCLUDE_INSIDE, span, message)
                    .help("is a `}` missing before it?")
            }
            Header::Service(_) | Header::Defaults(_) | Header::Incomplete(_) => {
                let message =
                    format!("a `}}` is missing before this line; {what} and {outer} are left out");
                Diagnostic::error(code::MISSING_CLOSE, span, message).legacy(format!(
                    "missing }} in last service entry: {what} and {outer} are left out"
                ))
            }
        };
        self.notes.push(note.related(opening.span, "not closed"));
        let body = Body { ending: Ending::Broken, ..Body::default() };
        match inner {
            Header::Service(name) => Some(Item::Service { name, body }),
            Header::Defaults(_)
            | Header::Include(_)
            | Header::IncludeDir(_)
            | Header::Incomplete(_) => {
                self.ast.incomplete = true;
                None
            }
        }
    }
}

/// Of a lost entry only what names it and switches it off is of use; of one that is
/// switched off, an overlay may use the rest.
fn remember(assignment: Assignment, body: &mut Body) {
    if assignment.name.is("id") {
        return body.lines.push(assignment);
    }
    if let Some(rest) = &mut body.rest {
        rest.lines.push(assignment);
    } else if turns_off(&assignment, body) {
        body.ending = Ending::Disabled;
    }
}

/// PARSE-19: `disable = yes`, unless an earlier line has said no (PARSE-15).
fn turns_off(line: &Assignment, body: &Body) -> bool {
    says(line, "yes") && !body.stays_on
}

/// Whether `line` is a `disable` with this one word.
fn says(line: &Assignment, word: &str) -> bool {
    line.name.is("disable")
        && line.operator == Operator::Set
        && matches!(&line.values[..], [value] if value.is(word))
}

/// What is wrong with a line that is no attribute line, and how it is written.
fn explain(fault: &Malformed, lost: &str) -> Diagnostic {
    let (span, what, help) = match fault {
        Malformed::NoOperator(word) => {
            let text = word.text().into_owned();
            (
                word.span,
                format!("`{text}` has neither operator nor value"),
                format!("write `{text} = VALUE`"),
            )
        }
        Malformed::NoBlank(word) => {
            let text = word.text();
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            let name = name.trim_end_matches(['+', '-']);
            let value = if value.is_empty() { "VALUE" } else { value };
            let what = "no blank before the operator".to_owned();
            (word.span, what, format!("write `{name} = {value}`"))
        }
        Malformed::NotAnOperator(word) if matches!(&word.bytes[..], [b'#', ..]) => {
            (word.span, COMMENT.to_owned(), "move the comment to a line of its own".into())
        }
        Malformed::NotAnOperator(word) => {
            let what = format!("`{}` is not an operator", word.text());
            (word.span, what, "operators are `=`, `+=` and `-=`".into())
        }
        Malformed::Nul(span) => {
            (*span, "a zero byte".to_owned(), "is this a text file?".to_owned())
        }
    };
    let note = Diagnostic::error(code::MALFORMED_LINE, span, format!("{what}; {lost}")).help(help);
    match fault {
        Malformed::NoOperator(_) => note.differs(
            "PARSE-11",
            "reads past the end of this line, and may lose the entries after it",
        ),
        Malformed::NoBlank(_) | Malformed::NotAnOperator(_) | Malformed::Nul(_) => note,
    }
}
