//! What each attribute does with its values; the table in `attr` names these functions.

mod access;
mod bind;
mod hours;
mod log;
mod redirect;

pub(super) use access::{meaning, no_access, only_from};
pub(super) use bind::{bind, socket_group, socket_mode, socket_user};
pub(super) use hours::{access_times, max_load};
pub(super) use log::{log_on_failure, log_on_success, log_type};
pub(super) use redirect::{is_whole, redirect};

use std::path::{Path, PathBuf};

use crate::config::ast::{Assignment, Operator, Word};
use crate::config::code;
use crate::config::draft::{Account, At, Draft, NamedProtocol};
use crate::config::read::{Reader, Section};
use crate::config::value::{self, Outcome};
use crate::diag::Diagnostic;
use crate::plan::{Protocol, RateLimit, Resource, Rlimit, SourcePrefix};

/// Largest number of a user or group; the one above means "none" to the system.
const ID: std::ops::RangeInclusive<i64> = 0..=4_294_967_294;

type Result = Outcome<()>;

pub(super) fn id(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.id = Some(line.first().text().into_owned());
    Ok(())
}

pub(super) fn types(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let read = |word: &Word| value::keyword(word, "a type of service", value::SERVICE_TYPES);
    reader.draft.types = reader.each("type", line, read);
    Ok(())
}

pub(super) fn flags(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let read = |word: &Word| value::keyword(word, "a flag", value::FLAGS);
    reader.draft.flags = reader.each("flags", line, read);
    Ok(())
}

pub(super) fn socket_type(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let word = line.first();
    let value = value::keyword(word, "a socket type", value::SOCKET_TYPES)?;
    reader.draft.socket_type = Some(At { value, span: word.span });
    Ok(())
}

/// Names that are known even where protocols(5) does not exist.
const PROTOCOLS: [(&str, Protocol); 2] = [("tcp", Protocol::TCP), ("udp", Protocol::UDP)];

pub(super) fn protocol(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let word = line.first();
    let name = word.text();
    let known = || PROTOCOLS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let Some(number) = reader.lookup.protocol(&name).map(Protocol).or_else(known) else {
        let message = format!("`{name}` is not a protocol of protocols(5)");
        let help = match name.as_ref() {
            "tcp6" | "tcp4" => "write `protocol = tcp` and `flags = IPv6` or `IPv4`",
            _ => "most services use `tcp` or `udp`",
        };
        let note = Diagnostic::error(code::UNKNOWN_PROTOCOL, word.span, message)
            .help(help)
            .legacy(format!("Protocol {name} not in /etc/protocols"));
        return Err(Box::new(note));
    };
    let value = NamedProtocol { name: name.into_owned(), number };
    reader.draft.protocol = Some(At { value, span: word.span });
    Ok(())
}

pub(super) fn wait(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let word = line.first();
    reader.draft.waits = Some(At { value: value::yes_no(word)?, span: word.span });
    Ok(())
}

/// ATTR-46, ATTR-47: a number takes its passwd(5) entry along, if it has one.
pub(super) fn user(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let word = line.first();
    let account = account(reader, word)?;
    if let Account::Known(user) = &account
        && user.gid != user.uid
        && is_number(reader, word)
    {
        let uid = user.uid;
        let deed = format!("runs the server with group {uid}, unless there is a `group`");
        reader.notes.push(Diagnostic::difference("ATTR-47", word.span, deed));
    }
    reader.draft.user = Some(account);
    Ok(())
}

fn account(reader: &Reader<'_>, word: &Word) -> Outcome<Account> {
    if is_number(reader, word) {
        let uid = value::count(word, &ID)?;
        return Ok(reader.lookup.user_by_uid(uid).map_or(Account::Number(uid), Account::Known));
    }
    let known = reader.lookup.user_by_name(word.os());
    Ok(Account::Known(known.ok_or_else(|| unknown(word, code::UNKNOWN_USER, "user"))?))
}

pub(super) fn group(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.group = Some(group_number(reader, line.first())?);
    Ok(())
}

fn group_number(reader: &Reader<'_>, word: &Word) -> Outcome<u32> {
    if is_number(reader, word) {
        return value::count(word, &ID);
    }
    let known = reader.lookup.group_by_name(word.os());
    known.ok_or_else(|| unknown(word, code::UNKNOWN_GROUP, "group"))
}

