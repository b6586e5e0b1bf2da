//! What the original makes of files and entries where no single line shows it.

use crate::config::ast::{Body, Word};
use crate::config::attr;
use crate::config::draft::Draft;
use crate::config::edit::{self, Switch};
use crate::config::resolve::Defaults;
use crate::config::source::Entry;
use crate::diag::{Diagnostic, FileId, Span};

/// How long a line may be that the original reads in one piece, wherever it stands (PARSE-24).
const LONG: usize = 8 * 1024;

/// The first line end with a CR, and the first line that is too long for the original.
pub(super) fn of_lines(file: FileId, text: &[u8]) -> impl Iterator<Item = Diagnostic> + use<> {
    let (mut start, mut carriage, mut long) = (0, None, None);
    for line in text.split(|byte| *byte == b'\n') {
        if carriage.is_none() && line.ends_with(b"\r") {
            carriage = Some(start + line.len() - 1);
        }
        if long.is_none() && line.len() > LONG {
            long = Some(start);
        }
        start += line.len() + 1;
    }
    let note = move |at: usize, spec, deed: &str| {
        let start = u32::try_from(at).ok()?;
        Some(Diagnostic::difference(spec, Span { file, start, end: start }, deed))
    };
    let carriage = carriage.and_then(|at| {
        note(at, "PARSE-5", "takes the CR at the end of each line for a part of the value, and leaves the services of this file out")
    });
    let long = long.and_then(|at| {
        note(at, "PARSE-25", "may cut this line, and read the rest of it as a line of its own")
    });
    carriage.into_iter().chain(long)
}

/// PARSE-18: an entry with a rejected value is switched on again; `enabled` is its place in
/// that list.
pub(super) fn revives(body: &Body, draft: &Draft, enabled: Option<Span>) -> Option<Diagnostic> {
    if draft.refused.is_empty() {
        return None;
    }
    let rejected =
        |line: &Word| attr::find(line).is_some_and(|row| draft.refused.contains(&row.name()));
    let first = body.lines.iter().position(|line| rejected(&line.name))?;
    let after = body.lines.iter().skip(first);
    let disable = after.rev().find(|line| edit::says(line) == Some(Switch::On));
    let disable = disable.map(|line| line.name.span);
    let deed = "switches the service on again here, with the mistake half applied";
    Some(Diagnostic::difference("PARSE-18", disable.or(enabled)?, deed))
}

/// What of `defaults` reaches only the services after it (DEF-10).
const ORDERED: [&str; 5] = ["only_from", "no_access", "banner", "banner_success", "banner_fail"];

/// How many lines of each [`ORDERED`] attribute are in `defaults` entries still to come.
pub(super) struct Late([usize; ORDERED.len()]);

impl Late {
    /// Before the first entry.
    pub(super) fn new(entries: &[Entry]) -> Self {
        let defaults = entries.iter().filter_map(|entry| match entry {
            Entry::Defaults(body) => Some(body),
            Entry::Service { .. } => None,
        });
        let mut late = Self([0; ORDERED.len()]);
        for at in defaults.flat_map(ordered) {
            late.count(at, |left| left + 1);
        }
        late
    }

    /// After one more `defaults` entry.
    pub(super) fn pass(&mut self, body: &Body) {
        for at in ordered(body) {
            self.count(at, |left| left.saturating_sub(1));
        }
    }

    fn count(&mut self, at: usize, to: impl Fn(usize) -> usize) {
        if let Some(left) = self.0.get_mut(at) {
            *left = to(*left);
        }
    }

    /// What the original leaves out for this entry.
    pub(super) fn unlike(&self, name: &Word, draft: &Draft) -> Option<Diagnostic> {
        let left = ORDERED.iter().zip(self.0).filter(|(_, left)| *left > 0);
        let (missing, _) = left.into_iter().find(|(name, _)| draft.place(name).is_none())?;
        let deed = format!("does not apply `{missing}` here: the `defaults` with it comes later");
        Some(Diagnostic::difference("DEF-10", name.span, deed))
    }
}

/// What services of inetd.conf do not inherit (INETD-4).
const OF_ENTRIES_ONLY: [&str; 6] =
    ["only_from", "no_access", "passenv", "banner", "banner_success", "banner_fail"];

/// INETD-4: what the original leaves out for this service of inetd.conf.
pub(super) fn inherits_less(name: &Word, defaults: &Defaults) -> Option<Diagnostic> {
    let set = |attribute: &&str| defaults.draft.place(attribute).is_some();
    let missing: Vec<_> =
        OF_ENTRIES_ONLY.iter().filter(|one| set(one)).map(|one| format!("`{one}`")).collect();
    let deed = format!("does not apply {} of `defaults` here", missing.join(", "));
    (!missing.is_empty()).then(|| Diagnostic::difference("INETD-4", name.span, deed))
}

/// The lines of `body` with such an attribute, as positions in [`ORDERED`].
fn ordered(body: &Body) -> impl Iterator<Item = usize> {
    let position = |name: &Word| ORDERED.iter().position(|attribute| name.is(attribute));
    body.lines.iter().filter_map(move |line| position(&line.name))
}
