//! `log_type = FILE`, `JSON`, `STDOUT` and `STDERR`: a line for each record, with limits for files.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::log::Room;
use crate::log::queue::Queue;
use crate::log::queue::Trouble;
use crate::log::record::Record;
use crate::log::stamp::Stamps;
use crate::plan::LogForm;
use crate::plan::LogTarget;
use crate::sys::outlet::Outlet;
use crate::sys::outlet::Stream;
use crate::sys::outlet::Streams;

/// How many bytes wait for a disk or a reader. There may be thousands of logs.
const MOST_WAITING: usize = 64 * 1024;

/// A log that has lines, written once a turn of the monitor's loop.
#[derive(Debug)]
pub(super) struct LogFile {
    target: LogTarget,
    outlet: Arc<Outlet>,
    queue: Queue,
    /// Bytes in the file and in the queue.
    size: u64,
    passed: Passed,
}

/// How far a file with limits has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Passed {
    Nothing,
    Soft,
    Hard,
}

/// A log that cannot be had.
#[derive(Debug)]
pub(super) enum Failure {
    Open(PathBuf, io::Error),
    /// There is no such stream, because the daemon has detached.
    NoStream(Stream),
}

impl LogFile {
    /// Opens the log of `target`; `None` for those that are no lines in a file.
    pub(super) fn open(target: &LogTarget, streams: &Streams) -> Result<Option<Self>, Failure> {
        let given = |stream| streams.get(stream).map(Arc::clone);
        let outlet = match target {
            LogTarget::None | LogTarget::Common | LogTarget::Syslog { .. } | LogTarget::Journal => {
                return Ok(None);
            }
            LogTarget::Stdout => given(Stream::Output).ok_or(Failure::NoStream(Stream::Output))?,
            LogTarget::Stderr => given(Stream::Error).ok_or(Failure::NoStream(Stream::Error))?,
            // By now `/dev/stdout` is `/dev/null` (START-2): not what is meant by it.
            LogTarget::File(wish) => match Stream::named(&wish.path).and_then(given) {
                Some(outlet) => outlet,
                None => Outlet::open(&wish.path)
                    .map(Arc::new)
                    .map_err(|cause| Failure::Open(wish.path.clone(), cause))?,
            },
        };
        Ok(Some(Self {
            target: target.clone(),
            size: outlet.size(),
            outlet,
            queue: Queue::new(MOST_WAITING),
            passed: Passed::Nothing,
        }))
    }

    /// Whether it has a descriptor of its own.
    pub(super) fn is_own(&self) -> bool {
        Arc::strong_count(&self.outlet) == 1
    }

    /// Takes one record; says whether a limit is newly passed. After the line that exceeds the
    /// hard limit nothing more is taken until the file is opened anew (LOG-10).
    pub(super) fn take(
        &mut self,
        record: &Record<'_>,
        text: &str,
        stamps: &mut Stamps,
    ) -> Option<Passed> {
        if self.passed == Passed::Hard {
            return None;
        }
        let line = match self.target.form() {
            LogForm::Text => format!("{}: {text}\n", stamps.file()),
            LogForm::Json => record.json(stamps.utc()),
        };
        let length = line.len() as u64;
        if self.queue.push(line.into_bytes()) {
            self.size += length;
        }
        let (soft, hard) = self.target.limits()?;
        let passed = if self.size > hard {
            Passed::Hard
        } else if self.size > soft {
            Passed::Soft
        } else {
            return None;
        };
        let is_news = passed > self.passed;
        self.passed = passed;
        is_news.then_some(passed)
    }

    /// Writes what waits; see [`Queue::offer`].
    pub(super) fn write(&mut self, last: Option<Instant>) -> Option<Trouble> {
        let outlet = &self.outlet;
        self.queue.offer(last, |lines| outlet.write(lines))
    }

    /// Takes over what waits for the same log of an older generation.
    pub(super) fn succeed(&mut self, old: &mut Self) {
        if self.target == old.target {
            std::mem::swap(&mut self.queue, &mut old.queue);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// What the lines wait for, if that shows.
    pub(super) fn room(&self) -> Option<Room> {
        self.queue.wants_room().then(|| Arc::clone(&self.outlet) as Room)
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.queue.retry_at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::record;
    use crate::plan::{FileLog, LogField, LogFields, ServiceId, Source};

    fn log(path: PathBuf, limits: Option<(u64, u64)>) -> LogFile {
        let target = LogTarget::File(FileLog { path, limits, form: LogForm::Text });
        LogFile::open(&target, &Streams::default()).unwrap().unwrap()
    }

    fn take(file: &mut LogFile, text: &str) -> Option<Passed> {
        let id = ServiceId("a".into());
        let fields = LogFields::default().with(LogField::Pid);
        let record = record::start(&id, fields, 1, Source::Unknown).unwrap();
        file.take(&record, text, &mut Stamps::default())
    }

    #[test]
    fn log_10_nothing_follows_the_line_that_exceeds_the_hard_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = log(path.clone(), Some((200, 350)));
        // 117 to 122 bytes a line, with the stamp.
        let told: Vec<_> = (0..5).map(|_| take(&mut file, &"x".repeat(100))).collect();
        assert_eq!(told, [None, Some(Passed::Soft), Some(Passed::Hard), None, None]);
        assert!(file.write(None).is_none());
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn lines_that_a_full_disk_does_not_take_are_told_once_and_wait() {
        let mut file = log("/dev/full".into(), None);
        take(&mut file, "one");
        assert!(matches!(file.write(None), Some(Trouble::Stuck(_))));
        take(&mut file, "two");
        assert!(file.write(None).is_none(), "told once, not for every line");
        assert!(!file.is_idle());
        assert!(matches!(file.write(Some(Instant::now())), Some(Trouble::Over { lost: 2 })));
    }
}
