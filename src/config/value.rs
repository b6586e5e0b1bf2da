//! Leaves: one word into a number, a limit, a keyword; with the words a value can be.

use std::ops::RangeInclusive;

use crate::config::ast::Word;
use crate::config::code;
use crate::config::near::nearest;
use crate::diag::Diagnostic;
use crate::plan::{DenyTime, Facility, Level, Limit, LogField, RateAction, SocketType, Stderr};

/// A value, or why it is refused. Boxed, because it is seldom and large.
pub(super) type Outcome<T> = Result<T, Box<Diagnostic>>;

/// One word of `type` (ATTR-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceType {
    Rpc,
    Internal,
    Unlisted,
    Special,
    Tcpmux,
    TcpmuxPlus,
}

/// One word of `flags` (ATTR-22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Reuse,
    Intercept,
    NoRetry,
    IdOnly,
    NameInArgs,
    NoDelay,
    KeepAlive,
    NoLibwrap,
    Sensor,
    Ipv4,
    Ipv6,
    Labeled,
}

/// The first word of `log_type` (ATTR-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogKind {
    Syslog,
    File,
    Json,
    Stdout,
    Stderr,
    Journal,
}

/// The words an attribute knows, as they are usually written; capitals do not count (PARSE-27).
pub(super) type Keywords<T> = &'static [(&'static str, T)];

pub(super) const YES_NO: Keywords<bool> = &[("yes", true), ("no", false)];

pub(super) const SOCKET_TYPES: Keywords<SocketType> = &[
    ("stream", SocketType::Stream),
    ("dgram", SocketType::Dgram),
    ("raw", SocketType::Raw),
    ("seqpacket", SocketType::SeqPacket),
];

pub(super) const SERVICE_TYPES: Keywords<ServiceType> = &[
    ("RPC", ServiceType::Rpc),
    ("INTERNAL", ServiceType::Internal),
    ("UNLISTED", ServiceType::Unlisted),
    ("SPECIAL", ServiceType::Special),
    ("TCPMUX", ServiceType::Tcpmux),
    ("TCPMUXPLUS", ServiceType::TcpmuxPlus),
];

pub(super) const FLAGS: Keywords<Flag> = &[
    ("REUSE", Flag::Reuse),
    ("INTERCEPT", Flag::Intercept),
    ("NORETRY", Flag::NoRetry),
    ("IDONLY", Flag::IdOnly),
    ("NAMEINARGS", Flag::NameInArgs),
    ("NODELAY", Flag::NoDelay),
    ("KEEPALIVE", Flag::KeepAlive),
    ("NOLIBWRAP", Flag::NoLibwrap),
    ("SENSOR", Flag::Sensor),
    ("IPv4", Flag::Ipv4),
    ("IPv6", Flag::Ipv6),
    ("LABELED", Flag::Labeled),
];

pub(super) const SUCCESS_FIELDS: Keywords<LogField> = &[
    ("PID", LogField::Pid),
    ("HOST", LogField::Host),
    ("USERID", LogField::UserId),
    ("EXIT", LogField::Exit),
    ("DURATION", LogField::Duration),
    ("TRAFFIC", LogField::Traffic),
];

pub(super) const FAILURE_FIELDS: Keywords<LogField> =
    &[("HOST", LogField::Host), ("USERID", LogField::UserId), ("ATTEMPT", LogField::Attempt)];

pub(super) const LOG_KINDS: Keywords<LogKind> = &[
    ("SYSLOG", LogKind::Syslog),
    ("FILE", LogKind::File),
    ("JSON", LogKind::Json),
    ("STDOUT", LogKind::Stdout),
    ("STDERR", LogKind::Stderr),
    ("JOURNAL", LogKind::Journal),
];

pub(super) const STDERRS: Keywords<Stderr> =
    &[("socket", Stderr::Socket), ("log", Stderr::Log), ("null", Stderr::Null)];

pub(super) const RATE_ACTIONS: Keywords<RateAction> =
    &[("pause", RateAction::Pause), ("pace", RateAction::Pace)];

/// ATTR-51
pub(super) const FACILITIES: Keywords<Facility> = &[
    ("daemon", Facility::Daemon),
    ("auth", Facility::Auth),
    ("authpriv", Facility::Authpriv),
    ("user", Facility::User),
    ("mail", Facility::Mail),
    ("lpr", Facility::Lpr),
    ("news", Facility::News),
    ("uucp", Facility::Uucp),
    ("ftp", Facility::Ftp),
    ("local0", Facility::Local(0)),
    ("local1", Facility::Local(1)),
    ("local2", Facility::Local(2)),
    ("local3", Facility::Local(3)),
    ("local4", Facility::Local(4)),
    ("local5", Facility::Local(5)),
    ("local6", Facility::Local(6)),
    ("local7", Facility::Local(7)),
];

