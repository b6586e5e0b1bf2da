//! The daemon's own messages: a `tracing` subscriber with the original's forms.

use std::fmt::{self, Write as _};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level as Severity, Metadata, Subscriber};

use crate::log::Room;
use crate::log::look::Look;
use crate::log::queue::{Queue, Trouble};
use crate::log::stamp::Stamps;
use crate::log::syslog::Syslog;
use crate::plan::Facility;
use crate::plan::Level;
use crate::sys::outlet::Outlet;
use crate::sys::outlet::Stream;
use crate::sys::outlet::Streams;

/// How many bytes wait for somebody to take them: a configuration may have many mistakes.
const MOST_WAITING: usize = 1024 * 1024;

/// Where messages go (CLI-3, CLI-4, CLI-6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Stderr(Look),
    Syslog(Facility),
    /// `-filelog`; reopened on reload (LOG-13).
    File(PathBuf, Look),
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
///
/// Nobody waits for a message to be written: what is not taken at once waits, and what is too
/// much is lost and counted.
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
    sink: Sink,
    queue: Queue,
    stamps: Stamps,
}

#[derive(Debug)]
enum Sink {
    Lines(Arc<Outlet>, Look),
    Syslog(Syslog, Facility),
}

impl DaemonLog {
    /// Opens the destination; `ident` is the last component of `argv[0]` (CLI-21).
    ///
    /// # Errors
    /// When the file of `-filelog` cannot be opened (CLI-3), or there is no stderr.
    pub fn open(
        ident: &str,
        destination: Destination,
        verbose: bool,
        streams: &Streams,
    ) -> io::Result<Self> {
        let sink = match &destination {
            Destination::File(path, look) => Sink::Lines(Arc::new(Outlet::open(path)?), *look),
            Destination::Stderr(look) => {
                let stderr = streams.get(Stream::Error).ok_or(io::ErrorKind::NotFound)?;
                Sink::Lines(Arc::clone(stderr), *look)
            }
            Destination::Syslog(facility) => Sink::Syslog(Syslog::new(ident), *facility),
        };
        let open = Open { sink, queue: Queue::new(MOST_WAITING), stamps: Stamps::default() };
        Ok(Self { ident: ident.to_owned(), destination, verbose, open: Mutex::new(open) })
    }

    /// Closes and opens the file again (LOG-13). A file that cannot be opened now is kept.
    pub fn reopen(&self) {
        let Destination::File(path, look) = &self.destination else { return };
        match Outlet::open(path) {
            Ok(file) => self.state().sink = Sink::Lines(Arc::new(file), *look),
            Err(cause) => tracing::error!("cannot reopen {}: {cause}", path.display()),
        }
    }

    /// How mistakes in files should look here.
    #[must_use]
    pub const fn style(&self) -> Style {
        match self.destination {
            Destination::Stderr(Look::Person { colour }) => Style::Human { colour },
            Destination::Stderr(_) => Style::Short,
            Destination::Syslog(_) | Destination::File(..) => Style::Legacy,
        }
    }

    /// Shows a block of text to the person at stderr; nothing elsewhere.
    pub fn show(&self, block: &str) {
        if matches!(self.destination, Destination::Stderr(Look::Person { .. })) {
            let mut open = self.state();
            open.queue.push(block.as_bytes().to_vec());
            self.write_out(&mut open, None);
        }
    }

    /// Writes what waits, as far as somebody takes it. Never waits.
    pub fn flush(&self) {
        self.write_out(&mut self.state(), None);
    }

    /// Writes for the last time: what is not taken until then is lost.
    pub fn finish(&self, until: Instant) {
        self.write_out(&mut self.state(), Some(until));
    }

    /// [`Self::flush`] should be called when this has room.
    pub fn room(&self) -> Option<Room> {
        let open = self.state();
        match &open.sink {
            _ if !open.queue.wants_room() => None,
            Sink::Lines(outlet, _) => Some(Arc::clone(outlet) as Room),
            Sink::Syslog(syslog, _) => syslog.room(),
        }
    }

    /// And at this time, if messages wait.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        self.state().queue.retry_at()
    }

    fn state(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, level: Level, text: &str) {
        let mut open = self.state();
        open.take(level, text, &self.ident);
        self.write_out(&mut open, None);
    }

    fn write_out(&self, open: &mut Open, last: Option<Instant>) {
        // That nothing is taken can be said nowhere; how much was lost is said here.
        if let Some(Trouble::Over { lost: lost @ 1.. }) = open.write(last) {
            open.take(Level::Warning, &format!("{lost} messages are lost"), &self.ident);
            open.write(last);
        }
    }
}

impl Open {
    fn take(&mut self, level: Level, text: &str, ident: &str) {
        let line = match &mut self.sink {
            Sink::Lines(_, look) => look.line(level, text, ident, &mut self.stamps).into_bytes(),
            Sink::Syslog(syslog, facility) => syslog.message(*facility, level, text),
        };
        self.queue.push(line);
    }

    fn write(&mut self, last: Option<Instant>) -> Option<Trouble> {
        match &mut self.sink {
            Sink::Lines(outlet, _) => self.queue.offer(last, |lines| outlet.write(lines)),
            Sink::Syslog(syslog, _) => self.queue.offer(last, |messages| syslog.take(messages)),
        }
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
        let is_brief = matches!(self.destination, Destination::Stderr(_)) && !self.verbose;
        let shown = if is_brief { Severity::DEBUG } else { Severity::TRACE };
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
