//! The lines of an entry into a draft, by the rules that hold for every attribute.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::config::ast::{Assignment, Operator, Word};
use crate::config::attr::{self, Miscount, Operators, Row, Scope, Setter};
use crate::config::code;
use crate::config::comment;
use crate::config::count;
use crate::config::draft::{At, Draft};
use crate::config::lookup::Lookup;
use crate::config::near::nearest;
use crate::config::notes::bound;
use crate::config::set;
use crate::config::value::Outcome;
use crate::diag::{Diagnostic, FileId, Span};

/// After so many notes nobody is told any more what a word was meant to be.
const MOST_HINTS: usize = 1000;

/// Attributes that keep clients out: without them more is open than was meant.
const PROTECTIVE: [&str; 13] = [
    "only_from",
    "no_access",
    "instances",
    "per_source",
    "cps",
    "bind",
    "interface",
    "access_times",
    "max_load",
    "deny_time",
    "disable",
    "disabled",
    "enabled",
];

/// `name`, if it is one of them.
fn protective(name: &str) -> Option<&'static str> {
    PROTECTIVE.into_iter().find(|protective| *protective == name)
}

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// In the entry of the service of this name.
    Service(String),
    Defaults,
}

/// Fills a [`Draft`]. An *error* among the notes costs the service (in `defaults`: the
/// start), whatever other lines say (PARSE-18); a *warning* costs nothing.
pub(super) struct Reader<'a> {
    pub lookup: &'a dyn Lookup,
    /// What relative paths are relative to (START-10).
    pub base: &'a Path,
    pub section: Section,
    /// The file that is an inetd.conf.
    pub inetd: Option<FileId>,
    pub notes: &'a mut Vec<Diagnostic>,
    pub draft: Draft,
}

