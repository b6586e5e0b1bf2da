//! What is logged about a service, and where.

use std::path::PathBuf;

/// What is logged about a service, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogWishes {
    pub target: LogTarget,
    pub on_success: LogFields,
    pub on_failure: LogFields,
}

/// `log_type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// No `log_type` anywhere: nothing is logged (LOG-6).
    #[default]
    None,
    /// The log of `defaults`, one for all ([`crate::plan::Plan::common_log`]; LOG-9).
    Common,
    Syslog {
        facility: Facility,
        level: Level,
    },
    /// `FILE`, `JSON`
    File(FileLog),
    /// The standard output that the daemon was started with.
    Stdout,
    Stderr,
    /// The journal of systemd, with fields.
    Journal,
}

impl LogTarget {
    /// How its lines are written.
    #[must_use]
    pub const fn form(&self) -> LogForm {
        match self {
            Self::File(log) => log.form,
            Self::None
            | Self::Common
            | Self::Syslog { .. }
            | Self::Stdout
            | Self::Stderr
            | Self::Journal => LogForm::Text,
        }
    }

    /// Sizes in bytes, soft then hard, of a file that has limits.
    #[must_use]
    pub const fn limits(&self) -> Option<(u64, u64)> {
        match self {
            Self::File(log) => log.limits,
            Self::None
            | Self::Common
            | Self::Syslog { .. }
            | Self::Stdout
            | Self::Stderr
            | Self::Journal => None,
        }
    }
}

/// How a record is written to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// The line of xinetd.log(5).
    Text,
    /// A JSON object.
    Json,
}

/// `log_type = FILE path [soft [hard]]`, and the same with `JSON`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLog {
    pub form: LogForm,
    pub path: PathBuf,
    /// Sizes in bytes, soft then hard; `None`: no limits (ATTR-52).
    pub limits: Option<(u64, u64)>,
}

/// A syslog facility that xinetd.conf(5) knows (ATTR-51).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facility {
    Daemon,
    Auth,
    Authpriv,
    User,
    Mail,
    Lpr,
    News,
    Uucp,
    Ftp,
    /// `local0` to `local7`
    Local(u8),
}

/// A syslog level (ATTR-51), most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Emerg,
    Alert,
    Crit,
    Err,
    Warning,
    Notice,
    Info,
    Debug,
}

/// One word of `log_on_success` or `log_on_failure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogField {
    Pid,
    Host,
    UserId,
    Exit,
    Duration,
    Traffic,
    Attempt,
}

/// A set of [`LogField`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogFields(u8);

impl LogFields {
    const fn bit(field: LogField) -> u8 {
        1 << field as u8
    }

    #[must_use]
    pub const fn has(self, field: LogField) -> bool {
        self.0 & Self::bit(field) != 0
    }

    /// `fact`, if `field` asks for it.
    #[must_use]
    pub fn if_has<T>(self, field: LogField, fact: T) -> Option<T> {
        self.has(field).then_some(fact)
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn with(self, field: LogField) -> Self {
        Self(self.0 | Self::bit(field))
    }

    #[must_use]
    pub const fn without(self, field: LogField) -> Self {
        Self(self.0 & !Self::bit(field))
    }
}
