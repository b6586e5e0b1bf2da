//! `xinetctl enable` and `disable`: the `disable` line of services, in place.

mod replace;

use std::{
    collections::BTreeMap,
    env,
    io::{self, Write},
    path::{Path, PathBuf, absolute},
    process::ExitCode,
};

use clap::Args;

use crate::config;
use crate::config::KeptOff;
use crate::config::Request;
use crate::config::edit::{self, Refusal, Switch};
use crate::config::entries::{self, Entries, Entry};
use crate::config::system::System;
use crate::diag::{Severity, Span, printable};

use super::complain;

#[derive(Debug, Args)]
#[command(after_help = "\
Nothing in a file changes but the value of `disable`, or one line with it is added. Where an
overlay (NAME.local) has such a line, that is the one.
The lists `enabled` and `disabled` of `defaults` are never changed.

Exit status: 0 done, or nothing to do; 1 not done for at least one service; 2 usage, or \
a file that cannot be read.")]
pub(super) struct SwitchArgs {
    /// The id of a service; else its name, for every service of that name
    #[arg(value_name = "SERVICE", required = true)]
    services: Vec<String>,
    /// The main file; it and what it includes is searched
    #[arg(short = 'f', long = "file", value_name = "MAIN", default_value = "/etc/xinetd.conf")]
    main: PathBuf,
}

pub(super) fn run(args: &SwitchArgs, to: Switch) -> ExitCode {
    let base = env::current_dir().unwrap_or_else(|_| "/".into());
    let main = absolute(&args.main).unwrap_or_else(|_| base.join(&args.main));
    let lookup = System::new();
    let request = Request { path: &main, base: &base, lookup: &lookup, inetd: None };
    let entries = match entries::entries(&request) {
        Ok(entries) => entries,
        Err(cause) => {
            let _said = complain(&format!("cannot read {}: {cause}", main.display()));
            return 2.into();
        }
    };
    let (wanted, ids) = (BTreeMap::new(), Vec::new());
    let mut job = Job { entries: &entries, to, failed: false, changed: 0, wanted, ids };
    for service in &args.services {
        job.choose(service);
    }
    job.edit();
    if to == Switch::On {
        job.look_again(&request);
    }
    if job.changed > 0 {
        say("`xinetctl reload` puts it in force");
    }
    if job.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What is to be done, and how far it went.
struct Job<'e> {
    entries: &'e Entries,
    to: Switch,
    failed: bool,
    /// How many entries were changed.
    changed: usize,
    /// By the real path of the file and the place of the name, so that a file that is
    /// included twice is changed once.
    wanted: BTreeMap<PathBuf, BTreeMap<u32, Target<'e>>>,
    /// The ids of all entries that were dealt with.
    ids: Vec<String>,
}

/// An entry, and the name at the head of the one that is edited for it: its own, or an
/// overlay's.
#[derive(Clone, Copy)]
struct Target<'e> {
    entry: &'e Entry,
    span: Span,
}

impl<'e> Job<'e> {
    /// Finds the entries of `service`.
    fn choose(&mut self, service: &str) {
        let found = self.entries.find(service);
        if found.is_empty() {
            return self.unknown(service);
        }
        if found.len() > 1 {
            say(&format!("{service}: {} entries have this name", found.len()));
        }
        for entry in found {
            if self.to == Switch::On && self.is_kept_off(entry) {
                continue;
            }
            let span = self.entries.deciding(entry);
            let path = self.entries.sources.path(span.file);
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            self.wanted.entry(real).or_default().insert(span.start, Target { entry, span });
        }
    }

    fn fail(&mut self, message: &str) {
        self.failed = true;
        complain(&printable(message));
    }

    fn unknown(&mut self, service: &str) {
        let meant = self.entries.nearest(service);
        let hint = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        self.fail(&format!("there is no service `{service}`{hint}"));
        let errors = self.entries.notes.iter().filter(|note| note.severity == Severity::Error);
        for note in errors {
            // It may be where nobody could look.
            complain(&note.short(&self.entries.sources));
        }
    }

