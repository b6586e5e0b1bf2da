//! Where the value of an attribute comes from.

use crate::config::attr::{Row, Scope};
use crate::config::{Declared, Loaded};
use crate::diag::{Sources, Span};

/// `FILE:LINE`
pub(in crate::ctl) fn place(sources: &Sources, span: Span) -> String {
    format!("{}:{}", sources.path(span.file).display(), sources.line(span))
}

/// The places that make up the value of `row`: those of `defaults` first. Empty: nobody
/// sets it.
pub(in crate::ctl) fn places(loaded: &Loaded, declared: &Declared, row: &Row) -> Vec<Origin> {
    let of = |lines: &[(&'static str, Span)]| -> Vec<Span> {
        lines.iter().filter(|(name, _)| *name == row.name()).map(|(_, span)| *span).collect()
    };
    let own = of(&declared.lines);
    let replaced = own.iter().any(|span| operator(&loaded.sources, *span) == Some(b'='));
    let inherits = row.scope != Scope::Service && (own.is_empty() || row.repeats && !replaced);
    let inherited = if inherits { of(&loaded.defaults) } else { Vec::new() };
    let inherited = inherited.into_iter().map(|span| Origin { span, inherited: true });
    inherited.chain(own.into_iter().map(|span| Origin { span, inherited: false })).collect()
}

/// A line that sets an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ctl) struct Origin {
    /// The name of the attribute there.
    pub span: Span,
    /// It stands in `defaults`.
    pub inherited: bool,
}

impl Origin {
    /// In words.
    pub(in crate::ctl) fn text(self, sources: &Sources) -> String {
        let place = place(sources, self.span);
        if self.inherited { format!("defaults, {place}") } else { place }
    }

    /// The words behind the operator.
    pub(in crate::ctl) fn values(self, sources: &Sources) -> Vec<Span> {
        let line = sources.line_span(self.span);
        let text = sources.text(Span { start: self.span.end, ..line });
        let (mut words, mut at) = (Vec::new(), self.span.end);
        for word in text.split(|byte| matches!(byte, b' ' | b'\t')) {
            let end = at.saturating_add(u32::try_from(word.len()).unwrap_or(u32::MAX));
            if !word.is_empty() {
                words.push(Span { file: line.file, start: at, end });
            }
            at = end.saturating_add(1);
        }
        words.into_iter().skip(1).collect()
    }
}

/// The first byte of the operator behind the name under `span`.
pub(super) fn operator(sources: &Sources, span: Span) -> Option<u8> {
    let line = sources.line_span(span);
    let rest = sources.text(Span { start: span.end, ..line });
    rest.iter().copied().find(|byte| !matches!(byte, b' ' | b'\t'))
}
