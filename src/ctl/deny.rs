//! `xinetctl deny`, `undeny` and `denied`: who is locked out of every service.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::age;
use super::columns::{self, Align};
use super::live::{Daemon, Unanswered};

use crate::control::{Answer, Command, Denied};

/// Of the document of `--json`; grows when a field changes its meaning or goes.
const VERSION: u32 = 1;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 it is locked out, 1 there is no room on the list, 2 the daemon does not answer, or \
usage.")]
pub(super) struct DenyArgs {
    /// An address of IPv4 or IPv6
    address: IpAddr,
    /// For so long, such as 30s, 10m, 2h or 1d; without it for ever
    #[arg(long = "for", value_name = "TIME", value_parser = age::parse)]
    time: Option<u32>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 it is let in again, 1 it was not locked out, 2 the daemon does not answer, or usage.")]
pub(super) struct UndenyArgs {
    /// The address
    address: IpAddr,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 shown, also if nobody is, 2 the daemon does not answer, or usage.")]
pub(super) struct DeniedArgs {
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
    denied: Vec<Denied>,
}

pub(super) fn deny(args: &DenyArgs) -> ExitCode {
    let command = Command::Deny { address: args.address, seconds: args.time };
    show(all(&args.daemon, command), |all| {
        let line = |it: &Denied| format!("{}: locked out, {}\n", it.address, left(it));
        all.iter().map(line).collect()
    })
}

pub(super) fn undeny(args: &UndenyArgs) -> ExitCode {
    let command = Command::Undeny { address: args.address };
    show(all(&args.daemon, command), |_| String::new())
}

pub(super) fn denied(args: &DeniedArgs) -> ExitCode {
    show(all(&args.daemon, Command::Denied), |denied| match args.json {
        true => super::document(&Document { version: VERSION, denied }),
        false => {
            let rows = denied.iter().map(|it| [it.address.to_string(), left(it)]);
            columns::table(&[("ADDRESS", Align::Left), ("LOCKED OUT", Align::Left)], rows)
        }
    })
}

/// The addresses that the daemon answers with.
fn all(daemon: &Daemon, command: Command) -> Result<Vec<Denied>, Unanswered> {
    daemon.all(command, |it| if let Answer::Denied(it) = it { Some(it) } else { None })
}

fn show(
    answer: Result<Vec<Denied>, Unanswered>,
    text: impl FnOnce(Vec<Denied>) -> String,
) -> ExitCode {
    match answer {
        Ok(all) => super::printed(super::print(&text(all)), ExitCode::SUCCESS),
        Err(unanswered) => unanswered.complain(),
    }
}

fn left(denied: &Denied) -> String {
    let span = |at| format!("for {}", age::span(age::until(at)));
    denied.until.map_or_else(|| "for ever".to_owned(), span)
}
