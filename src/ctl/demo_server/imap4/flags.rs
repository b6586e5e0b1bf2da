//! The system flags of a message (RFC 3501 section 2.3.2), kept for a session.

use std::fmt;

/// The flags this mailbox knows, in the order in which they are listed. Keywords of
/// a client's own are ignored, as section 7.1 (PERMANENTFLAGS) permits.
const NAMES: [&str; 5] = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"];

/// A set of flags, one bit for each of [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FlagSet(u8);

impl FlagSet {
    pub(super) const ANSWERED: Self = Self(1);
    pub(super) const FLAGGED: Self = Self(1 << 1);
    pub(super) const DELETED: Self = Self(1 << 2);
    pub(super) const SEEN: Self = Self(1 << 3);
    pub(super) const DRAFT: Self = Self(1 << 4);
    pub(super) const ALL: Self = Self(0b1_1111);

    /// The known ones among these names, which are in any case.
    pub(super) fn from_names(names: &[&[u8]]) -> Self {
        let known = (0..)
            .zip(NAMES)
            .filter(|(_, known)| names.iter().any(|n| n.eq_ignore_ascii_case(known.as_bytes())));
        known.fold(Self::default(), |set, (bit, _)| set.union(Self(1 << bit)))
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// As it is written on the wire: `(\Flagged \Seen)`.
impl fmt::Display for FlagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = (0..).zip(NAMES).filter(|(bit, _)| self.contains(Self(1 << bit)));
        let names: Vec<&str> = set.map(|(_, name)| name).collect();
        write!(f, "({})", names.join(" "))
    }
}

/// What STORE does to the flags of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlagChange {
    keep: FlagSet,
    add: FlagSet,
    pub(super) report: Report,
}

/// Whether STORE answers with the new flags, or was asked with `.SILENT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    Flags,
    Silent,
}

impl FlagChange {
    pub(super) fn replace(flags: FlagSet, report: Report) -> Self {
        Self { keep: FlagSet::default(), add: flags, report }
    }

    pub(super) fn add(flags: FlagSet, report: Report) -> Self {
        Self { keep: FlagSet::ALL, add: flags, report }
    }

    pub(super) fn remove(flags: FlagSet, report: Report) -> Self {
        Self { keep: FlagSet::ALL.without(flags), add: FlagSet::default(), report }
    }

    pub(super) fn apply(self, flags: FlagSet) -> FlagSet {
        FlagSet(flags.0 & self.keep.0).union(self.add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_names_in_any_case() {
        let set = FlagSet::from_names(&[b"\\seen", b"\\FLAGGED", b"NonJunk"]);
        assert_eq!(set, FlagSet::SEEN.union(FlagSet::FLAGGED));
        assert_eq!(set.to_string(), "(\\Flagged \\Seen)");
        assert_eq!(FlagSet::default().to_string(), "()");
    }

    #[test]
    fn a_change_adds_removes_or_replaces() {
        let seen = FlagSet::SEEN;
        let both = seen.union(FlagSet::DRAFT);
        assert_eq!(FlagChange::add(FlagSet::DRAFT, Report::Flags).apply(seen), both);
        assert_eq!(FlagChange::remove(FlagSet::DRAFT, Report::Flags).apply(both), seen);
        assert_eq!(FlagChange::replace(FlagSet::DRAFT, Report::Flags).apply(seen), FlagSet::DRAFT);
    }
}
