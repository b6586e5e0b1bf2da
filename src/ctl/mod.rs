//! Room `ctl`: the operator's tool `xinetctl`.
//!
//! `check` says what the daemon would say about its files; `enable` and `disable` switch
//! services in them; `convert`, also called `itox`, makes them out of an inetd.conf, and so
//! does `xconv.pl`.
//! `status`, `reload` and `connections` ask the daemon that runs.
//! `demo` shows the daemon at work with mail services and others;
//! `demo-server`, hidden, is the mail server that those services start.

mod age;
mod check;
mod columns;
mod compat;
mod connections;
mod convert;
mod demo;
mod demo_server;
mod deny;
mod dump;
mod explain;
mod kill;
mod live;
mod process;
mod reload;
mod sessions;
mod status;
mod steer;
mod switch;
mod xconv;

pub use convert::{ITOX, itox};
pub use xconv::{XCONV, xconv};

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, CommandFactory, Parser, Subcommand};

use nix::sys::{prctl, signal::Signal};

use serde::Serialize;

use check::CheckArgs;
use connections::ConnectionsArgs;
use convert::ConvertArgs;
use demo_server::Protocol;
use deny::{DeniedArgs, DenyArgs, UndenyArgs};
use dump::DumpArgs;
use explain::ExplainArgs;
use kill::KillArgs;
use reload::ReloadArgs;
use sessions::SessionsArgs;
use status::StatusArgs;
use steer::{DrainArgs, SteerArgs};
use switch::SwitchArgs;

use crate::config::edit::Switch;

/// The first argument that makes the executable of `xinetctl` be the daemon.
///
/// What follows it are the options of xinetd(8). The demo starts itself this way,
/// so that one build of one binary is all it needs.
pub const DAEMON_ARGUMENT: &str = "daemon";

/// The operator's tool of xinetd.
#[derive(Debug, Parser)]
#[command(name = "xinetctl", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with configuration files, and what would start
    Check(CheckArgs),
    /// Say what a service is, value by value, and where each value comes from
    Explain(ExplainArgs),
    /// Print the configuration as it was understood, as JSON (docs/dump.md)
    Dump(DumpArgs),
    /// Say what the daemon is doing: services, sessions, who was refused, what is left out
    Status(StatusArgs),
    /// Say who is being served, by which process, since when, and what it costs
    Sessions(SessionsArgs),
    /// End sessions: by their numbers, or all of a service or of a client
    Kill(KillArgs),
    /// Let nobody in at services: clients wait until `resume`
    Pause(SteerArgs),
    /// Close services, and wait until nobody is served any more
    Drain(DrainArgs),
    /// Let clients in again, after `pause` or `drain`
    Resume(SteerArgs),
    /// Lock an address out of every service
    Deny(DenyArgs),
    /// Let an address in again that was locked out, by `deny` or at a SENSOR
    Undeny(UndenyArgs),
    /// Say who is locked out, and for how long
    Denied(DeniedArgs),
    /// Have the daemon read its files again, and say what came of it
    Reload(ReloadArgs),
    /// Show the connections of the services, as netstat does
    Connections(ConnectionsArgs),
    /// Make entries of xinetd.conf out of an inetd.conf, as itox does
    Convert(ConvertArgs),
    /// Switch services on, in their files
    Enable(SwitchArgs),
    /// Switch services off, in their files
    Disable(SwitchArgs),
    /// Run the daemon with mail services and others on 127.0.0.1, to see it at work
    Demo(DemoArgs),
    /// The mail server behind the demo: one session on standard input and output
    #[command(hide = true)]
    DemoServer(DemoServerArgs),
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Where the ports begin: pop3 is N+110, imap4 N+143, imap4s N+993, pop3s N+995
    #[arg(long, value_name = "N", default_value_t = 11_000,
          value_parser = clap::value_parser!(u16).range(..=64_540))]
    port_base: u16,
    /// Start this xinetd instead of our own daemon, for comparison
    #[arg(long, value_name = "PATH", hide = true)]
    xinetd: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct DemoServerArgs {
    #[arg(value_enum)]
    protocol: Protocol,
    /// Speak TLS from the first byte, with cert.pem and key.pem in DIR
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,
}

