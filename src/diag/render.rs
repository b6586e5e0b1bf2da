//! The three texts of a diagnostic: for people, for editors, for the log.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use std::borrow::Cow;
use std::env;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::ops::Range;

use crate::diag::{Diagnostic, Severity, Sources, Span};

impl Diagnostic {
    /// The form for people: the line quoted and the spot underlined, as rustc does it.
    ///
    /// Ends in a newline. `colour` adds ANSI escapes.
    #[must_use]
    pub fn human(&self, sources: &Sources, colour: bool) -> String {
        let (message, label) = (printable(&self.message), printable(&self.label));
        let help = self.help.as_deref().map(|help| self.help_and_lines(help));
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(&*message).id(self.code);
        let primary = Quote::new(sources, self.span);
        let elsewhere = self.related.as_ref().map(|(span, label)| (span, label.as_str()));
        let line = sources.line_span(self.span);
        let (same_line, other_line) = match elsewhere {
            Some((span, label)) if sources.line_span(*span) == line => {
                let here = AnnotationKind::Context.span(primary.range(*span)).label(label);
                (Some(here), None)
            }
            Some((span, label)) => (None, Some((Quote::new(sources, *span), label))),
            None => (None, None),
        };
        let quoted = primary.snippet(AnnotationKind::Primary, &label).annotations(same_line);
        let mut group = title.element(quoted);
        if let Some((quote, label)) = &other_line {
            group = group.element(quote.snippet(AnnotationKind::Context, label));
        }
        if let Some(help) = &help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let groups: [Group<'_>; 1] = [group];
        let mut text = renderer.render(&groups);
        text.push('\n');
        text
    }

    /// The help, and below it what to write instead.
    fn help_and_lines(&self, help: &str) -> String {
        let lines = std::iter::once(help).chain(self.instead.iter().map(String::as_str));
        lines.map(printable).collect::<Vec<_>>().join("\n")
    }

    /// `file:line:column: level: message; help`
    #[must_use]
    pub fn short(&self, sources: &Sources) -> String {
        let at = sources.position(self.span);
        let (path, word) = (at.path.display(), self.severity.word());
        let mut text = format!("{path}:{}:{}: {word}: {}", at.line, at.column, self.message);
        if let Some(help) = &self.help {
            let _ = write!(text, "; {help}");
        }
        printable(&text).into_owned()
    }

    /// The form for the log: the old sentence if there is one, and the suffix that
    /// `parsemsg()` of xinetd gives it (PARSE-28).
    #[must_use]
    pub fn log_line(&self, sources: &Sources) -> String {
        let mut text = self.legacy.as_ref().unwrap_or(&self.message).clone();
        if let Some(help) = &self.help {
            let _ = write!(text, " ({help})");
        }
        let (path, line) = (sources.path(self.span.file).display(), sources.line(self.span));
        let _ = write!(text, " [file={path}] [line={line}]");
        printable(&text).into_owned()
    }
}

/// Whether what goes to `stream` is coloured: on a terminal, unless `NO_COLOR` is set.
#[must_use]
pub fn wants_colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `text` with its control characters as `\x1b`: a file name or a word must neither
/// begin a line of its own in a log nor give orders to a terminal.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let escape = |to: String, letter: char| match letter.is_control() {
        true => format!("{to}\\x{:02x}", u32::from(letter)),
        false => to + letter.encode_utf8(&mut [0; 4]),
    };
    text.chars().fold(String::new(), escape).into()
}

/// Bytes of a file as text. The renderer shows ASCII control characters as pictures;
/// those of Unicode (U+0080 to U+009F), which terminals obey too, are replaced here.
fn as_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.replace(|letter: char| letter.is_control() && !letter.is_ascii(), "\u{fffd}")
}

/// How many bytes of a line are quoted behind the spot.
const MARGIN: u32 = 1024;

/// One line of a file as text, with its end cut off if that is far away.
struct Quote {
    path: String,
    number: usize,
    line: Span,
    bytes: Vec<u8>,
    text: String,
    range: Range<usize>,
}

impl Quote {
    fn new(sources: &Sources, span: Span) -> Self {
        let line = sources.line_span(span);
        // The renderer cuts long lines too, but looks at all of them first.
        let end = line.end.min(span.end.max(line.start).saturating_add(MARGIN));
        let bytes = sources.text(Span { end, ..line }).to_vec();
        let mut quote = Self {
            path: printable(&sources.path(span.file).display().to_string()).into_owned(),
            number: usize::try_from(sources.line(span)).unwrap_or(usize::MAX),
            line,
            text: as_text(&bytes),
            bytes,
            range: 0..0,
        };
        quote.range = quote.range(span);
        quote
    }