impl Reader<'_> {
    /// Reads `lines` in order.
    pub(super) fn read(&mut self, lines: &[Assignment]) {
        let mut firsts = HashMap::new();
        for line in lines {
            bound(self.notes);
            match attr::find(&line.name) {
                Some(row) => self.line(row, line, &mut firsts),
                None => self.unknown(line),
            }
        }
    }

    /// One line; `firsts` are those that set their attribute before it.
    fn line<'l>(
        &mut self,
        row: &'static Row,
        line: &'l Assignment,
        firsts: &mut HashMap<&'static str, &'l Assignment>,
    ) {
        let first = firsts.get(row.name()).copied();
        if !self.belongs(row, line) || self.is_repeated(row, line, first) {
            return;
        }
        if !self.has_operator(row, line) || !self.has_count(row, line) {
            return;
        }
        if row.extension {
            let deed =
                format!("warns that it does not know `{}`, and ignores the line", row.name());
            self.notes.push(Diagnostic::extension("PARSE-12", line.name.span, deed));
        }
        let Setter(set) = row.set;
        if let Some((note, words)) = comment::taken(row, line) {
            self.notes.push(note);
            self.draft.commented.extend(words.iter().map(|word| word.span));
        }
        match set(self, line) {
            Ok(()) => {
                firsts.entry(row.name()).or_insert(line);
                self.draft.set(row.name(), line.name.span);
            }
            Err(note) => self.refuse(row.name(), line, *note),
        }
    }

    /// PARSE-12
    fn unknown(&mut self, line: &Assignment) {
        let name = line.name.text();
        let here = |row: &&Row| self.section != Section::Defaults || row.scope != Scope::Service;
        let names = attr::TABLE.iter().filter(here).flat_map(|row| row.names.iter().copied());
        let meant = if self.notes.len() < MOST_HINTS { nearest(&name, names) } else { None };
        let lost = meant.and_then(protective);
        let cost = if lost.is_some() { ": it is NOT in force" } else { "" };
        let message = format!("`{name}` is not an attribute; the line is ignored{cost}");
        let note = Diagnostic::warning(code::UNKNOWN_ATTRIBUTE, line.name.span, message)
            .label("not known")
            .maybe_help(meant.map(|meant| format!("did you mean `{meant}`?")))
            .not_in_force(lost)
            .legacy(format!("bad service attribute: {name}{cost}"));
        self.notes.push(note);
    }

    /// DEF-3, ATTR-38
    fn belongs(&mut self, row: &Row, line: &Assignment) -> bool {
        let (name, span) = (row.name(), line.name.span);
        let note = match (&self.section, row.scope) {
            (Section::Defaults, Scope::Service) => Diagnostic::warning(
                code::NOT_IN_DEFAULTS,
                span,
                format!("`{name}` cannot be set in `defaults`; the line is ignored"),
            )
            .help("set it in each service")
            .legacy(format!("attribute: {name} should not be in default section")),
            (Section::Service(_), Scope::Defaults) => Diagnostic::warning(
                code::ONLY_IN_DEFAULTS,
                span,
                format!("`{name}` can be set only in `defaults`; the line is ignored"),
            )
            .help("to switch this service off, write `disable = yes`")
            .legacy(format!("bad service attribute: {name}")),
            _ => return true,
        };
        self.notes.push(note);
        false
    }

    /// PARSE-15: the first line wins; DEF-9: but not for `log_type` in `defaults`.
    ///
    /// Nothing is lost with a line that says the same once more, as some templates do.
    fn is_repeated(&mut self, row: &Row, line: &Assignment, before: Option<&Assignment>) -> bool {
        if row.repeats {
            return false;
        }
        let Some(first) = self.draft.place(row.name()) else { return false };
        let name = row.name();
        let once = self.section == Section::Defaults && name == "log_type";
        if !once && before.is_some_and(|before| before.says_the_same(line)) {
            return true;
        }
        let note = if once {
            let message = "`log_type` can be set only once in `defaults`";
            Diagnostic::error(code::REPEATED_ATTRIBUTE, line.name.span, message)
                .legacy("Cannot set more than one log_type attribute")
        } else {
            let message = format!("`{name}` is already set; the line is ignored");
            Diagnostic::warning(code::REPEATED_ATTRIBUTE, line.name.span, message)
                .legacy(format!("Service {}: attribute already set: {name}", self.service()))
        };
        self.notes.push(note.label("again").related(first, "first set here"));
        true
    }

    /// PARSE-16, ATTR-43
    fn has_operator(&mut self, row: &Row, line: &Assignment) -> bool {
        let (name, symbol) = (row.name(), line.operator.symbol());
        let note = match (row.operators, line.operator) {
            (_, Operator::Set) | (Operators::All, _) | (Operators::SetAdd, Operator::Add) => {
                return true;
            }
            (Operators::SetAdd, Operator::Remove) => {
                self.draft.refuse(name);
                let message = format!("nothing can be removed from `{name}`");
                Diagnostic::error(code::WRONG_OPERATOR, line.operator_span, message)
                    .legacy(self.rejected(name, "Bad operator"))
            }
            (Operators::Set, Operator::Add | Operator::Remove) => {
                let message = format!("`{name}` is not a list: it is NOT in force");
                Diagnostic::warning(code::WRONG_OPERATOR, line.operator_span, message)
                    .help(format!("write `{name} = ...`"))
                    .not_in_force(protective(name))
                    .legacy(format!(
                        "Service {}: operator '{symbol}' cannot be used for attribute '{name}'",
                        self.service()
                    ))
            }
        };
        self.notes.push(note);
        false
    }

    /// PARSE-13, PARSE-14, ATTR-39
    fn has_count(&mut self, row: &Row, line: &Assignment) -> bool {
        let is_socket = row.name() == "redirect" && set::is_whole(line);
        if is_socket || (row.values.min..=row.values.max).contains(&line.values.len()) {
            return true;
        }
        let mut note = count::wrong(row, line);
        match row.values.miscount {
            Miscount::Ignored => note = note.not_in_force(protective(row.name())),
            Miscount::Rejected => {
                self.draft.refuse(row.name());
                let legacy = self.rejected(row.name(), &note.message);
                note = note.legacy(legacy);
                if row.name() == "bind" {
                    let deed = "ignores the line and listens on all addresses";
                    note = note.differs("PARSE-14", deed);
                }
            }
        }
        self.notes.push(note);
        false
    }

    /// PARSE-17: a value that the attribute rejects.
    pub(super) fn refuse(&mut self, name: &'static str, line: &Assignment, note: Diagnostic) {
        let note = comment::way_out(line, note);
        let reason = note.legacy.as_ref().unwrap_or(&note.message).clone();
        let legacy = match self.is_of_inetd(note.span) {
            true => format!("inetd.conf - {reason}"),
            false => self.rejected(name, &reason),
        };
        self.draft.refuse(name);
        self.notes.push(note.legacy(legacy));
        bound(self.notes);
    }

    /// Whether this is a field of inetd.conf.
    #[must_use]
    pub(super) fn is_of_inetd(&self, span: Span) -> bool {
        self.inetd == Some(span.file)
    }

    fn rejected(&self, name: &str, reason: &str) -> String {
        match self.section {
            Section::Service(_) => {
                format!("Error parsing attribute {name} - DISABLING SERVICE: {reason}")
            }
            Section::Defaults => format!("Error parsing attribute {name}: {reason}"),
        }
    }

    fn service(&self) -> &str {
        match &self.section {
            Section::Service(name) => name,
            Section::Defaults => "defaults",
        }
    }

    /// Every word of the line that `read` takes; the others are reported, but of a
    /// comment only the first.
    pub(super) fn each<T>(
        &mut self,
        name: &'static str,
        line: &Assignment,
        read: impl Fn(&Word) -> Outcome<T>,
    ) -> Vec<At<T>> {
        let mut values = Vec::with_capacity(line.values.len());
        for word in &line.values {
            match read(word) {
                Ok(value) => values.push(At { value, span: word.span }),
                Err(note) => {
                    self.refuse(name, line, *note);
                    if word.bytes.starts_with(b"#") {
                        break;
                    }
                }
            }
        }
        values
    }

    /// The operator of a list line: in `defaults`, `=` adds like `+=` (DEF-4).
    #[must_use]
    pub(super) fn operator(&self, line: &Assignment) -> Operator {
        match (&self.section, line.operator) {
            (Section::Defaults, Operator::Set) => Operator::Add,
            (_, operator) => operator,
        }
    }

    /// The path in `word`, made absolute.
    #[must_use]
    pub(super) fn path(&self, word: &Word) -> PathBuf {
        self.base.join(word.os())
    }
}
