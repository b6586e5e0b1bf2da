//! `log_type = FILE path [soft [hard]]`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::plan::FileLog;
use crate::sys::fd;

/// A log file, written once a turn of the monitor's loop.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    /// Lines of this turn.
    buffer: Vec<u8>,
    /// Bytes in the file and the buffer.
    size: u64,
    limits: Option<(u64, u64)>,
    passed: Passed,
    /// Lines that could not be written since the last one that could.
    lost: u64,
    /// The last write ended within a line.
    is_torn: bool,
}

/// How far a file with limits has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Passed {
    Nothing,
    Soft,
    Hard,
}

/// Something about a log that the daemon's own log must tell, once each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogTrouble {
    SoftLimit,
    HardLimit,
    /// This many lines are lost.
    Lost(u64),
}

/// Opens a log file for append, mode 0644 less the umask (LOG-8). A FIFO or a terminal that
/// nobody reads is an error or loses lines; it never holds up the daemon.
pub(super) fn open_for_append(path: &Path) -> io::Result<File> {
    fd::open_for_append(path)
}

impl LogFile {
    pub(super) fn open(wish: &FileLog) -> io::Result<Self> {
        let file = open_for_append(&wish.path)?;
        let size = file.metadata().map_or(0, |m| m.len());
        let limits = wish.limits;
        Ok(Self {
            file,
            buffer: Vec::new(),
            size,
            limits,
            passed: Passed::Nothing,
            lost: 0,
            is_torn: false,
        })
    }

    /// Takes one line, without its end. After the line that exceeds the hard limit nothing
    /// more is taken until the file is opened anew (LOG-10).
    pub(super) fn line(&mut self, stamp: &str, text: &str) -> Option<LogTrouble> {
        if self.passed == Passed::Hard {
            return None;
        }
        let before = self.buffer.len();
        writeln!(self.buffer, "{stamp}: {text}").ok();
        self.size += (self.buffer.len() - before) as u64;
        let (soft, hard) = self.limits?;
        let (passed, trouble) = if self.size > hard {
            (Passed::Hard, LogTrouble::HardLimit)
        } else if self.size > soft {
            (Passed::Soft, LogTrouble::SoftLimit)
        } else {
            return None;
        };
        let is_news = passed > self.passed;
        self.passed = passed;
        is_news.then_some(trouble)
    }

    /// Writes what this turn brought, in one go. What a full disk or a broken pipe does not
    /// take is lost and counted: waiting for it would stop the daemon.
    pub(super) fn flush(&mut self) -> Option<LogTrouble> {
        if self.buffer.is_empty() {
            return None;
        }
        if std::mem::take(&mut self.is_torn) {
            self.buffer.insert(0, b'\n');
        }
        let written = write_now(&mut self.file, &self.buffer);
        let (done, left) = self.buffer.split_at(written.min(self.buffer.len()));
        let lines = left.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.is_torn = !left.is_empty() && done.last().is_some_and(|byte| *byte != b'\n');
        self.size = self.size.saturating_sub(left.len() as u64);
        self.buffer.clear();
        let before = self.lost;
        self.lost = if lines == 0 { 0 } else { before + lines };
        match (before, lines) {
            (0, 0) => None,
            (before, 0) => Some(LogTrouble::Lost(before)),
            (0, lines) => Some(LogTrouble::Lost(lines)),
            (_, _) => None,
        }
    }
}

/// Writes what can be written without waiting; says how many bytes that were.
fn write_now(file: &mut File, bytes: &[u8]) -> usize {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(count) if count > 0 => written += count,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => break,
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(limits: Option<(u64, u64)>) -> (tempfile::TempDir, LogFile) {
        let dir = tempfile::tempdir().unwrap();
        let wish = FileLog { path: dir.path().join("log"), limits };
        let file = LogFile::open(&wish).unwrap();
        (dir, file)
    }

    #[test]
    fn log_10_nothing_follows_the_line_that_exceeds_the_hard_limit() {
        let (dir, mut file) = log(Some((20, 30)));
        let told: Vec<_> = (0..5).map(|_| file.line("s", "123456")).collect();
        // Ten bytes a line.
        let (soft, hard) = (Some(LogTrouble::SoftLimit), Some(LogTrouble::HardLimit));
        assert_eq!(told, [None, None, soft, hard, None]);
        file.flush();
        let text = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert_eq!(text, "s: 123456\n".repeat(4));
    }

    #[test]
    fn lines_that_a_full_disk_does_not_take_are_counted_and_told() {
        let wish = FileLog { path: "/dev/full".into(), limits: None };
        let mut file = LogFile::open(&wish).unwrap();
        file.line("s", "one");
        file.line("s", "two");
        assert_eq!(file.flush(), Some(LogTrouble::Lost(2)));
        file.line("s", "three");
        assert_eq!(file.flush(), None, "told once, not for every line");
        assert_eq!(file.lost, 3);
    }
}
