//! An entry attribute by attribute, each value read, defaults not yet applied.

use std::collections::HashSet;
use std::ffi::OsString;
use std::hash::Hash;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::config::addr::AddrPattern;
use crate::config::ast::Operator;
use crate::config::lookup::User;
use crate::config::value::{Flag, ServiceType};
use crate::diag::Span;
use crate::plan::{
    DenyTime, Hours, Limit, Load, LogField, LogTarget, Protocol, RateAction, RateLimit, Redirect,
    Rlimit, SocketType, SourcePrefix, Stderr,
};

/// A value and the word it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Span,
}

/// What one entry (or all `defaults` together) says.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// Every attribute that has its value, by its first name, and where.
    pub seen: Vec<(&'static str, Span)>,
    /// The first line of each attribute of `seen`.
    first: Vec<(&'static str, Span)>,
    /// Every attribute whose value was refused, by its first name, once.
    pub refused: Vec<&'static str>,
    /// Values that were meant as a comment, and have been reported as such.
    pub commented: HashSet<Span>,
    pub id: Option<String>,
    pub types: Vec<At<ServiceType>>,
    pub flags: Vec<At<Flag>>,
    pub socket_type: Option<At<SocketType>>,
    pub protocol: Option<At<NamedProtocol>>,
    /// `wait = yes`
    pub waits: Option<At<bool>>,
    pub user: Option<Account>,
    pub group: Option<u32>,
    /// `groups = yes`
    pub groups: Option<bool>,
    pub server: Option<PathBuf>,
    pub server_args: Vec<OsString>,
    pub redirect: Option<Redirect>,
    pub port: Option<At<u16>>,
    pub rpc_versions: Option<RangeInclusive<u32>>,
    pub rpc_number: Option<u32>,
    pub bind: Option<Vec<At<Bound>>>,
    /// Whether all words of `bind` mean sockets of unix(7), well written or not.
    pub is_unix_only: Option<bool>,
    pub socket_mode: Option<u32>,
    pub socket_user: Option<u32>,
    pub socket_group: Option<u32>,
    pub v6only: Option<bool>,
    pub instances: Option<Limit>,
    pub per_source: Option<Limit>,
    pub rate: Option<RateLimit>,
    pub rate_action: Option<RateAction>,
    pub source_prefix: Option<SourcePrefix>,
    pub max_load: Option<Load>,
    pub hours: Option<Hours>,
    pub only_from: Edits<AddrPattern>,
    pub no_access: Edits<AddrPattern>,
    pub log_type: Option<LogTarget>,
    pub on_success: Edits<LogField>,
    pub on_failure: Edits<LogField>,
    pub nice: Option<i32>,
    pub umask: Option<u32>,
    pub env: Edits<(OsString, OsString)>,
    pub passenv: Edits<OsString>,
    pub peer_env: Option<bool>,
    pub stderr: Option<Stderr>,
    pub rlimits: Vec<Rlimit>,
    pub deny_time: Option<DenyTime>,
    pub libwrap: Option<String>,
    pub banner: Option<PathBuf>,
    pub banner_success: Option<PathBuf>,
    pub banner_fail: Option<PathBuf>,
    pub enabled: Option<Vec<At<String>>>,
    pub disabled: Vec<At<String>>,
}

/// What a word of `bind` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// An address, or all of a host, with port 0; never empty.
    Ip(Vec<SocketAddr>),
    Unix(PathBuf),
}

/// `user`: an entry of passwd(5), or a number without one (ATTR-46).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    Known(User),
    Number(u32),
}

/// A protocol with the name that services(5) is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedProtocol {
    pub name: String,
    pub number: Protocol,
}

impl Draft {
    /// Where `attribute` was set.
    #[must_use]
    pub(super) fn place(&self, attribute: &str) -> Option<Span> {
        self.first.iter().find(|(name, _)| *name == attribute).map(|(_, span)| *span)
    }

    /// Remembers that a line at `span` set `attribute`.
    pub(super) fn set(&mut self, attribute: &'static str, span: Span) {
        if self.place(attribute).is_none() {
            self.first.push((attribute, span));
        }
        self.seen.push((attribute, span));
    }

    /// Remembers that a value of `attribute` was refused.
    pub(super) fn refuse(&mut self, attribute: &'static str) {
        if !self.refused.contains(&attribute) {
            self.refused.push(attribute);
        }
    }

    #[must_use]
    pub(super) fn flag(&self, flag: Flag) -> Option<Span> {
        self.flags.iter().find(|at| at.value == flag).map(|at| at.span)
    }

    /// Whether `redirect` was given, with a good value or not.
    #[must_use]
    pub(super) fn is_redirected(&self) -> bool {
        self.redirect.is_some() || self.refused.contains(&"redirect")
    }

