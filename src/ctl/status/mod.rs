//! `xinetctl status`: what the daemon is doing, at one look.

pub(super) mod page;
mod watch;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

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
    let status = match Status::ask(args) {
        Ok(status) => status,
        Err(unanswered) => return unanswered.complain(),
    };
    if let Some(stranger) = status.stranger(args) {
        return super::complain(&format!("there is no service {stranger}"));
    }
    let text = match args.json {
        true => serde_json::to_string_pretty(&status).unwrap_or_default() + "\n",
        false => page::text(&status, super::width(&io::stdout())),
    };
    // A closed output leaves nobody to tell.
    let _written = io::stdout().lock().write_all(text.as_bytes());
    status.exit_code()
}

impl Status {
    fn ask(args: &StatusArgs) -> Result<Self, Unanswered> {
        let mut status =
            Self { version: VERSION, daemon: None, services: Vec::new(), left_out: Vec::new() };
        let is_wanted = |id: &str, name: &str| {
            args.services.is_empty() || args.services.iter().any(|it| it == id || it == name)
        };
        args.daemon.ask(Command::Status, |answer| {
            if let Answer::Daemon(daemon) = answer {
                status.daemon = Some(daemon);
            } else if let Answer::Service(service) = answer {
                status.services.extend(is_wanted(&service.id, &service.name).then_some(service));
            } else if let Answer::LeftOut(entry) = answer {
                status.left_out.extend(is_wanted(&entry.id, &entry.id).then_some(entry));
            }
        })?;
        Ok(status)
    }

    /// A service that was asked for and does not exist.
    fn stranger<'a>(&self, args: &'a StatusArgs) -> Option<&'a String> {
        args.services.iter().find(|wanted| {
            let is_service =
                self.services.iter().any(|it| it.id == **wanted || it.name == **wanted);
            !is_service && self.left_out.iter().all(|entry| entry.id != **wanted)
        })
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
