//! inetd.conf (`-inetd_compat`): each line becomes the entry that would say the same.
//!
//! From there on it is like any other entry. Its attributes stand where the fields stand
//! that they were made of, so every message has its place.

use std::io;
use std::path::Path;

use crate::config::ast::{Assignment, Body, Ending, Operator, Word};
use crate::config::code;
use crate::config::lex::{Line, Lines};
use crate::config::parse::{KEPT, unlike_text};
use crate::config::source::{self, Entry, Files};
use crate::config::value::COMMENT;
use crate::diag::{Diagnostic, Span};

/// Internal services whose id ends in `-dgram`, also that of the stream service (INETD-5).
const WITH_DGRAM_ID: [&[u8]; 4] = [b"echo", b"time", b"daytime", b"chargen"];

/// What a line must have behind its name, and how the original complains (INETD-7).
const FIELDS: [(&str, Option<&str>); 5] = [
    ("socket type", Some("inetd.conf - Invalid socket type")),
    ("protocol", None), // it crashes
    ("`wait` or `nowait`", Some("inetd.conf - No value specified for wait")),
    ("user", Some("inetd.conf - No value specified for user")),
    ("server", Some("inetd.conf - No value specified for user")),
];

/// Reads `path` behind all other files (CLI-14).
///
/// A file that is not there is worth a note only: Debian starts the daemon with this option
/// on machines that never had one.
pub(super) fn read(path: &Path, files: &mut Files, notes: &mut Vec<Diagnostic>) {
    let bytes = match source::contents(path, source::MOST_BYTES) {
        Ok((bytes, _)) => bytes,
        Err(error) => return unread(path, &error, files, notes),
    };
    let file = files.sources.add(path, bytes);
    files.inetd = Some(file);
    let text = files.sources.bytes(file);
    if let Some(note) = unlike_text(file, text) {
        notes.push(note);
        files.incomplete = true;
        return;
    }
    let lines = Lines::new(file, text);
    notes.extend(carriage_return(lines.end(), text));
    files.entries.extend(lines.filter_map(|line| entry(&line, notes)));
}

fn unread(path: &Path, error: &io::Error, files: &mut Files, notes: &mut Vec<Diagnostic>) {
    let word = source::on_command_line(&mut files.sources, "-inetd_compat ", path);
    let path = path.display();
    if error.kind() == io::ErrorKind::NotFound {
        let message = format!("there is no {path}: only xinetd.conf is read");
        notes.push(Diagnostic::note(code::NO_INETD_CONF, word.span, message));
        return;
    }
    files.incomplete = true;
    let message = format!("cannot read {path}: {error}; {KEPT}");
    notes.push(Diagnostic::error(code::UNREADABLE, word.span, message));
}

/// PARSE-5: of all lines that end in a CR, the first.
fn carriage_return(end: Span, text: &[u8]) -> Option<Diagnostic> {
    let at = text.windows(2).position(|pair| pair == b"\r\n")?;
    let start = u32::try_from(at).ok()?;
    let deed = "takes the CR at the end of each line for a part of the last word";
    Some(Diagnostic::difference("PARSE-5", Span { start, end: start, ..end }, deed))
}

/// The entry that stands for `line`. A faulty line is a broken one: a reload has to know
/// that its service is not gone.
fn entry(line: &Line<'_>, notes: &mut Vec<Diagnostic>) -> Option<Entry> {
    let words = line.words();
    let (first, rest) = words.split_first()?;
    let (name, versions) = cut(first, b'/');
    let body = match (line.nul(), rest) {
        (None, [socket_type, protocol, wait, user, server, args @ ..]) => {
            let name = &name;
            let fields = Fields { name, versions, socket_type, protocol, wait, user, server, args };
            fields.body(notes)
        }
        (nul, rest) => {
            let note = nul.map_or_else(|| short(line, &name, rest.len()), |at| zero(at, &name));
            broken(note, notes)
        }
    };
    Some(Entry::Service { name, body })
}

fn broken(note: Diagnostic, notes: &mut Vec<Diagnostic>) -> Body {
    notes.push(note);
    Body { ending: Ending::Broken, ..Body::default() }
}

