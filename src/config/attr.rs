//! THE TABLE: one row per attribute. Parser, checks, man page and tests read the same row.

use crate::config::ast::{Assignment, Word};
use crate::config::read::Reader;
use crate::config::set;
use crate::config::show::{self, Show};
use crate::config::value::Outcome;
use crate::plan::Resource;

/// Puts the values of a line where they belong; only the parser can call it.
#[derive(Clone, Copy, Debug)]
pub struct Setter(pub(super) fn(&mut Reader<'_>, &Assignment) -> Outcome<()>);

/// All there is to know about an attribute.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Every spelling, the usual one first; capitals do not count (PARSE-6).
    pub names: &'static [&'static str],
    /// The values, as a man page writes them.
    pub form: &'static str,
    pub values: Values,
    pub operators: Operators,
    pub scope: Scope,
    /// May have several lines; else the first one wins (PARSE-15).
    pub repeats: bool,
    /// What becomes of the values.
    pub set: Setter,
    /// Its value in a service.
    pub show: Show,
    /// It is ours: xinetd 2.3.15 ignores the line, with a message.
    pub extension: bool,
    /// What holds without it.
    pub default: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What the summary leaves out, where it may surprise.
    pub text: &'static str,
    /// The row of the compatibility contract.
    pub spec: &'static str,
}

/// How many values a line must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    pub min: usize,
    pub max: usize,
    pub miscount: Miscount,
}

/// What another number of values costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miscount {
    /// The line: a warning (PARSE-13).
    Ignored,
    /// The service: an error (ATTR-39, PARSE-14).
    Rejected,
}

/// The operators an attribute takes in a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operators {
    /// `=`; a line with another one is ignored (PARSE-16).
    Set,
    /// `=` and `+=`; `-=` is a mistake (ATTR-43).
    SetAdd,
    /// `=`, `+=` and `-=`
    All,
}

/// Where an attribute may stand (DEF-2, DEF-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Service,
    Both,
    Defaults,
}

const ONE: Values = Values { min: 1, max: 1, miscount: Miscount::Ignored };
const TWO: Values = Values { min: 2, max: 2, miscount: Miscount::Ignored };
const SOME: Values = Values { min: 1, max: usize::MAX, miscount: Miscount::Rejected };
const ANY: Values = Values { min: 0, max: usize::MAX, miscount: Miscount::Ignored };

/// What most attributes of a service have in common.
const SCALAR: Row = Row {
    names: &[],
    form: "",
    values: ONE,
    operators: Operators::Set,
    scope: Scope::Service,
    repeats: false,
    set: Setter(|_, _| Ok(())),
    show: Show(show::nothing),
    extension: false,
    default: "none",
    summary: "",
    text: "",
    spec: "",
};

const LIST: Row =
    Row { values: ANY, operators: Operators::All, scope: Scope::Both, repeats: true, ..SCALAR };

impl Row {
    /// The usual spelling.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

/// The row of the attribute that `name` spells.
#[must_use]
pub fn find(name: &Word) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.names.iter().any(|spelling| name.is(spelling)))
}

/// The row of the attribute `name`, as usually spelt.
#[must_use]
pub fn named(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name() == name)
}