/// Whether a user or group is given by number; inetd.conf has only names (INETD-2).
fn is_number(reader: &Reader<'_>, word: &Word) -> bool {
    word.bytes.iter().all(u8::is_ascii_digit) && !reader.is_of_inetd(word.span)
}

fn unknown(word: &Word, code: &'static str, what: &str) -> Box<Diagnostic> {
    let name = word.text();
    let help = match name.split_once(':') {
        Some((user, group)) => format!("write `user = {user}` and `group = {group}`, a line each"),
        None => format!("create it (`{what}add {name}`), or name another {what}"),
    };
    let note = Diagnostic::error(code, word.span, format!("there is no {what} `{name}`"))
        .help(help)
        .legacy(format!("Unknown {what}: {name}"));
    Box::new(note)
}

pub(super) fn groups(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.groups = Some(value::yes_no(line.first())?);
    Ok(())
}

/// ATTR-48. Servers start in `/`, so a relative path is relative to that.
pub(super) fn server(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let word = line.first();
    let path = Path::new("/").join(word.os());
    if !reader.lookup.is_executable(&path) {
        let message = format!("{} does not exist or cannot be executed", path.display());
        if reader.is_of_inetd(word.span) {
            // INETD-8
            let message = format!("{message}: the service starts, and every client is lost");
            let note = Diagnostic::warning(code::NOT_EXECUTABLE, word.span, message);
            reader.notes.push(note.help("install it, correct the path, or remove the line"));
            reader.draft.server = Some(path);
            return Ok(());
        }
        let note = Diagnostic::error(code::NOT_EXECUTABLE, word.span, message)
            .help("install it, correct the path, or write `disable = yes`")
            .legacy(format!("Server {} is not executable", word.text()));
        return Err(Box::new(note));
    }
    reader.draft.server = Some(path);
    Ok(())
}

pub(super) fn server_args(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.server_args = line.values.iter().map(Word::os_string).collect();
    Ok(())
}

pub(super) fn port(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let word = line.first();
    let value = value::count(word, &(0..=65535)).map_err(|mut note| {
        let help = "a number from 0 to 65535; for a name, leave `port` out and name the service so";
        note.help.get_or_insert_with(|| help.into());
        note
    })?;
    reader.draft.port = Some(At { value, span: word.span });
    Ok(())
}

pub(super) fn v6only(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let word = line.first();
    let v6only = value::yes_no(word)?;
    if reader.section == Section::Defaults {
        let deed = "ignores `v6only` in `defaults`";
        reader.notes.push(Diagnostic::difference("DEF-12", word.span, deed));
    } else if !v6only {
        let deed = "takes `no` for `yes`: it serves IPv6 clients only";
        reader.notes.push(Diagnostic::difference("BIND-5", word.span, deed));
    }
    reader.draft.v6only = Some(v6only);
    Ok(())
}

/// For the parser alone: `yes` ends the entry before this is asked (PARSE-19).
pub(super) fn disable(_: &mut Reader<'_>, line: &Assignment) -> Result {
    value::yes_no(line.first()).map(|_| ())
}

pub(super) fn enabled(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let ids = reader.draft.enabled.get_or_insert_default();
    ids.extend(line.values.iter().map(as_id));
    Ok(())
}

pub(super) fn disabled(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.disabled.extend(line.values.iter().map(as_id));
    Ok(())
}

fn as_id(word: &Word) -> At<String> {
    At { value: word.text().into_owned(), span: word.span }
}

pub(super) fn instances(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.instances = Some(value::limit(line.first())?);
    Ok(())
}

pub(super) fn per_source(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.per_source = Some(value::limit(line.first())?);
    Ok(())
}

pub(super) fn cps(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    if let [per_second, pause] = line.values.as_slice() {
        let number = |word| value::unsigned(word, value::count(word, &value::COUNT));
        let (per_second, pause) = (number(per_second)?, number(pause)?);
        reader.draft.rate = Some(RateLimit { per_second, pause });
    }
    Ok(())
}

pub(super) fn cps_action(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let action = value::keyword(line.first(), "`pause` or `pace`", value::RATE_ACTIONS)?;
    reader.draft.rate_action = Some(action);
    Ok(())
}

pub(super) fn peer_env(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.peer_env = Some(value::yes_no(line.first())?);
    Ok(())
}

pub(super) fn stderr(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let stderr = value::keyword(line.first(), "`socket`, `log` or `null`", value::STDERRS)?;
    reader.draft.stderr = Some(stderr);
    Ok(())
}

