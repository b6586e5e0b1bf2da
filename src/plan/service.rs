//! One service and its parts, in the words of xinetd.conf(5).

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt;
use std::mem::discriminant;
use std::path::PathBuf;

use crate::plan::{
    Action, Libwrap, LogWishes, Mux, Policy, Protocol, Rpc, SocketKey, SocketType, Wait,
};

/// The `id` of a service: what logs, `enabled`, `disabled` and a reload know it by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceId(pub String);

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A service as it is to run: every default applied, every name looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub id: ServiceId,
    /// The word after `service`; not unique.
    pub name: String,
    /// Where the entry begins, for messages.
    pub declared_at: Place,
    /// Whether the port comes from services(5) or from the entry (`type = UNLISTED`).
    pub origin: Origin,
    pub socket_type: SocketType,
    pub protocol: Protocol,
    /// Where it listens; nowhere, if it is behind tcpmux. Port 0: the port of an RPC service
    /// is chosen by the system (RPC-1).
    pub sockets: Vec<SocketKey>,
    pub options: SocketOptions,
    pub wait: Wait,
    pub action: Action,
    pub rpc: Option<Rpc>,
    pub mux: Option<Mux>,
    /// `flags = IDONLY` (IDENT-4).
    pub id_only: bool,
    /// A failed fork is tried again: no `flags = NORETRY` (RETRY-2).
    pub retry: bool,
    pub libwrap: Libwrap,
    pub env: EnvPlan,
    pub stderr: Stderr,
    /// Added to the daemon's own nice value (SRV-16).
    pub nice: Option<i32>,
    /// `None`: the daemon's own (START-8).
    pub umask: Option<u32>,
    pub rlimits: Vec<Rlimit>,
    pub policy: Policy,
    pub banners: Banners,
    pub log: LogWishes,
}

impl Service {
    /// The port, which all its sockets have; 0 where there is none, or the system chooses one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.sockets.iter().map(|socket| socket.address.port()).find(|port| *port != 0).unwrap_or(0)
    }

    /// Whether servers get a socket of the service itself, and not a connection (WAIT-1).
    #[must_use]
    pub fn lends_its_socket(&self) -> bool {
        self.wait != Wait::No && self.action.start().is_some()
    }

    /// Whether nothing but the place of the entry is another.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Self { declared_at: other.declared_at.clone(), ..self.clone() } == *other
    }

    /// Whether the engine does the same about it: starts servers, passes clients on, and so forth.
    #[must_use]
    pub fn is_of_kind(&self, other: &Self) -> bool {
        discriminant(&self.action) == discriminant(&other.action)
    }

    /// Whether one of its sockets is this one (RELOAD-7).
    #[must_use]
    pub fn listens_on(&self, socket: &SocketKey) -> bool {
        self.sockets.iter().any(|own| own.is_same(socket))
    }
}

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: PathBuf,
    /// Counted from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Where the port of a service comes from; part of its identity on a reload (RELOAD-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    Listed,
    Unlisted,
}

/// Options of the listening socket; connections inherit the first two (BIND-9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// `TCP_NODELAY`
    pub nodelay: bool,
    /// `SO_KEEPALIVE`
    pub keepalive: bool,
    /// For those in the file system.
    pub file: FileAccess,
}

/// Who may connect to a socket in the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileAccess {
    /// `socket_mode`, 0 to 0777; to connect is to write.
    pub mode: u32,
    /// `socket_user`; `None`: the daemon's own.
    pub uid: Option<u32>,
    /// `socket_group`; `None`: the daemon's own.
    pub gid: Option<u32>,
}

impl FileAccess {
    /// Nobody but the owner, unless the file says more.
    pub const OWNER: u32 = 0o600;
    /// The group, too: for who names a group.
    pub const GROUP: u32 = 0o660;
}

impl Default for FileAccess {
    fn default() -> Self {
        Self { mode: Self::OWNER, uid: None, gid: None }
    }
}

/// The server and the words it is started with; `argv[0]` included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub path: PathBuf,
    pub argv: Vec<OsString>,
}

/// Who the server runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub groups: Groups,
}

/// Supplementary groups (SRV-12, SRV-13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// `groups = no`
    None,
    /// `groups = yes`: the user's, looked up when the files were read.
    List(Vec<u32>),
    /// `groups = yes` for a number that no passwd entry has: the start fails.
    Unknown,
}

/// What the server's environment is made of (SRV-5 to SRV-7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EnvPlan {
    pub passed: Passed,
    /// Variables of `env`, in order, as name and value.
    pub set: Vec<(OsString, OsString)>,
    /// `peer_env`: both ends of the connection are told, not only `REMOTE_HOST`.
    pub tells_ends: bool,
}

/// Which variables of the daemon a server gets (`passenv`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Passed {
    /// No `passenv`: all of them.
    #[default]
    All,
    Only(Vec<OsString>),
}

/// `stderr`: what becomes of a server's standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stderr {
    /// It is the connection, like 0 and 1 (SRV-1).
    #[default]
    Socket,
    /// The journal, or the daemon's own.
    Log,
    /// `/dev/null`
    Null,
}

/// A resource that `rlimit_*` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `rlimit_as`, bytes
    AddressSpace,
    /// `rlimit_cpu`, seconds
    Cpu,
    /// `rlimit_data`, bytes
    Data,
    /// `rlimit_rss`, bytes
    Rss,
    /// `rlimit_stack`, bytes
    Stack,
    /// `rlimit_files`, descriptors
    Files,
}

/// One limit, soft and hard alike (SRV-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    pub resource: Resource,
    /// `None` is UNLIMITED.
    pub value: Option<u64>,
}

/// Files shown to the client (BAN-1, BAN-2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Banners {
    /// `banner`: before any check.
    pub always: Option<PathBuf>,
    /// `banner_success`: after all checks, before the server starts.
    pub success: Option<PathBuf>,
    /// `banner_fail`: on every refusal.
    pub fail: Option<PathBuf>,
}

/// Names one of the three banners of a service, or the text that an internal service shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BannerKind {
    Always,
    Success,
    Fail,
    /// What `services` and `servers` say.
    Listing,
}

impl Banners {
    /// The file behind `kind`.
    #[must_use]
    pub fn path(&self, kind: BannerKind) -> Option<&PathBuf> {
        match kind {
            BannerKind::Always => self.always.as_ref(),
            BannerKind::Success => self.success.as_ref(),
            BannerKind::Fail => self.fail.as_ref(),
            BannerKind::Listing => None,
        }
    }
}
