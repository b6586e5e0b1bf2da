//! Things worth telling the administrator about a configuration file.
//!
//! A [`Diagnostic`] is data. Three renderings turn it into text: [`human`](Diagnostic::human)
//! quotes the line and underlines the spot, [`short`](Diagnostic::short) is one line
//! that editors can follow, [`log_line`](Diagnostic::log_line) keeps the sentences of
//! the old daemon, because people grep for them.

/// The code of a difference from the original.
pub const DIFFERS: &str = "differs";

mod render;
mod source;

pub use render::{printable, wants_colour};
pub use source::{FileId, Position, Sources, Span};

use std::fmt::Display;

/// So many of something, in words: `1 service`, `2 services`.
#[must_use]
pub fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// How much a diagnostic costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something is left out: a service, or a line of `defaults`.
    Error,
    /// Read otherwise than it was probably meant; nothing is left out.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word in front of a message.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing to say, with the place it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Stable, in words: `unknown-attribute`.
    pub code: &'static str,
    /// One terse sentence, lowercase, no full stop.
    pub message: String,
    /// The word the message is about.
    pub span: Span,
    /// Written under that word; may be empty.
    pub label: String,
    /// Another place that belongs to the matter, and what it is.
    pub related: Option<(Span, String)>,
    /// The way out.
    pub help: Option<String>,
    /// What to write instead, line by line, when that is known; shown to people only.
    pub instead: Vec<String>,
    /// The attribute that keeps clients out and is not in force because of this.
    pub not_in_force: Option<&'static str>,
    /// The sentence of xinetd 2.3.15 for this, if it has one (MSG-3).
    pub legacy: Option<String>,
    /// What xinetd 2.3.15 does here, where that is something else.
    pub differs: Option<Differs>,
}

/// What the original does with a place that we read otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differs {
    /// The statement of the compatibility contract.
    pub spec: &'static str,
    /// What it does: "refuses everybody".
    pub deed: String,
    /// It does not understand this place at all.
    pub extension: bool,
}

impl Diagnostic {
    /// A mistake that leaves something out.
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message.into())
    }

    /// A mistake that leaves nothing out.
    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, message.into())
    }

    /// No mistake.
    #[must_use]
    pub fn note(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, span, message.into())
    }

    /// No mistake, but the original does something else here, and says nothing.
    #[must_use]
    pub fn difference(spec: &'static str, span: Span, deed: impl Into<String>) -> Self {
        Self::note(DIFFERS, span, "").differs(spec, deed)
    }

    /// [`difference`](Self::difference), for what the original does not understand at all.
    #[must_use]
    pub fn extension(spec: &'static str, span: Span, deed: impl Into<String>) -> Self {
        Self::note(DIFFERS, span, "").extends(spec, deed)
    }

    fn new(severity: Severity, code: &'static str, span: Span, message: String) -> Self {
        Self {
            severity,
            code,
            message,
            span,
            label: String::new(),
            related: None,
            help: None,
            instead: Vec::new(),
            not_in_force: None,
            legacy: None,
            differs: None,
        }
    }

    /// Writes `label` under the spot.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Shows a second place.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    /// Names the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the way out, if there is one.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Shows the lines that should stand there.
    #[must_use]
    pub fn instead(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.instead.extend(lines);
        self
    }

    /// Marks what lets more clients in than was meant.
    #[must_use]
    pub const fn not_in_force(mut self, attribute: Option<&'static str>) -> Self {
        self.not_in_force = attribute;
        self
    }

    /// What the log says instead of the message.
    #[must_use]
    pub fn legacy(mut self, sentence: impl Into<String>) -> Self {
        self.legacy = Some(sentence.into());
        self
    }

    /// Says that xinetd 2.3.15 does something else here: `deed` follows its name.
    #[must_use]
    pub fn differs(mut self, spec: &'static str, deed: impl Into<String>) -> Self {
        self.differs = Some(Differs { spec, deed: deed.into(), extension: false });
        self
    }

    /// [`differs`](Self::differs), for what xinetd 2.3.15 does not understand at all.
    #[must_use]
    pub fn extends(mut self, spec: &'static str, deed: impl Into<String>) -> Self {
        self.differs = Some(Differs { spec, deed: deed.into(), extension: true });
        self
    }

    /// Says what this costs, in the log too, unless that is said already.
    pub fn cost(&mut self, cost: &str) {
        if !self.message.contains("left out") {
            self.message = format!("{}; {cost}", self.message);
        }
        let legacy = self.legacy.as_mut();
        if let Some(old) = legacy.filter(|old| !old.contains("DISABLING") && !old.contains(cost)) {
            *old = format!("{old}; {cost}");
        }
    }

    /// Whether xinetd 2.3.15 does something else here, by this statement.
    #[must_use]
    pub fn is_about(&self, spec: &str) -> bool {
        self.differs.as_ref().is_some_and(|differs| differs.spec == spec)
    }

    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
