//! The JSON document of `xinetctl check`; its fields are described in docs/check.md.

use std::path::Path;

use nix::unistd::geteuid;
use serde::Serialize;

use super::{CheckArgs, Checked, asked_for};

use crate::config::{Difference, Verdict};
use crate::diag::{Diagnostic, Sources, Span};

/// Grows when a field changes its meaning or goes, not when one comes.
const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    version: u32,
    diagnostics: Vec<Note<'a>>,
    differences: Vec<Differing<'a>>,
    unreadable: Vec<&'a str>,
    summary: Summary,
}

#[derive(Debug, Serialize)]
struct Note<'a> {
    #[serde(flatten)]
    place: Place,
    level: &'static str,
    code: &'static str,
    message: &'a str,
    label: Option<&'a str>,
    help: Option<&'a str>,
    instead: &'a [String],
    not_in_force: Option<&'static str>,
    related: Option<Related<'a>>,
    legacy: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Differing<'a> {
    #[serde(flatten)]
    note: Note<'a>,
    spec: &'static str,
    extension: bool,
}

#[derive(Debug, Serialize)]
struct Related<'a> {
    #[serde(flatten)]
    place: Place,
    message: &'a str,
}

/// Lines and columns from 1, columns in characters; the end is behind the last character.
#[derive(Debug, Serialize)]
struct Place {
    file: String,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Debug, Serialize)]
struct Summary {
    errors: usize,
    warnings: usize,
    notes: usize,
    not_in_force: usize,
    files: usize,
    services: usize,
    switched_off: usize,
    left_out: usize,
    would_start: bool,
    uid: u32,
}

impl<'a> Document<'a> {
    pub(super) fn of(checked: &'a Checked, args: &CheckArgs) -> Self {
        let all = &checked.configurations;
        let notes = all
            .iter()
            .flat_map(|loaded| loaded.notes.iter().map(|note| Note::of(note, &loaded.sources)));
        let differences = all.iter().flat_map(|loaded| {
            asked_for(loaded, args).map(|found| Differing::of(found, &loaded.sources))
        });
        let unreadable = all.iter().filter_map(|loaded| match &loaded.verdict {
            Verdict::Unreadable(why) => Some(why.as_str()),
            Verdict::Good | Verdict::FaultyDefaults { .. } => None,
        });
        Self {
            version: VERSION,
            diagnostics: notes.collect(),
            differences: differences.collect(),
            unreadable: unreadable.collect(),
            summary: Summary::of(checked),
        }
    }
}

impl<'a> Note<'a> {
    fn of(note: &'a Diagnostic, sources: &Sources) -> Self {
        let related = note.related.as_ref();
        Self {
            place: Place::of(note.span, sources),
            level: note.severity.word(),
            code: note.code,
            message: &note.message,
            label: Some(note.label.as_str()).filter(|label| !label.is_empty()),
            help: note.help.as_deref(),
            instead: &note.instead,
            not_in_force: note.not_in_force,
            related: related
                .map(|(span, message)| Related { place: Place::of(*span, sources), message }),
            legacy: note.legacy.as_deref(),
        }
    }
}

impl<'a> Differing<'a> {
    fn of(found: &'a Difference, sources: &Sources) -> Self {
        let note = Note::of(&found.note, sources);
        Self { note, spec: found.spec, extension: found.extension }
    }
}

impl Place {
    fn of(span: Span, sources: &Sources) -> Self {
        let start = sources.position(span);
        let end = sources.position(Span { start: span.end, ..span });
        Self {
            file: text(start.path),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        }
    }
}

impl Summary {
    fn of(checked: &Checked) -> Self {
        let tally = &checked.tally;
        Self {
            errors: tally.errors,
            warnings: tally.warnings,
            notes: tally.notes,
            not_in_force: tally.not_in_force,
            files: tally.files,
            services: tally.services,
            switched_off: tally.switched_off,
            left_out: tally.left_out,
            would_start: tally.would_start(),
            uid: geteuid().as_raw(),
        }
    }
}

/// Bytes that are no UTF-8 become U+FFFD, here as in messages.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
