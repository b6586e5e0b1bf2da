//! Overlays: `NAME.local` beside `NAME` in an included directory changes services of others.
//!
//! The original skips names with a dot (INC-3), and so do the tools that edit its files:
//! what is written there is safe from them, and they from it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::config::ast::{Assignment, Body, Ending, Operator, Word};
use crate::config::attr;
use crate::config::code;
use crate::config::near::Hints;
use crate::config::resolve::id_of;
use crate::diag::{Diagnostic, Span};

/// What the name of an overlay ends in.
pub(super) const SUFFIX: &str = ".local";

/// One `service` entry of an overlay.
#[derive(Debug)]
pub(super) struct Overlay {
    pub name: Word,
    pub body: Body,
}

/// All overlays, by the id that they are for.
pub(super) struct Overlays<'o> {
    by_id: HashMap<String, Vec<&'o Overlay>>,
}

impl<'o> Overlays<'o> {
    /// Ids are compared in any case, as in `enabled` (DEF-8).
    pub(super) fn new(overlays: &'o [Overlay]) -> Self {
        let mut by_id: HashMap<_, Vec<_>> = HashMap::new();
        for overlay in overlays {
            let id = id_of(&overlay.name, &overlay.body).to_ascii_lowercase();
            by_id.entry(id).or_default().push(overlay);
        }
        Self { by_id }
    }

    /// The overlays of `id`, in their order.
    fn of(&self, id: &str) -> impl Iterator<Item = &'o Overlay> {
        let found =
            if self.by_id.is_empty() { None } else { self.by_id.get(&id.to_ascii_lowercase()) };
        found.into_iter().flatten().copied()
    }

    /// Where the names of the overlays of `id` stand.
    pub(super) fn places(&self, id: &str) -> Vec<Span> {
        self.of(id).map(|overlay| overlay.name.span).collect()
    }

    /// `body` with what the overlays of `id` change in it, in their order.
    pub(super) fn over<'b>(
        &self,
        id: &str,
        body: &'b Body,
        notes: &mut Vec<Diagnostic>,
    ) -> Cow<'b, Body> {
        self.of(id).fold(Cow::Borrowed(body), |body, overlay| {
            let deed = "does not read this file, because its name has a dot";
            notes.push(Diagnostic::extension("INC-3", overlay.name.span, deed));
            Cow::Owned(merged(body.into_owned(), &overlay.body, notes))
        })
    }

    /// An overlay that changes nothing is probably misspelt.
    pub(super) fn report_unused(&self, ids: &HashSet<String>, notes: &mut Vec<Diagnostic>) {
        let mut hints = Hints::new(ids);
        let mut unused: Vec<_> = self.by_id.iter().filter(|(id, _)| !ids.contains(*id)).collect();
        unused.sort_unstable_by_key(|(id, _)| *id);
        for (id, overlays) in unused {
            let hint = hints.for_word(id);
            for overlay in overlays {
                let message = format!("there is no service with the id `{id}` to be changed");
                let note = Diagnostic::warning(code::UNKNOWN_ID, overlay.name.span, message)
                    .label("this overlay has no effect")
                    .maybe_help(hint.clone());
                notes.push(note);
            }
        }
    }
}

/// What is set in the overlay replaces what the entry sets; lists and the rest add up.
fn merged(mut base: Body, overlay: &Body, notes: &mut Vec<Diagnostic>) -> Body {
    let set: HashSet<&str> = overlay.lines.iter().filter_map(set_by).collect();
    let switches_on = |line: &Assignment| {
        line.name.is("disable") && matches!(&line.values[..], [value] if value.is("no"))
    };
    if base.ending == Ending::Disabled && overlay.lines.iter().any(switches_on) {
        revive(&mut base, notes);
    }
    base.lines.retain(|line| attr::find(&line.name).is_none_or(|row| !set.contains(row.name())));
    base.lines.extend(overlay.lines.iter().filter(|line| !line.name.is("id")).cloned());
    match overlay.ending {
        Ending::Closed => {}
        Ending::Disabled | Ending::Broken => base.ending = overlay.ending,
    }
    base
}

/// The attribute that `line` gives its one value.
fn set_by(line: &Assignment) -> Option<&'static str> {
    let row = attr::find(&line.name).filter(|row| !row.repeats)?;
    let fits = (row.values.min..=row.values.max).contains(&line.values.len());
    (fits && line.operator == Operator::Set).then(|| row.name())
}

/// The lines after `disable = yes` count after all.
pub(super) fn revive(body: &mut Body, notes: &mut Vec<Diagnostic>) {
    body.ending = match body.rest.take() {
        Some(rest) => {
            body.lines.extend(rest.lines);
            notes.extend(rest.malformed.as_deref().cloned());
            if rest.malformed.is_some() { Ending::Broken } else { Ending::Closed }
        }
        None => Ending::Broken, // by a mistake that has been reported
    };
}
