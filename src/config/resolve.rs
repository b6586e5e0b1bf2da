//! Drafts into a plan: who is selected, what the defaults add, what the numbers are.

use std::collections::{HashMap, HashSet};

use crate::config::ast::{Body, Ending, Operator, Word};
use crate::config::case::Case;
use crate::config::check::Sockets;
use crate::config::code;
use crate::config::draft::{At, Draft};
use crate::config::inetd;
use crate::config::near::Hints;
use crate::config::notes::bound;
use crate::config::original::{self, Late};
use crate::config::overlay::{self, Overlays};
use crate::config::read::{Reader, Section};
use crate::config::source::{Entry, Files};
use crate::config::value::COMMA;
use crate::config::{Declared, Fate, Faulty, KeptOff, Request, Verdict, addr};
use crate::diag::{Diagnostic, FileId, Sources, Span};
use crate::plan::{AccessList, Place, Plan, Service, ServiceId};

/// What a rejected value in `defaults` costs (DEF-6).
const FATAL: &str = "xinetd does not start, and a reload keeps the old configuration";

/// What became of all entries.
pub(super) struct Resolved {
    pub plan: Plan,
    pub unserved: Vec<Service>,
    pub faulty: Vec<Faulty>,
    pub declared: Vec<Declared>,
    pub defaults: Vec<(&'static str, Span)>,
    pub verdict: Verdict,
}

impl Resolved {
    fn new(verdict: Verdict) -> Self {
        let (plan, unserved, faulty) = (Plan::default(), Vec::new(), Vec::new());
        Self { plan, unserved, faulty, declared: Vec::new(), defaults: Vec::new(), verdict }
    }
}

/// What every service inherits (DEF-14 to DEF-20), wherever it stands (DEF-10).
#[derive(Default)]
pub(super) struct Defaults {
    pub draft: Draft,
    pub only_from: Option<AccessList>,
    pub no_access: Option<AccessList>,
}

/// CHK-1: everything is read first; then each entry, in order, becomes a service or not.
///
/// An entry of the id `on` is taken as switched on, whatever it or `defaults` says.
pub(super) fn resolve(
    request: &Request<'_>,
    files: &Files,
    on: Option<&str>,
    notes: &mut Vec<Diagnostic>,
) -> Resolved {
    let (defaults, verdict) = read_defaults(request, files, notes);
    let selection = Selection::new(&defaults.draft);
    let overlays = Overlays::new(&files.overlays);
    let mut resolving = Resolving {
        request,
        sources: &files.sources,
        inetd: files.inetd,
        defaults: &defaults,
        selection: &selection,
        sockets: Sockets::default(),
        ids: HashSet::new(),
        late: Late::new(&files.entries),
        resolved: Resolved::new(verdict),
    };
    for entry in &files.entries {
        let (name, body) = match entry {
            Entry::Service { name, body } => (name, body),
            Entry::Defaults(body) => {
                resolving.late.pass(body);
                continue;
            }
        };
        let id = id_of(name, body);
        let mut body = overlays.over(&id, body, notes);
        let forced = on.is_some_and(|on| id.eq_ignore_ascii_case(on));
        if forced && body.ending == Ending::Disabled {
            overlay::revive(body.to_mut(), notes);
        }
        let kept_off = selection.keeps_off(&id).filter(|_| !forced);
        let declared = Declared {
            name: name.text().into_owned(),
            span: name.span,
            overlays: overlays.places(&id),
            fate: Fate::Faulty,
            lines: Vec::new(),
            id: ServiceId(id),
        };
        resolving.entry(name, declared, &body, kept_off, notes);
    }
    let Resolving { ids, mut resolved, .. } = resolving;
    selection.report_unknown(&ids, notes);
    overlays.report_unused(&ids, notes);
    resolved.plan.common_log = defaults.draft.log_type.clone().unwrap_or_default();
    resolved.defaults = defaults.draft.seen;
    resolved
}

/// The entries on their way, one after the other.
struct Resolving<'a> {
    request: &'a Request<'a>,
    sources: &'a Sources,
    inetd: Option<FileId>,
    defaults: &'a Defaults,
    selection: &'a Selection<'a>,
    sockets: Sockets,
    /// In small letters.
    ids: HashSet<String>,
    late: Late,
    resolved: Resolved,
}

