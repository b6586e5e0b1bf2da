//! Lines into entries; after a mistake it goes on at the next line or the next brace.

use crate::config::ast::{Assignment, Ast, Body, Ending, Item, Operator, Word};
use crate::config::code;
use crate::config::lex::{Line, Lines, Malformed};
use crate::config::near::did_you_mean;
use crate::diag::{Diagnostic, FileId, Span};

/// The words a line outside entries may begin with.
const KEYWORDS: [&str; 4] = ["service", "defaults", "include", "includedir"];

/// Reads one file. Every mistake goes to `notes`; what can be used is returned.
#[must_use]
pub fn parse(file: FileId, text: &[u8], notes: &mut Vec<Diagnostic>) -> Ast {
    let mut parser = Parser { lines: Lines::new(file, text), ast: Ast::default(), notes };
    while let Some(line) = parser.lines.next() {
        parser.outside(&line);
    }
    parser.ast
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

impl Parser<'_, '_> {
    fn outside(&mut self, line: &Line<'_>) {
        let words = line.words();
        match Header::read(&words) {
            Some(Header::Service(name)) => {
                let (body, lost) = self.body(&Header::Service(name.clone()), &words);
                self.ast.items.push(Item::Service { name, body });
                self.ast.items.extend(lost);
            }
            Some(Header::Defaults(keyword)) => {
                let (body, lost) = self.body(&Header::Defaults(keyword.clone()), &words);
                self.ast.items.push(Item::Defaults { keyword, body });
                self.ast.items.extend(lost);
            }
            Some(Header::Include(path)) => self.ast.items.push(Item::Include(path)),
            Some(Header::IncludeDir(path)) => self.ast.items.push(Item::IncludeDir(path)),
            Some(Header::Incomplete(keyword)) => self.incomplete(&keyword),
            None => self.stray(&words),
        }
    }

    /// PARSE-21, and its like for includes.
    fn incomplete(&mut self, keyword: &Word) {
        let (code, what, legacy) = if keyword.is("service") {
            (code::MISSING_NAME, "the name of the service", "service name missing")
        } else {
            (code::MISSING_PATH, "a path", "Unable to open included configuration file: ")
        };
        let message = format!("`{}` needs {what} on the same line", keyword.text());
        self.notes.push(Diagnostic::error(code, keyword.span, message).legacy(legacy));
        self.skip_block();
    }

    /// PARSE-20: a block is skipped only where one begins.
    fn stray(&mut self, words: &[Word]) {
        let Some(word) = words.first() else { return };
        let text = word.text();
        let message = format!("`{text}` begins neither an entry nor an `include`");
        let hint = did_you_mean(&text, KEYWORDS);
        let note = Diagnostic::error(code::STRAY_LINE, word.span, message)
            .label("not known here")
            .maybe_help(hint)
            .legacy("missing service keyword");
        self.notes.push(note);
        self.skip_block();
    }

    fn skip_block(&mut self) {
        if self.lines.peek().is_some_and(|line| line.is_open()) {
            let closed = self.lines.find(Line::is_close);
            debug_assert!(closed.is_none_or(|line| line.is_close()));
        }
    }

    /// The lines of an entry, and the entries that it swallowed.
    fn body(&mut self, header: &Header, words: &[Word]) -> (Body, Vec<Item>) {
        let mut body = Body::default();
        if !self.opens(header, words) {
            let lost = self.skip(None, header, &mut body);
            return (Body { ending: broken(body.ending), ..body }, lost);
        }
        while let Some(line) = self.lines.next() {
            if line.is_close() {
                return (body, Vec::new());
            }
            match line.assignment() {
                Ok(assignment) => {
                    let service = matches!(header, Header::Service(_));
                    let off = service && turns_off(&assignment, &body);
                    body.lines.push(assignment);
                    if off {
                        let lost = self.skip(None, header, &mut body);
                        return (Body { ending: Ending::Disabled, ..body }, lost);
                    }
                }
                Err(fault) => {
                    let words = line.words();
                    self.malformed(header, &words, &fault);
                    if matches!(header, Header::Defaults(_)) && Header::read(&words).is_none() {
                        body.ending = Ending::Broken;
                        continue; // DEF-7: only the line is lost
                    }
                    let lost = self.skip(Some(line), header, &mut body);
                    return (Body { ending: broken(body.ending), ..body }, lost);
                }
            }
        }
        self.end_of_file(header);
        body.ending = Ending::Broken;
        (body, Vec::new())
    }

    /// PARSE-7: the next line must hold a `{` and nothing else.
    fn opens(&mut self, header: &Header, words: &[Word]) -> bool {
        let next = self.lines.peek();
        if next.is_some_and(|line| line.is_open()) {
            return self.lines.next().is_some();
        }
        let (what, span) = header.word();
        let on_header = words.last().filter(|word| word.bytes == b"{").map(|word| word.span);
        let beside = next.and_then(|line| line.words().into_iter().next());
        let shared = on_header.or(beside.filter(|word| word.bytes == b"{").map(|word| word.span));
        let note = match shared {
            Some(brace) => Diagnostic::error(
                code::BRACE_NOT_ALONE,
                brace,
                format!("`{{` must have a line of its own; {what} is left out"),
            ),
            None => Diagnostic::error(
                code::MISSING_OPEN,
                span,
                format!("no `{{` on the line after this; {what} is left out"),
            ),
        };
        self.notes.push(note.legacy(format!("Service {}: missing '{{'", name_of(header))));
        false
    }

    fn malformed(&mut self, header: &Header, words: &[Word], fault: &Malformed) {
        let (what, opened) = header.word();
        let lost = match header {
            Header::Defaults(_) => "this line of `defaults` is left out".to_owned(),
            _ => format!("{what} is left out"),
        };
        let brace = words.first().filter(|word| matches!(&word.bytes[..], b"{" | b"}"));
        let note = match (Header::read(words), brace) {
            (Some(nested @ (Header::Include(_) | Header::IncludeDir(_))), _) => {
                let text = format!("`include` and `includedir` belong outside entries; {lost}");
                Diagnostic::error(code::INCLUDE_INSIDE, nested.word().1, text)
                    .related(opened, "inside this entry")
                    .help("is a `}` missing before it?")
            }
            (Some(_), _) => return, // said by `skip`, which knows all that is lost
            (None, Some(brace)) => {
                let text = format!("`{}` must have a line of its own; {lost}", brace.text());
                Diagnostic::error(code::BRACE_NOT_ALONE, brace.span, text)
                    .help("`#` begins a comment only at the beginning of a line")
            }
            (None, None) => explain(fault, &lost),
        };
        self.notes.push(note);
    }

    /// PARSE-23
    fn end_of_file(&mut self, header: &Header) {
        let (what, opened) = header.word();
        let message = match header {
            Header::Defaults(_) => "the file ends inside `defaults`".to_owned(),
            _ => format!("the file ends inside an entry; {what} is left out"),
        };
        let note = Diagnostic::error(code::END_OF_FILE, opened, message)
            .related(self.lines.end(), "a `}` is missing here")
            .legacy("incomplete entry");
        self.notes.push(note);
    }

    /// Goes on to the next `}` (PARSE-10), over `line` first. Whatever begins in
    /// between is lost too (PARSE-22): reported, and returned as a broken entry.
    fn skip(&mut self, line: Option<Line<'_>>, header: &Header, body: &mut Body) -> Vec<Item> {
        let mut lost: Vec<Item> = Vec::new();
        let mut next = line.or_else(|| self.lines.next());
        let reported = line.is_some_and(|line| {
            matches!(Header::read(&line.words()), Some(Header::Include(_) | Header::IncludeDir(_)))
        });
        let mut silent = reported;
        while let Some(line) = next.filter(|line| !line.is_close()) {
            match line.assignment() {
                Ok(assignment) => match lost.last_mut() {
                    Some(Item::Service { body, .. } | Item::Defaults { body, .. }) => {
                        remember(assignment, body);
                    }
                    _ => remember(assignment, body),
                },
                Err(_) => {
                    if let Some(inner) = Header::read(&line.words()) {
                        self.swallowed(header, inner, silent, &mut lost);
                    }
                }
            }
            silent = false;
            next = self.lines.next();
        }
        lost
    }

    fn swallowed(&mut self, header: &Header, inner: Header, silent: bool, lost: &mut Vec<Item>) {
        let ((outer, opened), (what, span)) = (header.word(), inner.word());
        let message =
            format!("a `}}` is missing before this line; {what} is left out with {outer}");
        if !silent {
            let note = Diagnostic::error(code::MISSING_CLOSE, span, message)
                .related(opened, "not closed")
                .legacy("missing } in last service entry");
            self.notes.push(note);
        }
        let body = Body { ending: Ending::Broken, ..Body::default() };
        match inner {
            Header::Service(name) => lost.push(Item::Service { name, body }),
            Header::Defaults(_) | Header::Include(_) | Header::IncludeDir(_) => {
                self.ast.swallowed = true;
            }
            Header::Incomplete(_) => {}
        }
    }
}

/// Of a lost entry only what names it and switches it off is of use.
fn remember(assignment: Assignment, body: &mut Body) {
    if turns_off(&assignment, body) {
        body.ending = Ending::Disabled;
    }
    if assignment.name.is("id") {
        body.lines.push(assignment);
    }
}

/// The ending of an entry with a malformed line: it may say further on that it is off.
fn broken(ending: Ending) -> Ending {
    match ending {
        Ending::Disabled => Ending::Disabled,
        Ending::Closed | Ending::Broken => Ending::Broken,
    }
}

/// PARSE-19: `disable = yes`, unless an earlier line has said no (PARSE-15).
fn turns_off(line: &Assignment, body: &Body) -> bool {
    let says = |line: &Assignment, word: &str| {
        line.name.is("disable")
            && line.operator == Operator::Set
            && matches!(&line.values[..], [value] if value.is(word))
    };
    says(line, "yes") && !body.lines.iter().any(|line| says(line, "no"))
}

fn name_of(header: &Header) -> String {
    match header {
        Header::Service(name) => name.text().into_owned(),
        _ => "defaults".into(),
    }
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
            let what = "`#` begins a comment only at the beginning of a line".to_owned();
            (word.span, what, "move the comment to a line of its own".into())
        }
        Malformed::NotAnOperator(word) => {
            let what = format!("`{}` is not an operator", word.text());
            (word.span, what, "operators are `=`, `+=` and `-=`".into())
        }
        Malformed::Nul(span) => {
            (*span, "a zero byte".to_owned(), "is this a text file?".to_owned())
        }
    };
    Diagnostic::error(code::MALFORMED_LINE, span, format!("{what}; {lost}")).help(help)
}
