//! Where our reading of a file and that of the original are not the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::dump;
use crate::trial::Trial;
use crate::words::{self, Key, Values};

/// One thing that is not the same.
#[derive(Clone, Debug)]
pub(crate) enum Disagreement {
    /// One of us goes on after reading, the other does not.
    Verdict,
    /// The original has this service, we have not.
    Missing(Key),
    /// We have this service, the original has not.
    Extra(Key),
    Value {
        key: Key,
        attribute: &'static str,
        theirs: Option<Vec<String>>,
        ours: Option<Vec<String>>,
    },
}

impl Disagreement {
    /// The service that it is about.
    pub(crate) fn key(&self) -> Option<&Key> {
        match self {
            Self::Verdict => None,
            Self::Missing(key) | Self::Extra(key) | Self::Value { key, .. } => Some(key),
        }
    }

    /// Their value and ours, if both have one.
    pub(crate) fn values(&self) -> Option<(&[String], &[String])> {
        match self {
            Self::Value { theirs: Some(theirs), ours: Some(ours), .. } => Some((theirs, ours)),
            Self::Verdict | Self::Missing(_) | Self::Extra(_) | Self::Value { .. } => None,
        }
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict => f.write_str("one goes on after reading, the other does not"),
            Self::Missing(key) => write!(f, "{key}: the original has it"),
            Self::Extra(key) => write!(f, "{key}: the original does not have it"),
            Self::Value { key, attribute, theirs, ours } => {
                write!(f, "{key}: {attribute} is {theirs:?} in the original, {ours:?} here")
            }
        }
    }
}

/// What the dump shows only if it was given, and cannot be compared otherwise.
const SHOWN_IF_GIVEN: [&str; 4] = ["group", "libwrap", "log_on_success", "log_on_failure"];

/// Everything that is not the same.
pub(crate) fn compare(trial: &Trial<'_>) -> Vec<Disagreement> {
    if trial.runs() != trial.record.runs {
        return vec![Disagreement::Verdict];
    }
    if !trial.runs() {
        return Vec::new();
    }
    let mut ours: BTreeMap<Key, Vec<Values>> = BTreeMap::new();
    let plan = &trial.loaded.plan;
    for service in plan.services.iter().chain(&trial.loaded.unserved) {
        let (key, mut values) = words::ours(service, &plan.common_log);
        values.values_mut().flatten().for_each(|word| *word = trial.as_written(word));
        ours.entry(key).or_default().push(values);
    }
    let mut found = Vec::new();
    for dumped in &trial.record.services {
        let (key, theirs) = dump::theirs(dumped, trial.record);
        match ours.get_mut(&key).filter(|left| !left.is_empty()) {
            Some(left) => found.extend(values(&key, &theirs, &left.remove(0))),
            None => found.push(Disagreement::Missing(key)),
        }
    }
    for (key, left) in ours {
        found.extend(left.iter().map(|_| Disagreement::Extra(key.clone())));
    }
    found
}

fn values(key: &Key, theirs: &Values, ours: &Values) -> Vec<Disagreement> {
    let attributes: BTreeSet<_> = theirs.keys().chain(ours.keys()).copied().collect();
    let value = |attribute| (theirs.get(attribute).cloned(), ours.get(attribute).cloned());
    let differs = |attribute| {
        let (theirs, ours) = value(attribute);
        theirs != ours && (theirs.is_some() || !SHOWN_IF_GIVEN.contains(&attribute))
    };
    let differing = attributes.into_iter().filter(|attribute| differs(attribute));
    let disagreement = |attribute| {
        let (theirs, ours) = value(attribute);
        Disagreement::Value { key: key.clone(), attribute, theirs, ours }
    };
    differing.map(disagreement).collect()
}
