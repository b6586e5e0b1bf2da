//! From the text of the configuration files to a plan.
//!
//! ```text
//! files --source--> bytes --lex--> words --parse--> Ast --read--> Draft --resolve--> Plan
//!                     \______________\________________\_____________\_______________/
//!                                        every mistake a Diagnostic
//! ```
//!
//! One rule decides who stays out: a service with an *error* is left out, one with
//! only *warnings* starts. Nothing here opens a socket or starts a program.

pub mod addr;
pub mod ast;
pub mod attr;
pub mod code;
pub mod edit;
pub mod entries;
pub mod lookup;
pub mod report;
pub mod system;

mod case;
mod check;
mod comment;
mod count;
mod draft;
mod inetd;
mod lex;
mod near;
mod notes;
mod original;
mod overlay;
mod parse;
mod read;
mod resolve;
mod set;
pub mod show;
mod source;
mod unix;
mod value;

#[cfg(test)]
mod tests;

pub use near::{nearest, no_service};
pub use parse::parse;

use std::path::Path;

use crate::config::lookup::Lookup;
use crate::config::notes::MOST_HELD;
use crate::diag::{DIFFERS, Diagnostic, Differs, FileId, Sources, Span};
use crate::plan::{AccessList, Facility, Plan, Service, ServiceId};

/// The syslog facility of this name, in any case (ATTR-11, CLI-4).
#[must_use]
pub fn facility(name: &str) -> Option<Facility> {
    let found = value::FACILITIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, facility)| *facility)
}

/// The names of syslog facilities, as usually spelt (ATTR-11).
pub fn facilities() -> impl Iterator<Item = &'static str> {
    value::FACILITIES.iter().map(|(name, _)| *name)
}

/// The names of syslog levels, as usually spelt (ATTR-11).
pub fn levels() -> impl Iterator<Item = &'static str> {
    value::LEVELS.iter().map(|(name, _)| *name)
}

/// Whom a word of `only_from` or `no_access` stands for; `None` when it is not understood.
#[must_use]
pub fn address_word(lookup: &dyn Lookup, word: &str) -> Option<AccessList> {
    set::meaning(lookup, word).ok().map(|meaning| addr::compile(&meaning.patterns))
}

/// What to load.
pub struct Request<'a> {
    /// The main file (or the directory), absolute.
    pub path: &'a Path,
    /// What relative paths in the files are relative to: where the daemon was
    /// started, at a reload too (START-10).
    pub base: &'a Path,
    pub lookup: &'a dyn Lookup,
    /// The file of the old inetd, absolute, to be read behind all others (CLI-14).
    pub inetd: Option<&'a Path>,
}

/// What `-inetd_compat` reads.
pub const INETD_CONF: &str = "/etc/inetd.conf";

/// What came out.
#[derive(Debug, Default)]
pub struct Loaded {
    pub plan: Plan,
    /// Services without a mistake that this version cannot run yet. Each is in `faulty` too:
    /// for the daemon that is the same.
    pub unserved: Vec<Service>,
    pub faulty: Vec<Faulty>,
    /// Every entry, in reading order, with what became of it.
    pub declared: Vec<Declared>,
    /// The attributes that `defaults` set, and where.
    pub defaults: Vec<(&'static str, Span)>,
    pub verdict: Verdict,
    /// The files that were read; `notes` point into them.
    pub sources: Sources,
    /// Everything worth saying, in the order of the files.
    pub notes: Vec<Diagnostic>,
    /// What xinetd 2.3.15 does with these files otherwise, in the same order.
    pub differences: Vec<Difference>,
}

/// A place that xinetd 2.3.15 reads otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it does, as a note that points there.
    pub note: Diagnostic,
    /// The statement of the compatibility contract.
    pub spec: &'static str,
    /// It does not understand this place at all.
    pub extension: bool,
}

/// A `service` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub id: ServiceId,
    /// The word after `service`.
    pub name: String,
    /// Where that word stands.
    pub span: Span,
    /// The same in the overlays that change the entry, in their order.
    pub overlays: Vec<Span>,
    pub fate: Fate,
    /// The attributes that were set, in their order, and where: overlays come last. Empty
    /// for an entry that was not looked into.
    pub lines: Vec<(&'static str, Span)>,
}

impl Loaded {
    /// The service that became of `declared`.
    #[must_use]
    pub fn service(&self, declared: &Declared) -> Option<&Service> {
        match declared.fate {
            Fate::Starts(position) => self.plan.services.get(position),
            Fate::Unserved(position) => self.unserved.get(position),
            Fate::Faulty | Fate::Disabled | Fate::KeptOff(_) => None,
        }
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is the service at this position of the plan.
    Starts(usize),
    /// It is the service at this position of [`Loaded::unserved`].
    Unserved(usize),
    /// It has a mistake.
    Faulty,
    /// It says `disable = yes`.
    Disabled,
    /// A list in `defaults` keeps it off (DEF-8).
    KeptOff(KeptOff),
}

/// Which list keeps a service off, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptOff {
    /// `disabled` has its id here.
    Disabled(Span),
    /// `enabled` is set here and does not have its id.
    NotEnabled(Span),
}

