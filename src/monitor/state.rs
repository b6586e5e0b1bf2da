//! The state dump of SIGUSR1: what is configured, what runs, and what is left (DUMP-1, DUMP-2).
//!
//! The layout is that of xinetd 2.3.15. Values of `env` are left out: anybody may read the file.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use crate::config::attr;
use crate::log::ctime;
use crate::monitor::Monitor;
use crate::monitor::retry::Waiting;
use crate::monitor::running::Server;
use crate::monitor::services::Active;
use crate::monitor::sessions::Session;
use crate::plan::{LogTarget, Service, ServiceIndex, Source};
use crate::sys::{clock, fd};

/// Where the dump goes; a file of root's in a directory of root's.
const FILE: &str = "/var/run/xinetd.dump";

/// The attributes of a service, by our name and by that of the dump, in its order.
const ATTRIBUTES: [(&str, &str); 34] = [
    ("id", "id ="),
    ("flags", "flags ="),
    ("type", "type ="),
    ("socket_type", "socket_type ="),
    ("protocol", "Protocol (name,number) ="),
    ("port", "port ="),
    ("rpc_number", "RPC data: program number ="),
    ("rpc_version", "RPC data: version ="),
    ("instances", "Instances ="),
    ("wait", "wait ="),
    ("user", "user ="),
    ("group", "group ="),
    ("groups", "Groups ="),
    ("umask", "umask ="),
    ("nice", "Nice ="),
    ("cps", "CPS ="),
    ("max_load", "Max load ="),
    ("per_source", "PER_SOURCE ="),
    ("bind", "Bind ="),
    ("server", "Server ="),
    ("server_args", "Server argv ="),
    ("redirect", "Redirect ="),
    ("access_times", "Access times ="),
    ("deny_time", "Deny time ="),
    ("only_from", "Only from:"),
    ("no_access", "No access:"),
    ("log_type", "Logging to"),
    ("log_on_success", "Log_on_success flags ="),
    ("log_on_failure", "Log_on_failure flags ="),
    ("passenv", "Passenv ="),
    ("env", "Environment additions:"),
    ("banner", "Banner ="),
    ("banner_success", "Banner success ="),
    ("banner_fail", "Banner fail ="),
];

impl Monitor {
    /// Appends the dump to its file. Never fails the daemon; a disk that is full costs the dump.
    pub(super) fn dump_state(&self) {
        match append(Path::new(FILE), &self.state()) {
            Ok(()) => tracing::debug!("generated state dump in file {FILE}"),
            Err(cause) => tracing::error!("cannot write the state dump {FILE}: {cause}"),
        }
    }

    fn state(&self) -> String {
        let mut text = format!(
            "INTERNAL STATE DUMP: xinetd-rs {}\nCurrent time: {}\n\nServices + defaults:\n",
            env!("CARGO_PKG_VERSION"),
            ctime(clock::wall_seconds())
        );
        for (index, active) in self.services.iter() {
            self.service_state(&mut text, index, active);
        }
        text.push_str("Server table dump:\n");
        text.push_str(&self.server_table());
        text.push_str("\nRetry table dump:\n");
        for waiting in self.retries.iter() {
            retry_state(&mut text, waiting);
        }
        text.push('\n');
        self.totals(&mut text);
        text.push_str("\nEND OF DUMP\n");
        text
    }

    /// Everybody who is being served, and by which process.
    pub(super) fn server_table(&self) -> String {
        let mut text = String::new();
        let mut servers: Vec<_> = self.running.iter().collect();
        servers.sort_by_key(|(_, server)| server.ticket);
        for (pid, server) in servers {
            let Server { service, peer, started, .. } = server;
            server_state(&mut text, pid, service, *started, *peer);
        }
        let mut sessions: Vec<_> = self.sessions.iter().collect();
        sessions.sort_by_key(|(ticket, _)| *ticket);
        for (_, session) in sessions {
            let Session { service, peer, started, .. } = session;
            server_state(&mut text, self.engine_pid(), service, *started, *peer);
        }
        text
    }

