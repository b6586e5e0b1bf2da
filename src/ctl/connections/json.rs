//! The report as JSON (docs/connections.md).

use std::net::SocketAddr;

use serde::Serialize;

use super::daemon::Daemon;
use super::host::Host;
use super::inet::Inet;
use super::ours::Owner;
use super::processes::Process;
use super::report::Report;
use super::unix::Unix;

/// Counts what programs could not overlook.
const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
pub(super) struct Document<'r> {
    version: u32,
    daemon: Option<Processes>,
    namespace: Option<&'r str>,
    internet: Vec<Connection<'r>>,
    unix: Vec<Local<'r>>,
}

#[derive(Debug, Serialize)]
struct Processes {
    monitor: u32,
    engine: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Connection<'r> {
    protocol: &'static str,
    receive_queue: u32,
    send_queue: u32,
    local: End,
    foreign: Option<End>,
    state: Option<&'static str>,
    uid: u32,
    inode: Option<u64>,
    #[serde(flatten)]
    owner: Whose<'r>,
}

#[derive(Debug, Serialize)]
struct Local<'r> {
    references: u32,
    listens: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    state: Option<&'static str>,
    inode: Option<u64>,
    path: Option<&'r str>,
    #[serde(flatten)]
    owner: Whose<'r>,
}

#[derive(Debug, Serialize)]
struct End {
    address: String,
    port: u16,
}

#[derive(Debug, Serialize)]
struct Whose<'r> {
    service: Option<&'r str>,
    session: Option<u64>,
    processes: Vec<Holder<'r>>,
    age: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Holder<'r> {
    pid: u32,
    program: &'r str,
    uid: Option<u32>,
}

impl<'r> Document<'r> {
    pub(super) fn of(host: &'r Host, daemon: Option<&Daemon>, report: &Report<'r>) -> Self {
        let processes =
            |daemon: &Daemon| Processes { monitor: daemon.monitor, engine: daemon.engine };
        Self {
            version: VERSION,
            daemon: daemon.map(processes),
            namespace: host.namespace.as_deref(),
            internet: report
                .internet
                .iter()
                .map(|(socket, owner)| connection(socket, owner))
                .collect(),
            unix: report.unix.iter().map(|(socket, owner)| local(socket, owner)).collect(),
        }
    }
}

fn connection<'r>(socket: &'r Inet, owner: &Owner<'r>) -> Connection<'r> {
    let has_peer = !socket.foreign.ip().is_unspecified() || socket.foreign.port() != 0;
    Connection {
        protocol: socket.protocol(),
        receive_queue: socket.receive_queue,
        send_queue: socket.send_queue,
        local: end(socket.local),
        foreign: has_peer.then(|| end(socket.foreign)),
        state: some(socket.state()),
        uid: socket.uid,
        inode: (socket.inode != 0).then_some(socket.inode),
        owner: whose(owner),
    }
}

fn local<'r>(socket: &'r Unix, owner: &Owner<'r>) -> Local<'r> {
    Local {
        references: socket.references,
        listens: socket.listens,
        kind: socket.kind(),
        state: some(socket.state()),
        inode: (socket.inode != 0).then_some(socket.inode),
        path: some(&socket.path),
        owner: whose(owner),
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn end(address: SocketAddr) -> End {
    End { address: address.ip().to_canonical().to_string(), port: address.port() }
}

fn whose<'r>(owner: &Owner<'r>) -> Whose<'r> {
    let holder = |process: &&'r Process| Holder {
        pid: process.pid,
        program: &process.program,
        uid: process.uid,
    };
    Whose {
        service: owner.service,
        session: owner.session.map(|session| session.id),
        processes: owner.processes.iter().map(holder).collect(),
        age: owner.age.map(|age| age.as_secs()),
    }
}
