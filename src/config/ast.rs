//! What a configuration file says, word by word and with places; nothing is looked up yet.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::diag::{Diagnostic, Span};

/// One file, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ast {
    pub items: Vec<Item>,
    /// Something was lost that reaches beyond one service: an `include`, a `defaults`,
    /// or nobody knows what.
    pub incomplete: bool,
}

/// What may stand outside entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Service {
        name: Word,
        body: Body,
    },
    Defaults {
        keyword: Word,
        body: Body,
    },
    /// `include FILE` (INC-1)
    Include(Word),
    /// `includedir DIRECTORY` (INC-2)
    IncludeDir(Word),
}

/// The lines between `{` and `}`, as far as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    pub lines: Vec<Assignment>,
    pub ending: Ending,
    /// A line says `disable = no`, so a later one cannot switch it off (PARSE-15).
    pub stays_on: bool,
    /// What follows `disable = yes`: read only if an overlay switches the service on.
    pub rest: Option<Rest>,
}

/// The lines of an entry that nobody looks at while it is switched off (PARSE-19).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    pub lines: Vec<Assignment>,
    /// The first line that is no attribute line.
    pub malformed: Option<Box<Diagnostic>>,
}

/// How the reading of an entry ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    #[default]
    Closed,
    /// By `disable = yes`: what follows was not looked at (PARSE-19).
    Disabled,
    /// By a mistake that costs the whole entry (PARSE-10); it has been reported.
    Broken,
}

/// `name operator values`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub name: Word,
    pub operator: Operator,
    pub operator_span: Span,
    pub values: Vec<Word>,
}

/// What stands between the name and the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Set,
    /// `+=`
    Add,
    /// `-=`
    Remove,
}

/// Bytes without blanks, and where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub bytes: Vec<u8>,
    pub span: Span,
}

impl Item {
    /// The lines between the braces, if this is an entry.
    #[must_use]
    pub const fn body(&self) -> Option<&Body> {
        match self {
            Self::Service { body, .. } | Self::Defaults { body, .. } => Some(body),
            Self::Include(_) | Self::IncludeDir(_) => None,
        }
    }
}

impl Assignment {
    /// Whether `other` has the same operator and values, wherever it stands.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let theirs = other.values.iter().map(|word| &word.bytes);
        self.operator == other.operator && self.values.iter().map(|word| &word.bytes).eq(theirs)
    }

    /// The first value. Only for lines whose number of values was checked.
    #[must_use]
    pub fn first(&self) -> &Word {
        self.values.first().unwrap_or(&self.name)
    }

    /// From the first value to the last; the operator if there is none.
    #[must_use]
    pub fn values_span(&self) -> Span {
        match (self.values.first(), self.values.last()) {
            (Some(first), Some(last)) => Span { end: last.span.end, ..first.span },
            _ => self.operator_span,
        }
    }
}

impl Operator {
    /// As it is written.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Set => "=",
            Self::Add => "+=",
            Self::Remove => "-=",
        }
    }
}

impl Word {
    /// As text; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// As the system takes it, untouched.
    #[must_use]
    pub fn os(&self) -> &OsStr {
        OsStr::from_bytes(&self.bytes)
    }

    /// As [`os`](Self::os), for keeping.
    #[must_use]
    pub fn os_string(&self) -> OsString {
        OsString::from_vec(self.bytes.clone())
    }

    /// Whether this is `keyword`, in capitals or not (PARSE-6, PARSE-27).
    #[must_use]
    pub fn is(&self, keyword: &str) -> bool {
        self.bytes.eq_ignore_ascii_case(keyword.as_bytes())
    }
}
