//! The service logs of one generation: where each service's records go.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::time::Instant;

use crate::log::Room;
use crate::log::file::{Failure, LogFile, Passed};
use crate::log::journal::Journal;
use crate::log::queue::{Queue, Trouble};
use crate::log::record::Record;
use crate::log::stamp::Stamps;
use crate::log::syslog::Syslog;
use crate::plan::LogTarget;
use crate::plan::Service;
use crate::plan::ServiceIndex;
use crate::sys::outlet::Stream;
use crate::sys::outlet::Streams;

/// How many bytes wait for syslog, and for the journal.
const MOST_WAITING: usize = 1024 * 1024;

/// Every log that a plan asks for, open.
///
/// A reload opens a new one and drops the old: that is how logs are rotated (LOG-12).
#[derive(Debug)]
pub struct ServiceLogs {
    /// What stands in front of syslog lines.
    ident: String,
    streams: Streams,
    common: LogTarget,
    common_file: Option<LogFile>,
    own_files: HashMap<ServiceIndex, LogFile>,
    /// Whose own files have lines that wait, and under which id: nobody looks at the others.
    waiting: Vec<(ServiceIndex, String)>,
    syslog: (Syslog, Queue),
    journal: (Journal, Queue),
    stamps: Stamps,
}

/// A log that cannot be had (LOG-8).
#[derive(Debug)]
pub struct Unusable(Failure);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Failure::Open(path, cause) => {
                write!(f, "cannot open the log {}: {cause}", path.display())?;
                let is_stream = ["/proc/", "/dev/"].iter().any(|dir| path.starts_with(dir));
                f.write_str(if is_stream { "; see `log_type = STDOUT`" } else { "" })
            }
            Failure::NoStream(stream) => {
                let name = match stream {
                    Stream::Output => "STDOUT",
                    Stream::Error => "STDERR",
                };
                write!(
                    f,
                    "there is no {name} to log to: the daemon has detached; start it with -dontfork"
                )
            }
        }
    }
}

impl ServiceLogs {
    /// Those of a daemon that has no services yet; `ident` stands in front of syslog lines.
    #[must_use]
    pub fn new(ident: &str, streams: Streams) -> Self {
        Self {
            ident: ident.to_owned(),
            streams,
            common: LogTarget::None,
            common_file: None,
            own_files: HashMap::new(),
            waiting: Vec::new(),
            syslog: (Syslog::new(ident), Queue::new(MOST_WAITING)),
            journal: (Journal::new(ident), Queue::new(MOST_WAITING)),
            stamps: Stamps::default(),
        }
    }

    /// Opens the common log of the next generation.
    ///
    /// # Errors
    /// [`Unusable`] beside logs in which the common one is none: its users cannot run.
    #[must_use]
    pub fn next(&self, common: &LogTarget) -> (Self, Option<Unusable>) {
        let mut logs = Self::new(&self.ident, self.streams.clone());
        logs.common = common.clone();
        match LogFile::open(common, &self.streams) {
            Ok(file) => {
                logs.common_file = file;
                (logs, None)
            }
            Err(failure) => (logs, Some(Unusable(failure))),
        }
    }

    /// The log of `defaults`.
    #[must_use]
    pub const fn common(&self) -> &LogTarget {
        &self.common
    }

    /// Opens the log of one service, if it has one of its own.
    ///
    /// # Errors
    /// When it cannot be had (LOG-8).
    pub fn add(&mut self, index: ServiceIndex, service: &Service) -> Result<(), Unusable> {
        let file = LogFile::open(&service.log.target, &self.streams).map_err(Unusable)?;
        // It may have had another one in mind before.
        self.own_files.remove(&index);
        self.own_files.extend(file.map(|file| (index, file)));
        Ok(())
    }

    /// Its service is not served after all.
    pub fn remove(&mut self, index: ServiceIndex) {
        self.own_files.remove(&index);
    }

    /// Takes over an open file from logs that are to go.
    pub fn inherit(&mut self, index: ServiceIndex, from: &mut Self) {
        if let Some(file) = from.own_files.remove(&index) {
            self.own_files.insert(index, file);
        }
    }

    /// Takes the place of `old`: what waits there waits here, if there is such a log.
    pub fn succeed(&mut self, old: &mut Self) {
        std::mem::swap(&mut self.syslog, &mut old.syslog);
        std::mem::swap(&mut self.journal, &mut old.journal);
        if let (Some(new), Some(old)) = (&mut self.common_file, &mut old.common_file) {
            new.succeed(old);
        }
        for (index, id) in std::mem::take(&mut old.waiting) {
            let new = self.own_files.get_mut(&index);
            if let (Some(new), Some(old)) = (new, old.own_files.get_mut(&index)) {
                new.succeed(old);
            }
            self.waiting.push((index, id));
        }
        old.finish(Instant::now());
    }

