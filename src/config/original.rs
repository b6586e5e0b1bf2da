//! What the original makes of an entry where only the whole configuration shows it.

use crate::config::ast::{Body, Word};
use crate::config::attr;
use crate::config::draft::Draft;
use crate::config::resolve::{Defaults, id_of};
use crate::config::source::Entry;
use crate::diag::Diagnostic;

/// PARSE-18: an entry with a rejected value is switched on again.
pub(super) fn revives(
    name: &Word,
    body: &Body,
    draft: &Draft,
    defaults: &Defaults,
) -> Option<Diagnostic> {
    let rejected = |line: &Word| {
        draft
            .refused
            .iter()
            .any(|refused| attr::find(line).is_some_and(|row| row.name() == *refused))
    };
    let first = body.lines.iter().position(|line| rejected(&line.name))?;
    let after = body.lines.iter().skip(first);
    let disable = after.rev().find(|line| line.name.is("disable")).map(|line| line.name.span);
    let id = id_of(name, body);
    let enabled = defaults.draft.enabled.iter().flatten();
    let enabled = enabled.filter(|at| at.value.eq_ignore_ascii_case(&id)).map(|at| at.span).next();
    let deed = "switches the service on again here, with the mistake half applied";
    Some(Diagnostic::difference("PARSE-18", disable.or(enabled)?, deed))
}

/// What of `defaults` reaches only the services after it (DEF-10).
const ORDERED: [&str; 5] = ["only_from", "no_access", "banner", "banner_success", "banner_fail"];

/// The lines of [`ORDERED`] attributes in `defaults` entries that are still to come.
pub(super) struct Late(Vec<&'static str>);

impl Late {
    /// Before the first entry.
    pub(super) fn new(entries: &[Entry]) -> Self {
        let defaults = entries.iter().filter_map(|entry| match entry {
            Entry::Defaults(body) => Some(body),
            Entry::Service { .. } => None,
        });
        Self(defaults.flat_map(ordered).collect())
    }

    /// After one more `defaults` entry.
    pub(super) fn pass(&mut self, body: &Body) {
        self.0.drain(..ordered(body).count().min(self.0.len()));
    }

    /// What the original leaves out for this entry.
    pub(super) fn unlike(&self, name: &Word, draft: &Draft) -> Option<Diagnostic> {
        let missing = self.0.iter().find(|attribute| draft.place(attribute).is_none())?;
        let deed = format!("does not apply `{missing}` here: the `defaults` with it comes later");
        Some(Diagnostic::difference("DEF-10", name.span, deed))
    }
}

fn ordered(body: &Body) -> impl Iterator<Item = &'static str> {
    body.lines
        .iter()
        .filter_map(|line| ORDERED.into_iter().find(|attribute| line.name.is(attribute)))
}
