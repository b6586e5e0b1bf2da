//! A service in the words of xinetd.conf(5), so that ours can be compared with theirs.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use xinetd_rs::config::{Declared, attr};
use xinetd_rs::plan::{AccessList, Action, LogTarget, Redirect, Service};

/// What makes a service the same service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) name: String,
    /// None for a service without a socket, and for RPC, where the system chooses one.
    pub(crate) port: Option<String>,
    /// Its number.
    pub(crate) protocol: String,
    pub(crate) socket_type: String,
}

impl Key {
    /// Whether `entry` may have become this service.
    pub(crate) fn is(&self, entry: &Declared) -> bool {
        entry.id.0 == self.id && entry.name == self.name
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, port, protocol, socket_type } = self;
        let port = port.as_deref().unwrap_or("no port");
        write!(f, "service `{name}`, id `{id}`, {socket_type}, {port}, protocol {protocol}")
    }
}

/// The words of each attribute that has a value.
pub(crate) type Values = BTreeMap<&'static str, Vec<String>>;

/// What a state dump shows of a service, besides its key.
const COMPARED: [&str; 25] = [
    "type",
    "flags",
    "wait",
    "user",
    "group",
    "groups",
    "server",
    "server_args",
    "redirect",
    "bind",
    "instances",
    "per_source",
    "cps",
    "nice",
    "umask",
    "only_from",
    "no_access",
    "access_times",
    "deny_time",
    "libwrap",
    "passenv",
    "env",
    "log_type",
    "log_on_success",
    "log_on_failure",
];

/// A service of ours; `common` is the log of `defaults`.
pub(crate) fn ours(service: &Service, common: &LogTarget) -> (Key, Values) {
    let shown = |name: &str| attr::named(name).unwrap().show.value(service, common);
    let key = Key {
        id: service.id.to_string(),
        name: service.name.clone(),
        port: shown("port").map(|words| words.concat()),
        protocol: service.protocol.0.to_string(),
        socket_type: service.socket_type.word().to_owned(),
    };
    let mut values: Values =
        COMPARED.into_iter().filter_map(|name| Some((name, shown(name)?))).collect();
    match &service.action {
        Action::Start { program, .. } => {
            let argv = program.argv.iter().map(|word| word.to_string_lossy().into_owned());
            values.insert("server_args", argv.collect());
        }
        Action::Redirect { target: Redirect::Host { addresses, .. }, .. } => {
            let to = addresses.first().unwrap();
            values.insert("redirect", vec![host(to.ip()), to.port().to_string()]);
        }
        Action::Redirect { .. } | Action::Internal { .. } | Action::Sensor { .. } => {}
    }
    if values.contains_key("bind") {
        values.insert(
            "bind",
            service
                .sockets
                .iter()
                .filter_map(|socket| Some(host(socket.address.ip()?.ip())))
                .collect(),
        );
    }
    (key, alike(values))
}

/// A dump has the name of an address, if it has one.
fn host(address: IpAddr) -> String {
    let named = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    if named.contains(&address) { "localhost".to_owned() } else { address.to_string() }
}

/// An address list, network by network and then name by name.
pub(crate) fn sites(list: &AccessList) -> Vec<String> {
    list.networks().chain(list.names().iter().cloned()).collect()
}

/// `values` without what a dump does not tell apart.
pub(crate) fn alike(mut values: Values) -> Values {
    for name in ["type", "flags", "log_on_success", "log_on_failure", "env"] {
        let Some(words) = values.get_mut(name) else { continue };
        words.sort_unstable();
        words.dedup();
    }
    let anywhere = values.get("bind").is_none_or(Vec::is_empty);
    if let Some(flags) = values.get_mut("flags") {
        // REUSE means nothing, NAMEINARGS shows in `server_args`, the family in `bind`: but
        // for IPv4 anywhere
        flags.retain(|flag| !["REUSE", "NAMEINARGS", "IPv6"].contains(&flag.as_str()));
        flags.retain(|flag| flag != "IPv4" || anywhere);
        if flags.contains(&"SENSOR".to_owned()) {
            // makes a service internal
            values.entry("type").and_modify(|words| words.retain(|word| word != "INTERNAL"));
        }
    }
    if !values.contains_key("user") {
        values.remove("groups"); // whose?
    }
    values.retain(|name, words| *name == "passenv" || !words.is_empty());
    values
}
