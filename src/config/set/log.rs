//! `log_type`, `log_on_success` and `log_on_failure`.

use crate::config::ast::{Assignment, Word};
use crate::config::code;
use crate::config::read::Reader;
use crate::config::value::{self, Keywords, LogKind, Outcome};
use crate::diag::Diagnostic;
use crate::plan::{FileLog, Level, LogField, LogForm, LogTarget};

type Result = Outcome<()>;

pub(in crate::config) fn log_type(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let kind = value::keyword(line.first(), "a kind of log", value::LOG_KINDS)?;
    let rest = line.values.get(1..).unwrap_or_default();
    if let (LogKind::Json | LogKind::Stdout | LogKind::Stderr | LogKind::Journal, Some(word)) =
        (kind, line.values.first())
    {
        let deed = "does not know this kind of log: it leaves the service out, and in `defaults` \
                    it ends";
        reader.notes.push(Diagnostic::extension("ATTR-11", word.span, deed));
    }
    let target = match (kind, rest) {
        (LogKind::Syslog, [facility]) => syslog(reader, line, facility, None)?,
        (LogKind::Syslog, [facility, level]) => syslog(reader, line, facility, Some(level))?,
        (LogKind::File, [path, sizes @ ..]) if sizes.len() <= 2 => {
            file(reader, LogForm::Text, path, sizes)?
        }
        (LogKind::Json, [path, sizes @ ..]) if sizes.len() <= 2 => {
            file(reader, LogForm::Json, path, sizes)?
        }
        (LogKind::Stdout, []) => LogTarget::Stdout,
        (LogKind::Stderr, []) => LogTarget::Stderr,
        (LogKind::Journal, []) => LogTarget::Journal,
        (LogKind::Syslog, _) => return Err(log_form(line, "SYSLOG FACILITY [LEVEL]")),
        (LogKind::File, _) => return Err(log_form(line, "FILE PATH [SOFT [HARD]]")),
        (LogKind::Json, _) => return Err(log_form(line, "JSON PATH [SOFT [HARD]]")),
        (LogKind::Stdout, _) => {
            return Err(log_form(line, "STDOUT`, or `log_type = JSON /dev/stdout"));
        }
        (LogKind::Stderr, _) => return Err(log_form(line, "STDERR")),
        (LogKind::Journal, _) => return Err(log_form(line, "JOURNAL")),
    };
    reader.draft.log_type = Some(target);
    Ok(())
}

fn file(reader: &mut Reader<'_>, form: LogForm, path: &Word, sizes: &[Word]) -> Outcome<LogTarget> {
    Ok(LogTarget::File(FileLog { form, path: reader.path(path), limits: file_limits(sizes)? }))
}

fn log_form(line: &Assignment, form: &str) -> Box<Diagnostic> {
    let message = "the words of `log_type` do not fit together";
    let note = Diagnostic::error(code::WRONG_COUNT, line.values_span(), message);
    Box::new(note.help(format!("write `log_type = {form}`")))
}

/// Of two mistakes both are reported.
fn syslog(
    reader: &mut Reader<'_>,
    line: &Assignment,
    facility: &Word,
    level: Option<&Word>,
) -> Outcome<LogTarget> {
    let facility = value::keyword(facility, "a syslog facility", value::FACILITIES);
    let level = level.map(|level| value::keyword(level, "a syslog level", value::LEVELS));
    match (facility, level.unwrap_or(Ok(Level::Info))) {
        (Ok(facility), Ok(level)) => Ok(LogTarget::Syslog { facility, level }),
        (Err(first), Err(second)) => {
            reader.refuse("log_type", line, *first);
            Err(second)
        }
        (Err(only), Ok(_)) | (Ok(_), Err(only)) => Err(only),
    }
}

/// ATTR-52: hard is soft and one percent, but at least 5 KiB and at most 20 KiB more.
fn file_limits(sizes: &[Word]) -> Outcome<Option<(u64, u64)>> {
    let mut sizes = sizes.iter();
    let Some(word) = sizes.next() else { return Ok(None) };
    let soft = value::size(word)?;
    let hard = match sizes.next() {
        Some(word) => {
            let hard = value::size(word)?;
            if hard < soft {
                let message = "the hard limit is below the soft one";
                return Err(Box::new(Diagnostic::error(code::LIMITS_REVERSED, word.span, message)));
            }
            hard
        }
        None => soft.saturating_add((soft / 100).clamp(5 * 1024, 20 * 1024)),
    };
    Ok((soft > 0).then_some((soft, hard)))
}

pub(in crate::config) fn log_on_success(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let fields = fields(reader, "log_on_success", line, value::SUCCESS_FIELDS);
    let operator = reader.operator(line);
    reader.draft.on_success.push(operator, fields);
    Ok(())
}

/// ATTR-40: RECORD was taken out of xinetd, but not out of everybody's files.
pub(in crate::config) fn log_on_failure(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let (record, rest): (Vec<_>, Vec<_>) =
        line.values.iter().cloned().partition(|word| word.is("RECORD"));
    for word in record {
        let message = "RECORD was removed from xinetd; the word is ignored";
        let note = Diagnostic::warning(code::HISTORIC_WORD, word.span, message)
            .legacy("Bad log_on_failure flag: RECORD")
            .differs(
                "ATTR-40",
                "takes RECORD for a mistake: it leaves the service out, and in `defaults` it ends",
            );
        reader.notes.push(note);
    }
    let line = Assignment { values: rest, ..line.clone() };
    let fields = fields(reader, "log_on_failure", &line, value::FAILURE_FIELDS);
    let operator = reader.operator(&line);
    reader.draft.on_failure.push(operator, fields);
    Ok(())
}

fn fields(
    reader: &mut Reader<'_>,
    name: &'static str,
    line: &Assignment,
    keywords: Keywords<LogField>,
) -> Vec<LogField> {
    let read = |word: &Word| {
        value::keyword(word, "a log option", keywords).map_err(|mut note| {
            if word.is("RECORD") {
                let history = "RECORD was a word of `log_on_failure`; xinetd has it no more";
                note.help = Some(history.into());
            }
            note
        })
    };
    let fields = reader.each(name, line, read);
    fields.into_iter().map(|at| at.value).collect()
}
