//! The files read so far, so that a span can become a file, a line and a column.

use std::path::{Path, PathBuf};

/// Names one file of a [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u32);

/// Where in the text something is: a half-open range of bytes in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

/// A span as people count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    pub path: &'a Path,
    /// From 1.
    pub line: u32,
    /// From 1, in characters; bytes that are not UTF-8 count as one each.
    pub column: u32,
}

/// The bytes of every file that was read; nothing says that they are UTF-8.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Offset of the first byte of each line.
    lines: Vec<u32>,
}

impl Sources {
    /// Keeps a file. Of a file over 4 GiB only the beginning can be pointed at.
    pub fn add(&mut self, path: impl Into<PathBuf>, bytes: Vec<u8>) -> FileId {
        let id = FileId(offset(self.files.len()));
        let starts = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1);
        let lines = std::iter::once(0).chain(starts.map(offset)).collect();
        self.files.push(Source { path: path.into(), bytes, lines });
        id
    }

    /// Every file, in the order of reading.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|source| source.path.as_path())
    }

    /// The path `file` was read from; empty for a file of another `Sources`.
    #[must_use]
    pub fn path(&self, file: FileId) -> &Path {
        self.source(file).map_or(Path::new(""), |source| &source.path)
    }

    /// All bytes of `file`.
    #[must_use]
    pub fn bytes(&self, file: FileId) -> &[u8] {
        self.source(file).map_or(&[], |source| &source.bytes)
    }

    /// The bytes under `span`.
    #[must_use]
    pub fn text(&self, span: Span) -> &[u8] {
        self.bytes(span.file).get(index(span.start)..index(span.end)).unwrap_or_default()
    }

    /// The line `span` begins in, counted from 1. Costs the logarithm of the file.
    #[must_use]
    pub fn line(&self, span: Span) -> u32 {
        let before = |source: &Source| source.lines.partition_point(|start| *start <= span.start);
        self.source(span.file).map_or(1, |source| offset(before(source)))
    }

    /// File, line and column of `span`. Costs the length of the line.
    #[must_use]
    pub fn position(&self, span: Span) -> Position<'_> {
        let start = self.line_span(span).start;
        let before = self.text(Span { file: span.file, start, end: span.start });
        Position {
            path: self.path(span.file),
            line: self.line(span),
            column: offset(String::from_utf8_lossy(before).chars().count()) + 1,
        }
    }

    /// The whole line `span` begins in, without its end.
    #[must_use]
    pub fn line_span(&self, span: Span) -> Span {
        let number = index(self.line(span));
        let Some(source) = self.source(span.file) else { return span };
        let start = source.lines.get(number - 1).copied().unwrap_or_default();
        let next = source.lines.get(number).map(|next| next.saturating_sub(1));
        let end = next.unwrap_or_else(|| offset(source.bytes.len()));
        let line = Span { file: span.file, start, end };
        match self.text(line) {
            [.., b'\r'] => Span { end: end - 1, ..line },
            _ => line,
        }
    }

    fn source(&self, file: FileId) -> Option<&Source> {
        self.files.get(index(file.0))
    }
}

/// A position as it is stored; what does not fit points at the end.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn index(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &[u8]) -> (Sources, FileId) {
        let mut sources = Sources::default();
        let file = sources.add("/etc/x", text.to_vec());
        (sources, file)
    }

    #[test]
    fn lines_and_columns_are_counted_from_one() {
        let (sources, file) = sources(b"one\n\ttwo three\r\n\nfour");
        for (start, end, line, column, word, whole) in [
            (0, 3, 1, 1, "one", "one"),
            (5, 8, 2, 2, "two", "\ttwo three"),
            (9, 14, 2, 6, "three", "\ttwo three"),
            (17, 21, 4, 1, "four", "four"),
            (16, 16, 3, 1, "", ""),
            (21, 21, 4, 5, "", "four"),
        ] {
            let span = Span { file, start, end };
            let at = sources.position(span);
            assert_eq!((at.line, at.column), (line, column), "{word}");
            assert_eq!(sources.text(span), word.as_bytes());
            assert_eq!(sources.text(sources.line_span(span)), whole.as_bytes());
        }
    }

    #[test]
    fn bytes_that_are_no_text_count_as_one_column_each() {
        let (sources, file) = sources(b"\xfc\xe4 x");
        assert_eq!(sources.position(Span { file, start: 3, end: 4 }).column, 4);
    }

    #[test]
    fn a_span_of_another_collection_is_harmless() {
        let (sources, _) = sources(b"one");
        let elsewhere = Span { file: FileId(7), start: 1, end: 2 };
        assert_eq!(sources.text(elsewhere), b"");
        assert_eq!(sources.position(elsewhere).line, 1);
    }
}