    #[must_use]
    pub(super) fn is(&self, kind: ServiceType) -> bool {
        self.types.iter().any(|at| at.value == kind)
    }
}

/// The lines of a list attribute, in order: what they do to the list before them (DEF-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edits<T>(Vec<(Operator, Vec<T>)>);

impl<T> Default for Edits<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone + Eq + Hash> Edits<T> {
    /// Whether no line mentions the list.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a line of this entry puts `item` on the list.
    #[must_use]
    pub(super) fn mentions(&self, item: &T) -> bool {
        let puts = |(operator, items): &(Operator, Vec<T>)| {
            *operator != Operator::Remove && items.contains(item)
        };
        self.0.iter().any(puts)
    }

    /// Adds one line.
    pub(super) fn push(&mut self, operator: Operator, items: Vec<T>) {
        self.0.push((operator, items));
    }

    /// The list that comes out, begun with `inherited`. `None`: nobody mentions it.
    ///
    /// `=` forgets what was before, `+=` adds, `-=` removes what is equal (ADDR-19).
    #[must_use]
    pub(super) fn apply(&self, inherited: Option<&[T]>) -> Option<Vec<T>> {
        if self.is_empty() {
            return inherited.map(<[T]>::to_vec);
        }
        // from the last line to the first: each item is looked at once
        let mut gone: HashSet<&T> = HashSet::new();
        let mut list: Vec<T> = Vec::new();
        let mut before = inherited.unwrap_or_default();
        for (operator, items) in self.0.iter().rev() {
            if *operator == Operator::Remove {
                gone.extend(items);
                continue;
            }
            list.extend(items.iter().rev().filter(|item| !gone.contains(item)).cloned());
            if *operator == Operator::Set {
                before = &[];
                break;
            }
        }
        list.extend(before.iter().rev().filter(|item| !gone.contains(item)).cloned());
        list.reverse();
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edits(lines: &[(Operator, Vec<u8>)]) -> Edits<u8> {
        let mut edits = Edits::default();
        for (operator, items) in lines {
            edits.push(*operator, items.clone());
        }
        edits
    }

    #[test]
    fn a_service_replaces_extends_or_cuts_what_it_inherits() {
        use Operator::{Add, Remove, Set};
        for (lines, wanted) in [
            (vec![], Some(vec![2, 3])),
            (vec![(Set, vec![4])], Some(vec![4])),
            (vec![(Add, vec![4])], Some(vec![2, 3, 4])),
            (vec![(Remove, vec![2])], Some(vec![3])),
            (vec![(Set, vec![4]), (Add, vec![1])], Some(vec![4, 1])),
            (vec![(Set, vec![])], Some(vec![])),
        ] {
            assert_eq!(edits(&lines).apply(Some(&[2, 3])), wanted, "DEF-5: {lines:?}");
        }
        assert_eq!(edits(&[]).apply(None), None);
        assert_eq!(edits(&[(Remove, vec![1])]).apply(None), Some(vec![]));
    }

    fn operator() -> impl Strategy<Value = Operator> {
        prop_oneof![Just(Operator::Set), Just(Operator::Add), Just(Operator::Remove)]
    }

    fn lines() -> impl Strategy<Value = Vec<(Operator, Vec<u8>)>> {
        prop::collection::vec((operator(), prop::collection::vec(0_u8..8, 0..4)), 0..6)
    }

    proptest! {
        #[test]
        fn after_an_assignment_nothing_of_before_is_left(
            before in lines(), items in prop::collection::vec(0_u8..8, 0..4),
            after in lines(), inherited in prop::collection::vec(0_u8..8, 0..4),
        ) {
            let tail = [vec![(Operator::Set, items)], after].concat();
            let all = [before, tail.clone()].concat();
            prop_assert_eq!(edits(&all).apply(Some(&inherited)), edits(&tail).apply(None));
        }

        #[test]
        fn what_was_removed_last_is_not_there(
            before in lines(), items in prop::collection::vec(0_u8..8, 0..4),
        ) {
            let all = [before, vec![(Operator::Remove, items.clone())]].concat();
            let left = edits(&all).apply(None).unwrap();
            prop_assert!(items.iter().all(|item| !left.contains(item)));
        }

        #[test]
        fn adding_line_by_line_is_adding_at_once(
            inherited in prop::collection::vec(0_u8..8, 0..4),
            a in prop::collection::vec(0_u8..8, 1..4), b in prop::collection::vec(0_u8..8, 1..4),
        ) {
            let twice = edits(&[(Operator::Add, a.clone()), (Operator::Add, b.clone())]);
            let once = edits(&[(Operator::Add, [a, b].concat())]);
            prop_assert_eq!(twice.apply(Some(&inherited)), once.apply(Some(&inherited)));
        }
    }
}
