//! Entries that are left out, each with its mistake.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use crate::config::{Declared, Fate, Loaded};
use crate::control::{LeftOut, Place};
use crate::diag::{Diagnostic, FileId, Sources, Span};
use crate::monitor::Monitor;
use crate::plan;
use crate::plan::Service;

/// Those of `loaded`, in reading order.
pub(in crate::monitor) fn left_out(loaded: &Loaded) -> Vec<LeftOut> {
    let begins: BTreeSet<_> = loaded.declared.iter().map(|entry| begin(entry.span)).collect();
    let faulty = loaded.declared.iter().filter(|entry| match entry.fate {
        Fate::Faulty | Fate::Unserved(_) => true,
        Fate::Starts(_) | Fate::Disabled | Fate::KeptOff(_) => false,
    });
    faulty.map(|entry| describe(loaded, &begins, entry)).collect()
}

fn begin(span: Span) -> (FileId, u32) {
    (span.file, span.start)
}

fn describe(loaded: &Loaded, begins: &BTreeSet<(FileId, u32)>, entry: &Declared) -> LeftOut {
    let pieces = std::iter::once(entry.span).chain(entry.overlays.iter().copied());
    let mistake = pieces.filter_map(|piece| first_error(loaded, begins, piece)).next();
    let (span, why) = match mistake {
        Some(note) => (note.span, note.message.clone()),
        None => (entry.span, "its entry has a mistake".to_owned()),
    };
    LeftOut { id: entry.id.0.clone(), place: place(&loaded.sources, span), why, goes_on: false }
}

/// The first error between the beginning of an entry and that of the next one in its file. Notes
/// are in the order of the files.
fn first_error<'l>(
    loaded: &'l Loaded,
    begins: &BTreeSet<(FileId, u32)>,
    piece: Span,
) -> Option<&'l Diagnostic> {
    let from = begin(piece);
    let next = begins.range((Excluded(from), Unbounded)).next();
    let until = next.copied().filter(|(file, _)| *file == piece.file);
    let first = loaded.notes.partition_point(|note| begin(note.span) < from);
    let notes = loaded.notes.get(first..).unwrap_or_default().iter();
    notes
        .take_while(|note| note.span.file == piece.file)
        .take_while(|note| until.is_none_or(|until| begin(note.span) < until))
        .find(|note| note.is_error())
}

impl Monitor {
    /// Takes note of a service that has no mistake in its entry and is not in force all the same.
    pub(in crate::monitor) fn note_left_out(&mut self, service: &Service, why: String) {
        let (id, place) = (service.id.0.clone(), entry(service));
        let entry = LeftOut { id, place, why, goes_on: false };
        self.control.tell_left_out(&entry);
        self.left_out.push(entry);
    }
}

/// Where the entry of a service begins.
pub(super) fn entry(service: &Service) -> Place {
    let plan::Place { file, line } = &service.declared_at;
    Place { file: file.to_string_lossy().into_owned(), line: *line, column: None }
}

/// The place of a span, for whoever is at the other end of the socket.
pub(super) fn place(sources: &Sources, span: Span) -> Place {
    let at = sources.position(span);
    let file = at.path.to_string_lossy().into_owned();
    Place { file, line: at.line, column: Some(at.column) }
}
