//! Drafts into a plan: who is selected, what the defaults add, what the numbers are.

use std::collections::HashSet;

use crate::config::ast::{Body, Ending, Operator, Word};
use crate::config::case::Case;
use crate::config::check::Sockets;
use crate::config::code;
use crate::config::draft::{At, Draft};
use crate::config::near::did_you_mean;
use crate::config::read::{Reader, Section};
use crate::config::source::{Entry, Files};
use crate::config::value::COMMA;
use crate::config::{Faulty, Request, Verdict, addr};
use crate::diag::{Diagnostic, Sources};
use crate::plan::{AccessList, LogField, Place, Plan, ServiceId};

/// How many pairs of ids are compared to find out which one was meant.
const MOST_COMPARISONS: usize = 100_000;

/// What a rejected value in `defaults` costs (DEF-6).
const FATAL: &str = "xinetd does not start, and a reload keeps the old configuration";

/// The plan, and who is missing in it.
pub(super) struct Resolved {
    pub plan: Plan,
    pub faulty: Vec<Faulty>,
    pub verdict: Verdict,
}

/// What every service inherits (DEF-14 to DEF-20), wherever it stands (DEF-10).
#[derive(Default)]
pub(super) struct Defaults {
    pub draft: Draft,
    pub only_from: Option<AccessList>,
    pub no_access: Option<AccessList>,
    /// Without TRAFFIC, which nothing here can count (DEF-11).
    pub on_success: Option<Vec<LogField>>,
}

/// CHK-1: everything is read first; then each entry, in order, becomes a service or not.
pub(super) fn resolve(
    request: &Request<'_>,
    files: &Files,
    notes: &mut Vec<Diagnostic>,
) -> Resolved {
    let (defaults, verdict) = read_defaults(request, files, notes);
    let selection = Selection::new(&defaults.draft);
    let common_log = defaults.draft.log_type.clone().unwrap_or_default();
    let mut resolved = Resolved { plan: Plan::default(), faulty: Vec::new(), verdict };
    let mut sockets = Sockets::default();
    let mut ids = HashSet::new();
    for entry in &files.entries {
        let Entry::Service { name, body } = entry else { continue };
        let id = id_of(name, body);
        ids.insert(id.to_ascii_lowercase());
        if body.ending == Ending::Disabled || !selection.takes(&id) {
            continue;
        }
        let faulty = Faulty { id: ServiceId(id.clone()), name: name.text().into_owned() };
        if body.ending == Ending::Broken {
            resolved.faulty.push(faulty);
            continue;
        }
        let mut found = Vec::new();
        let draft = read(request, Section::Service(faulty.name.clone()), body, &mut found);
        let place = place(&files.sources, name);
        let (lookup, notes_here) = (request.lookup, &mut found);
        let mut case =
            Case { name, id, place, draft: &draft, defaults: &defaults, lookup, notes: notes_here };
        let service = case.service().filter(|service| sockets.take(service, name, &mut found));
        match service.filter(|_| !found.iter().any(Diagnostic::is_error)) {
            Some(service) => resolved.plan.services.push(service),
            None => resolved.faulty.push(faulty),
        }
        // Not the service: at a reload it may go on with its old entry.
        let cost = format!("this entry of `{}` is left out", name.text());
        found.iter_mut().filter(|note| note.is_error()).for_each(|note| note.cost(&cost));
        notes.append(&mut found);
    }
    selection.report_unknown(&ids, notes);
    resolved.plan.common_log = common_log;
    resolved
}

fn read(
    request: &Request<'_>,
    section: Section,
    body: &Body,
    notes: &mut Vec<Diagnostic>,
) -> Draft {
    let draft = Draft::default();
    let mut reader = Reader { lookup: request.lookup, base: request.base, section, notes, draft };
    reader.read(&body.lines);
    reader.draft
}

/// Reads all `defaults` into one: lists add up, else the first value wins (DEF-1).
pub(super) fn read_defaults(
    request: &Request<'_>,
    files: &Files,
    notes: &mut Vec<Diagnostic>,
) -> (Defaults, Verdict) {
    let (section, draft) = (Section::Defaults, Draft::default());
    let before = notes.len();
    let mut reader = Reader { lookup: request.lookup, base: request.base, section, notes, draft };
    let mut broken = files.incomplete;
    for entry in &files.entries {
        if let Entry::Defaults(body) = entry {
            broken |= body.ending == Ending::Broken;
            reader.read(&body.lines);
        }
    }
    let draft = reader.draft;
    let errors = notes.iter_mut().skip(before).filter(|note| note.is_error());
    let fatal = errors.map(|note| note.cost(FATAL)).count() > 0;
    let verdict = if fatal || broken { Verdict::FaultyDefaults { fatal } } else { Verdict::Good };
    let on_success = draft.on_success.apply(None).map(|mut fields| {
        fields.retain(|field| *field != LogField::Traffic);
        fields
    });
    let defaults = Defaults {
        only_from: draft.only_from.apply(None).map(|list| addr::compile(&list)),
        no_access: draft.no_access.apply(None).map(|list| addr::compile(&list)),
        on_success,
        draft,
    };
    (defaults, verdict)
}

/// The id of an entry, also of one that is not read any further.
pub(super) fn id_of(name: &Word, body: &Body) -> String {
    let given = body.lines.iter().find_map(|line| match line.values.as_slice() {
        [value] if line.name.is("id") && line.operator == Operator::Set => Some(value),
        _ => None,
    });
    given.unwrap_or(name).text().into_owned()
}

fn place(sources: &Sources, name: &Word) -> Place {
    Place { file: sources.path(name.span.file).to_owned(), line: sources.line(name.span) }
}

/// `enabled` and `disabled`: by id, in any case (DEF-8).
pub(super) struct Selection<'d> {
    named: Vec<&'d At<String>>,
    enabled: Option<HashSet<String>>,
    disabled: HashSet<String>,
}

impl<'d> Selection<'d> {
    pub(super) fn new(defaults: &'d Draft) -> Self {
        let set = |ids: &[At<String>]| ids.iter().map(|at| at.value.to_ascii_lowercase()).collect();
        Self {
            named: defaults.enabled.iter().flatten().chain(&defaults.disabled).collect(),
            enabled: defaults.enabled.as_deref().map(set),
            disabled: set(&defaults.disabled),
        }
    }

    pub(super) fn takes(&self, id: &str) -> bool {
        let id = id.to_ascii_lowercase();
        self.enabled.as_ref().is_none_or(|enabled| enabled.contains(&id))
            && !self.disabled.contains(&id)
    }

    /// An id that nobody has is probably misspelt.
    fn report_unknown(&self, ids: &HashSet<String>, notes: &mut Vec<Diagnostic>) {
        let unknown = self.named.iter().filter(|at| !ids.contains(&at.value.to_ascii_lowercase()));
        let mut candidates: Vec<_> = ids.iter().map(String::as_str).collect();
        candidates.sort_unstable();
        for (number, at) in unknown.enumerate() {
            let id = &at.value;
            let hint = match number * candidates.len() < MOST_COMPARISONS {
                _ if id.contains(',') => Some(COMMA.to_owned()),
                true => did_you_mean(id, candidates.iter().copied()),
                false => None,
            };
            let message = format!("there is no service with the id `{id}`");
            let note = Diagnostic::warning(code::UNKNOWN_ID, at.span, message);
            notes.push(note.maybe_help(hint));
        }
    }
}
