//! `-t`: what a start would say about the files, and nothing else of a start.

use std::env;
use std::io;
use std::io::Write;
use std::process::ExitCode;

use crate::cli::Options;
use crate::config::Verdict;
use crate::config::report::{Form, Tally, checked_as, not_in_force};
use crate::monitor::open::configuration;
use crate::monitor::start::make_paths_absolute;
use crate::sys::privilege;

/// Reads the configuration of `options` and reports on it, with status 0 if a start and
/// every service in it would succeed as far as files can tell.
#[must_use]
pub fn check(mut options: Options) -> ExitCode {
    make_paths_absolute(&mut options);
    let base = env::current_dir().unwrap_or_else(|_| "/".into());
    let loaded = configuration(&options, &base);
    let mut err = io::stderr().lock();
    let form = Form::fit(&err);
    // Whoever closed standard error has the status.
    let mut say = |text: String| err.write_all(text.as_bytes()).unwrap_or_default();
    if let Verdict::Unreadable(why) = &loaded.verdict {
        say(format!("{}: {why}\n", options.program));
        return ExitCode::FAILURE;
    }
    for note in &loaded.notes {
        say(form.text(note, &loaded.sources));
    }
    let mut tally = Tally::default();
    tally.add(&loaded);
    if let Some(remark) = checked_as(privilege::own_ids().0) {
        say(remark + "\n");
    }
    not_in_force(&loaded).for_each(|line| say(line + "\n"));
    say(format!("{tally}\n"));
    if tally.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
