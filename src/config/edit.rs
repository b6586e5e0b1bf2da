//! Switches a service on or off in the text of its file; every other byte stays.

#[cfg(test)]
mod tests;

use std::fmt;

use crate::config::ast::{Assignment, Ast, Ending, Item, Operator, Word};
use crate::config::lex::{Line, Lines};
use crate::config::parse::parse;
use crate::diag::FileId;

/// Where tabs lead to.
const TAB: usize = 8;

/// What is wanted of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// `disable = no`, or no such line.
    On,
    /// `disable = yes`
    Off,
}

impl Switch {
    /// The value of `disable`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::On => "no",
            Self::Off => "yes",
        }
    }
}

/// A text that is to replace another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub text: Vec<u8>,
    /// The line that is new or changed, from 1.
    pub line: usize,
}

/// Why a text is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No entry has its name there.
    NoEntry,
    /// The entry has no `{` on a line of its own, so nothing in it is read (PARSE-7).
    NoBrace,
    /// The entry is switched off and has a mistake below that: it would not be read.
    Broken,
    /// The new text would mean something else besides.
    Otherwise,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEntry => "the entry is not there any more",
            Self::NoBrace => "the entry has no `{` on a line of its own",
            Self::Broken => "the entry has a mistake that shows when it is switched on",
            Self::Otherwise => "a line with `disable` would change the meaning of other lines",
        })
    }
}

/// Switches the entry whose name begins at `name`. `None`: it is so already.
///
/// The value in the `disable` line that counts is replaced (PARSE-15, PARSE-19). To
/// switch off an entry without one, a line is added behind its `{`.
///
/// # Errors
/// When the new text would not mean exactly that.
pub fn switch(text: &[u8], name: u32, to: Switch) -> Result<Option<Change>, Refusal> {
    let entry = Entry::find(text, name)?;
    let deciding = entry.deciding();
    let (from, until, with) = match (&deciding, to) {
        (Some((_, said)), _) if *said == to => return Ok(None),
        (None, Switch::On) => return Ok(None),
        (Some((value, _)), _) => (value.span.start, value.span.end, to.word().into()),
        (None, Switch::Off) => {
            let at = entry.behind_open(text).ok_or(Refusal::NoBrace)?;
            (at, at, entry.new_line(text, to))
        }
    };
    let part = |from: u32, until: u32| text.get(index(from)..index(until)).unwrap_or_default();
    let before = part(0, from);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let rest = text.get(index(until)..).unwrap_or_default();
    let changed = [before, &with, rest].concat();
    verify(text, &changed, name, to)?;
    Ok(Some(Change { text: changed, line }))
}

/// Whether the entry whose name begins at `name` has a `disable` line that counts.
#[must_use]
pub fn decides(text: &[u8], name: u32) -> bool {
    Entry::find(text, name).is_ok_and(|entry| entry.deciding().is_some())
}

/// The lines of one entry.
struct Entry<'t> {
    open: Line<'t>,
    lines: Vec<Line<'t>>,
}

impl<'t> Entry<'t> {
    fn find(text: &'t [u8], name: u32) -> Result<Self, Refusal> {
        let mut lines = Lines::new(FileId::default(), text);
        let is_header = |line: &Line<'_>| {
            matches!(&line.words()[..], [keyword, word, ..]
                if keyword.is("service") && word.span.start == name)
        };
        lines.find(is_header).ok_or(Refusal::NoEntry)?;
        let open = lines.next().filter(Line::is_open).ok_or(Refusal::NoBrace)?;
        Ok(Self { open, lines: lines.take_while(|line| !line.is_close()).collect() })
    }

    fn assignments(&self) -> impl Iterator<Item = Assignment> {
        self.lines.iter().filter_map(|line| line.assignment().ok())
    }

    /// The value that decides, and what it says: the first that is a good one (PARSE-15).
    fn deciding(&self) -> Option<(Word, Switch)> {
        self.assignments().find_map(|line| said(&line))
    }

    /// Where a line behind the `{` begins.
    fn behind_open(&self, text: &[u8]) -> Option<u32> {
        let end = index(self.open.span().end);
        let to_next = text.get(end..)?.iter().position(|byte| *byte == b'\n')?;
        u32::try_from(end + to_next + 1).ok()
    }

    /// `disable`, indented and aligned like most lines of the entry.
    fn new_line(&self, text: &[u8], to: Switch) -> Vec<u8> {
        let layouts: Vec<_> = self.assignments().map(|line| Layout::of(text, &line)).collect();
        let like = |layout: &&Layout| layouts.iter().filter(|one| one.at == layout.at).count();
        // the first of those that are most
        let layout = layouts.iter().rev().max_by_key(like).cloned().unwrap_or_default();
        let mut line = layout.line(b"disable", to.word());
        let crlf = text.get(index(self.open.span().end)..).is_some_and(|rest| {
            rest.iter().take_while(|byte| **byte != b'\n').any(|byte| *byte == b'\r')
        });
        line.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        line
    }
}

/// `disable = yes` or `no`, in a form that is understood.
fn said(line: &Assignment) -> Option<(Word, Switch)> {
    let [value] = &line.values[..] else { return None };
    let known = line.name.is("disable") && line.operator == Operator::Set;
    let switch = [Switch::On, Switch::Off].into_iter().find(|to| value.is(to.word()))?;
    known.then(|| (value.clone(), switch))
}