    /// Whether a service has an open log of its own.
    #[must_use]
    pub fn has_file(&self, index: ServiceIndex) -> bool {
        self.own_files.contains_key(&index)
    }

    /// How many descriptors the files take (START-15).
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let files = self.own_files.values().chain(&self.common_file);
        files.filter(|file| file.is_own()).count()
    }

    /// Takes a record of `service`. Loggers get it at once, for they may have room for ten
    /// messages only; files at the next [`Self::flush`]. Lines are cut at 1024 bytes (LOG-7).
    pub fn line(&mut self, index: ServiceIndex, service: &Service, record: &Record<'_>) {
        let text = record.to_string();
        let text = cut(&text);
        let is_own = service.log.target != LogTarget::Common;
        let target = if is_own { &service.log.target } else { &self.common };
        match target {
            LogTarget::None | LogTarget::Common => {}
            LogTarget::Syslog { facility, level } => {
                let (syslog, queue) = &mut self.syslog;
                queue.push(syslog.message(*facility, *level, text));
                tell(queue.offer(None, |messages| syslog.take(messages)), "syslog");
            }
            LogTarget::Journal => {
                let (journal, queue) = &mut self.journal;
                queue.push(journal.message(record, text));
                tell(queue.offer(None, |messages| journal.take(messages)), "the journal");
            }
            LogTarget::File(_) | LogTarget::Stdout | LogTarget::Stderr => {
                let id = if is_own { service.id.0.as_str() } else { "common" };
                let file = match is_own {
                    true => self.own_files.get_mut(&index),
                    false => self.common_file.as_mut(),
                };
                let Some(file) = file else { return };
                if is_own && file.is_idle() {
                    self.waiting.push((index, id.to_owned()));
                }
                if let Some(passed) = file.take(record, text, &mut self.stamps) {
                    say_passed(passed, id);
                }
            }
        }
    }

    /// Writes what waits, as far as somebody takes it. Never waits.
    pub fn flush(&mut self) {
        self.write(None);
    }

    /// Writes for the last time: what is not taken until then is lost.
    pub fn finish(&mut self, until: Instant) {
        self.write(Some(until));
    }

    fn write(&mut self, last: Option<Instant>) {
        let (syslog, queue) = &mut self.syslog;
        tell(queue.offer(last, |messages| syslog.take(messages)), "syslog");
        let (journal, queue) = &mut self.journal;
        tell(queue.offer(last, |messages| journal.take(messages)), "the journal");
        if let Some(file) = &mut self.common_file {
            tell(file.write(last), "the common log");
        }
        let own_files = &mut self.own_files;
        self.waiting.retain(|(index, id)| {
            own_files.get_mut(index).is_some_and(|file| {
                tell(file.write(last), format_args!("the {id} log"));
                !file.is_idle()
            })
        });
    }

    /// Files with lines that wait.
    fn busy(&self) -> impl Iterator<Item = &LogFile> {
        let own = self.waiting.iter().filter_map(|(index, _)| self.own_files.get(index));
        own.chain(&self.common_file)
    }

    /// [`Self::flush`] should be called when one of these has room.
    pub fn rooms(&self) -> impl Iterator<Item = Room> {
        let (syslog, journal) = (&self.syslog, &self.journal);
        let syslog = if syslog.1.wants_room() { syslog.0.room() } else { None };
        let journal = if journal.1.wants_room() { journal.0.room() } else { None };
        self.busy().filter_map(LogFile::room).chain(syslog).chain(journal)
    }

    /// And at this time, if lines wait.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        let files = self.busy().filter_map(LogFile::retry_at);
        let loggers = [&self.syslog.1, &self.journal.1].into_iter().filter_map(Queue::retry_at);
        files.chain(loggers).min()
    }
}

/// LOG-7: lines are cut at 1024 bytes.
fn cut(text: &str) -> &str {
    const LONGEST: usize = 1024;
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

/// LOG-10, LOG-11: one message each time.
fn say_passed(limit: Passed, id: &str) {
    match limit {
        Passed::Nothing => {}
        Passed::Soft => tracing::warn!("Size of {id} log exceeded soft limit"),
        Passed::Hard => tracing::error!("Size of {id} log exceeded hard limit"),
    }
}

fn tell(trouble: Option<Trouble>, log: impl fmt::Display) {
    match trouble {
        None => {}
        Some(Trouble::Stuck(cause)) => {
            let is_unread = cause.kind() == ErrorKind::WouldBlock;
            let cause = if is_unread { "nobody reads it".to_owned() } else { cause.to_string() };
            tracing::error!(
                "{log} takes no lines: {cause}; they wait, and what is too much is lost"
            );
        }
        Some(Trouble::Over { lost: 0 }) => tracing::warn!("{log} takes lines again; none is lost"),
        Some(Trouble::Over { lost }) => tracing::error!("{lost} lines for {log} are lost"),
    }
}
