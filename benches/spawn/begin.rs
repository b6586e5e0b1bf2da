//! How a bench begins, and how it ends.

use std::{error::Error, process::ExitCode};

/// Runs it if `cargo bench` has asked for it: `cargo test` starts benches, too, and must not wait
/// for them.
pub(crate) fn begin(
    name: &str,
    is_asked: bool,
    run: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    if !is_asked {
        println!("nothing is measured unless `cargo bench` (or --bench) asks for it");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name} bench: {error}");
            ExitCode::FAILURE
        }
    }
}