/// ATTR-51
pub(super) const LEVELS: Keywords<Level> = &[
    ("emerg", Level::Emerg),
    ("alert", Level::Alert),
    ("crit", Level::Crit),
    ("err", Level::Err),
    ("warning", Level::Warning),
    ("notice", Level::Notice),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

/// Largest count: what the original keeps in an `int` (NUM-1).
pub(super) const COUNT: RangeInclusive<i64> = 0..=2_147_483_647;

/// One of `keywords`; `what` names the kind of word in the message ("a flag").
///
/// # Errors
/// Names the nearest keyword, or all of them.
pub(super) fn keyword<T: Copy>(word: &Word, what: &str, keywords: Keywords<T>) -> Outcome<T> {
    if let Some((_, value)) = keywords.iter().find(|(name, _)| word.is(name)) {
        return Ok(*value);
    }
    let text = word.text();
    let names = || keywords.iter().map(|(name, _)| *name);
    let help = match nearest(&text, names()) {
        _ if text.starts_with('#') => COMMENT.into(),
        _ if text.contains(',') => COMMA.into(),
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("one of: {}", names().collect::<Vec<_>>().join(", ")),
    };
    let message = format!("`{text}` is not {what}");
    Err(Box::new(Diagnostic::error(code::UNKNOWN_WORD, word.span, message).help(help)))
}

/// What to say about a word that was meant as a comment (PARSE-3).
pub(super) const COMMENT: &str = "`#` begins a comment only at the beginning of a line";

/// What to say about words with commas between them (PARSE-4).
pub(super) const COMMA: &str = "separate words by blanks, not by commas";

/// `yes` or `no`.
///
/// # Errors
/// For any other word.
pub(super) fn yes_no(word: &Word) -> Outcome<bool> {
    keyword(word, "`yes` or `no`", YES_NO)
}

/// A decimal number with an optional sign, within `range` (NUM-1).
///
/// # Errors
/// When it is none, or out of range.
pub(super) fn number(word: &Word, range: &RangeInclusive<i64>) -> Outcome<i64> {
    let text = word.text();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ if numeric => {
            let message = format!("{text} is out of range");
            let help = format!("from {} to {}", range.start(), range.end());
            let note = bad_number(word, message).map_help(help);
            if text.starts_with('-') || *range != COUNT {
                return Err(note);
            }
            Err(Box::new(note.differs("NUM-1", "cuts the number to 32 bits")))
        }
        _ => Err(bad_number(word, format!("`{text}` is not a number"))),
    }
}

/// [`number`], as the type it is kept in.
///
/// # Errors
/// As [`number`], and when the type cannot hold it.
pub(super) fn count<T: TryFrom<i64>>(word: &Word, range: &RangeInclusive<i64>) -> Outcome<T> {
    let number = number(word, range)?;
    T::try_from(number).map_err(|_| bad_number(word, format!("{number} is out of range")))
}

/// [`count`] and [`size`] where the original reads an unsigned number, and so takes a
/// negative one for a very large one (NUM-1).
///
/// # Errors
/// As `outcome`, which is what became of `word`.
pub(super) fn unsigned<T>(word: &Word, outcome: Outcome<T>) -> Outcome<T> {
    let negative = matches!(word.bytes.as_slice(), [b'-', digits @ ..]
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
    outcome.map_err(|note| match negative {
        true => Box::new(note.differs("NUM-1", "takes the number for a very large one")),
        false => note,
    })
}

/// A number from 0, or `UNLIMITED` (ATTR-8).
///
/// # Errors
/// For anything else.
pub(super) fn limit(word: &Word) -> Outcome<Limit> {
    if word.is("UNLIMITED") {
        return Ok(Limit::Unlimited);
    }
    count(word, &COUNT).map(Limit::Max).map_err(|note| note.map_help("a number or UNLIMITED"))
}

/// Bytes, with `K` or `M` behind the number if wanted (NUM-2).
///
/// # Errors
/// For anything else, `G` included, and on overflow.
pub(super) fn size(word: &Word) -> Outcome<u64> {
    let (digits, unit) = match word.bytes.as_slice() {
        [digits @ .., b'k' | b'K'] => (digits, 1024),
        [digits @ .., b'm' | b'M'] => (digits, 1024 * 1024),
        digits => (digits, 1),
    };
    let digits = Word { bytes: digits.to_vec(), span: word.span };
    let number: u64 = count(&digits, &(0..=i64::MAX))
        .map_err(|_| bad_size(word, format!("`{}` is not a size", word.text())))?;
    number
        .checked_mul(unit)
        .filter(|size| i64::try_from(*size).is_ok())
        .ok_or_else(|| bad_size(word, format!("{} is too large", word.text())))
}

/// Minutes, `FOREVER` (or -1) or `NEVER` (or 0) (SENS-3).
///
/// # Errors
/// For anything else; NUM-1 for other negative numbers.
pub(super) fn deny_time(word: &Word) -> Outcome<DenyTime> {
    if word.is("FOREVER") {
        return Ok(DenyTime::Forever);
    }
    if word.is("NEVER") {
        return Ok(DenyTime::Never);
    }
    match number(word, &(-1..=*COUNT.end())) {
        Ok(-1) => Ok(DenyTime::Forever),
        Ok(0) => Ok(DenyTime::Never),
        Ok(_) => count(word, &COUNT).map(DenyTime::Minutes),
        Err(note) => Err(note.map_help("a number of minutes, FOREVER or NEVER")),
    }
}

/// `N` or `N-M`, with N not above M (ATTR-16).
///
/// # Errors
/// For anything else.
pub(super) fn versions(word: &Word) -> Outcome<RangeInclusive<u32>> {
    let text = word.text();
    let (first, last) = text.split_once('-').unwrap_or((&text, &text));
    let part = |text: &str| count(&Word { bytes: text.into(), span: word.span }, &COUNT);
    match (part(first), part(last)) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => {
            let message = format!("`{text}` is not a version, or a range of versions");
            let note = bad_number(word, message).map_help("write `2`, or `1-3`");
            Err(Box::new(note.legacy(format!("bad version range: {text}"))))
        }
    }
}