/// INETD-7
fn short(line: &Line<'_>, name: &Word, fields: usize) -> Diagnostic {
    let (missing, legacy) = FIELDS.get(fields).copied().unwrap_or_default();
    let name = name.text();
    let message = format!("the line of `{name}` has no {missing}; it is left out");
    let note = Diagnostic::error(code::SHORT_LINE, line.span(), message)
        .help("write NAME SOCKET_TYPE PROTOCOL WAIT USER SERVER ARGUMENT...");
    match legacy {
        Some(legacy) => note.legacy(format!("{legacy}; `{name}` is left out")),
        None => note.differs("INETD-7", "crashes when it comes to this line"),
    }
}

fn zero(at: Span, name: &Word) -> Diagnostic {
    let message = format!("a zero byte; the line of `{}` is left out", name.text());
    Diagnostic::error(code::MALFORMED_LINE, at, message).help("is this a text file?")
}

/// The fields of a line (INETD-1).
struct Fields<'w> {
    name: &'w Word,
    /// What stands behind the `/` of the name: the versions of an RPC service.
    versions: Option<Word>,
    socket_type: &'w Word,
    protocol: &'w Word,
    wait: &'w Word,
    user: &'w Word,
    server: &'w Word,
    /// `argv[0]` first.
    args: &'w [Word],
}

impl Fields<'_> {
    /// What an entry of xinetd.conf would say.
    fn body(&self, notes: &mut Vec<Diagnostic>) -> Body {
        let internal = self.server.is("internal");
        if internal && self.name.bytes == b"discard" {
            return broken(no_discard(self.name), notes);
        }
        let (user, group) = cut(self.user, b'.');
        let mut lines = vec![
            set("socket_type", self.socket_type.clone()),
            set("wait", wait(self.wait, notes)),
            set("user", user),
            set("groups", made("yes", self.name.span)),
        ];
        lines.extend(group.map(|group| set("group", group)));
        let mut types = Vec::new();
        self.protocol(&mut lines, &mut types, notes);
        if internal {
            types.push(self.server.clone());
            if WITH_DGRAM_ID.contains(&self.name.bytes.as_slice()) {
                let id = format!("{}-dgram", self.name.text());
                lines.push(set("id", made(&id, self.name.span)));
            }
        } else {
            self.server(&mut lines, notes);
        }
        lines.extend(list("type", types));
        Body { lines, ..Body::default() }
    }

    /// INETD-9: `rpc/udp` is the protocol of an RPC service, and its name has versions.
    fn protocol(
        &self,
        lines: &mut Vec<Assignment>,
        types: &mut Vec<Word>,
        notes: &mut Vec<Diagnostic>,
    ) {
        let (rpc, protocol) = match cut(self.protocol, b'/') {
            (rpc, Some(protocol)) if rpc.is("rpc") => (Some(rpc), protocol),
            _ => (None, self.protocol.clone()),
        };
        lines.push(set("protocol", protocol));
        match (rpc, &self.versions) {
            (Some(rpc), versions) => {
                let deed = "leaves RPC services of inetd.conf out, without a message";
                notes.push(Diagnostic::difference("INETD-9", rpc.span, deed));
                types.push(made("RPC", rpc.span));
                lines.extend(versions.clone().map(|versions| set("rpc_version", versions)));
            }
            (None, Some(versions)) => {
                let message =
                    format!("`/{}` is ignored: only RPC services have versions", versions.text());
                let help = "write the protocol as `rpc/udp` or `rpc/tcp`, or remove the versions";
                let note = Diagnostic::warning(code::NO_EFFECT, versions.span, message);
                notes.push(note.help(help));
            }
            (None, None) => {}
        }
    }

    /// INETD-3
    fn server(&self, lines: &mut Vec<Assignment>, notes: &mut Vec<Diagnostic>) {
        let mut flags = vec![made("NOLIBWRAP", self.name.span)];
        lines.push(set("server", self.server.clone()));
        if self.args.is_empty() {
            let deed = "starts the server without even its name as `argv[0]`";
            notes.push(Diagnostic::difference("INETD-1", self.server.span, deed));
        } else {
            flags.push(made("NAMEINARGS", self.name.span));
        }
        lines.extend(list("server_args", self.args.to_vec()));
        lines.extend(list("flags", flags));
        let comment = self.args.iter().find(|word| word.bytes.starts_with(b"#"));
        if let (Some(comment), Some(last)) = (comment, self.args.last()) {
            let span = Span { end: last.span.end, ..comment.span };
            let message = "this is no comment: the server gets it as arguments";
            let note = Diagnostic::warning(code::COMMENT_AS_VALUE, span, message);
            notes.push(note.help(COMMENT));
        }
    }
}

