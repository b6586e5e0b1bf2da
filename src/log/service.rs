//! The service logs of one generation: where each service's lines go.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::log::file::{LogFile, LogTrouble};
use crate::log::stamp::Stamps;
use crate::log::syslog::Syslog;
use crate::plan::LogTarget;
use crate::plan::Service;
use crate::plan::ServiceIndex;

/// Every log that a plan asks for, open.
///
/// A reload opens a new one and drops the old: that is how logs are rotated (LOG-12).
#[derive(Debug)]
pub struct ServiceLogs {
    common: LogTarget,
    common_file: Option<LogFile>,
    own_files: HashMap<ServiceIndex, LogFile>,
    /// Whose own files have lines to be flushed: nobody looks at the others.
    written: Vec<ServiceIndex>,
    syslog: Syslog,
    stamps: Stamps,
}

/// A log file that cannot be opened (LOG-8).
#[derive(Debug)]
pub struct Unusable {
    pub path: PathBuf,
    pub cause: io::Error,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot open the log {}: {}", self.path.display(), self.cause)
    }
}

impl ServiceLogs {
    /// Opens the common log; `ident` stands in front of syslog lines.
    ///
    /// # Errors
    /// [`Unusable`] beside logs in which the common one is none: its users cannot run.
    #[must_use]
    pub fn open(common: &LogTarget, ident: &str) -> (Self, Option<Unusable>) {
        let (common_file, trouble) = match common {
            LogTarget::File(wish) => match LogFile::open(wish) {
                Ok(file) => (Some(file), None),
                Err(cause) => (None, Some(Unusable { path: wish.path.clone(), cause })),
            },
            LogTarget::None | LogTarget::Common | LogTarget::Syslog { .. } => (None, None),
        };
        let logs = Self {
            common: common.clone(),
            common_file,
            own_files: HashMap::new(),
            written: Vec::new(),
            syslog: Syslog::new(ident),
            stamps: Stamps::default(),
        };
        (logs, trouble)
    }

    /// The log of `defaults`.
    #[must_use]
    pub const fn common(&self) -> &LogTarget {
        &self.common
    }

    /// Opens the log of one service, if it has one of its own.
    ///
    /// # Errors
    /// When the file cannot be opened; the service is dropped then (LOG-8).
    pub fn add(&mut self, index: ServiceIndex, service: &Service) -> Result<(), Unusable> {
        if let LogTarget::File(wish) = &service.log.target {
            let file =
                LogFile::open(wish).map_err(|cause| Unusable { path: wish.path.clone(), cause })?;
            self.own_files.insert(index, file);
        }
        Ok(())
    }

    /// Takes over an open file from logs that are to go.
    pub fn inherit(&mut self, index: ServiceIndex, from: &mut Self) {
        if let Some(file) = from.own_files.remove(&index) {
            self.own_files.insert(index, file);
        }
    }

    /// How many descriptors the files take (START-15).
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.own_files.len() + usize::from(self.common_file.is_some())
    }

    /// Takes a line of `service`; files get it at the next [`Self::flush`].
    pub fn line(&mut self, index: ServiceIndex, service: &Service, text: &str) {
        let text = cut(text);
        let target = match &service.log.target {
            LogTarget::Common => &self.common,
            own @ (LogTarget::None | LogTarget::Syslog { .. } | LogTarget::File(_)) => own,
        };
        match target {
            LogTarget::None | LogTarget::Common => {}
            LogTarget::Syslog { facility, level } => self.syslog.line(*facility, *level, text),
            LogTarget::File(_) => {
                let is_own = service.log.target != LogTarget::Common;
                let (file, name) = if is_own {
                    self.written.push(index);
                    (self.own_files.get_mut(&index), service.id.0.as_str())
                } else {
                    (self.common_file.as_mut(), "common")
                };
                if let Some(file) = file {
                    tell(file.line(self.stamps.file(), text), name);
                }
            }
        }
    }

    /// Writes what has been taken.
    pub fn flush(&mut self) {
        if let Some(file) = &mut self.common_file {
            tell(file.flush(), "common");
        }
        for index in self.written.drain(..) {
            if let Some(file) = self.own_files.get_mut(&index) {
                tell(file.flush(), "service");
            }
        }
    }
}

/// LOG-7: lines are cut at 1024 bytes.
fn cut(text: &str) -> &str {
    const LONGEST: usize = 1024;
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

/// LOG-10, LOG-11: one message each time.
fn tell(trouble: Option<LogTrouble>, id: &str) {
    match trouble {
        None => {}
        Some(LogTrouble::SoftLimit) => tracing::warn!("Size of {id} log exceeded soft limit"),
        Some(LogTrouble::HardLimit) => tracing::error!("Size of {id} log exceeded hard limit"),
        Some(LogTrouble::Lost(lines)) => {
            tracing::error!("{lines} lines of the {id} log could not be written");
        }
    }
}