    /// Where `span` lies in the text, which is longer than the bytes if they were no UTF-8.
    fn range(&self, span: Span) -> Range<usize> {
        let text_offset = |at: u32| {
            let bytes = usize::try_from(at.saturating_sub(self.line.start)).unwrap_or(usize::MAX);
            as_text(self.bytes.get(..bytes).unwrap_or(&self.bytes)).len()
        };
        text_offset(span.start)..text_offset(span.end)
    }

    fn snippet<'a>(&'a self, kind: AnnotationKind, label: &'a str) -> Snippet<'a, Annotation<'a>> {
        let label = (!label.is_empty()).then_some(label);
        Snippet::source(self.text.as_str())
            .path(self.path.as_str())
            .line_start(self.number)
            .annotation(kind.span(self.range.clone()).label(label))
    }
}

#[cfg(test)]
mod tests {
    use crate::diag::{Diagnostic, FileId, Sources, Span};

    const TEXT: &str =
        "service tftp\n{\n\tsocket_type = dgram\n\tonly_form   = 192.168.0.0/16\n}\n";

    fn found(sources: &Sources, word: &str) -> Span {
        let text = String::from_utf8_lossy(sources.bytes(FileId::default())).into_owned();
        let start = u32::try_from(text.find(word).unwrap()).unwrap();
        Span { file: FileId::default(), start, end: start + u32::try_from(word.len()).unwrap() }
    }

    fn sample() -> (Sources, Diagnostic) {
        let mut sources = Sources::default();
        sources.add("/etc/xinetd.d/tftp", TEXT.into());
        let span = found(&sources, "only_form");
        let message = "`only_form` is not an attribute; the line is ignored";
        let diagnostic = Diagnostic::warning("unknown-attribute", span, message)
            .label("not known")
            .help("did you mean `only_from`?")
            .legacy("bad service attribute: only_form");
        (sources, diagnostic)
    }

    #[test]
    fn people_see_the_line_and_the_spot() {
        let (sources, diagnostic) = sample();
        let related = diagnostic.clone().related(found(&sources, "tftp"), "in this service");
        let expected = "\
warning[unknown-attribute]: `only_form` is not an attribute; the line is ignored
 --> /etc/xinetd.d/tftp:4:2
  |
4 |     only_form   = 192.168.0.0/16
  |     ^^^^^^^^^ not known
  |
  = help: did you mean `only_from`?
";
        assert_eq!(diagnostic.human(&sources, false), expected);
        assert!(
            related.human(&sources, false).contains("1 | service tftp\n  |         ---- in this")
        );
        assert!(diagnostic.human(&sources, true).contains("\x1b["));
    }

    #[test]
    fn editors_get_file_line_and_column() {
        let (sources, diagnostic) = sample();
        assert_eq!(
            diagnostic.short(&sources),
            "/etc/xinetd.d/tftp:4:2: warning: `only_form` is not an attribute; \
             the line is ignored; did you mean `only_from`?"
        );
    }

    #[test]
    fn the_log_keeps_the_old_sentence_and_suffix() {
        let (sources, diagnostic) = sample();
        assert_eq!(
            diagnostic.log_line(&sources),
            "bad service attribute: only_form (did you mean `only_from`?) \
             [file=/etc/xinetd.d/tftp] [line=4]",
            "PARSE-28"
        );
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let mut sources = Sources::default();
        let file = sources.add("/etc/x\ny", b"\xc2\x9b2J a\x1b[2Jb\x07 = 1\x7f".to_vec());
        let span = Span { file, start: 5, end: 12 };
        let diagnostic = Diagnostic::error("code", span, "`a\x1b[2Jb` is odd")
            .label("a\x1b")
            .help("not \x07")
            .legacy("bad a\u{9b}2J");
        let log = diagnostic.log_line(&sources);
        assert_eq!(log, r"bad a\x9b2J (not \x07) [file=/etc/x\x0ay] [line=1]");
        let human = diagnostic.human(&sources, false);
        for text in [diagnostic.short(&sources), human.replace('\n', "")] {
            assert!(text.contains(r"`a\x1b[2Jb` is odd"), "{text}");
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn latin_1_and_very_long_lines_are_shown() {
        let mut sources = Sources::default();
        let long = [b"\xfc ".repeat(100_000), b"here".to_vec(), b" \xe4".repeat(100_000)].concat();
        let file = sources.add("/etc/x", long);
        let span = Span { file, start: 200_000, end: 200_004 };
        let text = Diagnostic::error("code", span, "look").human(&sources, false);
        assert!(text.contains("/etc/x:1:200001"), "{text}");
        assert!(text.contains(" here ") && text.len() < 2000, "{text}");
        let caret = text.lines().find(|line| line.contains("^^^^")).unwrap();
        assert!(!caret.contains("^^^^^"), "{text}");
    }
}