    /// DEF-8: a list in `defaults` that no `disable = no` can overrule.
    fn is_kept_off(&mut self, entry: &Entry) -> bool {
        let Some(kept) = entry.kept_off else { return false };
        let id = &entry.id;
        let (span, why) = match kept {
            KeptOff::Disabled(span) => {
                (span, format!("`disabled` names `{id}`: take it off that list"))
            }
            KeptOff::NotEnabled(span) => {
                (span, format!("`enabled` does not name `{id}`: add it to that list"))
            }
        };
        let place = self.place(span);
        self.fail(&format!("{id} stays off, nothing is changed: at {place}, {why}"));
        true
    }

    /// Changes the files, each once.
    fn edit(&mut self) {
        for (path, chosen) in std::mem::take(&mut self.wanted) {
            self.edit_file(&path, chosen.into_values());
        }
    }

    /// `targets` in the order of the file.
    fn edit_file(&mut self, path: &Path, targets: impl Iterator<Item = Target<'e>>) {
        let mut edited = None;
        let mut done = Vec::new();
        for target in targets {
            let Target { entry, span } = target;
            let old = self.entries.sources.bytes(span.file);
            let (_, text) = edited.get_or_insert_with(|| (old, old.to_vec()));
            self.ids.push(entry.id.clone());
            match edit::switch(text, moved(span.start, old, text), self.to) {
                Ok(Some(change)) => {
                    *text = change.text;
                    let (id, word) = (&entry.id, self.to.word());
                    done.push(format!(
                        "{id}: disable = {word} ({}:{})",
                        path.display(),
                        change.line
                    ));
                }
                Ok(None) => self.nothing_to_do(target),
                Err(refusal) => self.refused(target, refusal),
            }
        }
        let Some((old, text)) = edited.filter(|(old, text)| old != text) else { return };
        match replace::replace(path, old, &text) {
            Ok(()) => {
                self.changed += done.len();
                done.iter().for_each(|line| say(line));
            }
            Err(cause) => self.fail(&format!("cannot write {}: {cause}", path.display())),
        }
    }

    fn nothing_to_do(&self, Target { entry, span }: Target<'_>) {
        let state = if self.to == Switch::On { "enabled" } else { "disabled" };
        say(&format!("{}: already {state} ({})", entry.id, self.place(span)));
    }

    fn refused(&mut self, Target { entry, span }: Target<'_>, refusal: Refusal) {
        let place = self.place(span);
        self.fail(&format!("{}: not changed ({place}): {refusal}", entry.id));
    }

    /// Whether what is switched on now would start.
    fn look_again(&mut self, request: &Request<'_>) {
        let loaded = config::load(request);
        for id in std::mem::take(&mut self.ids) {
            let is_up = loaded.plan.services.iter().any(|service| service.id.0 == id);
            if !is_up && loaded.faulty.iter().any(|faulty| faulty.id.0 == id) {
                let main = request.path.display();
                self.fail(&format!(
                    "{id} has mistakes and will not start: see `xinetctl check {main}`"
                ));
            }
        }
    }

    fn place(&self, span: Span) -> String {
        let at = self.entries.sources.position(span);
        format!("{}:{}", at.path.display(), at.line)
    }
}

/// Where what was at `place` in `old` is in `text`, which differs only before it.
fn moved(place: u32, old: &[u8], text: &[u8]) -> u32 {
    let by = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    match text.len().checked_sub(old.len()) {
        Some(longer) => place.saturating_add(by(longer)),
        None => place.saturating_sub(by(old.len().abs_diff(text.len()))),
    }
}

/// To standard output; when that is closed, nobody listens.
fn say(message: &str) {
    let message = printable(message);
    let _written = writeln!(io::stdout().lock(), "{message}");
}