/// An entry that is left out because of a mistake. Never one that is switched off.
///
/// A reload lets the running service of this id go on (RELOAD-4). An id may be
/// here more than once, and in the plan as well: ids are not unique (CHK-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faulty {
    pub id: ServiceId,
    /// The word after `service`.
    pub name: String,
}

/// What the files are worth as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Mistakes, if there are any, cost single services only.
    #[default]
    Good,
    /// A mistake reaches beyond one service, or may do so: in `defaults`, in an `include`
    /// that is missing or unreadable, in a line that names no service.
    /// `fatal`: a value of `defaults` was rejected, so a start must not go on (DEF-6);
    /// else a start goes on without the line or the file (DEF-7, INC-1, INC-4).
    /// A reload keeps the old configuration in both cases: a typo never ends sessions.
    FaultyDefaults { fatal: bool },
    /// The main file could not be read (START-14); says why. The plan is empty.
    Unreadable(String),
}

/// Reads, resolves and checks a whole configuration. Never fails: see [`Loaded::verdict`].
#[must_use]
pub fn load(request: &Request<'_>) -> Loaded {
    load_from(source::read, request, None)
}

/// [`load`], with the services of this id, in any case, taken as switched on: what would
/// become of them.
#[must_use]
pub fn load_as_if_on(request: &Request<'_>, id: &str) -> Loaded {
    load_from(source::read, request, Some(id))
}

/// [`load`] of a directory: its files as `includedir` reads them (INC-2, INC-3).
#[must_use]
pub fn load_directory(request: &Request<'_>) -> Loaded {
    load_from(source::read_directory, request, None)
}

fn load_from(read: source::Read, request: &Request<'_>, on: Option<&str>) -> Loaded {
    let mut notes = Vec::new();
    let mut files = match read(request.path, request.base, &mut notes) {
        Ok(files) => files,
        Err(error) => {
            let reason = format!("cannot read {}: {error}", request.path.display());
            return Loaded { verdict: Verdict::Unreadable(reason), ..Loaded::default() };
        }
    };
    if let Some(path) = request.inetd {
        inetd::read(path, &mut files, &mut notes);
    }
    let resolved = resolve::resolve(request, &files, on, &mut notes);
    let (notes, differences) = sorted(notes);
    Loaded {
        plan: resolved.plan,
        unserved: resolved.unserved,
        faulty: resolved.faulty,
        declared: resolved.declared,
        defaults: resolved.defaults,
        verdict: resolved.verdict,
        sources: files.sources,
        notes: limited(notes),
        differences,
    }
}

/// Apart: what is worth saying, and what is only another reading than the original's.
fn sorted(notes: Vec<Diagnostic>) -> (Vec<Diagnostic>, Vec<Difference>) {
    let mut differences: Vec<_> = notes.iter().filter_map(difference).collect();
    differences.sort_by_key(|difference| place(&difference.note));
    differences.dedup();
    let notes = notes.into_iter().filter(|note| note.code != DIFFERS).collect();
    (notes, differences)
}

fn difference(note: &Diagnostic) -> Option<Difference> {
    let Differs { spec, deed, extension } = note.differs.as_ref()?;
    let (spec, extension) = (*spec, *extension);
    let note = Diagnostic::note(DIFFERS, note.span, format!("xinetd 2.3.15 {deed}"));
    Some(Difference { note, spec, extension })
}

fn place(note: &Diagnostic) -> (FileId, u32) {
    (note.span.file, note.span.start)
}

/// How many notes are worth keeping: nobody reads more, and all of them go to syslog.
const MOST_NOTES: usize = 1000;

/// The notes in the order of the files; of too many the worst ones.
fn limited(mut notes: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if notes.len() <= MOST_NOTES {
        notes.sort_by_key(place);
        return notes;
    }
    notes.sort_by_key(|note| (note.severity, place(note)));
    let least = if notes.len() < MOST_HELD { "" } else { "at least " };
    let more = notes.split_off(MOST_NOTES);
    notes.sort_by_key(place);
    if let (Some(last), Some(worst)) = (notes.last().map(|note| note.span), more.first()) {
        let message = format!("too many mistakes: {least}{} more are not shown", more.len());
        let mut note = Diagnostic::warning(code::TOO_MANY, last, message);
        note.severity = worst.severity;
        notes.push(note);
    }
    notes
}
