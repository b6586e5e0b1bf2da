//! The page about one service.

use std::fmt;

use nix::unistd::{Gid, Group, Uid, User};

use crate::config::attr::{Row, Scope, TABLE};
use crate::config::{Declared, Loaded};
use crate::plan::{
    Action, Credentials, Groups, Passed, Redirect, Service, SocketKey, SocketType, Wait,
};

use super::origin::{place, places};

/// All that is said about one entry.
pub(super) struct Page<'l> {
    pub loaded: &'l Loaded,
    pub declared: &'l Declared,
    /// Whether it starts.
    pub state: String,
    /// It says `disable = yes`, whatever is shown.
    pub disabled: bool,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title())?;
        if let Some(service) = self.loaded.service(self.declared) {
            facts(f, service)?;
            self.table(f, service)?;
        }
        Ok(())
    }
}

/// One line of what is said about a service.
pub(super) fn fact(f: &mut impl fmt::Write, what: &str, value: &str) -> fmt::Result {
    writeln!(f, "  {what:<14} {value}")
}

/// What the daemon does, in the words of an operator.
fn facts(f: &mut fmt::Formatter<'_>, service: &Service) -> fmt::Result {
    fact(f, "listens on", &listens(service))?;
    let each = match (service.wait, service.socket_type) {
        (Wait::No, SocketType::Dgram) => "each datagram",
        (Wait::No, _) => "each client",
        (Wait::Yes | Wait::Intercepted, _) => "the socket",
    };
    match &service.action {
        Action::Start { program, credentials } => {
            let words: Vec<_> = program.argv.iter().map(|word| word.to_string_lossy()).collect();
            let command = words.join(" ");
            fact(f, "starts for", each)?;
            fact(f, "  program", &program.path.display().to_string())?;
            fact(f, "  command line", &command)?;
            fact(f, "  as", &who(credentials))?;
            fact(f, "  environment", &environment(service))
        }
        Action::Redirect { target, .. } => fact(f, "passes on to", &passes_on_to(target)),
        Action::Internal { .. } => fact(f, "answers", "itself: no program is started"),
        Action::Sensor { deny, .. } => {
            fact(f, "refuses", &format!("every client, and locks it out (deny_time = {deny})"))
        }
    }
}

fn passes_on_to(target: &Redirect) -> String {
    match target {
        Redirect::Host { name, port, addresses } => {
            let now: Vec<_> = addresses.iter().map(|one| one.ip().to_string()).collect();
            let now = if target.has_name() {
                format!(" (now {})", now.join(", "))
            } else {
                String::new()
            };
            format!("{name} port {port}{now}")
        }
        Redirect::Unix(path) => format!("the socket {}, as the user of the engine", path.display()),
    }
}

fn listens(service: &Service) -> String {
    if service.mux.is_some() {
        return "nothing: it is behind tcpmux".into();
    }
    if let Some(rpc) = &service.rpc {
        let whose = format!("a {} port that the system chooses", service.protocol);
        return format!("{whose}; rpcbind knows it: {rpc} (rpcinfo -p)");
    }
    let both = |socket: &SocketKey| {
        let is_v6 = socket.address.ip().is_some_and(|address| address.is_ipv6());
        is_v6 && socket.address.is_everywhere() && !socket.v6only
    };
    let sockets = service.sockets.iter();
    let sockets = sockets
        .map(|socket| format!("{socket}{}", if both(socket) { ", IPv4 and IPv6" } else { "" }));
    sockets.collect::<Vec<_>>().join("; ")
}

/// The user and the groups, by name where they have one.
fn who(credentials: &Credentials) -> String {
    let user = User::from_uid(Uid::from_raw(credentials.uid)).ok().flatten();
    let user = user.map_or_else(String::new, |user| format!("{} ", user.name));
    let groups = match &credentials.groups {
        Groups::None => "no other groups".into(),
        Groups::List(gids) => {
            let names: Vec<_> = gids.iter().map(|gid| group(*gid)).collect();
            format!("groups {}", names.join(", "))
        }
        Groups::Unknown => "groups of a user that passwd(5) does not have: it will fail".into(),
    };
    format!("{user}(uid {}), group {}, {groups}", credentials.uid, group(credentials.gid))
}

fn group(gid: u32) -> String {
    let found = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    found.map_or_else(|| format!("(gid {gid})"), |group| format!("{} (gid {gid})", group.name))
}

/// SRV-5 to SRV-7
fn environment(service: &Service) -> String {
    let passed = match &service.env.passed {
        Passed::All => vec!["the daemon's".to_owned()],
        Passed::Only(names) => {
            names.iter().map(|name| format!("{} of the daemon", name.display())).collect()
        }
    };
    let set = service
        .env
        .set
        .iter()
        .map(|(name, value)| format!("{}={}", name.display(), value.display()));
    let client = "REMOTE_HOST=(the client's address)".to_owned();
    let ends = service.env.tells_ends.then(|| "both ends of the connection (peer_env)".to_owned());
    passed.into_iter().chain(set).chain([client]).chain(ends).collect::<Vec<_>>().join(", ")
}

impl Page<'_> {
    /// What entry this is, and whether it starts.
    pub(super) fn title(&self) -> String {
        let Declared { id, name, span, .. } = self.declared;
        let at = place(&self.loaded.sources, *span);
        let service = if id.0 == *name { String::new() } else { format!(" (service {name})") };
        format!("{id}{service}, {at}\n  {:<14} {}\n", "starts", self.state)
    }

    /// Every attribute that the service could have.
    fn table(&self, f: &mut fmt::Formatter<'_>, service: &Service) -> fmt::Result {
        writeln!(f)?;
        for row in TABLE.iter().filter(|row| row.scope != Scope::Defaults) {
            let places = places(self.loaded, self.declared, row);
            let from: Vec<_> =
                places.iter().map(|origin| origin.text(&self.loaded.sources)).collect();
            let value = self.value(service, row);
            let from = match (from.is_empty(), row.default) {
                (false, _) => from.join("; "),
                (true, default) if default.starts_with("from ") && value != "-" => default.into(),
                (true, _) => "default".into(),
            };
            writeln!(f, "  {:<17} = {value:<27} {from}", row.name())?;
        }
        Ok(())
    }

    fn value(&self, service: &Service, row: &Row) -> String {
        let value = match row.name() {
            "disable" => Some(vec![if self.disabled { "yes" } else { "no" }.to_owned()]),
            _ => row.show.value(service, &self.loaded.plan.common_log),
        };
        match (value, row.default) {
            (Some(words), _) => words.join(" "),
            (None, "none" | "required" | "required for RPC") => "-".into(),
            (None, default) => default.strip_prefix("from ").map_or(default, |_| "-").into(),
        }
    }
}