/// What a `disable` line says, if it is one that counts.
pub(super) fn says(line: &Assignment) -> Option<Switch> {
    said(line).map(|(_, switch)| switch)
}

/// How a line is laid out.
#[derive(Clone)]
struct Layout {
    indentation: Vec<u8>,
    /// The column of the operator, from 0.
    at: usize,
    tabs: bool,
    /// Between the operator and the value.
    gap: Vec<u8>,
}

impl Default for Layout {
    fn default() -> Self {
        Self { indentation: b"\t".to_vec(), at: 3 * TAB, tabs: true, gap: b" ".to_vec() }
    }
}

impl Layout {
    fn of(text: &[u8], line: &Assignment) -> Self {
        let part = |from: u32, until: u32| text.get(index(from)..index(until)).unwrap_or_default();
        let before = part(0, line.name.span.start);
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let indentation = before.get(start..).unwrap_or_default();
        let padding = part(line.name.span.end, line.operator_span.start);
        let gap = line.values.first().map(|value| part(line.operator_span.end, value.span.start));
        let name = column(column(0, indentation), &line.name.bytes);
        Self {
            indentation: indentation.to_vec(),
            at: column(name, padding),
            tabs: padding.contains(&b'\t'),
            gap: gap.unwrap_or(b" ").to_vec(),
        }
    }

    fn line(&self, name: &[u8], value: &str) -> Vec<u8> {
        let mut line = [&self.indentation, name].concat();
        let mut reached = column(0, &line);
        let blank = if self.tabs { b'\t' } else { b' ' };
        let width = line.len();
        while reached < self.at {
            let fits = self.tabs && column(reached, b"\t") <= self.at;
            let next = if fits { b'\t' } else { b' ' };
            reached = column(reached, &[next]);
            line.push(next);
        }
        if line.len() == width {
            line.push(blank);
        }
        [&line, &b"="[..], &self.gap, value.as_bytes()].concat()
    }
}

/// The column behind `bytes` that begin in column `from`.
fn column(from: usize, bytes: &[u8]) -> usize {
    String::from_utf8_lossy(bytes).chars().fold(from, |at, letter| match letter {
        '\t' => (at / TAB + 1) * TAB,
        _ => at + 1,
    })
}

/// Whether `new` is `old` but for `disable` in the entry whose name begins at `name`.
fn verify(old: &[u8], new: &[u8], name: u32, to: Switch) -> Result<(), Refusal> {
    let (before, after) = (Entry::find(old, name)?, Entry::find(new, name)?);
    let decided = after.deciding().map(|(_, said)| said);
    if decided != Some(to) || other_lines(&before) != other_lines(&after) {
        return Err(Refusal::Otherwise);
    }
    let read = |text: &[u8]| parse(FileId::default(), text, &mut Vec::new());
    let (before, after) = (read(old), read(new));
    let here =
        |item: &&Item| matches!(item, Item::Service { name: word, .. } if word.span.start == name);
    let ending = after.items.iter().find(here).and_then(Item::body).map(|body| body.ending);
    match (ending, to) {
        (Some(Ending::Closed), Switch::On) | (Some(Ending::Disabled), Switch::Off) => {}
        (Some(Ending::Broken), Switch::On) => return Err(Refusal::Broken),
        _ => return Err(Refusal::Otherwise),
    }
    let rest = |ast: &Ast| -> Vec<_> {
        let others = ast.items.iter().filter(|item| !here(item));
        others.map(meaning).collect()
    };
    let same = before.incomplete == after.incomplete && rest(&before) == rest(&after);
    if same { Ok(()) } else { Err(Refusal::Otherwise) }
}

/// The words of a line or of several.
type Words = Vec<Vec<u8>>;

/// All lines but the one that decides.
fn other_lines(entry: &Entry<'_>) -> Vec<Words> {
    let deciding = entry.deciding().map(|(value, _)| value.span.end);
    let decides = |words: &[Word]| words.last().map(|last| last.span.end) == deciding;
    let lines = entry.lines.iter().map(Line::words).filter(|words| !decides(words));
    lines.map(|words| words.into_iter().map(|word| word.bytes).collect()).collect()
}

/// The words of an item, and how its reading ended, without places.
fn meaning(item: &Item) -> (Words, Option<Ending>) {
    let head = match item {
        Item::Service { name, .. } => vec![b"service".to_vec(), name.bytes.clone()],
        Item::Defaults { .. } => vec![b"defaults".to_vec()],
        Item::Include(path) => vec![b"include".to_vec(), path.bytes.clone()],
        Item::IncludeDir(path) => vec![b"includedir".to_vec(), path.bytes.clone()],
    };
    let lines = item.body().map(|body| body.lines.as_slice()).unwrap_or_default();
    let words = lines.iter().flat_map(|line| {
        let values = line.values.iter().map(|value| value.bytes.clone());
        // no word holds a line feed, so lines do not run together
        [line.name.bytes.clone(), line.operator.symbol().into()]
            .into_iter()
            .chain(values)
            .chain([b"\n".to_vec()])
    });
    (head.into_iter().chain(words).collect(), item.body().map(|body| body.ending))
}

fn index(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