/// Bits of IPv6 addresses, and of IPv4 addresses behind them if given.
pub(super) fn per_source_prefix(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let mut prefix =
        SourcePrefix { v6: value::count(line.first(), &(0..=128))?, ..Default::default() };
    if let Some(v4) = line.values.get(1) {
        prefix.v4 = value::count(v4, &(0..=32))?;
    }
    reader.draft.source_prefix = Some(prefix);
    Ok(())
}

pub(super) fn nice(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    reader.draft.nice = Some(value::count(line.first(), &range)?);
    Ok(())
}

pub(super) fn umask(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.umask = Some(value::umask(line.first())?);
    Ok(())
}

/// ATTR-43: a word without `=` is refused; one without a name is passed on as it is.
pub(super) fn env(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let split = |word: &Word| {
        let Some(at) = word.bytes.iter().position(|byte| *byte == b'=') else {
            let message = format!("`{}` is not of the form NAME=value", word.text());
            let note = Diagnostic::error(code::BAD_VARIABLE, word.span, message)
                .legacy(format!("Bad environment string: {}", word.text()));
            return Err(Box::new(note));
        };
        let (name, value) = word.bytes.split_at(at);
        let part = |bytes: &[u8]| Word { bytes: bytes.to_vec(), span: word.span }.os_string();
        Ok((part(name), part(value.get(1..).unwrap_or_default())))
    };
    let variables = reader.each("env", line, split);
    let variables = variables.into_iter().map(|at| at.value).collect();
    reader.draft.env.push(line.operator, variables);
    Ok(())
}

/// ATTR-44
pub(super) fn passenv(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let mut names = Vec::new();
    for word in &line.values {
        if line.operator == Operator::Remove || reader.lookup.has_variable(word.os()) {
            names.push(word.os_string());
            continue;
        }
        if reader.draft.commented.contains(&word.span) {
            continue;
        }
        let message = format!("the daemon has no variable `{}`; it is not passed", word.text());
        let note = Diagnostic::warning(code::UNKNOWN_VARIABLE, word.span, message)
            .legacy(format!("Unknown variable {}", word.text()));
        reader.notes.push(note);
    }
    let operator = reader.operator(line);
    reader.draft.passenv.push(operator, names);
    Ok(())
}

/// ATTR-32, ATTR-33; ATTR-45: 0 means unchanged.
pub(super) fn rlimit(reader: &mut Reader<'_>, line: &Assignment, resource: Resource) -> Result {
    let word = line.first();
    let value = if word.is("UNLIMITED") {
        None
    } else if resource == Resource::Cpu {
        Some(value::unsigned(word, value::count(word, &(0..=i64::MAX)))?)
    } else {
        Some(value::unsigned(word, value::size(word))?)
    };
    if value != Some(0) {
        reader.draft.rlimits.push(Rlimit { resource, value });
    }
    Ok(())
}

/// ATTR-16
pub(super) fn rpc_version(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.rpc_versions = Some(value::versions(line.first())?);
    Ok(())
}

/// ATTR-17; RFC 5531 has program numbers of 32 bits.
pub(super) fn rpc_number(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.rpc_number = Some(value::count(line.first(), &(0..=i64::from(u32::MAX)))?);
    Ok(())
}

/// ATTR-35
pub(super) fn deny_time(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    reader.draft.deny_time = Some(value::deny_time(line.first())?);
    Ok(())
}

/// ATTR-37
pub(super) fn libwrap(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let word = line.first();
    reader.draft.libwrap = Some(word.text().into_owned());
    Ok(())
}

/// ATTR-41: a word of other builds of xinetd.
pub(super) fn mdns(reader: &mut Reader<'_>, line: &Assignment) -> Result {
    let message = "`mdns` has no effect: services are not announced";
    let note = Diagnostic::note(code::NO_EFFECT, line.name.span, message)
        .legacy("bad service attribute: mdns");
    reader.notes.push(note);
    Ok(())
}

/// A banner, into the place that `slot` names.
pub(super) fn banner(
    reader: &mut Reader<'_>,
    line: &Assignment,
    slot: fn(&mut Draft) -> &mut Option<PathBuf>,
) -> Result {
    let path = reader.path(line.first());
    *slot(&mut reader.draft) = Some(path);
    Ok(())
}
