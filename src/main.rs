//! xinetd: the daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    xinetd_rs::daemon::main(&std::env::args_os().collect::<Vec<_>>())
}
