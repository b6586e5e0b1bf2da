//! xinetctl: the operator's tool. The same executable is the daemon of `xinetctl demo`.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, Write},
    process::ExitCode,
};

use xinetd_rs::ctl;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    match args.get(1).and_then(|first| first.to_str()) {
        Some(ctl::DAEMON_ARGUMENT) => {
            ctl::end_with_parent();
            // The daemon must not see the word that led to it.
            let options = args.into_iter().enumerate().filter(|(at, _)| *at != 1);
            daemon(options.map(|(_, arg)| arg))
        }
        _ => ctl::main(args),
    }
}

/// Becomes the daemon: `args` is the `argv` of xinetd(8).
///
/// WIRE: one line, the daemon's own entry; and in `main` above an arm for the private
/// argument with which the monitor starts the engine.
fn daemon(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let name = args.next();
    let name = name.as_deref().unwrap_or(OsStr::new("xinetctl")).display();
    // Standard error is all there is to tell it to.
    let _written = writeln!(io::stderr().lock(), "{name}: there is no daemon in this build yet");
    ExitCode::FAILURE
}
