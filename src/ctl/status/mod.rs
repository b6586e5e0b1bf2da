//! `xinetctl status`: what the daemon is doing, at one look.

pub(super) mod page;
mod watch;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::config::no_service;
use crate::control::{self, Answer, Command, LeftOut, State};
use crate::ctl::live::{Daemon, Unanswered};

/// Of the document of `--json`; grows when a field changes its meaning or goes.
const VERSION: u32 = 1;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 all is well, 1 something needs a look (an entry is left out, the last reload was \
refused, a service is closed or paused, there is no engine), 2 the daemon does not answer, or usage.")]
pub(super) struct StatusArgs {
    /// Show only these services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    daemon: Daemon,
    /// Go on, with a new picture every so many seconds; q or Ctrl-C ends it
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u64).range(1..=3600), conflicts_with = "json")]
    watch: Option<u64>,
    /// For programs (docs/control.md)
    #[arg(long)]
    json: bool,
}

/// Everything that the daemon says about itself.
#[derive(Debug, Serialize)]
struct Status {
    version: u32,
    daemon: Option<control::Daemon>,
    services: Vec<control::Service>,
    left_out: Vec<LeftOut>,
}

pub(super) fn run(args: &StatusArgs) -> ExitCode {
    if let Some(seconds) = args.watch {
        return watch::run(args, Duration::from_secs(seconds));
    }
    let mut status = match Status::ask(&args.daemon) {
        Ok(status) => status,
        Err(unanswered) => return unanswered.complain(),
    };
    if let Some(why) = status.stranger(&args.services) {
        return super::complain(&why);
    }
    status.keep(&args.services);
    let text = match args.json {
        true => super::document(&status),
        false => page::text(&status, super::width(&io::stdout())),
    };
    super::printed(super::print(&text), status.exit_code())
}

impl Status {
    fn ask(daemon: &Daemon) -> Result<Self, Unanswered> {
        let mut status =
            Self { version: VERSION, daemon: None, services: Vec::new(), left_out: Vec::new() };
        daemon.ask(Command::Status, |answer| {
            if let Answer::Daemon(daemon) = answer {
                status.daemon = Some(daemon);
            } else if let Answer::Service(service) = answer {
                status.services.push(service);
            } else if let Answer::LeftOut(entry) = answer {
                status.left_out.push(entry);
            }
        })?;
        Ok(status)
    }

    /// What to say of the first of `words` that names nothing here.
    fn stranger(&self, words: &[String]) -> Option<String> {
        let services = self.services.iter().flat_map(|service| [&service.id, &service.name]);
        let entries = self.left_out.iter().map(|entry| &entry.id);
        let known: Vec<_> = services.chain(entries).map(String::as_str).collect();
        let stranger = words.iter().find(|word| !known.contains(&word.as_str()))?;
        Some(no_service(stranger, known))
    }

    /// Forgets what none of `words` names, if there are any.
    fn keep(&mut self, words: &[String]) {
        let is_wanted =
            |names: &[&String]| words.is_empty() || names.iter().any(|name| words.contains(name));
        self.services.retain(|service| is_wanted(&[&service.id, &service.name]));
        self.left_out.retain(|entry| is_wanted(&[&entry.id]));
    }

    fn needs_a_look(&self) -> bool {
        let lets_in = |state| matches!(state, State::Active | State::Suspended);
        let is_closed = |service: &control::Service| !lets_in(service.state);
        let is_unwell = |daemon: &control::Daemon| {
            daemon.engine.is_none() || daemon.reload_failed.is_some() || daemon.is_stopping
        };
        !self.left_out.is_empty()
            || self.services.iter().any(is_closed)
            || self.daemon.as_ref().is_none_or(is_unwell)
    }

    fn exit_code(&self) -> ExitCode {
        match self.needs_a_look() {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        }
    }
}
