//! The value an attribute has in a service, written as xinetd.conf(5) writes it.
//!
//! It is read off the plan, so it is what the daemon works with: a user is its number,
//! a list is what `defaults`, `+=` and `-=` left of it.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use crate::config::value;
use crate::plan::{
    AccessList, Action, Address, Facility, FileAccess, FileLog, Groups, Level, Libwrap, Limit,
    LogField, LogFields, LogForm, LogTarget, Mux, Origin, Passed, Program, Protocol, Redirect,
    Resource, Service, SocketKey, SourcePrefix, Wait,
};

/// The words of a value; `None` where nothing is set.
pub(super) type Words = Option<Vec<String>>;

/// How a row of the table finds its value. The log of `defaults` comes along, because
/// services share it.
#[derive(Clone, Copy, Debug)]
pub struct Show(pub(super) fn(&Service, &LogTarget) -> Words);

impl Show {
    /// The value of the attribute in `service`, word by word; `None` where nothing is set,
    /// and the default of the table holds.
    #[must_use]
    pub fn value(self, service: &Service, common_log: &LogTarget) -> Option<Vec<String>> {
        (self.0)(service, common_log)
    }
}

fn one(word: impl fmt::Display) -> Words {
    Some(vec![format!("{word}")])
}

/// The words of those that are so; `None` for none.
fn which<const N: usize>(words: [(bool, &str); N]) -> Words {
    let found: Vec<_> = words.iter().filter(|(is_so, _)| *is_so).collect();
    (!found.is_empty()).then(|| found.iter().map(|(_, word)| (*word).to_owned()).collect())
}

fn yes_no(yes: bool) -> Words {
    one(if yes { "yes" } else { "no" })
}

fn text(words: &OsStr) -> String {
    words.to_string_lossy().into_owned()
}

fn path(path: Option<&PathBuf>) -> Words {
    path.map(|path| vec![path.display().to_string()])
}

fn program(service: &Service) -> Option<&Program> {
    service.action.start().map(|(program, _)| program)
}

/// An attribute that only `defaults` has, or that means nothing.
pub(super) const fn nothing(_: &Service, _: &LogTarget) -> Words {
    None
}

pub(super) fn socket_type(service: &Service, _: &LogTarget) -> Words {
    one(service.socket_type.word())
}

pub(super) fn protocol(service: &Service, _: &LogTarget) -> Words {
    (service.protocol != Protocol::NONE).then(|| vec![service.protocol.to_string()])
}

pub(super) fn wait(service: &Service, _: &LogTarget) -> Words {
    yes_no(service.wait != Wait::No)
}

pub(super) fn user(service: &Service, _: &LogTarget) -> Words {
    one(service.action.credentials()?.uid)
}

pub(super) fn group(service: &Service, _: &LogTarget) -> Words {
    one(service.action.credentials()?.gid)
}

pub(super) fn groups(service: &Service, _: &LogTarget) -> Words {
    yes_no(service.action.credentials()?.groups != Groups::None)
}

pub(super) fn server(service: &Service, _: &LogTarget) -> Words {
    path(program(service).map(|program| &program.path))
}

/// Without the name of the server, even if NAMEINARGS has it in `server_args`.
pub(super) fn server_args(service: &Service, _: &LogTarget) -> Words {
    let words: Vec<_> = program(service)?.argv.iter().skip(1).map(|word| text(word)).collect();
    (!words.is_empty()).then_some(words)
}

fn limit(limit: Limit) -> Words {
    match limit {
        Limit::Unlimited => one("UNLIMITED"),
        Limit::Max(max) => one(max),
    }
}

pub(super) fn instances(service: &Service, _: &LogTarget) -> Words {
    limit(service.policy.instances)
}

pub(super) fn per_source(service: &Service, _: &LogTarget) -> Words {
    limit(service.policy.per_source)
}

pub(super) fn cps(service: &Service, _: &LogTarget) -> Words {
    let rate = service.policy.rate;
    Some(vec![rate.per_second.to_string(), rate.pause.to_string()])
}

pub(super) fn cps_action(service: &Service, _: &LogTarget) -> Words {
    one(word_of(value::RATE_ACTIONS, &service.policy.rate_action))
}

pub(super) fn per_source_prefix(service: &Service, _: &LogTarget) -> Words {
    let SourcePrefix { v6, v4 } = service.policy.source_prefix;
    Some(vec![v6.to_string(), v4.to_string()])
}

