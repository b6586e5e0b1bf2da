//! Why our reading may be another one: statements of the contract, each with what it explains.

use crate::compare::Disagreement;
use crate::trial::Trial;

/// A statement, and what it explains.
pub(crate) struct Rule {
    /// Its name in docs/compatibility.md.
    pub(crate) spec: &'static str,
    explains: What,
    evidence: Evidence,
}

/// The kind of a disagreement.
#[derive(Clone, Copy)]
enum What {
    Verdict,
    Missing,
    Extra,
    Value(&'static str),
}

/// What must be true of the file besides.
#[derive(Clone, Copy)]
enum Evidence {
    /// We say so, somewhere in the files.
    Told,
    /// We say so, in the entry of the service.
    ToldThere,
    /// We say so, right before that entry.
    ToldBefore,
    /// The original said this about the service.
    Said(fn(id: &str) -> String),
    /// The values are these two.
    Values(fn(theirs: &[String], ours: &[String]) -> bool),
}

use Evidence::{Said, Told, ToldBefore, ToldThere, Values};
use What::{Extra, Missing, Value, Verdict};

const fn rule(spec: &'static str, explains: What, evidence: Evidence) -> Rule {
    Rule { spec, explains, evidence }
}

/// Every reason there is.
pub(crate) const RULES: &[Rule] = &[
    // Files with which the original ends.
    rule("ATTR-40", Verdict, Told),
    rule("INC-6", Verdict, Told),
    // Services that it starts, and should not.
    rule("PARSE-18", Missing, ToldThere),
    rule("NUM-1", Missing, ToldThere),
    rule("ADDR-6", Missing, ToldThere),
    rule("ADDR-10", Missing, ToldThere),
    rule("CHK-12", Missing, ToldThere),
    // Services that it loses.
    rule("PARSE-5", Extra, Told),
    rule("PARSE-20", Extra, ToldBefore),
    rule("PARSE-25", Extra, Told),
    rule("ATTR-40", Extra, ToldThere),
    rule("ATTR-11", Extra, ToldThere),
    rule("TIME-2", Extra, ToldThere),
    rule("CHK-7", Extra, ToldThere),
    // Services that it reads as we do, and cannot start: we have not tried yet.
    rule("RPC-2", Extra, Said(|id| format!("pmap_set failed. service={id} "))),
    rule("LOG-8", Extra, Said(|_| "creation of default log failed".to_owned())),
    rule("LOG-8", Extra, Said(|id| format!("creation of {id} log failed"))),
    rule("START-12", Extra, Said(|id| format!("Service {id} failed to start"))),
    // Values that it takes for something else.
    rule("PARSE-14", Value("bind"), ToldThere),
    rule("ADDR-6", Value("only_from"), ToldThere),
    rule("ADDR-16", Value("only_from"), ToldThere),
    rule("START-10", Value("log_type"), Values(is_made_absolute)),
];

/// Whether our log is the file that theirs names in the directory of the start.
fn is_made_absolute(theirs: &[String], ours: &[String]) -> bool {
    match (theirs, ours) {
        ([_, theirs], [_, ours]) => ours.strip_prefix('/') == Some(theirs),
        _ => false,
    }
}

impl Rule {
    /// Whether this is the reason for `found`.
    pub(crate) fn explains(&self, found: &Disagreement, trial: &Trial<'_>) -> bool {
        let fits = match (self.explains, found) {
            (Verdict, Disagreement::Verdict)
            | (Missing, Disagreement::Missing(_))
            | (Extra, Disagreement::Extra(_)) => true,
            (Value(wanted), Disagreement::Value { attribute, .. }) => wanted == *attribute,
            _ => false,
        };
        fits && match (self.evidence, found.key()) {
            (Told, _) => trial.differs(self.spec),
            (ToldThere, Some(key)) => trial.differs_in(self.spec, key),
            (ToldBefore, Some(key)) => trial.differs_before(self.spec, key),
            (Said(sentence), Some(key)) => trial.record.said.contains(&sentence(&key.id)),
            (Values(are), _) => found.values().is_some_and(|(theirs, ours)| are(theirs, ours)),
            (ToldThere | ToldBefore | Said(_), None) => false,
        }
    }
}
