//! xinetctl: the operator's tool, itox and xconv.pl. The same executable is the daemon of `xinetctl demo`.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use xinetd_rs::ctl;
use xinetd_rs::daemon;
use xinetd_rs::ipc::ENGINE_ARGUMENT;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = env::args_os().collect();
    let program = args.first().and_then(|path| Path::new(path).file_name()?.to_str());
    match program {
        Some(ctl::ITOX) => return ctl::itox(&args),
        Some(ctl::XCONV) => return ctl::xconv(),
        _ => {}
    }
    match args.get(1).and_then(|first| first.to_str()) {
        Some(ENGINE_ARGUMENT) => daemon::main(&args),
        Some(ctl::DAEMON_ARGUMENT) => {
            ctl::end_with_parent();
            // The daemon must not see the word that led to it.
            args.remove(1);
            daemon::main(&args)
        }
        _ => ctl::main(args),
    }
}
