//! The daemon's own messages: a `tracing` subscriber with the original's forms.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level as Severity, Metadata, Subscriber};

use crate::log::file::open_for_append;
use crate::log::stamp::Stamps;
use crate::log::syslog::Syslog;
use crate::plan::Facility;
use crate::plan::Level;

/// Where messages go (CLI-3, CLI-4, CLI-6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A person reads: stderr, coloured on a terminal.
    Stderr {
        colour: bool,
    },
    /// journald reads: stderr with `<priority>` in front (sd-daemon(3)).
    Journal,
    Syslog(Facility),
    /// `-filelog`; reopened on reload (LOG-13).
    File(PathBuf),
}

/// How a mistake in a file should look at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With the line quoted.
    Human { colour: bool },
    /// One line, `file:line:column` first.
    Short,
    /// One line in the original's words (PARSE-28).
    Legacy,
}

/// The subscriber. `tracing`'s levels stand for the original's: `error`, `warn`; `info` is
/// NOTICE, `debug` INFO, `trace` DEBUG; a field `critical = true` makes an error CRITICAL.
#[derive(Debug)]
pub struct DaemonLog {
    ident: String,
    destination: Destination,
    /// `-d`: everything is shown.
    verbose: bool,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: Option<File>,
    syslog: Syslog,
    stamps: Stamps,
}

impl DaemonLog {
    /// Opens the destination; `ident` is the last component of `argv[0]` (CLI-21).
    ///
    /// # Errors
    /// When the file of `-filelog` cannot be opened (CLI-3).
    pub fn open(ident: &str, destination: Destination, verbose: bool) -> io::Result<Self> {
        let file = match &destination {
            Destination::File(path) => Some(open_for_append(path)?),
            Destination::Stderr { .. } | Destination::Journal | Destination::Syslog(_) => None,
        };
        let open = Open { file, syslog: Syslog::new(ident), stamps: Stamps::default() };
        Ok(Self { ident: ident.to_owned(), destination, verbose, open: Mutex::new(open) })
    }

    /// Closes and opens the file again (LOG-13). A file that cannot be opened now is kept.
    pub fn reopen(&self) {
        let Destination::File(path) = &self.destination else { return };
        match open_for_append(path) {
            Ok(file) => self.state().file = Some(file),
            Err(cause) => tracing::error!("cannot reopen {}: {cause}", path.display()),
        }
    }

    /// How mistakes in files should look here.
    #[must_use]
    pub const fn style(&self) -> Style {
        match self.destination {
            Destination::Stderr { colour } => Style::Human { colour },
            Destination::Journal => Style::Short,
            Destination::Syslog(_) | Destination::File(_) => Style::Legacy,
        }
    }

    /// Shows a block of text to the person at stderr; nothing elsewhere.
    pub fn show(&self, block: &str) {
        if matches!(self.destination, Destination::Stderr { .. }) {
            io::stderr().lock().write_all(block.as_bytes()).ok();
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, level: Level, text: &str) {
        let mut open = self.state();
        match &self.destination {
            Destination::Stderr { colour } => {
                writeln!(io::stderr().lock(), "{}{text}", prefix(level, *colour)).ok();
            }
            Destination::Journal => {
                writeln!(io::stderr().lock(), "<{}>{text}", level as u8).ok();
            }
            Destination::Syslog(facility) => open.syslog.line(*facility, level, text),
            Destination::File(_) => {
                let (ident, pid) = (&self.ident, std::process::id());
                let name = name(level);
                let line = format!("{} {ident}[{pid}]: {name}: {text}\n", open.stamps.file());
                if let Some(file) = &mut open.file {
                    file.write_all(line.as_bytes()).ok();
                }
            }
        }
    }
}

/// MSG-1's words.
const fn name(level: Level) -> &'static str {
    match level {
        Level::Emerg | Level::Alert | Level::Crit => "CRITICAL",
        Level::Err => "ERROR",
        Level::Warning => "WARNING",
        Level::Notice => "NOTICE",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
    }
}

/// What stands before a message on a person's screen.
const fn prefix(level: Level, colour: bool) -> &'static str {
    match (level, colour) {
        (Level::Emerg | Level::Alert | Level::Crit | Level::Err, true) => {
            "xinetd: \x1b[1;31merror\x1b[0m: "
        }
        (Level::Emerg | Level::Alert | Level::Crit | Level::Err, false) => "xinetd: error: ",
        (Level::Warning, true) => "xinetd: \x1b[1;33mwarning\x1b[0m: ",
        (Level::Warning, false) => "xinetd: warning: ",
        (Level::Notice | Level::Info | Level::Debug, _) => "xinetd: ",
    }
}

/// The message of an event, and whether it is critical.
#[derive(Default)]
struct Words {
    text: String,
    critical: bool,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.text, "{value:?}");
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "critical" {
            self.critical = value;
        }
    }
}

impl Subscriber for DaemonLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let for_people =
            matches!(self.destination, Destination::Stderr { .. } | Destination::Journal);
        let shown = if for_people && !self.verbose { Severity::DEBUG } else { Severity::TRACE };
        metadata.target().starts_with(env!("CARGO_CRATE_NAME")) && *metadata.level() <= shown
    }

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        let level = match *event.metadata().level() {
            Severity::ERROR if words.critical => Level::Crit,
            Severity::ERROR => Level::Err,
            Severity::WARN => Level::Warning,
            Severity::INFO => Level::Notice,
            Severity::DEBUG => Level::Info,
            Severity::TRACE => Level::Debug,
        };
        self.write(level, &words.text);
    }

    // Messages here are events; nothing opens spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
