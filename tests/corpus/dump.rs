//! A service of a state dump (DUMP-1) in the words of xinetd.conf(5).

use std::net::Ipv6Addr;

use xinetd_rs::config::addr::{self, AddrPattern};

use crate::record::{Dumped, Record};
use crate::words::{Key, Values, alike, sites};

/// How the value of an attribute is written in a dump.
type Read = fn(&str) -> Vec<String>;

/// The attributes, what the dump calls them, and how it writes them.
const ATTRIBUTES: [(&str, &str, Read); 21] = [
    ("type", "type", words),
    ("flags", "flags", words),
    ("wait", "wait", words),
    ("user", "user", words),
    ("group", "group", words),
    ("groups", "Groups", words),
    ("server", "Server", words),
    ("server_args", "Server argv", words),
    ("redirect", "Redirect", |text| words(&text.replace(':', " "))),
    ("bind", "Bind", bind),
    ("instances", "Instances", words),
    ("per_source", "PER_SOURCE", |text| words(&text.replace("-1", "UNLIMITED"))),
    ("cps", "CPS", |text| words(&text.replace("max conn:", "").replace("wait:", ""))),
    ("nice", "Nice", words),
    ("umask", "umask", |text| vec![format!("{text:0>3}")]),
    ("only_from", "Only from", addresses),
    ("no_access", "No access", addresses),
    ("access_times", "Access times", words),
    ("deny_time", "Deny Time", deny_time),
    ("libwrap", "Libwrap", words),
    ("passenv", "Passenv", words),
];

/// A service that the original started.
pub(crate) fn theirs(dumped: &Dumped, record: &Record) -> (Key, Values) {
    let get = |key: &str| dumped.values.get(key).map(String::as_str);
    let mut values: Values = ATTRIBUTES
        .iter()
        .filter_map(|(name, key, read)| Some((*name, read(get(key).or(unsaid(key, record))?))))
        .collect();
    let (logs, variables): (Vec<_>, Vec<_>) =
        dumped.lines.iter().partition(|line| *line == "No logging" || line.starts_with("Logging "));
    values.insert("env", variables.into_iter().cloned().collect());
    let log = logs.first().map_or("", |line| line.as_str());
    values.insert("log_type", log_type(get("Logging to file").or(common(log, record)), log));
    if log != "No logging" {
        for (name, key) in
            [("log_on_success", "Log_on_success flags"), ("log_on_failure", "Log_on_failure flags")]
        {
            values.insert(name, words(get(key).unwrap()));
        }
    }
    (key(dumped, &values), alike(values))
}

fn key(dumped: &Dumped, values: &Values) -> Key {
    let get = |key: &str| dumped.values.get(key).cloned();
    let rpc = values.get("type").is_some_and(|words| words.contains(&"RPC".to_owned()));
    let protocol = get("Protocol (name,number)").unwrap();
    let (_, number) = protocol.rsplit_once(',').unwrap();
    Key {
        id: get("id").unwrap(),
        name: get("Service configuration").unwrap(),
        port: get("port").filter(|_| !rpc),
        protocol: number.trim_end_matches(')').to_owned(),
        socket_type: get("socket_type").unwrap(),
    }
}

/// What the dump shows only for `defaults`, or not at all, where a service does not set it.
fn unsaid<'r>(key: &str, record: &'r Record) -> Option<&'r str> {
    let built_in = match key {
        "Instances" => "UNLIMITED",
        "CPS" => "max conn:50 wait:10",
        _ => return None,
    };
    Some(default(&format!("{key} = "), record).unwrap_or(built_in))
}

/// The line of `defaults` that begins with `key`.
fn default<'r>(key: &str, record: &'r Record) -> Option<&'r str> {
    record.defaults.lines().find_map(|line| line.trim_start().strip_prefix(key))
}

/// The file of `defaults`, if the service logs there.
fn common<'r>(log: &str, record: &'r Record) -> Option<&'r str> {
    (log == "Logging to common log file").then(|| default("Logging to file: ", record))?
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// `/var/log/a (no limits)`, `/var/log/a (soft=1 hard=2)`,
/// `Logging to syslog. Facility = daemon, level = info`, `No logging`
fn log_type(file: Option<&str>, line: &str) -> Vec<String> {
    let plain = |text: &str| words(&text.replace(['(', ')'], ""));
    match (file, line.strip_prefix("Logging to syslog. Facility = ")) {
        (Some(file), _) => plain(&format!(
            "FILE {}",
            file.replace("(no limits)", "").replace("soft=", "").replace("hard=", "")
        )),
        (None, Some(syslog)) => plain(&format!("SYSLOG {}", syslog.replace(", level = ", " "))),
        (None, None) => Vec::new(),
    }
}

fn bind(text: &str) -> Vec<String> {
    match text {
        "All addresses." | "0.0.0.0" | "::" => Vec::new(),
        address => words(address),
    }
}

fn deny_time(text: &str) -> Vec<String> {
    words(match text {
        "-1" => "FOREVER",
        "0" => "NEVER",
        minutes => minutes,
    })
}

/// `127.0.0.0(NUMERIC) 10.0.0.0/255.0.0.0(NET) localhost(HOST)`, `All sites`
fn addresses(text: &str) -> Vec<String> {
    let (mut patterns, mut names) = (Vec::new(), Vec::new());
    for site in words(text).iter().filter(|_| !text.ends_with(" sites")) {
        let (site, kind) = site.trim_end_matches(')').rsplit_once('(').unwrap();
        match (kind, site.split_once('/')) {
            ("NET", Some((network, mask))) if network.contains(':') => {
                let bits = |text: &str| text.parse::<Ipv6Addr>().unwrap().to_bits();
                let (network, mask) = (bits(network), bits(mask));
                patterns.push(AddrPattern::V6 { network: network & mask, mask });
            }
            ("NET" | "NUMERIC", _) => patterns.extend(addr::read(site).unwrap().patterns),
            _ => names.push(site.to_owned()),
        }
    }
    sites(&addr::compile(&patterns).with_names(names))
}
