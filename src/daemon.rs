//! The daemon's front door: which of its processes is this, and what does it do?

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli;
use crate::cli::Action;
use crate::engine;
use crate::ipc::{ENGINE_ARGUMENT, RPCBIND_ARGUMENT};
use crate::monitor;
use crate::rpc;

/// What `-version` prints after the version: the words that scripts look for (CLI-16).
const COMPILED_IN: &str = "libwrap loadavg";

/// Runs as the engine, or for a word with rpcbind(8), when a private argument says so;
/// otherwise as xinetd(8). `args` are the words of the command line, the program's name first.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    match args {
        [_, private, ..] if private == ENGINE_ARGUMENT => return engine::run(),
        [_, private, errands @ ..] if private == RPCBIND_ARGUMENT => return rpc::run(errands),
        _ => {}
    }
    match cli::parse(args) {
        Ok(Action::Run(options)) => monitor::run(*options),
        Ok(Action::Check(options)) => monitor::check(*options),
        Ok(Action::Version) => {
            writeln!(io::stderr(), "{} {COMPILED_IN}", env!("CARGO_PKG_VERSION")).ok();
            ExitCode::SUCCESS
        }
        Ok(Action::Help) => {
            let program = cli::program_name(args.first().map(OsString::as_os_str));
            writeln!(io::stdout(), "{}", cli::help(&program)).ok();
            ExitCode::SUCCESS
        }
        Err(cli::UsageError(text)) => {
            writeln!(io::stderr(), "{text}").ok();
            ExitCode::FAILURE
        }
    }
}