/// INETD-5
fn no_discard(name: &Word) -> Diagnostic {
    let message = "inetd.conf has no internal `discard`; it is left out";
    Diagnostic::error(code::UNKNOWN_INTERNAL, name.span, message)
        .help("write a service `discard` with `type = INTERNAL` in xinetd.conf")
        .legacy("inetd.conf - service discard not supported")
}

/// INETD-2: `yes` for `wait`; whatever it is else, it is taken as `nowait`.
fn wait(word: &Word, notes: &mut Vec<Diagnostic>) -> Word {
    if word.is("wait") || word.is("nowait") {
        return made(if word.is("wait") { "yes" } else { "no" }, word.span);
    }
    let text = word.text();
    let limit = ['.', '/', ':'].into_iter().find_map(|mark| text.split_once(mark));
    let note = match limit.filter(|(word, _)| word.eq_ignore_ascii_case("nowait")) {
        Some((_, limit)) => {
            let message =
                format!("`{text}` is taken as `nowait`: the limit of {limit} is NOT in force");
            let help = "move the service to xinetd.conf (`xinetctl convert`), and set `cps` there";
            Diagnostic::warning(code::NOWAIT_LIMIT, word.span, message)
                .help(help)
                .not_in_force(Some("nowait.N"))
        }
        None => {
            let message =
                format!("`{text}` is neither `wait` nor `nowait`: it is taken as `nowait`");
            Diagnostic::warning(code::UNKNOWN_WORD, word.span, message)
        }
    };
    notes.push(note.legacy(format!("inetd.conf - Bad value for wait: {text}")));
    made("no", word.span)
}

/// The way out of a mistake, where a line of inetd.conf has another one than an entry.
pub(super) fn reword(note: &mut Diagnostic) {
    let help = match note.code {
        code::UNKNOWN_SERVICE => {
            "add the name to services(5), or rpc(5); addresses and port numbers are for xinetd.conf"
        }
        code::UNKNOWN_USER | code::UNKNOWN_GROUP => {
            "write USER or USER.GROUP, by name; numbers and `USER:GROUP` are not understood"
        }
        code::UNKNOWN_PROTOCOL => "write `tcp` or `udp`; the family is for xinetd.conf",
        code::MISSING_ATTRIBUTE => "write the versions behind the name: `NAME/1-3`",
        code::DUPLICATE => "remove one of the two",
        code::CONTRADICTION if note.is_about("CHK-14") => "write `wait`",
        _ => return,
    };
    note.help = Some(help.into());
}

/// `word` up to the first `mark`, and what follows that.
fn cut(word: &Word, mark: u8) -> (Word, Option<Word>) {
    let Some(at) = word.bytes.iter().position(|byte| *byte == mark) else {
        return (word.clone(), None);
    };
    let (front, back) = word.bytes.split_at(at);
    let Span { file, start, end } = word.span;
    let middle = start.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
    let part =
        |bytes: &[u8], start, end| Word { bytes: bytes.into(), span: Span { file, start, end } };
    let back = back.get(1..).unwrap_or_default();
    (part(front, start, middle), Some(part(back, middle.saturating_add(1).min(end), end)))
}

/// A word that is not written, but meant at `span`.
fn made(text: &str, span: Span) -> Word {
    Word { bytes: text.into(), span }
}

fn set(name: &str, value: Word) -> Assignment {
    let span = value.span;
    Assignment {
        name: made(name, span),
        operator: Operator::Set,
        operator_span: span,
        values: vec![value],
    }
}

/// A line with all of `values`, if there are any.
fn list(name: &str, values: Vec<Word>) -> Option<Assignment> {
    let first = values.first()?.clone();
    Some(Assignment { values, ..set(name, first) })
}
