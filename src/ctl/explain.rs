//! `xinetctl explain`: what a service is, value by value, and where each value comes from.

pub(super) mod origin;
mod page;

use std::{
    env,
    io::{self, Write},
    path::{PathBuf, absolute},
    process::ExitCode,
};

use clap::Args;

use crate::config::system::System;
use crate::config::{self, Declared, Fate, KeptOff, Loaded, Request, Verdict};
use crate::diag::{Diagnostic, Span, printable, wants_colour};

use super::complain;
use page::Page;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 explained; 1 there is no such service, or the client would be refused; \
2 usage, or the main file cannot be read.")]
pub(super) struct ExplainArgs {
    /// The id of a service; else its name, for every service of that name
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The main file
    #[arg(short = 'f', long = "file", value_name = "MAIN", default_value = "/etc/xinetd.conf")]
    main: PathBuf,
}

pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    let base = env::current_dir().unwrap_or_else(|_| "/".into());
    let main = absolute(&args.main).unwrap_or_else(|_| base.join(&args.main));
    let lookup = System::new();
    let request = Request { path: &main, base: &base, lookup: &lookup };
    let loaded = config::load(&request);
    if let Verdict::Unreadable(why) = &loaded.verdict {
        let _said = complain(why);
        return 2.into();
    }
    let found = find(&loaded, &args.service);
    if found.is_empty() {
        return unknown(&loaded, &args.service);
    }
    let mut out = io::stdout().lock();
    for declared in found {
        // A closed output leaves nobody to tell.
        let _written = explain(&request, &loaded, declared, &mut out);
    }
    ExitCode::SUCCESS
}

/// By id; if none has it, by name. In any case, as in `enabled` (DEF-8).
fn find<'l>(loaded: &'l Loaded, word: &str) -> Vec<&'l Declared> {
    let with = |part: fn(&Declared) -> &str| -> Vec<&Declared> {
        loaded.declared.iter().filter(|one| part(one).eq_ignore_ascii_case(word)).collect()
    };
    let found = with(|one| &one.id.0);
    if found.is_empty() { with(|one| &one.name) } else { found }
}

fn unknown(loaded: &Loaded, word: &str) -> ExitCode {
    let known = loaded.declared.iter().flat_map(|one| [one.id.0.as_str(), one.name.as_str()]);
    let hint = config::nearest(word, known).map(|hint| format!("; did you mean `{hint}`?"));
    complain(&printable(&format!("there is no service `{word}`{}", hint.unwrap_or_default())))
}

/// One entry: the page of its service, or why there is none; then what is to be said of it.
fn explain(
    request: &Request<'_>,
    loaded: &Loaded,
    declared: &Declared,
    out: &mut impl Write,
) -> io::Result<()> {
    let off = matches!(declared.fate, Fate::Disabled | Fate::KeptOff(_));
    let as_if_on = off.then(|| config::load_as_if_on(request, &declared.id.0));
    let shown = as_if_on.as_ref().unwrap_or(loaded);
    let same = |one: &&Declared| one.span == declared.span;
    let shown_entry = shown.declared.iter().find(same).unwrap_or(declared);
    let state = state(loaded, declared);
    let disabled = declared.fate == Fate::Disabled;
    let page = Page { loaded: shown, declared: shown_entry, state, disabled };
    for line in page.to_string().lines() {
        writeln!(out, "{}", printable(line))?;
    }
    for note in about(shown, shown_entry) {
        writeln!(out, "\n{}", note.human(&shown.sources, wants_colour(&io::stdout())).trim_end())?;
    }
    Ok(())
}

/// Whether the service starts, in one line.
fn state(loaded: &Loaded, declared: &Declared) -> String {
    let place = |span| origin::place(&loaded.sources, span);
    match declared.fate {
        Fate::Starts(_) => "yes".into(),
        Fate::Unserved(_) => "no: services of this kind are not supported yet".into(),
        Fate::Faulty => "no: the entry has a mistake, see below".into(),
        Fate::Disabled => "no: it is switched off; what follows is as if it were on".into(),
        Fate::KeptOff(KeptOff::Disabled(span)) => {
            format!("no: `disabled` names it, {}; what follows is as if it were on", place(span))
        }
        Fate::KeptOff(KeptOff::NotEnabled(span)) => format!(
            "no: `enabled` does not name it, {}; what follows is as if it were on",
            place(span)
        ),
    }
}

/// The notes that point into an entry: up to the next one in its file, or to a line of an
/// overlay.
fn about<'l>(
    loaded: &'l Loaded,
    declared: &'l Declared,
) -> impl Iterator<Item = &'l Diagnostic> + use<'l> {
    let Span { file, start, .. } = declared.span;
    let later = loaded.declared.iter().map(|one| one.span);
    let later = later.filter(|span| span.file == file && span.start > start);
    let end = later.map(|span| span.start).min().unwrap_or(u32::MAX);
    let own = move |span: Span| span.file == file && (start..end).contains(&span.start);
    let line = |span| (loaded.sources.line_span(span).start, span.file);
    loaded.notes.iter().filter(move |note| {
        own(note.span) || declared.lines.iter().any(|(_, at)| line(*at) == line(note.span))
    })
}
