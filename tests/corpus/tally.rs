//! The sum of all comparisons.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::compare::compare;
use crate::rules::RULES;
use crate::trial::Trial;

/// What came out, file by file and rule by rule.
#[derive(Default)]
pub(crate) struct Tally {
    readings: usize,
    /// By file: the statements that its differences belong to.
    files: BTreeMap<String, BTreeSet<&'static str>>,
    /// What no rule explains, and in which file.
    otherwise: Vec<(String, String)>,
    /// How often each rule was the reason.
    used: [usize; RULES.len()],
}

impl Tally {
    /// Counts one reading of one file.
    pub(crate) fn add(&mut self, trial: &Trial<'_>) {
        let record = trial.record;
        self.readings += 1;
        let statements = self.files.entry(record.file.clone()).or_default();
        for found in compare(trial) {
            let mut rules = RULES.iter().zip(&mut self.used);
            match rules.find(|(rule, _)| rule.explains(&found, trial)) {
                Some((rule, used)) => {
                    *used += 1;
                    statements.insert(rule.spec);
                }
                None => {
                    let text = format!("{}, {:?}: {found}", record.file, record.mode);
                    self.otherwise.push((record.file.clone(), text));
                }
            }
        }
    }

    /// Whether every difference has its reason, and every rule was one.
    pub(crate) fn is_good(&self) -> bool {
        self.otherwise.is_empty() && self.used.iter().all(|times| *times > 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let otherwise: BTreeSet<_> = self.otherwise.iter().map(|(file, _)| file).collect();
        let rest = self.files.iter().filter(|(file, _)| !otherwise.contains(file));
        let (agree, named): (Vec<_>, Vec<_>) = rest.partition(|(_, found)| found.is_empty());
        writeln!(
            f,
            "{} files in {} readings: {} agree, {} differ by a statement, {} differ otherwise",
            self.files.len(),
            self.readings,
            agree.len(),
            named.len(),
            otherwise.len()
        )?;
        let statements: BTreeSet<_> = named.iter().flat_map(|(_, found)| found.iter()).collect();
        for statement in statements {
            let files = named.iter().filter(|(_, found)| found.contains(statement)).count();
            writeln!(f, "    {files:4} {statement}")?;
        }
        for (_, text) in &self.otherwise {
            writeln!(f, "{text}")?;
        }
        for (rule, _) in RULES.iter().zip(self.used).filter(|(_, times)| *times == 0) {
            writeln!(f, "a rule for {} explains nothing: remove it", rule.spec)?;
        }
        Ok(())
    }
}
