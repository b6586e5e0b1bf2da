//! What the monitor answers. Times are whole seconds: points since 1970 (UTC), spans as they are.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Daemon(Daemon),
    Service(Service),
    LeftOut(LeftOut),
    Session(Session),
    Denied(Denied),
    Note(Note),
    Difference(Difference),
    /// There is no more.
    Done {},
    /// It could not be done, and nothing has been, unless an earlier line says so.
    Failed {
        why: String,
    },
}

impl Answer {
    /// As a line.
    #[must_use]
    pub fn line(&self) -> String {
        super::line(self)
    }
}

/// The daemon as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// Of the program.
    pub version: String,
    pub pid: i32,
    pub started: i64,
    pub uptime: u64,
    /// `null` for the moment between a crash and the next start.
    pub engine: Option<Engine>,
    /// Engines that died since the daemon was started.
    pub engine_crashes: u64,
    /// The main file.
    pub configuration: String,
    /// Counts the configurations that have been put in force; the first is 1.
    pub generation: u32,
    /// When this one was.
    pub loaded: i64,
    /// The last reload, if it took nothing over.
    pub reload_failed: Option<Failure>,
    /// A reload is under way, or the start is.
    pub is_changing: bool,
    /// It has been told to end.
    pub is_stopping: bool,
    /// Servers, and clients that the engine serves itself.
    pub sessions: u64,
    /// `-limit`, on servers
    pub limit: Option<u32>,
}

/// The unprivileged half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    pub pid: i32,
    pub started: i64,
    pub uptime: u64,
    /// What the kernel keeps it to besides its user: files and signals; system calls.
    pub landlock: bool,
    pub seccomp: bool,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub at: i64,
    pub why: String,
}

/// A service in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    pub id: String,
    /// The word after `service`.
    pub name: String,
    /// Where its entry begins.
    pub declared: Place,
    pub state: State,
    /// For a state that ends by itself, when.
    pub until: Option<i64>,
    /// An order about it is not in force yet.
    pub is_turning: bool,
    /// `stream`, `dgram`, ...
    pub socket_type: String,
    /// Where it listens, with the protocol: `127.0.0.1:110/tcp`, `unix:/run/x`; nowhere behind
    /// tcpmux.
    pub addresses: Vec<String>,
    /// What clients get: the path of the server, `redirect`, `internal`, `sensor`.
    pub gives: String,
    /// `wait = yes`
    pub wait: bool,
    /// Who is being served.
    pub sessions: u64,
    /// `instances`
    pub limit: Option<u32>,
    /// Clients whose server could not be forked, and is tried again.
    pub waiting: u64,
    /// Clients let in since the daemon was started, or servers that got the socket.
    pub accepted: u64,
    /// Clients turned away, by the words of the FAIL line (xinetd.log(5)).
    pub refused: BTreeMap<String, u64>,
    /// When the last one was let in.
    pub last: Option<i64>,
}

/// Whether clients get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Active,
    /// A server has the socket (`wait = yes`).
    Suspended,
    /// Closed by `cps`.
    Closed,
    /// By an operator: nobody is let in, clients wait.
    Paused,
    /// By an operator: clients are refused, and somebody is served still.
    Draining,
    /// The same, and nobody is served any more.
    Drained,
}

/// A server that runs, or a client that the engine serves itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name; none is given twice while the daemon runs.
    pub id: u64,
    /// The id of its service.
    pub service: String,
    /// An address, or `unix:uid=N`; `null` where the server accepts by itself.
    pub peer: Option<String>,
    /// The client's port.
    pub peer_port: Option<u16>,
    /// The port of ours that it came to.
    pub port: Option<u16>,
    /// The server's process, else the engine's.
    pub pid: i32,
    /// By the engine itself: internal services and `redirect`.
    pub in_engine: bool,
    pub started: i64,
    pub seconds: u64,
    /// It has been told to end.
    pub is_ending: bool,
}

/// An address that is locked out of every service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    pub address: IpAddr,
    /// `null`: for ever.
    pub until: Option<i64>,
}

/// An entry that the last reading of the files did not put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub id: String,
    /// Where the mistake is, else the entry.
    pub place: Place,
    pub why: String,
    /// The service goes on as it was before.
    pub goes_on: bool,
}

/// Something worth telling about the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub level: Level,
    /// Stable, in words: `unknown-attribute`.
    pub code: String,
    pub place: Place,
    pub message: String,
    /// All of it, as it is to be shown.
    pub text: String,
}

/// How much a note costs (docs/check.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Error,
    Warning,
    Note,
}

/// A place in a file; counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub line: u32,
    /// In characters; `null` where the whole line is meant.
    pub column: Option<u32>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

/// What a reload has changed, by the ids of services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub added: Vec<String>,
    /// With other values, on the same sockets; sessions go on.
    pub changed: Vec<String>,
    /// On other sockets; their servers were told to end.
    pub reopened: Vec<String>,
    pub dropped: Vec<String>,
    /// How many are as they were.
    pub unchanged: usize,
}
