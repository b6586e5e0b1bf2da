//! `access_times` and `max_load`.

use crate::config::ast::{Assignment, Word};
use crate::config::code;
use crate::config::read::Reader;
use crate::config::value::{self, Outcome};
use crate::diag::Diagnostic;
use crate::plan::{Hours, Interval, Load};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// ATTR-14, TIME-1
pub(in crate::config) fn access_times(reader: &mut Reader<'_>, line: &Assignment) -> Outcome<()> {
    let intervals = reader.each("access_times", line, interval);
    for at in intervals.iter().filter(|at| at.value.last == DAY) {
        let deed = "rejects `24:00`, and leaves the service out";
        reader.notes.push(Diagnostic::difference("TIME-2", at.span, deed));
    }
    let intervals = intervals.into_iter().map(|at| at.value).collect();
    reader.draft.hours = Some(Hours::new(intervals));
    Ok(())
}

fn interval(word: &Word) -> Outcome<Interval> {
    let text = word.text();
    let bad = |legacy: &str, message: String, help: Option<String>| {
        let help = help.or_else(|| word.bytes.starts_with(b"#").then(|| value::COMMENT.into()));
        let note = Diagnostic::error(code::BAD_INTERVAL, word.span, message).maybe_help(help);
        Box::new(note.legacy(format!("{legacy} time interval: {text}")))
    };
    let parts = text.split_once('-').and_then(|(from, to)| Some((time(from)?, time(to)?)));
    let Some((from, to)) = parts else {
        let message = format!("`{text}` is not an interval of the form HOUR:MIN-HOUR:MIN");
        let help = text.contains(',').then(|| value::COMMA.into());
        return Err(bad("incorrect", message, help));
    };
    let (Some(first), Some(last)) = (minute(from), minute(to)) else {
        let message =
            format!("`{text}`: hours are 0 to 23, minutes 0 to 59, and the end may be 24:00");
        return Err(bad("invalid", message, None));
    };
    if first < last {
        return Ok(Interval { first, last });
    }
    let message = format!("`{text}` does not end after it begins");
    let help = (first > last).then(|| {
        let evening = Interval { first, last: DAY };
        match last {
            0 => format!("an interval ends on the same day: `{evening}`"),
            _ => format!("over midnight: `{evening} {}`", Interval { first: 0, last }),
        }
    });
    Err(bad("invalid", message, help))
}

/// Hours and minutes, in as many digits as anybody likes.
fn time(text: &str) -> Option<(u32, u32)> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let (hours, minutes) = text.split_once(':')?;
    Some((number(hours)?, number(minutes)?))
}

/// The minute since midnight; the last one of the day may be written 24:00 (TIME-2).
fn minute((hours, minutes): (u32, u32)) -> Option<u16> {
    let good = hours < 24 && minutes < 60 || (hours, minutes) == (24, 0);
    good.then(|| u16::try_from(hours * 60 + minutes).ok())?
}

/// ATTR-31, LIM-4
pub(in crate::config) fn max_load(reader: &mut Reader<'_>, line: &Assignment) -> Outcome<()> {
    let word = line.first();
    let text = word.text();
    let number = decimal(&text);
    let Some(load) = number.parse().ok().map(in_thousandths).filter(|load| *load != Load(0)) else {
        let comment = text.starts_with('#').then(|| value::COMMENT.to_owned());
        let message = format!("`{text}` is not a load: a number, not 0");
        let note = Diagnostic::error(code::BAD_NUMBER, word.span, message)
            .maybe_help(comment)
            .help("for instance `2.5`: clients are refused from that load average on")
            .legacy(format!("error parsing max_load argument: {text}"));
        let note = if is_strange(&text) {
            note.differs("ATTR-31", "takes this for a number")
        } else {
            note
        };
        return Err(Box::new(note));
    };
    let effect = if number.len() < text.len() {
        Some(format!("`{text}` is read as `{number}`"))
    } else {
        (load < Load(0)).then(|| format!("no load is below {text}: every client is refused"))
    };
    reader.notes.extend(effect.map(|message| {
        let help = text.contains(',').then(|| format!("write `{}`", text.replace(',', ".")));
        Diagnostic::warning(code::SURPRISING_LOAD, word.span, message).maybe_help(help)
    }));
    reader.draft.max_load = Some(load);
    Ok(())
}

/// What else strtod(3) reads: infinity, not a number, hexadecimal.
fn is_strange(text: &str) -> bool {
    let plain = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let hexadecimal = plain.strip_prefix("0x");
    hexadecimal.is_some_and(|digits| digits.contains(|c: char| ('1'..='f').contains(&c)))
        || plain.starts_with("inf")
        || plain.starts_with("nan")
}

/// The number at the beginning of `text`, as strtod(3) finds it: what follows is not looked at.
fn decimal(text: &str) -> &str {
    let number = nom::number::complete::recognize_float::<&str, nom::error::Error<&str>>(text);
    number.map_or("", |(_, number)| number)
}

/// Never 0 for another number: what is above 0 is not below every load.
fn in_thousandths(load: f64) -> Load {
    let thousandths = (load * 1000.0).ceil();
    #[expect(clippy::cast_possible_truncation, reason = "`as` ends at the ends of the type")]
    Load(if load < 0.0 { thousandths.min(-1.0) } else { thousandths } as i64)
}