pub(super) fn max_load(service: &Service, _: &LogTarget) -> Words {
    one(service.policy.max_load?)
}

pub(super) fn access_times(service: &Service, _: &LogTarget) -> Words {
    let hours = &service.policy.hours;
    (!hours.is_always()).then(|| hours.iter().map(|interval| interval.to_string()).collect())
}

fn fields(fields: LogFields, known: value::Keywords<LogField>) -> Words {
    let set = known.iter().filter(|(_, field)| fields.has(*field));
    let words: Vec<_> = set.map(|(word, _)| (*word).to_owned()).collect();
    (!words.is_empty()).then_some(words)
}

pub(super) fn log_on_success(service: &Service, _: &LogTarget) -> Words {
    fields(service.log.on_success, value::SUCCESS_FIELDS)
}

pub(super) fn log_on_failure(service: &Service, _: &LogTarget) -> Words {
    fields(service.log.on_failure, value::FAILURE_FIELDS)
}

pub(super) fn log_type(service: &Service, common: &LogTarget) -> Words {
    let own = &service.log.target;
    match if *own == LogTarget::Common { common } else { own } {
        LogTarget::None | LogTarget::Common => None,
        LogTarget::Syslog { facility, level } => {
            Some(vec!["SYSLOG".into(), facility_word(*facility), level_word(*level)])
        }
        LogTarget::File(FileLog { form, path, limits }) => {
            let kind = match form {
                LogForm::Text => "FILE",
                LogForm::Json => "JSON",
            };
            let sizes = limits.iter().flat_map(|(soft, hard)| [soft.to_string(), hard.to_string()]);
            Some([kind.into(), path.display().to_string()].into_iter().chain(sizes).collect())
        }
        LogTarget::Stdout => one("STDOUT"),
        LogTarget::Stderr => one("STDERR"),
        LogTarget::Journal => one("JOURNAL"),
    }
}

fn facility_word(facility: Facility) -> String {
    word_of(value::FACILITIES, &facility)
}

fn level_word(level: Level) -> String {
    word_of(value::LEVELS, &level)
}

fn word_of<T: PartialEq>(known: value::Keywords<T>, value: &T) -> String {
    let found = known.iter().find(|(_, known)| known == value);
    found.map_or_else(String::new, |(word, _)| (*word).to_owned())
}

fn list(list: Option<&AccessList>) -> Words {
    list.map(|list| list.networks().chain(list.names().iter().cloned()).collect())
}

pub(super) fn only_from(service: &Service, _: &LogTarget) -> Words {
    list(service.policy.only_from.as_ref())
}

pub(super) fn no_access(service: &Service, _: &LogTarget) -> Words {
    list(service.policy.no_access.as_ref())
}

pub(super) fn types(service: &Service, _: &LogTarget) -> Words {
    let internal = matches!(service.action, Action::Internal { .. });
    which([
        (service.rpc.is_some(), "RPC"),
        (internal, "INTERNAL"),
        (service.origin == Origin::Unlisted, "UNLISTED"),
        (service.mux == Some(Mux::Plain), "TCPMUX"),
        (service.mux == Some(Mux::Plus), "TCPMUXPLUS"),
    ])
}

pub(super) fn flags(service: &Service, _: &LogTarget) -> Words {
    let named = program(service)
        .is_some_and(|program| program.argv.first().map(OsStr::new) != program.path.file_name());
    let everywhere = service.sockets.iter().find(|socket| socket.address.is_everywhere());
    let is_v4 = |socket: &SocketKey| socket.address.ip().is_some_and(|address| address.is_ipv4());
    let is_v6 = |socket: &SocketKey| !is_v4(socket) && !socket.any_family && !socket.v6only;
    which([
        (service.wait == Wait::Intercepted, "INTERCEPT"),
        (!service.retry, "NORETRY"),
        (service.id_only, "IDONLY"),
        (named, "NAMEINARGS"),
        (service.options.nodelay, "NODELAY"),
        (service.options.keepalive, "KEEPALIVE"),
        (service.libwrap == Libwrap::Off, "NOLIBWRAP"),
        (matches!(service.action, Action::Sensor { .. }), "SENSOR"),
        (everywhere.is_some_and(is_v4), "IPv4"),
        (everywhere.is_some_and(is_v6), "IPv6"),
    ])
}

