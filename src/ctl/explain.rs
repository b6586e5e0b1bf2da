//! `xinetctl explain`: what a service is, value by value, and where each value comes from.

mod attribute;
mod client;
mod door;
pub(super) mod origin;
mod page;
mod wrappers;

use std::{
    env,
    io::{self, Write},
    net::IpAddr,
    path::{PathBuf, absolute},
    process::ExitCode,
};

use clap::Args;

use crate::config::system::System;
use crate::config::{self, Declared, Fate, KeptOff, Loaded, Request, Verdict};
use crate::diag::{Diagnostic, Span, printable, wants_colour};

use super::compat::Compat;
use super::complain;
use client::Client;
use door::Check;
use page::Page;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 explained; 1 there is no such service or attribute, or the client would be \
refused; \
2 usage, or the main file cannot be read.")]
pub(super) struct ExplainArgs {
    /// The id of a service; else its name, for every service of that name
    #[arg(value_name = "SERVICE", required_unless_present = "attribute")]
    service: Option<String>,
    /// Say all about this attribute instead; without a name, list all attributes
    #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with_all = ["service", "main", "from"])]
    attribute: Option<Option<String>>,
    /// The main file
    #[arg(short = 'f', long = "file", value_name = "MAIN", default_value = "/etc/xinetd.conf")]
    main: PathBuf,
    #[command(flatten)]
    compat: Compat,
    /// Say whether a client from this address would be let in, and what decides
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// The time at which it comes, instead of now
    #[arg(long, value_name = "HOUR:MIN", requires = "from", value_parser = client::minute)]
    at: Option<u16>,
}

pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    if let Some(name) = &args.attribute {
        return attribute::run(name.as_deref());
    }
    let service = args.service.as_deref().unwrap_or_default();
    let base = env::current_dir().unwrap_or_else(|_| "/".into());
    let main = absolute(&args.main).unwrap_or_else(|_| base.join(&args.main));
    let (lookup, inetd) = (System::new(), args.compat.file(&base));
    let request = Request { path: &main, base: &base, lookup: &lookup, inetd: inetd.as_deref() };
    let loaded = config::load(&request);
    if let Verdict::Unreadable(why) = &loaded.verdict {
        let _said = complain(why);
        return 2.into();
    }
    let found = find(&loaded, service);
    if found.is_empty() {
        return unknown(&loaded, service);
    }
    let client = args.from.map(|address| Client::new(address, args.at));
    let cases = found.into_iter().map(|declared| Case::of(&request, &loaded, declared));
    match write(cases, client.as_ref(), &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whether somebody is let in has not been read, then.
        Err(error) if client.is_some() => super::printed(Err(error), ExitCode::FAILURE),
        Err(error) => super::printed(Err(error), ExitCode::SUCCESS),
    }
}

/// Every case; whether the client is let in by all of them.
fn write<'l>(
    cases: impl Iterator<Item = Case<'l>>,
    client: Option<&Client>,
    out: &mut impl Write,
) -> io::Result<bool> {
    let mut is_in = true;
    for (position, case) in cases.enumerate() {
        if position > 0 {
            writeln!(out)?;
        }
        match client {
            None => case.explain(out)?,
            Some(client) => is_in &= case.judge(client, out)?,
        }
    }
    out.flush()?;
    Ok(is_in)
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

/// One entry, and the configuration it is explained by.
struct Case<'l> {
    request: &'l Request<'l>,
    /// The configuration as it is.
    loaded: &'l Loaded,
    declared: &'l Declared,
    /// The configuration with this entry switched on, if it is off.
    as_if_on: Option<Loaded>,
}

impl<'l> Case<'l> {
    fn of(request: &'l Request<'l>, loaded: &'l Loaded, declared: &'l Declared) -> Self {
        let off = matches!(declared.fate, Fate::Disabled | Fate::KeptOff(_));
        let as_if_on = off.then(|| config::load_as_if_on(request, &declared.id.0));
        Self { request, loaded, declared, as_if_on }
    }

    /// The configuration that is shown, and the entry in it.
    fn shown(&self) -> (&Loaded, &Declared) {
        let shown = self.as_if_on.as_ref().unwrap_or(self.loaded);
        let same = |one: &&Declared| one.span == self.declared.span;
        (shown, shown.declared.iter().find(same).unwrap_or(self.declared))
    }

    fn page(&self) -> Page<'_> {
        let (loaded, declared) = self.shown();
        let disabled = self.declared.fate == Fate::Disabled;
        Page { loaded, declared, state: state(self.loaded, self.declared), disabled }
    }

    /// The page of the service, or why there is none; then what is to be said of it.
    fn explain(&self, out: &mut impl Write) -> io::Result<()> {
        write_lines(out, &self.page().to_string())?;
        let (loaded, declared) = self.shown();
        for note in about(loaded, declared) {
            let note = note.human(&loaded.sources, wants_colour(&io::stdout()));
            writeln!(out, "\n{}", note.trim_end())?;
        }
        Ok(())
    }

    /// Whether `client` would be let in, and what decides.
    fn judge(&self, client: &Client, out: &mut impl Write) -> io::Result<bool> {
        let (loaded, declared) = self.shown();
        let Some(service) = loaded.service(declared) else {
            write_lines(out, &self.page().to_string())?;
            return Ok(false);
        };
        write_lines(out, &self.page().title())?;
        let check = Check { loaded, declared, service, lookup: self.request.lookup, client };
        let (is_in, text) = check.verdict();
        write_lines(out, &text)?;
        // Whoever it would be: nobody is let in by a service that does not start.
        Ok(is_in && matches!(self.declared.fate, Fate::Starts(_)))
    }
}

fn write_lines(out: &mut impl Write, text: &str) -> io::Result<()> {
    text.lines().try_for_each(|line| writeln!(out, "{}", printable(line)))
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

/// The notes that point into an entry or into an overlay of it: up to the next one in the file.
fn about<'l>(
    loaded: &'l Loaded,
    declared: &'l Declared,
) -> impl Iterator<Item = &'l Diagnostic> + use<'l> {
    let heads = |one: &'l Declared| one.overlays.iter().copied().chain([one.span]);
    let end = move |head: Span| {
        let later = loaded.declared.iter().flat_map(heads);
        let later = later.filter(|span| span.file == head.file && span.start > head.start);
        later.map(|span| span.start).min().unwrap_or(u32::MAX)
    };
    let parts: Vec<_> = heads(declared).map(|head| (head.file, head.start..end(head))).collect();
    loaded.notes.iter().filter(move |note| {
        parts.iter().any(|(file, part)| *file == note.span.file && part.contains(&note.span.start))
    })
}