impl Resolving<'_> {
    fn entry(
        &mut self,
        name: &Word,
        mut declared: Declared,
        body: &Body,
        kept_off: Option<KeptOff>,
        notes: &mut Vec<Diagnostic>,
    ) {
        self.ids.insert(declared.id.0.to_ascii_lowercase());
        declared.fate = match body.ending {
            Ending::Disabled => Fate::Disabled,
            Ending::Closed | Ending::Broken => match kept_off {
                Some(list) => Fate::KeptOff(list),
                None if body.ending == Ending::Broken => Fate::Faulty,
                None => self.service(name, &mut declared, body, notes),
            },
        };
        if matches!(declared.fate, Fate::Faulty | Fate::Unserved(_)) {
            let (id, name) = (declared.id.clone(), declared.name.clone());
            self.resolved.faulty.push(Faulty { id, name });
        }
        self.resolved.declared.push(declared);
    }

    fn service(
        &mut self,
        name: &Word,
        declared: &mut Declared,
        body: &Body,
        notes: &mut Vec<Diagnostic>,
    ) -> Fate {
        let mut found = Vec::new();
        let section = Section::Service(declared.name.clone());
        let draft = read(self.request, section, self.inetd, body, &mut found);
        let mut case = Case {
            name,
            id: declared.id.0.clone(),
            place: place(self.sources, name),
            draft: &draft,
            defaults: self.defaults,
            lookup: self.request.lookup,
            notes: &mut found,
        };
        let service = case.service();
        let unserved = service.as_ref().and_then(|service| case.unserved(service));
        let is_bound = draft.bind.is_some() || self.defaults.draft.bind.is_some();
        let service =
            service.filter(|service| self.sockets.take(service, name, is_bound, &mut found));
        let fate = match service.filter(|_| !found.iter().any(Diagnostic::is_error)) {
            None => Fate::Faulty,
            Some(service) => {
                let services = match unserved {
                    None => &mut self.resolved.plan.services,
                    Some(_) => &mut self.resolved.unserved,
                };
                services.push(service);
                let position = services.len() - 1;
                if unserved.is_some() { Fate::Unserved(position) } else { Fate::Starts(position) }
            }
        };
        found.extend(unserved.filter(|_| fate != Fate::Faulty).map(|(span, what)| {
            let message = format!("{what} are not supported yet");
            Diagnostic::error(code::NOT_SUPPORTED, span, message)
        }));
        found.extend(original::revives(body, &draft, self.selection.enables(&declared.id.0)));
        found.extend(self.late.unlike(name, &draft));
        if self.inetd == Some(name.span.file) {
            found.extend(original::inherits_less(name, self.defaults));
        }
        let fields = found.iter_mut().filter(|note| self.inetd == Some(note.span.file));
        fields.for_each(inetd::reword);
        // Not the service: at a reload it may go on with its old entry.
        let cost = format!("this entry of `{}` is left out", name.text());
        found.iter_mut().filter(|note| note.is_error()).for_each(|note| note.cost(&cost));
        notes.append(&mut found);
        bound(notes);
        declared.lines = draft.seen;
        fate
    }
}

fn read(
    request: &Request<'_>,
    section: Section,
    inetd: Option<FileId>,
    body: &Body,
    notes: &mut Vec<Diagnostic>,
) -> Draft {
    let (lookup, base, draft) = (request.lookup, request.base, Draft::default());
    let mut reader = Reader { lookup, base, section, inetd, notes, draft };
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
    let mut found = Vec::new();
    let (lookup, base) = (request.lookup, request.base);
    let mut reader = Reader { lookup, base, section, inetd: None, notes: &mut found, draft };
    let mut broken = files.incomplete;
    for entry in &files.entries {
        if let Entry::Defaults(body) = entry {
            broken |= body.ending == Ending::Broken;
            reader.read(&body.lines);
        }
    }
    let draft = reader.draft;
    let errors = found.iter_mut().filter(|note| note.is_error());
    let fatal = errors.map(|note| note.cost(FATAL)).count() > 0;
    notes.append(&mut found);
    bound(notes);
    let verdict = if fatal || broken { Verdict::FaultyDefaults { fatal } } else { Verdict::Good };
    let defaults = Defaults {
        only_from: draft.only_from.apply(None).map(|list| addr::compile(&list)),
        no_access: draft.no_access.apply(None).map(|list| addr::compile(&list)),
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
    /// The ids, and where the list begins.
    enabled: Option<(HashMap<String, Span>, Span)>,
    disabled: HashMap<String, Span>,
}

impl<'d> Selection<'d> {
    pub(super) fn new(defaults: &'d Draft) -> Self {
        let with_place = |at: &At<String>| (at.value.to_ascii_lowercase(), at.span);
        let enabled = defaults.enabled.as_ref();
        Self {
            named: defaults
                .enabled
                .iter()
                .flatten()
                .chain(&defaults.disabled)
                .filter(|at| !defaults.commented.contains(&at.span))
                .collect(),
            enabled: enabled
                .zip(defaults.place("enabled"))
                .map(|(ids, span)| (ids.iter().map(with_place).collect(), span)),
            disabled: defaults.disabled.iter().map(with_place).collect(),
        }
    }

    /// The list that keeps the service of this id from starting, if one does.
    pub(super) fn keeps_off(&self, id: &str) -> Option<KeptOff> {
        let id = id.to_ascii_lowercase();
        if let Some(span) = self.disabled.get(&id) {
            return Some(KeptOff::Disabled(*span));
        }
        let (_, span) = self.enabled.as_ref().filter(|(ids, _)| !ids.contains_key(&id))?;
        Some(KeptOff::NotEnabled(*span))
    }

    /// Where `enabled` has this id.
    fn enables(&self, id: &str) -> Option<Span> {
        let (ids, _) = self.enabled.as_ref()?;
        ids.get(&id.to_ascii_lowercase()).copied()
    }

    /// An id that nobody has is probably misspelt.
    fn report_unknown(&self, ids: &HashSet<String>, notes: &mut Vec<Diagnostic>) {
        let unknown = self.named.iter().filter(|at| !ids.contains(&at.value.to_ascii_lowercase()));
        let mut hints = Hints::new(ids);
        for at in unknown {
            let id = &at.value;
            let hint = if id.contains(',') { Some(COMMA.to_owned()) } else { hints.for_word(id) };
            let message = format!("there is no service with the id `{id}`");
            let note = Diagnostic::warning(code::UNKNOWN_ID, at.span, message);
            notes.push(note.maybe_help(hint));
        }
    }
}
