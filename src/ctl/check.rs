//! `xinetctl check`: what the daemon would say about files, without a daemon.

mod json;

use std::{
    env,
    io::{self, IsTerminal, Write},
    path::{PathBuf, absolute},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use nix::unistd::geteuid;

use super::compat::Compat;

use crate::config;
use crate::config::report::{Form, Tally, checked_as, not_in_force};
use crate::config::system::System;
use crate::config::{Difference, Loaded, Request, Verdict};
use crate::diag::{Diagnostic, wants_colour};

/// The exit status when a file cannot be read, as for a usage error.
const UNREADABLE: u8 = 2;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 no mistakes (warnings are none), 1 mistakes, 2 usage, or a file that cannot \
be read.")]
pub(super) struct CheckArgs {
    /// What to check: main files, files of xinetd.d, or such directories, each by itself
    #[arg(value_name = "FILE|DIR", default_value = "/etc/xinetd.conf")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    compat: Compat,
    /// For people, for editors (a line each), or for programs (docs/check.md)
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Human)]
    format: Format,
    /// Colour for people; `auto`: on a terminal, unless NO_COLOR is set
    #[arg(long, alias = "colour", value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    color: Colour,
    /// Count warnings as mistakes
    #[arg(long)]
    strict: bool,
    /// Also say what xinetd 2.3.15 would do otherwise
    #[arg(long)]
    legacy: bool,
    /// Also say what xinetd 2.3.15 would not understand, as a mistake
    #[arg(long)]
    portable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Short,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

/// What came out of all files.
struct Checked {
    configurations: Vec<Loaded>,
    tally: Tally,
    /// How many differences are extensions.
    extensions: usize,
}

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let mut checked =
        Checked { configurations: Vec::new(), tally: Tally::default(), extensions: 0 };
    let base = env::current_dir().unwrap_or_else(|_| "/".into());
    let (lookup, inetd) = (System::new(), args.compat.file(&base));
    let inetd = inetd.as_deref();
    for path in &args.paths {
        let path = absolute(path).unwrap_or_else(|_| base.join(path));
        let request = Request { path: &path, base: &base, lookup: &lookup, inetd };
        let loaded = match path.is_dir() {
            true => config::load_directory(&request),
            false => config::load(&request),
        };
        checked.tally.add(&loaded);
        let extensions = loaded.differences.iter().filter(|found| found.extension);
        checked.extensions += extensions.count();
        checked.configurations.push(loaded);
    }
    let mut out = io::stdout().lock();
    let written = checked.write(args, &mut out).and_then(|()| out.flush());
    complain_about_unreadable(&checked);
    super::printed(written, checked.status(args))
}

fn complain_about_unreadable(checked: &Checked) {
    for loaded in &checked.configurations {
        if let Verdict::Unreadable(why) = &loaded.verdict {
            super::complain(why);
        }
    }
}

impl Checked {
    fn status(&self, args: &CheckArgs) -> ExitCode {
        if self.tally.unreadable > 0 {
            return UNREADABLE.into();
        }
        let strict = args.strict && self.tally.warnings > 0;
        let foreign = args.portable && self.extensions > 0;
        match self.tally.has_errors() || strict || foreign {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        }
    }

    fn write(&self, args: &CheckArgs, out: &mut (impl Write + IsTerminal)) -> io::Result<()> {
        let form = match args.format {
            Format::Json => return self.json(args, out),
            Format::Short => Form::Short,
            Format::Human => Form::Human { colour: args.color.wanted(out) },
        };
        for loaded in &self.configurations {
            for note in in_order(loaded, args) {
                out.write_all(form.text(&note, &loaded.sources).as_bytes())?;
            }
        }
        if args.format == Format::Human {
            self.summary(args, out)?;
        }
        out.flush()
    }

    /// The last lines for people.
    fn summary(&self, args: &CheckArgs, out: &mut impl Write) -> io::Result<()> {
        if let Some(remark) = checked_as(geteuid().as_raw()) {
            writeln!(out, "{remark}")?;
        }
        if args.portable && self.extensions > 0 {
            let places = if self.extensions == 1 { "place" } else { "places" };
            writeln!(out, "{} {places} that xinetd 2.3.15 does not understand", self.extensions)?;
        }
        for line in self.configurations.iter().flat_map(not_in_force) {
            writeln!(out, "{line}")?;
        }
        if self.tally.files > 0 {
            writeln!(out, "{}", self.tally)?;
        }
        Ok(())
    }

    fn json(&self, args: &CheckArgs, out: &mut impl Write) -> io::Result<()> {
        let document = json::Document::of(self, args);
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }
}

impl Colour {
    fn wanted(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Auto => wants_colour(stream),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The differences that were asked for.
fn asked_for<'l>(
    loaded: &'l Loaded,
    args: &CheckArgs,
) -> impl Iterator<Item = &'l Difference> + use<'l> {
    let (legacy, portable) = (args.legacy, args.portable);
    loaded.differences.iter().filter(move |found| legacy || (portable && found.extension))
}

/// Every note, and behind those of each file where the original differs there.
fn in_order(loaded: &Loaded, args: &CheckArgs) -> Vec<Diagnostic> {
    let notes = loaded.notes.iter().cloned();
    let mut all: Vec<_> = notes.map(|note| (note.span.file, false, note)).collect();
    all.extend(asked_for(loaded, args).map(|found| {
        let note = with_statement(found);
        (note.span.file, true, note)
    }));
    all.sort_by_key(|(file, differs, _)| (*file, *differs));
    all.into_iter().map(|(.., note)| note).collect()
}

/// The note of a difference, with the statement of the contract behind it.
fn with_statement(found: &Difference) -> Diagnostic {
    let mut note = found.note.clone();
    note.message = format!("{} ({})", note.message, found.spec);
    note
}

#[cfg(test)]
mod tests;