pub(super) fn rpc_version(service: &Service, _: &LogTarget) -> Words {
    let versions = &service.rpc.as_ref()?.versions;
    match (versions.start(), versions.end()) {
        (first, last) if first == last => one(first),
        (first, last) => one(format!("{first}-{last}")),
    }
}

pub(super) fn rpc_number(service: &Service, _: &LogTarget) -> Words {
    one(service.rpc.as_ref()?.program)
}

pub(super) fn id(service: &Service, _: &LogTarget) -> Words {
    one(&service.id)
}

pub(super) fn env(service: &Service, _: &LogTarget) -> Words {
    let set = service.env.set.iter();
    let words: Vec<_> =
        set.map(|(name, value)| format!("{}={}", text(name), text(value))).collect();
    (!words.is_empty()).then_some(words)
}

pub(super) fn peer_env(service: &Service, _: &LogTarget) -> Words {
    yes_no(service.env.tells_ends)
}

pub(super) fn stderr(service: &Service, _: &LogTarget) -> Words {
    one(word_of(value::STDERRS, &service.stderr))
}

pub(super) fn passenv(service: &Service, _: &LogTarget) -> Words {
    match &service.env.passed {
        Passed::All => None,
        Passed::Only(names) => Some(names.iter().map(|name| text(name)).collect()),
    }
}

pub(super) fn port(service: &Service, _: &LogTarget) -> Words {
    let has_one =
        service.rpc.is_none() && service.sockets.iter().any(|socket| socket.address.ip().is_some());
    has_one.then(|| vec![service.port().to_string()])
}

pub(super) fn nice(service: &Service, _: &LogTarget) -> Words {
    one(service.nice?)
}

pub(super) fn redirect(service: &Service, _: &LogTarget) -> Words {
    let Action::Redirect { target, .. } = &service.action else { return None };
    Some(match target {
        Redirect::Host { name, port, .. } => vec![name.clone(), port.to_string()],
        Redirect::Unix(_) => vec![target.to_string()],
    })
}

pub(super) fn banner(service: &Service, _: &LogTarget) -> Words {
    path(service.banners.always.as_ref())
}

pub(super) fn banner_success(service: &Service, _: &LogTarget) -> Words {
    path(service.banners.success.as_ref())
}

pub(super) fn banner_fail(service: &Service, _: &LogTarget) -> Words {
    path(service.banners.fail.as_ref())
}

pub(super) fn bind(service: &Service, _: &LogTarget) -> Words {
    let given = service.sockets.iter().filter(|socket| !socket.address.is_everywhere());
    let words: Vec<_> = given
        .map(|socket| match &socket.address {
            Address::Ip(address) => address.ip().to_string(),
            unix @ Address::Unix(_) => unix.to_string(),
        })
        .collect();
    (!words.is_empty()).then_some(words)
}

/// Whether it has a socket in the file system.
fn file(service: &Service) -> Option<FileAccess> {
    let has_one = service.sockets.iter().any(|socket| socket.address.file().is_some());
    has_one.then_some(service.options.file)
}

pub(super) fn socket_mode(service: &Service, _: &LogTarget) -> Words {
    one(format!("{:04o}", file(service)?.mode))
}

pub(super) fn socket_user(service: &Service, _: &LogTarget) -> Words {
    one(file(service)?.uid?)
}

pub(super) fn socket_group(service: &Service, _: &LogTarget) -> Words {
    one(file(service)?.gid?)
}

pub(super) fn v6only(service: &Service, _: &LogTarget) -> Words {
    yes_no(service.sockets.iter().any(|socket| socket.v6only))
}

pub(super) fn rlimit(service: &Service, resource: Resource) -> Words {
    let limit = service.rlimits.iter().find(|limit| limit.resource == resource)?;
    limit.value.map_or_else(|| one("UNLIMITED"), one)
}

pub(super) fn deny_time(service: &Service, _: &LogTarget) -> Words {
    let Action::Sensor { deny, .. } = service.action else { return None };
    one(deny)
}

pub(super) fn umask(service: &Service, _: &LogTarget) -> Words {
    one(format!("{:03o}", service.umask?))
}

pub(super) fn libwrap(service: &Service, _: &LogTarget) -> Words {
    match &service.libwrap {
        Libwrap::Off => None,
        Libwrap::Daemon(name) => one(name),
    }
}