/// An octal file mode mask from 0 to 0777 (ATTR-36).
///
/// # Errors
/// For anything else.
pub(super) fn umask(word: &Word) -> Outcome<u32> {
    let text = word.text();
    match u32::from_str_radix(&text, 8) {
        Ok(mask @ 0..=0o777) if !text.starts_with('+') => Ok(mask),
        _ => {
            let message = format!("`{text}` is not an octal number from 0 to 777");
            Err(bad_number(word, message))
        }
    }
}

fn bad_number(word: &Word, message: String) -> Box<Diagnostic> {
    let comment = word.bytes.starts_with(b"#").then(|| COMMENT.to_owned());
    Box::new(Diagnostic::error(code::BAD_NUMBER, word.span, message).maybe_help(comment))
}

fn bad_size(word: &Word, message: String) -> Box<Diagnostic> {
    bad_number(word, message).map_help("a number of bytes, or with K or M behind it")
}

/// Adds help to a boxed diagnostic.
trait MapHelp {
    fn map_help(self, help: impl Into<String>) -> Self;
}

impl MapHelp for Box<Diagnostic> {
    fn map_help(mut self, help: impl Into<String>) -> Self {
        self.help.get_or_insert_with(|| help.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;

    fn word(text: &str) -> Word {
        Word { bytes: text.into(), span: Span::default() }
    }

    #[test]
    fn numbers_are_decimal_with_an_optional_sign() {
        for (text, wanted) in [
            ("5", Some(5)),
            ("+5", Some(5)),
            ("0", Some(0)),
            ("-1", None),
            ("5x", None),
            ("", None),
            ("+", None),
            ("0x5", None),
            ("2147483648", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(number(&word(text), &COUNT).ok(), wanted, "NUM-1: {text}");
        }
        let far = number(&word("99999999999999999999"), &COUNT).unwrap_err();
        assert_eq!(far.message, "99999999999999999999 is out of range");
    }

    #[test]
    fn a_limit_is_a_number_or_unlimited_in_any_case() {
        assert_eq!(limit(&word("unlimited")).unwrap(), Limit::Unlimited);
        assert_eq!(limit(&word("0")).unwrap(), Limit::Max(0));
        let refused = limit(&word("4294967297")).unwrap_err();
        assert_eq!(refused.help.as_deref(), Some("from 0 to 2147483647"), "NUM-1");
    }

    #[test]
    fn sizes_take_k_and_m_but_not_g() {
        for (text, wanted) in [
            ("100", Some(100)),
            ("5K", Some(5120)),
            ("2m", Some(2_097_152)),
            ("10G", None),
            ("K", None),
            ("-1", None),
            ("9223372036854775807", Some(9_223_372_036_854_775_807)),
            ("9007199254740992K", None),
            ("9223372036854775807M", None),
        ] {
            assert_eq!(size(&word(text)).ok(), wanted, "NUM-2: {text}");
        }
    }

    #[test]
    fn umasks_are_octal() {
        for (text, wanted) in
            [("022", Some(0o22)), ("0777", Some(0o777)), ("1000", None), ("8", None), ("-1", None)]
        {
            assert_eq!(umask(&word(text)).ok(), wanted, "ATTR-36: {text}");
        }
    }

    #[test]
    fn keywords_are_known_in_any_case_and_misspelt_ones_guessed() {
        assert_eq!(keyword(&word("ipV6"), "a flag", FLAGS).unwrap(), Flag::Ipv6, "PARSE-27");
        let refused = keyword(&word("NODELEY"), "a flag", FLAGS).unwrap_err();
        assert_eq!(refused.help.as_deref(), Some("did you mean `NODELAY`?"));
        let refused = keyword(&word("REUSE,NODELAY"), "a flag", FLAGS).unwrap_err();
        assert_eq!(refused.help.as_deref(), Some(COMMA));
        let refused = yes_no(&word("perhaps")).unwrap_err();
        assert_eq!(refused.help.as_deref(), Some("one of: yes, no"));
    }
}
