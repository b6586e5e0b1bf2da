//! The options behind a rule (hosts_options(5)): which of them decide, and which cannot be had.

/// What the options of a matching rule come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The rule stands as the file it is in means it.
    None { falls_short: bool },
    /// `allow`
    Grant { falls_short: bool },
    /// `deny`, or something that cannot be evaluated.
    Deny { falls_short: bool },
}

/// Names of syslog(3) that `severity` may have.
const FACILITIES: [&str; 20] = [
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user",
    "uucp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// How an option takes its value.
#[derive(Clone, Copy, Debug)]
enum Value {
    No,
    Optional(fn(&str) -> bool),
    Needed(fn(&str) -> bool),
}

/// What an option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Grant,
    Deny,
    /// It changes nothing about who is let in, and is left undone.
    Undone,
    /// The rule means nothing without it, and it cannot be done.
    Impossible,
}

/// Every option of hosts_options(5): its value, whether it must come last, what it does.
const OPTIONS: [(&str, Value, bool, Deed); 15] = [
    ("allow", Value::No, true, Deed::Grant),
    ("deny", Value::No, true, Deed::Deny),
    ("twist", Value::Needed(any), true, Deed::Impossible),
    ("user", Value::Needed(any), false, Deed::Impossible),
    ("group", Value::Needed(any), false, Deed::Impossible),
    ("umask", Value::Needed(any), false, Deed::Impossible),
    ("setenv", Value::Needed(any), false, Deed::Impossible),
    ("aclexec", Value::Needed(any), false, Deed::Impossible),
    ("severity", Value::Needed(is_severity), false, Deed::Undone),
    ("keepalive", Value::No, false, Deed::Undone),
    ("linger", Value::Needed(is_count), false, Deed::Undone),
    ("rfc931", Value::Optional(is_positive), false, Deed::Undone),
    ("nice", Value::Optional(is_number), false, Deed::Undone),
    ("spawn", Value::Needed(any), false, Deed::Undone),
    ("banners", Value::Needed(any), false, Deed::Undone),
];

const fn any(_: &str) -> bool {
    true
}

/// `LEVEL` or `FACILITY.LEVEL`
fn is_severity(text: &str) -> bool {
    let known = |list: &[&str], word: &str| list.iter().any(|one| one.eq_ignore_ascii_case(word));
    match text.split_once('.') {
        Some((facility, level)) => known(&FACILITIES, facility) && known(&LEVELS, level),
        None => known(&LEVELS, text),
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<i32>().is_ok()
}

fn is_count(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}

fn is_positive(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number > 0)
}

/// What the options of a rule come to. One that libwrap does not know denies, as with libwrap.
pub(super) fn effect(text: &str) -> Effect {
    let mut falls_short = false;
    let fields = fields(text);
    for (position, field) in fields.iter().enumerate() {
        let is_last = position + 1 == fields.len();
        match deed(field, is_last) {
            None | Some(Deed::Impossible) => return Effect::Deny { falls_short: true },
            Some(Deed::Grant) => return Effect::Grant { falls_short },
            Some(Deed::Deny) => return Effect::Deny { falls_short },
            Some(Deed::Undone) => falls_short = true,
        }
    }
    Effect::None { falls_short }
}

/// `None`: there is a mistake in it.
fn deed(field: &str, is_last: bool) -> Option<Deed> {
    let field = field.trim();
    let end = field.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(field.len());
    let (name, rest) = field.split_at_checked(end)?;
    let rest = rest.trim_start();
    let value = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let value = Some(value).filter(|value| !value.is_empty());
    let known = OPTIONS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    let (_, takes, must_be_last, deed) = known?;
    let fits = match (takes, value) {
        (Value::No | Value::Optional(_), None) => true,
        (Value::Optional(is_good) | Value::Needed(is_good), Some(value)) => is_good(value),
        (Value::No, Some(_)) | (Value::Needed(_), None) => false,
    };
    (fits && (is_last || !must_be_last)).then_some(*deed)
}

/// Between colons; `\:` is a colon within.
fn fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, fields.last_mut()) {
            ('\\', Some(field)) if chars.peek() == Some(&':') => {
                chars.next();
                field.push(':');
            }
            (':', _) => fields.push(String::new()),
            (c, Some(field)) => field.push(c),
            (_, None) => {}
        }
    }
    fields
}