/// The command line, for manual page and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs `xinetctl`; `args` begins with the name of the program, as in `argv`.
///
/// The status is 0 for success, 1 when the command failed and 2 for a command line
/// that was not understood, or a file that cannot be read and checked.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Sessions(args) => sessions::run(&args),
        Command::Kill(args) => kill::run(&args),
        Command::Pause(args) => steer::pause(&args),
        Command::Drain(args) => steer::drain(&args),
        Command::Resume(args) => steer::resume(&args),
        Command::Deny(args) => deny::deny(&args),
        Command::Undeny(args) => deny::undeny(&args),
        Command::Denied(args) => deny::denied(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Connections(args) => connections::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Enable(args) => switch::run(&args, Switch::On),
        Command::Disable(args) => switch::run(&args, Switch::Off),
        Command::Demo(args) => match demo::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => complain(&failure.to_string()),
        },
        Command::DemoServer(args) => match demo_server::run(args.protocol, args.tls.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(demo_server::Failure::Session) => ExitCode::FAILURE,
            Err(demo_server::Failure::NotASocket) => complain(
                "standard input is not a socket; xinetd starts this program (see `xinetctl demo`)",
            ),
        },
    }
}

/// Help and version go to standard output with status 0, mistakes to standard error.
fn usage(error: &clap::Error) -> ExitCode {
    let status = u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
    printed(error.print().and_then(|()| io::stdout().flush()), status)
}

/// Has the kernel end this process when its parent ends: no part of a demo outlives
/// the others, even if one of them is killed.
///
/// For what the demo starts and nothing else: a real server outlives its daemon.
pub fn end_with_parent() {
    // It knows no error for a signal that exists (prctl(2)).
    let _set = prctl::set_pdeathsig(Signal::SIGTERM);
}

fn complain(message: &str) -> ExitCode {
    // As above: standard error is the last resort.
    let _written = writeln!(io::stderr().lock(), "xinetctl: {message}");
    ExitCode::FAILURE
}

/// Says what has been done; the status says it, too.
fn say(text: &str) {
    let _written = print(text);
}

/// Prints what was asked for.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The status of a command that has printed what was asked for: 1 where it could not be written.
/// A reader that has seen enough (`| head -1`) is no failure.
fn printed(written: io::Result<()>, status: ExitCode) -> ExitCode {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write: {error}"))
        }
        Ok(()) | Err(_) => status,
    }
}

/// What `--json` prints.
fn document(value: &impl Serialize) -> String {
    // Fails only for maps whose keys are no text, which no document has.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// How many characters fit into a line of a terminal; elsewhere lines have no end.
fn width(output: &(impl IsTerminal + AsFd)) -> Option<usize> {
    let size = output.is_terminal().then(|| terminal_size::terminal_size_of(output));
    size.flatten().map(|(width, _)| usize::from(width.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lookup::{Table, User};
    use crate::config::{self, Loaded, Request};

    /// A machine with root and cat.
    pub(super) fn machine() -> Table {
        Table {
            users: vec![User { name: "root".into(), uid: 0, gid: 0 }],
            executables: ["/bin/cat".into()].into(),
            ..Table::default()
        }
    }

    /// The text of a main file, loaded on that machine.
    pub(super) fn loaded(text: &str) -> Loaded {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("main");
        std::fs::write(&path, text).unwrap();
        let (base, lookup) = (directory.path(), machine());
        config::load(&Request { path: &path, base, inetd: None, lookup: &lookup })
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_port_base_leaves_room_for_the_highest_service() {
        let parse = |base| Cli::try_parse_from(["xinetctl", "demo", "--port-base", base]);
        assert!(parse("64540").is_ok());
        assert!(parse("64541").is_err());
    }
}
