//! `xinetctl sessions`: everybody who is being served, and what it costs.

mod page;
mod traffic;
mod usage;

use std::io;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::config::no_service;
use crate::config::system::System;
use crate::control::{self, Command};
use crate::ctl::live::{Daemon, Unanswered};

use traffic::Traffic;
use usage::Usage;

/// Of the document of `--json`; grows when a field changes its meaning or goes.
const VERSION: u32 = 1;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 shown, also if there are none; 1 there is no such service; 2 the daemon does not \
answer, or usage.")]
pub(super) struct SessionsArgs {
    /// Show only those of these services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    daemon: Daemon,
    /// For programs (docs/control.md)
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document {
    version: u32,
    sessions: Vec<Session>,
}

/// A session, and what the kernel says about it.
#[derive(Debug, Serialize)]
struct Session {
    #[serde(flatten)]
    told: control::Session,
    #[serde(flatten)]
    usage: Usage,
    #[serde(flatten)]
    traffic: Traffic,
}

pub(super) fn run(args: &SessionsArgs) -> ExitCode {
    let told = match wanted(args) {
        Ok(Ok(told)) => told,
        Ok(Err(why)) => return super::complain(&why),
        Err(unanswered) => return unanswered.complain(),
    };
    let sessions = with_costs(told);
    let text = match args.json {
        true => super::document(&Document { version: VERSION, sessions }),
        false => page::text(&sessions, super::width(&io::stdout())),
    };
    super::printed(super::print(&text), ExitCode::SUCCESS)
}

/// Those of the services that were asked for; `Err`: one of these does not exist.
fn wanted(args: &SessionsArgs) -> Result<Result<Vec<control::Session>, String>, Unanswered> {
    let mut all = args.daemon.sessions(Command::Sessions)?;
    if args.services.is_empty() {
        return Ok(Ok(all));
    }
    let services = args.daemon.services(Command::Status)?;
    let mut ids = Vec::new();
    for word in &args.services {
        let known = services.iter().filter(|service| service.id == *word || service.name == *word);
        let before = ids.len();
        ids.extend(known.map(|service| &service.id));
        // One that a reload has dropped may have sessions still.
        if all.iter().any(|session| session.service == *word) {
            ids.push(word);
        }
        if ids.len() == before {
            let known = services.iter().flat_map(|service| [&service.id, &service.name]);
            return Ok(Err(no_service(word, known.map(String::as_str))));
        }
    }
    all.retain(|session| ids.contains(&&session.service));
    Ok(Ok(all))
}

fn with_costs(told: Vec<control::Session>) -> Vec<Session> {
    let (usages, traffics, users) = (usage::by_session(), traffic::by_ends(), System::new());
    let session = |told: control::Session| {
        let usage = usage::of(&told, &usages, &users);
        let traffic = traffic::of(&told, &traffics);
        Session { told, usage, traffic }
    };
    told.into_iter().map(session).collect()
}