    fn service_state(&self, text: &mut String, index: ServiceIndex, active: &Active) {
        let service = &*active.service;
        let has_server = service.lends_its_socket() && self.running.of(index) > 0;
        let is_closed = self.closed.contains_key(&index) || self.gates.is_closed(index);
        let state = match (is_closed, has_server) {
            (true, _) => "Disabled",
            (false, true) => "Suspended", // WAIT-1
            (false, false) => "Active",
        };
        let name = &service.name;
        let running = self.running.of(index) as usize + self.sessions.of(index);
        let waiting = self.retries.iter().filter(|waiting| waiting.index == index).count();
        let _infallible = write!(
            text,
            "Service = {name}\n\tState = {state}\n\tService configuration: {name}\n{}\
             \trunning servers = {running}\n\tretry servers = {waiting}\n\n",
            attributes(active, self.logs.common())
        );
    }

    fn totals(&self, text: &mut String) {
        let services = self.services.available();
        let used = self.services.descriptors() + self.logs.descriptors();
        let limit = self.options.process_limit.most().unwrap_or(0);
        let _infallible = writeln!(
            text,
            "active_services = {}\navailable_services = {services}\ndescriptors_free = {}\n\
             running_servers = {}\n\nmax_descriptors = {}\nprocess_limit = {limit}\n\
             config_file = {}",
            services.saturating_sub(self.closed.len()),
            self.descriptors.saturating_sub(used as u64),
            self.running.count(),
            self.descriptors,
            self.options.config.display(),
        );
    }
}

/// What is set, a line each.
fn attributes(active: &Active, common_log: &LogTarget) -> String {
    let mut text = String::new();
    for (name, label) in ATTRIBUTES {
        let row = attr::named(name);
        let value = row.and_then(|row| row.show.value(&active.service, common_log));
        if let Some(words) = in_the_dump(name, active, value) {
            let _infallible = writeln!(text, "\t\t{label} {}", words.join(" "));
        }
    }
    text
}

/// The value of an attribute, where the dump writes it otherwise than the configuration.
fn in_the_dump(name: &str, active: &Active, value: Option<Vec<String>>) -> Option<Vec<String>> {
    let service = &*active.service;
    let text = |word: &std::ffi::OsString| word.display().to_string();
    match name {
        // RPC-1: the system has chosen it, for each socket.
        "port" if service.rpc.is_some() => {
            Some(active.listeners.iter().map(|listener| listener.port.to_string()).collect())
        }
        "protocol" => Some(vec![format!("({},{})", value?.concat(), service.protocol.0)]),
        "server_args" => {
            let (program, _) = service.action.start()?;
            Some(program.argv.iter().map(text).collect())
        }
        // Anybody may read the file.
        "env" => value.map(|_| service.env.set.iter().map(|(name, _)| text(name)).collect()),
        _ => value,
    }
}

fn server_state(text: &mut String, pid: i32, service: &Service, started: Instant, peer: Source) {
    let id = &service.id;
    let age = i64::try_from(started.elapsed().as_secs()).unwrap_or_default();
    let _infallible = writeln!(
        text,
        "{id} server\npid = {pid}\nstart_time = {}\nConnection info:\n\tservice = {id}\n\
         \tremote_address = {peer}\n",
        ctime(clock::wall_seconds() - age),
    );
}

fn retry_state(text: &mut String, waiting: &Waiting) {
    let Waiting { service, peer, failures, .. } = waiting;
    let id = &service.id;
    let _infallible = writeln!(
        text,
        "{id} server\npid = -1\nConnection info:\n\tservice = {id}\n\tremote_address = {peer}\n\
         fork_failures = {failures}\n"
    );
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    fd::open_own_for_append(path)?.write_all(text.as_bytes())
}