/// Every attribute of xinetd.conf(5), in the order of the contract.
pub const TABLE: &[Row] = &[
    Row {
        names: &["socket_type"],
        show: Show(show::socket_type),
        form: "stream | dgram | raw | seqpacket",
        set: Setter(set::socket_type),
        default: "stream with `protocol = tcp`, dgram with udp",
        summary: "the type of the socket",
        text: "Tcp goes with stream, udp with dgram; `raw` and `seqpacket` need a `protocol` beside them. A dgram service needs `wait = yes`, unless it is internal. This version serves `stream` and `dgram` only.",
        spec: "ATTR-1",
        ..SCALAR
    },
    Row {
        names: &["protocol"],
        show: Show(show::protocol),
        form: "NAME",
        set: Setter(set::protocol),
        default: "tcp with `socket_type = stream`, udp with dgram",
        summary: "the protocol, by its name in protocols(5)",
        text: "`tcp` or `udp`. For one family write `flags = IPv4` or `IPv6`: there is no `tcp6`.",
        spec: "ATTR-2",
        ..SCALAR
    },
    Row {
        names: &["wait"],
        show: Show(show::wait),
        form: "yes | no",
        set: Setter(set::wait),
        default: "required",
        summary: "whether the server takes over the listening socket",
        text: "`no`: each connection gets a server of its own, on descriptors 0, 1 and 2. `yes`: one server at a time gets the socket itself, and xinetd does not look at it again before that server ends; of a dgram service it sees and checks the sender of the first datagram, of a stream service nobody. There is no default.",
        spec: "ATTR-3",
        ..SCALAR
    },
    Row {
        names: &["user"],
        show: Show(show::user),
        form: "NAME | NUMBER",
        set: Setter(set::user),
        default: "required",
        summary: "the user the server runs as",
        text: "A number needs no entry in passwd(5); if there is one, its group is taken too. Internal services and sensors need no user; redirected ones do.",
        spec: "ATTR-4",
        ..SCALAR
    },
    Row {
        names: &["group"],
        show: Show(show::group),
        form: "NAME | NUMBER",
        set: Setter(set::group),
        default: "the group of the user",
        summary: "the group the server runs as",
        text: "It takes the place of the user's primary group, and of nothing else: other groups come with `groups = yes`.",
        spec: "ATTR-5",
        ..SCALAR
    },
    Row {
        names: &["server"],
        show: Show(show::server),
        form: "PATH",
        set: Setter(set::server),
        default: "required",
        summary: "the program to start",
        text: "It must be executable when the file is read, or the service is left out. It starts in `/`, without a shell. A service with `redirect`, `type = INTERNAL` or `flags = SENSOR` needs none.",
        spec: "ATTR-6",
        ..SCALAR
    },
    Row {
        names: &["server_args"],
        show: Show(show::server_args),
        form: "WORD...",
        values: SOME,
        set: Setter(set::server_args),
        default: "none",
        summary: "the arguments of the server, without its name",
        text: "Words end at blanks: there is no quoting, no variable and no continued line, and what follows a `#` is passed to the server too. xinetd puts the last part of the path in front, as the name of the program; with `flags = NAMEINARGS` the first word is that name.",
        spec: "ATTR-7",
        ..SCALAR
    },
    Row {
        names: &["instances"],
        show: Show(show::instances),
        form: "NUMBER | UNLIMITED",
        scope: Scope::Both,
        set: Setter(set::instances),
        default: "UNLIMITED",
        summary: "how many servers may run at once",
        text: "A client beyond that is refused, not queued, and the log says `service_limit`. 0 refuses all. Servers that run already are counted after a reload too, and none of them is ended.",
        spec: "ATTR-8",
        ..SCALAR
    },
    Row {
        names: &["log_on_success"],
        show: Show(show::log_on_success),
        form: "[PID | HOST | USERID | EXIT | DURATION | TRAFFIC]...",
        set: Setter(set::log_on_success),
        default: "nothing",
        summary: "what is logged when a server starts and ends",
        text: "PID, HOST: of the server and of the client. EXIT, DURATION: how the server ended, and after how long. TRAFFIC: how many bytes were passed on; only services with `redirect` may say so. USERID: before the server starts the client's host is asked whose connection it is (RFC 1413), for 30 seconds at most; what it says is logged, and never to be trusted. Nothing at all is logged without `log_type`.",
        spec: "ATTR-9",
        ..LIST
    },
    Row {
        names: &["log_on_failure"],
        show: Show(show::log_on_failure),
        form: "[HOST | USERID | ATTEMPT]...",
        set: Setter(set::log_on_failure),
        default: "nothing",
        summary: "what is logged when a connection is refused",
        text: "With any word a line FAIL is written, with the reason. HOST: the address of the client is added. ATTEMPT: nothing is added. USERID: the host of a client that a limit has refused is asked whose connection it was. RECORD was removed from xinetd and is ignored. Nothing at all is logged without `log_type`.",
        spec: "ATTR-10",
        ..LIST
    },
    Row {
        names: &["log_type"],
        show: Show(show::log_type),
        form: "SYSLOG FACILITY [LEVEL] | FILE PATH [SOFT [HARD]] | JSON PATH [SOFT [HARD]] | STDOUT | STDERR | JOURNAL",
        values: SOME,
        scope: Scope::Both,
        set: Setter(set::log_type),
        default: "no logging",
        summary: "where the log of a service goes",
        text: "SYSLOG: the system's log; LEVEL is `info` unless given. FILE: the end of a file; beyond SOFT bytes a warning is logged, beyond HARD bytes nothing more until a reload; K and M may stand behind them, and 0 means no limit; HARD is SOFT and one percent, at least 5 and at most 20 KiB more, unless given. JSON: the same, with an object a line, whose fields are in xinetd.log(5). STDOUT, STDERR: the streams that the daemon was started with, and it needs `-d` or `-dontfork`. JOURNAL: the journal of systemd, with the facts in fields of their own. FILE and JSON take /dev/stdout for standard output, and /proc/1/fd/1 in process 1. Extension: xinetd 2.3.15 knows SYSLOG and FILE only. In `defaults` a second line is a mistake with which xinetd does not start.",
        spec: "ATTR-11",
        ..SCALAR
    },
    Row {
        names: &["only_from"],
        show: Show(show::only_from),
        form: "[ADDRESS]...",
        set: Setter(set::only_from),
        default: "everybody",
        summary: "the clients that are served",
        text: "An ADDRESS is A.B.C.D, A.B.C.D/BITS, A.B.C.D/MASK, A.B.{C,D}, an IPv6 address, IPV6/BITS, a host, .DOMAIN or a network of networks(5). Of a host or a domain the name is compared that the client's address has when it comes. Zeros at the end of an IPv4 address are wildcards: 10.0.0.0 is 10.0.0.0/8, and 0.0.0.0 is all of IPv4; short forms are read as inet_aton(3) does, so that `127` is 0.0.0.127. `::` is one address; all of IPv6 is `::/0`. Without a line everybody is served; an empty list serves nobody. A client that `no_access` names too is refused, however exactly `only_from` names it.",
        spec: "ATTR-12",
        ..LIST
    },
    Row {
        names: &["no_access"],
        show: Show(show::no_access),
        form: "[ADDRESS]...",
        set: Setter(set::no_access),
        default: "nobody",
        summary: "the clients that are refused, whatever `only_from` says",
        text: "Addresses are written as in `only_from`. Whoever is on this list is refused: there is no better match, whatever the manual of xinetd says. A word that is no address leaves the service out, because skipping it would let somebody in.",
        spec: "ATTR-13",
        ..LIST
    },
    Row {
        names: &["access_times"],
        form: "HOUR:MIN-HOUR:MIN...",
        values: SOME,
        show: Show(show::access_times),
        set: Setter(set::access_times),
        default: "always",
        summary: "the hours in which clients are served",
        text: "Local time, from 0:00 to 24:00; both ends count, to the minute. Any of the intervals lets a client in. None may run over midnight: write two, `22:00-24:00 0:00-6:00`. Servers that run already are not ended.",
        spec: "ATTR-14",
        ..SCALAR
    },
    Row {
        names: &["type"],
        show: Show(show::types),
        form: "[RPC | INTERNAL | UNLISTED | SPECIAL | TCPMUX | TCPMUXPLUS]...",
        values: SOME,
        set: Setter(set::types),
        default: "none",
        summary: "the kind of service",
        text: "UNLISTED: the name need not be in services(5), and `port` is required. INTERNAL: the daemon answers itself: echo, discard, chargen, daytime, time, tcpmux; and services and servers, which list what is offered and what runs. RPC: the service is registered with rpcbind(8). TCPMUX, TCPMUXPLUS (with UNLISTED): the service has no port; clients of the internal service tcpmux ask for it by its name, and with TCPMUXPLUS are told `+Go`. SPECIAL means nothing.",
        spec: "ATTR-15",
        ..SCALAR
    },
    Row {
        names: &["rpc_version"],
        show: Show(show::rpc_version),
        form: "NUMBER[-NUMBER]",
        set: Setter(set::rpc_version),
        default: "required for RPC",
        summary: "the versions of an RPC service",
        text: "All of them are registered with rpcbind(8) while the service is served.",
        spec: "ATTR-16",
        ..SCALAR
    },
    Row {
        names: &["rpc_number"],
        show: Show(show::rpc_number),
        form: "NUMBER",
        set: Setter(set::rpc_number),
        default: "from rpc(5)",
        summary: "the program number of an unlisted RPC service",
        text: "A service that is not UNLISTED takes it from rpc(5), by its name.",
        spec: "ATTR-17",
        ..SCALAR
    },
    Row {
        names: &["id"],
        show: Show(show::id),
        form: "WORD",
        set: Setter(set::id),
        default: "the name of the service",
        summary: "what the log, `enabled`, `disabled` and a reload know the service by",
        text: "Two services of one name need different ids to be told apart. It need not be unique. An overlay is for the service of its id.",
        spec: "ATTR-18",
        ..SCALAR
    },
    Row {
        names: &["env"],
        show: Show(show::env),
        form: "[NAME=VALUE]...",
        values: ANY,
        operators: Operators::SetAdd,
        repeats: true,
        set: Setter(set::env),
        default: "none",
        summary: "variables added to the environment of the server",
        text: "`=` forgets the lines before it. A variable here wins over one of the same name from the daemon, but REMOTE_HOST is always the address of the client. There is no quoting: a value has no blanks.",
        spec: "ATTR-19",
        ..SCALAR
    },
    Row {
        names: &["port"],
        show: Show(show::port),
        form: "NUMBER",
        set: Setter(set::port),
        default: "from services(5)",
        summary: "the port of the service",
        text: "It must agree with services(5) unless the service is UNLISTED, which needs it. RPC services and those behind tcpmux have none.",
        spec: "ATTR-20",
        ..SCALAR
    },
    Row {
        names: &["passenv"],
        show: Show(show::passenv),
        form: "[NAME]...",
        set: Setter(set::passenv),
        default: "all",
        summary: "the variables of the daemon that the server gets",
        text: "An empty list passes none. `env` and REMOTE_HOST come on top. A name that the daemon does not have is reported and passed over.",
        spec: "ATTR-21",
        ..LIST
    },
    Row {
        names: &["flags"],
        show: Show(show::flags),
        form: "[REUSE | INTERCEPT | NORETRY | IDONLY | NAMEINARGS | NODELAY | KEEPALIVE | NOLIBWRAP | SENSOR | IPv4 | IPv6 | LABELED]...",
        values: SOME,
        set: Setter(set::flags),
        default: "none",
        summary: "options of the service",
        text: "NAMEINARGS: the first word of `server_args` is the name of the program. NODELAY, KEEPALIVE: the socket options. IPv4, IPv6: the family to listen on; with IPv6 clients of IPv4 are served too, unless `v6only` says otherwise. SENSOR: clients are refused and locked out of every service for `deny_time`; no `server` is needed. NOLIBWRAP: the files hosts.allow and hosts.deny are not asked. IDONLY: with USERID in `log_on_success`, who is not named by its host is refused. NORETRY: a server that cannot be forked is not tried again. INTERCEPT: with `wait = yes`, clients whom `only_from`, `no_access` or `access_times` refuse never reach the server; there must be no names on the lists. With `wait = no` nothing. LABELED: the service is left out: there are no SELinux labels. REUSE: nothing.",
        spec: "ATTR-22",
        ..SCALAR
    },
    Row {
        names: &["nice"],
        show: Show(show::nice),
        form: "NUMBER",
        set: Setter(set::nice),
        default: "unchanged",
        summary: "added to the priority of the server",
        text: "Relative to the daemon. It is added before the server loses its privileges, so negative numbers work for every user.",
        spec: "ATTR-23",
        ..SCALAR
    },
    Row {
        names: &["redirect"],
        show: Show(show::redirect),
        form: "HOST PORT | unix:PATH",
        values: TWO,
        set: Setter(set::redirect),
        default: "none",
        summary: "another host that connections are passed on to",
        text: "PORT is a number, or a name of services(5) for tcp. A name as HOST must be found when the file is read; it is looked up again when clients come, at most once a second. All its addresses are tried, IPv4 first; after 10 seconds the client is closed. `unix:PATH`, an extension, is a socket in the file system, which the user of the engine (`xinetd`) must be permitted to connect to. It needs `wait = no` and a `user`, as whom nothing runs, and no `server`. A client that is silent has no time limit. With `socket_type = dgram`, another extension, datagrams are passed on: each client has a socket of its own towards HOST, and answers come from the address that it wrote to. A client is then who writes from one port, until nothing has passed for a minute or a little more; `instances`, `per_source` and `cps` count clients, not datagrams. At most 1024 are served at once: one more takes the place of one that rests.",
        spec: "ATTR-24",
        ..SCALAR
    },
    Row {
        names: &["banner"],
        show: Show(show::banner),
        form: "PATH",
        scope: Scope::Both,
        set: Setter(|r, l| set::banner(r, l, |draft| &mut draft.banner)),
        default: "none",
        summary: "a file sent to every client first of all",
        text: "Before any check: who is refused gets it too. A file that cannot be read is reported and passed over. It is opened anew for each client, and all services wait for that: keep banners on a disk of this machine, not on a network file system.",
        spec: "ATTR-25",
        ..SCALAR
    },
    Row {
        names: &["banner_success"],
        show: Show(show::banner_success),
        form: "PATH",
        scope: Scope::Both,
        set: Setter(|r, l| set::banner(r, l, |draft| &mut draft.banner_success)),
        default: "none",
        summary: "a file sent to clients that are let in",
        text: "After all checks and before the first byte of the server.",
        spec: "ATTR-25",
        ..SCALAR
    },
    Row {
        names: &["banner_fail"],
        show: Show(show::banner_fail),
        form: "PATH",
        scope: Scope::Both,
        set: Setter(|r, l| set::banner(r, l, |draft| &mut draft.banner_fail)),
        default: "none",
        summary: "a file sent to clients that are refused",
        text: "Whatever the reason is. Then the connection is closed.",
        spec: "ATTR-25",
        ..SCALAR
    },
    Row {
        names: &["bind", "interface"],
        show: Show(show::bind),
        form: "ADDRESS | HOST | unix:PATH...",
        scope: Scope::Both,
        values: SOME,
        set: Setter(set::bind),
        default: "all addresses",
        summary: "the addresses to listen on",
        text: "All of them with the same port; more than one is an extension. Of a host with several addresses one is taken: of the family that `flags` names, else the first IPv6, else the first. Beside an IPv4 address `::` means IPv6 only, unless `v6only` says otherwise. `unix:PATH` is a socket in the file system, an extension: it needs no port, `socket_mode` and its owner say who may connect, `only_from` and `no_access` do not apply, and a client is `unix:uid=NUMBER` in logs, REMOTE_HOST and `per_source`. `unix:@NAME` is a name without a file, where everybody may connect. The names `bind` and `interface` are one attribute.",
        spec: "ATTR-26",
        ..SCALAR
    },
    Row {
        names: &["per_source"],
        show: Show(show::per_source),
        form: "NUMBER | UNLIMITED",
        scope: Scope::Both,
        set: Setter(set::per_source),
        default: "UNLIMITED",
        summary: "how many servers may run at once for one client address",
        text: "A client beyond that is refused, and the log says `per_source_limit`. 0 refuses all. An IPv4 client of an IPv6 socket is counted by its IPv4 address.",
        spec: "ATTR-27",
        ..SCALAR
    },
    Row {
        names: &["groups"],
        show: Show(show::groups),
        form: "yes | no",
        scope: Scope::Both,
        set: Setter(set::groups),
        default: "no",
        summary: "whether the server gets the supplementary groups of the user",
        text: "They are looked up when the file is read: a change in group(5) needs a reload. Without it the server has one group, that of `group` or of the user. The user must be in passwd(5).",
        spec: "ATTR-28",
        ..SCALAR
    },
    Row {
        names: &["cps"],
        show: Show(show::cps),
        form: "RATE SECONDS",
        scope: Scope::Both,
        values: TWO,
        set: Setter(set::cps),
        default: "50 10",
        summary: "how many connections a second, and how long it is closed when more come",
        text: "RATE connections in one second pass; what is looked at is the average of the last RATE seconds at most. The one too many is refused and closes the service: for SECONDS clients get `connection refused`, while servers that run go on. Then it opens again by itself. A rate of 0 switches it off.",
        spec: "ATTR-29",
        ..SCALAR
    },
    Row {
        names: &["disable"],
        form: "yes | no",
        set: Setter(set::disable),
        default: "no",
        summary: "whether the service is switched off",
        text: "`yes` ends the reading of the entry: mistakes below it are not found. It wins over `enabled`; `no` does not win over `disabled`. `xinetctl enable` and `disable` change this line and nothing else.",
        spec: "ATTR-30",
        ..SCALAR
    },
    Row {
        names: &["max_load"],
        form: "NUMBER",
        scope: Scope::Both,
        show: Show(show::max_load),
        set: Setter(set::max_load),
        default: "no limit",
        summary: "the load average from which on clients are refused",
        text: "The average of the last minute; a client is refused when it is that high, and the log says `load`. A negative number refuses everybody.",
        spec: "ATTR-31",
        ..SCALAR
    },
    Row {
        names: &["rlimit_as"],
        show: Show(|service, _| show::rlimit(service, Resource::AddressSpace)),
        form: "SIZE | UNLIMITED",
        set: Setter(|r, l| set::rlimit(r, l, Resource::AddressSpace)),
        default: "unchanged",
        summary: "how many bytes of memory the server may use",
        text: "0 means unchanged. K and M may stand behind the number.",
        spec: "ATTR-32",
        ..SCALAR
    },
    Row {
        names: &["rlimit_cpu"],
        show: Show(|service, _| show::rlimit(service, Resource::Cpu)),
        form: "SECONDS | UNLIMITED",
        set: Setter(|r, l| set::rlimit(r, l, Resource::Cpu)),
        default: "unchanged",
        summary: "how many seconds of processor time the server may use",
        text: "0 means unchanged. A number of seconds, without a letter behind it. Soft and hard limit are set.",
        spec: "ATTR-33",
        ..SCALAR
    },
    Row {
        names: &["rlimit_data"],
        show: Show(|service, _| show::rlimit(service, Resource::Data)),
        form: "SIZE | UNLIMITED",
        set: Setter(|r, l| set::rlimit(r, l, Resource::Data)),
        default: "unchanged",
        summary: "how many bytes of data the server may use",
        text: "0 means unchanged. K and M may stand behind the number.",
        spec: "ATTR-32",
        ..SCALAR
    },
    Row {
        names: &["rlimit_rss"],
        show: Show(|service, _| show::rlimit(service, Resource::Rss)),
        form: "SIZE | UNLIMITED",
        set: Setter(|r, l| set::rlimit(r, l, Resource::Rss)),
        default: "unchanged",
        summary: "how many bytes of resident memory the server may use",
        text: "0 means unchanged. K and M may stand behind the number. Linux has not kept to this limit since 2.4.30.",
        spec: "ATTR-32",
        ..SCALAR
    },
    Row {
        names: &["rlimit_stack"],
        show: Show(|service, _| show::rlimit(service, Resource::Stack)),
        form: "SIZE | UNLIMITED",
        set: Setter(|r, l| set::rlimit(r, l, Resource::Stack)),
        default: "unchanged",
        summary: "how many bytes of stack the server may use",
        text: "0 means unchanged. K and M may stand behind the number.",
        spec: "ATTR-32",
        ..SCALAR
    },
    Row {
        names: &["rlimit_files"],
        show: Show(|service, _| show::rlimit(service, Resource::Files)),
        form: "SIZE | UNLIMITED",
        set: Setter(|r, l| set::rlimit(r, l, Resource::Files)),
        default: "the daemon's hard limit",
        summary: "how many open files the server may use",
        text: "Soft and hard limit are set, and without a line both are raised to the daemon's hard limit; 0 means the same. K and M may stand behind the number.",
        spec: "ATTR-32",
        ..SCALAR
    },
    Row {
        names: &["v6only"],
        show: Show(show::v6only),
        form: "yes | no",
        scope: Scope::Both,
        set: Setter(set::v6only),
        default: "no",
        summary: "whether an IPv6 socket refuses IPv4 clients",
        text: "A socket on `::` serves IPv4 clients too, under their IPv4 addresses, unless this says `yes`. It means nothing to an IPv4 socket.",
        spec: "ATTR-34",
        ..SCALAR
    },
    Row {
        names: &["deny_time"],
        show: Show(show::deny_time),
        form: "MINUTES | FOREVER | NEVER",
        set: Setter(set::deny_time),
        default: "NEVER",
        summary: "how long a client that came to a SENSOR is locked out",
        text: "MINUTES, or FOREVER: until xinetd is started anew; NEVER only logs the failure. The client is locked out of every service. It needs `flags = SENSOR`.",
        spec: "ATTR-35",
        ..SCALAR
    },
    Row {
        names: &["umask"],
        show: Show(show::umask),
        form: "OCTAL",
        scope: Scope::Both,
        set: Setter(set::umask),
        default: "the daemon's",
        summary: "the file mode mask of the server",
        text: "From 0 to 777. The daemon's own is what it was started with, and 022.",
        spec: "ATTR-36",
        ..SCALAR
    },
    Row {
        names: &["libwrap"],
        show: Show(show::libwrap),
        form: "WORD",
        set: Setter(set::libwrap),
        default: "the name of the server",
        summary: "the name looked up in hosts.allow and hosts.deny",
        text: "Without it internal and redirected services are looked up by their own name, others by the last part of `server`, or of the first word of `server_args` with NAMEINARGS. The files are read for every client; `flags = NOLIBWRAP` switches that off.",
        spec: "ATTR-37",
        ..SCALAR
    },
    Row {
        names: &["cps_action"],
        show: Show(show::cps_action),
        form: "pause | pace",
        scope: Scope::Both,
        set: Setter(set::cps_action),
        extension: true,
        default: "pause",
        summary: "what happens to connections beyond the rate of `cps`",
        text: "`pause`: the service is closed for a while, as `cps` says. `pace`: nobody is refused; connections wait in the backlog of the kernel and are taken at that rate, so the second number of `cps` means nothing.",
        spec: "PARSE-12",
        ..SCALAR
    },
    Row {
        names: &["per_source_prefix"],
        show: Show(show::per_source_prefix),
        form: "BITS [BITS]",
        scope: Scope::Both,
        values: Values { min: 1, max: 2, miscount: Miscount::Rejected },
        set: Setter(set::per_source_prefix),
        extension: true,
        default: "128 32",
        summary: "how many bits of an address `per_source` looks at",
        text: "Of IPv6 addresses, then of IPv4 addresses if there is a second number. With 64 all clients of an IPv6 network of that size share one limit: a subscriber usually has as much.",
        spec: "PARSE-12",
        ..SCALAR
    },
    Row {
        names: &["peer_env"],
        show: Show(show::peer_env),
        form: "yes | no",
        scope: Scope::Both,
        set: Setter(set::peer_env),
        extension: true,
        default: "yes",
        summary: "whether the server is told both ends of its connection",
        text: "The variables of UCSPI (PROTO, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP, TCPLOCALPORT) and of systemd (REMOTE_ADDR, REMOTE_PORT) are set beside REMOTE_HOST, to what the kernel says; those of the daemon are not passed on. A line of `env` wins. The server of a `wait = yes` service is told what is true of its socket, and no client. `no`: only REMOTE_HOST.",
        spec: "PARSE-12",
        ..SCALAR
    },
    Row {
        names: &["stderr"],
        show: Show(show::stderr),
        form: "socket | log | null",
        scope: Scope::Both,
        set: Setter(set::stderr),
        extension: true,
        default: "socket",
        summary: "where the standard error of the server goes",
        text: "`socket`: to the client, like its standard output. `log`: to the journal, under the id of the service; without a journal, and with `-d`, to the standard error of the daemon. `null`: nowhere. It never goes to the file of `log_type`, whose lines no server shall forge.",
        spec: "PARSE-12",
        ..SCALAR
    },
    Row {
        names: &["socket_mode"],
        show: Show(show::socket_mode),
        form: "OCTAL",
        scope: Scope::Both,
        set: Setter(set::socket_mode),
        extension: true,
        default: "0600, and 0660 with `socket_group`",
        summary: "the mode of a socket in the file system",
        text: "From 0 to 777; to connect is to write. The socket has it from the beginning, whatever the umask is.",
        spec: "PARSE-12",
        ..SCALAR
    },
    Row {
        names: &["socket_user"],
        show: Show(show::socket_user),
        form: "NAME | NUMBER",
        scope: Scope::Both,
        set: Setter(set::socket_user),
        extension: true,
        default: "the daemon's",
        summary: "the owner of a socket in the file system",
        text: "Not the user of the server, which is `user`.",
        spec: "PARSE-12",
        ..SCALAR
    },
    Row {
        names: &["socket_group"],
        show: Show(show::socket_group),
        form: "NAME | NUMBER",
        scope: Scope::Both,
        set: Setter(set::socket_group),
        extension: true,
        default: "the daemon's",
        summary: "the group of a socket in the file system",
        text: "With it `socket_mode` is 0660 if not given.",
        spec: "PARSE-12",
        ..SCALAR
    },
    Row {
        names: &["enabled"],
        form: "[ID]...",
        scope: Scope::Defaults,
        set: Setter(set::enabled),
        default: "all",
        summary: "the only services that start",
        text: "By id, in any case; lines add up. With an empty list no service starts. `disable = yes` and `disabled` win over it.",
        spec: "ATTR-38",
        ..LIST
    },
    Row {
        names: &["disabled"],
        form: "[ID]...",
        scope: Scope::Defaults,
        set: Setter(set::disabled),
        default: "none",
        summary: "the services that do not start",
        text: "By id, in any case; lines add up. It wins over `enabled`, and over `disable = no`.",
        spec: "ATTR-38",
        ..LIST
    },
    Row {
        names: &["mdns"],
        form: "yes | no",
        scope: Scope::Both,
        set: Setter(set::mdns),
        default: "no",
        summary: "whether the service is announced by multicast DNS",
        text: "A word of other builds of xinetd: it is accepted and has no effect.",
        spec: "ATTR-41",
        ..SCALAR
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_row_and_every_row_is_documented() {
        let mut names: Vec<_> = TABLE.iter().flat_map(|row| row.names).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        for row in TABLE {
            let name = row.name();
            assert!(!row.summary.is_empty() && !row.form.is_empty(), "{name}");
            assert!(row.text.ends_with('.') && row.text.is_ascii(), "{name}");
            let spec = if row.extension { "PARSE-12" } else { "ATTR-" };
            assert!(row.spec.starts_with(spec) && !row.default.is_empty(), "{name}");
            assert!(row.values.min <= row.values.max, "{name}");
        }
    }

    #[test]
    fn defaults_may_have_what_the_manual_lists() {
        let ours = |row: &Row| row.extension || row.name() == "mdns";
        let in_defaults = |row: &&Row| row.scope != Scope::Service && !ours(row);
        let allowed: Vec<_> = TABLE.iter().filter(in_defaults).map(Row::name).collect();
        let mut wanted = vec![
            "log_type",
            "log_on_success",
            "log_on_failure",
            "only_from",
            "no_access",
            "passenv",
            "disabled",
            "enabled",
            "instances",
            "per_source",
            "cps",
            "max_load",
            "groups",
            "umask",
            "banner",
            "banner_success",
            "banner_fail",
            "bind",
            "v6only",
        ];
        wanted.sort_unstable();
        let mut found = allowed;
        found.sort_unstable();
        assert_eq!(found, wanted, "DEF-2");
    }
}
